// The status line of a view: the command's state, facts, and a text in place of the state for a moment; also
// the kernel's notices, and the parts of the frame that only some states have.

/** @import { Frame } from "./frame.js" */
/** @import { Status } from "./status.js" */

const FLASH_MS = 1_500;

export class StatusLine {
  /** @param {Frame} frame @param {Status} status @param {string} session */
  constructor(frame, status, session) {
    this.frame = frame;
    this.status = status;
    this.session = session;
    /** A text that replaces the state for a moment. @type {string | null} */
    this.flashed = null;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    /** The latest state that screen readers have read. */
    this.announced = "";
  }

  dispose() {
    clearTimeout(this.timer);
  }

  show() {
    const { status, frame } = this;
    const { text } = status;
    frame.root.dataset.state = status.kind;
    if (text !== this.announced) {
      this.announced = text;
      frame.announcement.textContent = `Command ${text}`;
    }
    frame.state.textContent = this.flashed ?? text;
    frame.buttons.stop.disabled = status.stopping;
    frame.buttons.stop.hidden = status.ended;
    frame.buttons.download.hidden = status.disconnected;
    frame.form.hidden = status.ended;
  }

  /** @param {number} now */
  showFacts(now) {
    const facts = this.status.facts(this.session, now);
    if (this.frame.facts.textContent !== facts) this.frame.facts.textContent = facts;
  }

  /** Show that the reader has asked to stop the command, until the next notice. */
  showStopping() {
    this.status.stopping = true;
    this.frame.notice.hidden = true;
    this.show();
  }

  /** Show a text below the log; an empty one hides the last. @param {string} text */
  notify(text) {
    this.status.stopping = false;
    this.frame.notice.textContent = text;
    this.frame.notice.hidden = !text;
    this.show();
  }

  /** Show a text in place of the state for a moment. @param {string} text */
  flash(text) {
    this.frame.announcement.textContent = text;
    this.flashed = text;
    this.show();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.flashed = null;
      this.show();
    }, FLASH_MS);
  }
}
