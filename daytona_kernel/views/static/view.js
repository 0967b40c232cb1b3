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
import { Frame } from "./frame.js";
import { isEarlier, Lines } from "./lines.js";
import { Mount, OUTPUTS, savedClass } from "./mount.js";
import { ReaderActions } from "./reader_actions.js";
import { Replacement } from "./replacement.js";
import { Requests } from "./requests.js";
import { Search } from "./search.js";
import { SearchBar } from "./search_bar.js";
import { Status } from "./status.js";
import { StatusLine } from "./status_line.js";
import { Viewport } from "./viewport.js";

const TICK_MS = 250;
const SILENCE_MS = 10_000; // The view then asks whether it has missed a batch.
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
    this.lines = new Lines();
    this.search = new Search();
    this.status = new Status();
    this.frame = new Frame(model.get("command"), {
      search: () => this.actions.openSearch(),
      wrap: () => this.viewport.toggleWrap(),
      clock: () => this.viewport.toggleTimes(),
      clear: () => this.actions.clear(),
      copy: () => this.actions.copy(),
      download: () => this.actions.startDownload(),
      stop: () => this.actions.stop(),
      previous: () => this.searchBar.step(-1),
      next: () => this.searchBar.step(1),
      close: () => this.searchBar.close(),
      jump: () => this.actions.jumpToEnd(),
    });
    this.requests = new Requests((message) => model.send(message), this.lines);
    this.viewport = new Viewport(this.frame, this.lines, this.search, () => this.requests.readEarlier());
    this.searchBar = new SearchBar(this.frame, this.lines, this.search, this.viewport);
    this.statusLine = new StatusLine(this.frame, this.status, model.get("session"));
    const { frame, lines, viewport, searchBar, statusLine } = this;
    const parts = { frame, lines, viewport, searchBar, statusLine };
    this.actions = new ReaderActions(parts, this.requests, model.get("session"));
    this.replacement = new Replacement(
      () => this.requests.send({ type: "bundle" }),
      () => model.widget_manager?.context?.model,
    );
    /** Whether the kernel has sent lines. */
    this.heard = false;
    /** When the kernel last sent lines. */
    this.heardAt = performance.now();

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
    this.ticker = setInterval(() => this.tick(), TICK_MS);
    parent.append(this.frame.root);
    this.takeModelState();
    this.requests.read();
  }

  /** The page has removed the widget. */
  leave() {
    if (!this.mount.leave()) this.dispose();
  }

  dispose() {
    shown.delete(this.model.get("view_id"));
    for (const [event, handler] of this.handlers) this.model.off(event, handler);
    clearInterval(this.ticker);
    this.viewport.dispose();
    this.statusLine.dispose();
    this.actions.dispose();
    this.replacement.dispose();
    this.mount.dispose();
  }

  // Between page and kernel

  /** @param {Message} message @param {(ArrayBuffer | ArrayBufferView<ArrayBuffer>)[]} buffers */
  receive(message, buffers) {
    if (message.to && message.to !== this.requests.id) return;
    if (message.type === "lines") this.receiveLines(message);
    else if (message.type === "notice") this.statusLine.notify(message.text);
    else if (message.type === "piece") this.actions.download.receive(message, buffers);
    else if (message.type === "bundle") this.replacement.receive(message);
  }

  /** @param {LinesMessage} batch */
  receiveLines(batch) {
    const earlier = isEarlier(batch);
    const first = this.lines.first;
    this.heard = true;
    this.heardAt = performance.now();
    this.requests.oldest = batch.start;
    this.status.count(batch.count, batch.bytes, this.heardAt);
    this.viewport.total = batch.count;
    this.takeReport(batch);
    const fitted = this.lines.take(batch, !this.viewport.following || this.searchBar.atMatch);
    if (!earlier) this.viewport.behind = !fitted;
    this.searchBar.update();
    this.viewport.draw(Math.max(0, first - this.lines.first));
    if (batch.to) this.requests.answered(earlier);
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
    this.statusLine.show();
    this.tick();
  }

  /** The kernel is gone, or has closed this view. After a reload the page could show nothing of its log, so replace the view now. */
  disconnected() {
    if (this.status.disconnected) return;
    this.status.disconnect(performance.now());
    this.requests.end();
    this.statusLine.show();
    this.tick();
    this.replacement.apply();
  }

  tick() {
    const now = performance.now();
    this.statusLine.showFacts(now);
    if (this.status.ended) {
      clearInterval(this.ticker);
      return;
    }
    this.replacement.askIfChanged(this.heardAt, now);
    if (now - this.heardAt > SILENCE_MS) {
      this.heardAt = now;
      this.requests.read(this.lines.next);
    }
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
