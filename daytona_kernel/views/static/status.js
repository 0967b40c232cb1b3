// The state of the command, and the facts beside it: duration, lines, bytes, rate.
//
// All times are milliseconds of the page's clock, except `elapsed`.

import { formatBytes, formatClock, formatLines } from "./formats.js";

const RATE_WINDOW_MS = 2_000;
const SHORTEST_RATE_WINDOW_S = 0.25;
const LOWEST_SHOWN_RATE = 100;

/**
 * The state as the kernel sends it. `elapsed`: seconds since the command started.
 * @typedef {{ state: string, exit_code: number | null, elapsed: number }} Report
 */

export class Status {
  constructor() {
    this.state = "running";
    /** @type {number | null} */
    this.exitCode = null;
    this.ended = false;
    /** Whether the kernel that fed this view is gone. */
    this.disconnected = false;
    /** Whether the reader has asked to stop the command. */
    this.stopping = false;
    this.elapsed = 0;
    this.startedAt = 0;
    this.lineCount = 0;
    this.byteCount = 0;
    /** [time, bytes so far] of the latest batches. @type {[number, number][]} */
    this.samples = [];
  }

  /**
   * Take a report, and return whether it is the first that says that the command has ended.
   * The kernel sends reports with each batch and as the model's state, since either can be lost.
   * @param {Report} report @param {number} now
   */
  take({ state, exit_code: exitCode, elapsed }, now) {
    if (this.disconnected || (this.ended && state === "running")) return false;
    const first = state !== "running" && !this.ended;
    this.startedAt = now - elapsed * 1000;
    this.elapsed = elapsed;
    this.state = state;
    this.exitCode = exitCode;
    this.ended ||= first;
    return first;
  }

  /** Note the size of the log so far. @param {number} lines @param {number} bytes @param {number} now */
  count(lines, bytes, now) {
    this.lineCount = lines;
    this.byteCount = bytes;
    this.samples.push([now, bytes]);
  }

  /** Note that the kernel is gone. @param {number} now */
  disconnect(now) {
    this.disconnected = true;
    if (this.ended) return;
    this.elapsed = (now - this.startedAt) / 1000;
    this.ended = true;
    this.state = "lost";
  }

  /** The state as style sheets know it. */
  get kind() {
    return this.state === "exited" && this.exitCode ? "failed" : this.state;
  }

  /** The state in words. */
  get text() {
    if (this.state === "running") return this.stopping ? "stopping" : "running";
    if (this.state === "exited") return this.exitCode === null ? "ended" : `exited ${this.exitCode}`;
    if (this.state === "lost") return this.disconnected ? "disconnected" : "no longer followed";
    return this.state;
  }

  /** Everything beside the state, in one line. @param {string} session @param {number} now */
  facts(session, now) {
    const seconds = this.ended ? this.elapsed : (now - this.startedAt) / 1000;
    const facts = [formatClock(Math.max(0, seconds)), formatLines(this.lineCount), formatBytes(this.byteCount)];
    const rate = this.rate(now);
    if (!this.ended && rate >= LOWEST_SHOWN_RATE) facts.push(`${formatBytes(rate)}/s`);
    return [...facts, `session ${session}`].join(" · ");
  }

  /** Return the bytes a second over the last two seconds. @param {number} now */
  rate(now) {
    const { samples } = this;
    const oldest = now - RATE_WINDOW_MS;
    while (samples.length > 1 && samples[1][0] < oldest) samples.shift();
    const [first, last] = [samples[0], samples[samples.length - 1]];
    if (samples.length < 2 || last[0] < oldest) return 0;
    return (last[1] - first[1]) / Math.max(SHORTEST_RATE_WINDOW_S, (now - first[0]) / 1000);
  }
}
