// What a view asks of the kernel: lines now, and whatever its other parts send.

/** @import { Lines } from "./lines.js" */

const EARLIER_LINES = 1_000;

export class Requests {
  /**
   * @param {(message: object) => void} post sends a message to the kernel
   * @param {Lines} lines the lines that the view has
   */
  constructor(post, lines) {
    this.post = post;
    this.lines = lines;
    /** The name of the view, by which the kernel's answers find it. */
    this.id = Math.random().toString(36).slice(2);
    /** The number of the first line that the kernel keeps. */
    this.oldest = 0;
    /** What continues when the answer to a read comes. @type {{ end: (() => void) | null, earlier: (() => void) | null }} */
    this.waiting = { end: null, earlier: null };
    /** Whether no answer can come any more. */
    this.ended = false;
  }

  /** @param {object} message */
  send(message) {
    this.post({ view: this.id, ...message });
  }

  /** Read the lines from a number on. @param {number} since @returns {Promise<void>} */
  read(since = 0) {
    return new Promise((done) => {
      this.waiting.end = done;
      this.send({ type: "read", since });
    });
  }

  /** Read earlier lines if the kernel has some: a thousand, or all. @param {boolean} all @returns {Promise<void>} */
  async readEarlier(all = false) {
    const { first, cleared } = this.lines;
    if (first <= Math.max(this.oldest, cleared) || this.waiting.earlier || this.ended) return;
    await new Promise((/** @type {(value?: undefined) => void} */ done) => {
      this.waiting.earlier = done;
      const since = all ? 0 : Math.max(0, first - EARLIER_LINES);
      this.send({ type: "read", since, before: first });
    });
  }

  /** The answer to a read has come. @param {boolean} earlier whether the read was for earlier lines */
  answered(earlier) {
    const read = earlier ? "earlier" : "end";
    const done = this.waiting[read];
    this.waiting[read] = null;
    done?.();
  }

  /** The kernel is gone. Continue what waits for it. */
  end() {
    this.ended = true;
    for (const done of Object.values(this.waiting)) done?.();
  }
}
