// The view of a log in a page. `log_view.py` describes the messages between page and kernel.
//
// anywidget loads the widget's script from a Blob URL, where a relative import cannot work. So
// `log_view.py` joins the files of this folder into one module, in an order that puts each file after
// those that it imports, and drops their import lines and the word `export`. For that,
// - an import of another file here is one line, `import { name } from "./file.js";`, without `as`;
// - an export is a declaration, `export class`, `export function` or `export const`;
// - no two files declare the same name at their top level.

/** @import { PieceMessage } from "./download.js" */
/** @import { Excerpt } from "./lines.js" */
/** @import { Notebook, SavedLogMessage } from "./replacement.js" */
/** @import { Report } from "./status.js" */
import { Download } from "./download.js";
import { element } from "./elements.js";
import { formatBytes, formatLines } from "./formats.js";
import { Frame } from "./frame.js";
import { isEarlier, Lines } from "./lines.js";
import { Mount, OUTPUTS, savedClass } from "./mount.js";
import { Replacement } from "./replacement.js";
import { Search } from "./search.js";
import { SearchBar } from "./search_bar.js";
import { Status } from "./status.js";
import { Viewport } from "./viewport.js";

const EARLIER_LINES = 1_000;
const TICK_MS = 250;
const SILENCE_MS = 10_000; // The view then asks whether it has missed a batch.
const FLASH_MS = 1_500;
const SHOWN_MS = 1_000; // between two looks whether the page shows the saved log in place of the view

/**
 * What a view uses of anywidget's model.
 * @typedef {object} Model
 * @property {(name: string) => any} get
 * @property {(event: string, handler: (...values: any[]) => void) => void} on
 * @property {(event: string, handler: (...values: any[]) => void) => void} off
 * @property {(message: object) => void} send
 * @property {{ context?: { model?: Notebook } }} [widget_manager]
 */

/** @typedef {Excerpt & Report & { to?: string, start: number, count: number, bytes: number }} LinesMessage */

/**
 * @typedef {{ to?: string } & (
 *   ({ type: "lines" } & LinesMessage) | { type: "notice", text: string } |
 *   ({ type: "piece" } & PieceMessage) | ({ type: "bundle" } & SavedLogMessage)
 * )} Message
 */

/** The models of this page, by `view_id`. @type {Map<string, Model>} */
const models = new Map();
/** The ids of the views that this page shows. @type {Set<string>} */
const shown = new Set();

class View {
  /** @param {Model} model @param {HTMLElement} parent */
  constructor(model, parent) {
    this.model = model;
    this.id = Math.random().toString(36).slice(2);
    this.lines = new Lines();
    this.search = new Search();
    this.status = new Status();
    this.frame = new Frame(model.get("command"), {
      search: () => this.openSearch(),
      wrap: () => this.viewport.toggleWrap(),
      clock: () => this.viewport.toggleTimes(),
      clear: () => this.clear(),
      copy: () => this.copy(),
      download: () => this.startDownload(),
      stop: () => this.stop(),
      previous: () => this.searchBar.step(-1),
      next: () => this.searchBar.step(1),
      close: () => this.searchBar.close(),
      jump: () => this.jumpToEnd(),
    });
    this.viewport = new Viewport(this.frame, this.lines, this.search, () => this.readEarlier());
    this.searchBar = new SearchBar(this.frame, this.lines, this.search, this.viewport);
    this.download = new Download({
      ask: (piece) => this.send({ type: "download", piece }),
      progress: (size, done) => this.flash(`${done ? "Downloaded" : "Downloading"} ${formatBytes(size)}`),
      save: (log) => this.saveDownload(log),
      fail: (reason) => this.failDownload(reason),
    });
    this.replacement = new Replacement(
      () => this.send({ type: "bundle" }),
      () => model.widget_manager?.context?.model,
    );
    /** The number of the first line that the kernel keeps. */
    this.oldest = 0;
    /** Whether the kernel has sent lines. */
    this.heard = false;
    /** When the kernel last sent lines. */
    this.heardAt = performance.now();
    /** What continues when the answer to a read comes. @type {{ end: (() => void) | null, earlier: (() => void) | null }} */
    this.waiting = { end: null, earlier: null };
    /** A text that replaces the state for a moment. @type {string | null} */
    this.flashed = null;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.flashTimer = undefined;
    /** The latest state that screen readers have read. */
    this.announced = "";

    /** @type {[event: string, handler: (...values: any[]) => void][]} */
    this.handlers = [
      ["msg:custom", (message, buffers) => this.receive(message, buffers)],
      ["change:state", () => this.takeModelState()],
      ["comm_live_update", () => this.disconnected()],
      ["comm:close", () => this.disconnected()],
    ];
    shown.add(model.get("view_id"));
    this.mount = new Mount(this.frame.root, savedClass(model.get("view_id")), {
      moved: () => this.viewport.restore(),
      lost: () => this.dispose(),
    });
    for (const [event, handler] of this.handlers) model.on(event, handler);
    this.frame.root.addEventListener("keydown", (event) => this.keyDown(event));
    this.ticker = setInterval(() => this.tick(), TICK_MS);
    parent.append(this.frame.root);
    this.takeModelState();
    this.read();
  }

