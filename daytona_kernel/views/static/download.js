// The download of the whole log. The page asks for one piece after the other, so no more than one waits
// in the kernel's memory.

const PIECE_TIMEOUT_MS = 10_000;

/** @typedef {{ piece: number, last?: boolean, error?: string }} PieceMessage */

/**
 * The view that a download belongs to.
 * @typedef {object} DownloadPage
 * @property {(piece: number) => void} ask asks the kernel for a piece
 * @property {(size: number, done: boolean) => void} progress
 * @property {(log: Blob) => void} save
 * @property {(reason: string) => void} fail
 */

export class Download {
  /** @param {DownloadPage} page */
  constructor(page) {
    this.page = page;
    this.running = false;
    /** @type {Blob[]} */
    this.parts = [];
    this.size = 0;
    this.piece = 0;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
  }

  start() {
    if (this.running) return;
    this.running = true;
    this.parts = [];
    this.size = 0;
    this.piece = 0;
    this.ask();
  }

  ask() {
    clearTimeout(this.timer);
    // A server that limits the rate of messages can drop the answer.
    this.timer = setTimeout(() => this.ask(), PIECE_TIMEOUT_MS);
    this.page.ask(this.piece);
  }

  /** @param {PieceMessage} message @param {(ArrayBuffer | ArrayBufferView<ArrayBuffer>)[]} buffers */
  receive(message, buffers) {
    if (!this.running || message.piece !== this.piece) return;
    if (message.error) {
      this.end();
      this.page.fail(message.error);
      return;
    }
    this.parts.push(new Blob([buffers[0]])); // The browser may keep it on disk.
    this.size += buffers[0].byteLength;
    this.piece += 1;
    this.page.progress(this.size, Boolean(message.last));
    if (!message.last) {
      this.ask();
      return;
    }
    const log = new Blob(this.parts, { type: "text/plain" });
    this.end();
    this.page.save(log);
  }

  end() {
    clearTimeout(this.timer);
    this.running = false;
    this.parts = [];
  }
}