  /** The page has removed the widget. */
  leave() {
    if (!this.mount.leave()) this.dispose();
  }

  dispose() {
    shown.delete(this.model.get("view_id"));
    for (const [event, handler] of this.handlers) this.model.off(event, handler);
    clearInterval(this.ticker);
    clearTimeout(this.flashTimer);
    this.viewport.dispose();
    this.download.end();
    this.replacement.dispose();
    this.mount.dispose();
  }

  // Between page and kernel

  /** @param {object} message */
  send(message) {
    this.model.send({ view: this.id, ...message });
  }

  /** @param {Message} message @param {(ArrayBuffer | ArrayBufferView<ArrayBuffer>)[]} buffers */
  receive(message, buffers) {
    if (message.to && message.to !== this.id) return;
    if (message.type === "lines") this.receiveLines(message);
    else if (message.type === "notice") this.showNotice(message.text);
    else if (message.type === "piece") this.download.receive(message, buffers);
    else if (message.type === "bundle") this.replacement.receive(message);
  }

  /** @param {LinesMessage} batch */
  receiveLines(batch) {
    const earlier = isEarlier(batch);
    const first = this.lines.first;
    this.heard = true;
    this.heardAt = performance.now();
    this.oldest = batch.start;
    this.status.count(batch.count, batch.bytes, this.heardAt);
    this.viewport.total = batch.count;
    this.takeReport(batch);
    const fitted = this.lines.take(batch, !this.viewport.following || this.searchBar.atMatch);
    if (!earlier) this.viewport.behind = !fitted;
    this.searchBar.update();
    this.viewport.draw(Math.max(0, first - this.lines.first));
    if (batch.to) {
      const read = earlier ? "earlier" : "end";
      const done = this.waiting[read];
      this.waiting[read] = null;
      done?.();
    }
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
    if (first <= Math.max(this.oldest, cleared) || this.waiting.earlier || this.status.disconnected) return;
    await new Promise((/** @type {(value?: undefined) => void} */ done) => {
      this.waiting.earlier = done;
      const since = all ? 0 : Math.max(0, first - EARLIER_LINES);
      this.send({ type: "read", since, before: first });
    });
  }

  // State

  takeModelState() {
    const { model } = this;
    this.takeReport({ state: model.get("state"), exit_code: model.get("exit_code"), elapsed: model.get("elapsed") });
  }

  /** @param {Report} report */
  takeReport(report) {
    if (this.status.take(report, performance.now())) {
      this.replacement.askAtEnd();
      // The view of a leftover log has nothing to show, but its saved log does.
      if (this.heard) this.mount.expect();
    }
    this.showState();
  }

  /** The kernel is gone, or has closed this view. After a reload the page could show nothing of its log, so replace the view now. */
  disconnected() {
    if (this.status.disconnected) return;
    this.status.disconnect(performance.now());
    for (const done of Object.values(this.waiting)) done?.();
    this.showState();
    this.replacement.apply();
  }

  showState() {
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
    this.tick();
  }

  tick() {
    const now = performance.now();
    const facts = this.status.facts(this.model.get("session"), now);
    if (this.frame.facts.textContent !== facts) this.frame.facts.textContent = facts;
    if (this.status.ended) {
      clearInterval(this.ticker);
      return;
    }
    this.replacement.askIfChanged(this.heardAt, now);
    if (now - this.heardAt > SILENCE_MS) {
      this.heardAt = now;
      this.read(this.lines.next);
    }
  }

  /** Show a text from the kernel; an empty one hides the last. @param {string} text */
  showNotice(text) {
    this.status.stopping = false;
    this.frame.notice.textContent = text;
    this.frame.notice.hidden = !text;
    this.showState();
  }

  /** Show a text in place of the state for a moment. @param {string} text */
  flash(text) {
    this.frame.announcement.textContent = text;
    this.flashed = text;
    this.showState();
    clearTimeout(this.flashTimer);
    this.flashTimer = setTimeout(() => {
      this.flashed = null;
      this.showState();
    }, FLASH_MS);
  }

  // The reader's actions

  /** @param {KeyboardEvent} event */
  keyDown(event) {
    const { frame, searchBar } = this;
    const find = event.key === "f" && (event.ctrlKey || event.metaKey) && !event.altKey;
    if (find || (event.key === "/" && event.target === frame.scroll)) {
      this.openSearch();
    } else if (event.key === "Escape" && searchBar.isOpen) {
      searchBar.close();
    } else if (event.key === "Enter" && event.target === frame.field) {
      searchBar.step(event.shiftKey ? 1 : -1); // Upwards first, since a log is read from its end.
    } else if (event.key === "Enter" && event.target === frame.input && !event.isComposing) {
      this.submit();
    } else if (event.key === "End" && event.target === frame.scroll) {
      this.jumpToEnd();
    } else if (event.key === "Home" && event.target === frame.scroll) {
      this.jumpToStart();
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }

  stop() {
    this.status.stopping = true;
    this.frame.notice.hidden = true;
    this.showState();
    this.send({ type: "stop" });
  }

  /** Send the input field's text to the command. */
  submit() {
    this.send({ type: "input", text: `${this.frame.input.value}\n` });
    this.frame.input.value = "";
    this.viewport.follow();
  }

  clear() {
    this.lines.clear();
    this.searchBar.update();
    this.viewport.following = true;
    this.viewport.redraw();
  }

  async jumpToEnd() {
    if (this.viewport.behind) {
      this.lines.drop(this.lines.finished.length);
      await this.read(this.lines.next);
    }
    this.viewport.behind = false;
    this.viewport.follow();
  }

  async jumpToStart() {
    this.viewport.following = false;
    await this.readEarlier(true);
    this.viewport.showStart();
  }

  async openSearch() {
    this.searchBar.open();
    await this.readEarlier(true);
    this.searchBar.find();
  }

  async copy() {
    await this.readEarlier(true);
    try {
      await navigator.clipboard.writeText(this.lines.text);
      this.flash(`Copied ${formatLines(this.lines.count)}`);
    } catch {
      this.showNotice("The browser does not let this page copy. Select the text and copy it, or download the log.");
    }
  }

  startDownload() {
    this.frame.buttons.download.disabled = true;
    this.download.start();
  }

  /** @param {Blob} log */
  saveDownload(log) {
    const url = URL.createObjectURL(log);
    const name = `${this.model.get("session") || "command"}.log`;
    element("a", "", { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
    this.send({ type: "downloaded" });
    this.frame.buttons.download.disabled = false;
  }

  /** @param {string} reason */
  failDownload(reason) {
    this.frame.buttons.download.disabled = false;
    this.showNotice(`The download failed: ${reason}`);
  }
}

/**
 * While the command runs, show a view where the page shows the saved log. JupyterLab does so in a cell that it does
 * not trust, such as one that another person has run in a notebook that both have open.
 * @param {Model} model
 */
function replaceSavedLogs(model) {
  const id = model.get("view_id");
  const timer = setInterval(() => {
    if (model.get("state") !== "running") clearInterval(timer);
    else if (!shown.has(id)) {
      const saved = document.querySelector(`${OUTPUTS} .${savedClass(id)}`);
      if (saved instanceof HTMLElement) new View(model, document.createElement("div")).mount.cover(saved);
    }
  }, SHOWN_MS);
  return () => clearInterval(timer);
}

export default {
  /** @param {{ model: Model }} page */
  initialize({ model }) {
    // anywidget takes away the handlers of the model that `render` gets when it removes the widget's element.
    models.set(model.get("view_id"), model);
    model.send({ type: "present" });
    return replaceSavedLogs(model);
  },

  /** @param {{ model: Model, el: HTMLElement }} page */
  render({ model, el }) {
    const view = new View(models.get(model.get("view_id")) ?? model, el);
    return () => view.leave();
  },
};
