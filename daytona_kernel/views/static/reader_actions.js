// The actions of a view's reader: on the log, on the command, and the keys for them.

/** @import { Frame } from "./frame.js" */
/** @import { Lines } from "./lines.js" */
/** @import { Requests } from "./requests.js" */
/** @import { SearchBar } from "./search_bar.js" */
/** @import { StatusLine } from "./status_line.js" */
/** @import { Viewport } from "./viewport.js" */
import { Download } from "./download.js";
import { element } from "./elements.js";
import { formatBytes, formatLines } from "./formats.js";

export class ReaderActions {
  /**
   * @param {{ frame: Frame, lines: Lines, viewport: Viewport, searchBar: SearchBar, statusLine: StatusLine }} parts
   * @param {Requests} requests
   * @param {string} session
   */
  constructor({ frame, lines, viewport, searchBar, statusLine }, requests, session) {
    this.frame = frame;
    this.lines = lines;
    this.viewport = viewport;
    this.searchBar = searchBar;
    this.statusLine = statusLine;
    this.requests = requests;
    this.session = session;
    this.download = new Download({
      ask: (piece) => requests.send({ type: "download", piece }),
      progress: (size, done) => statusLine.flash(`${done ? "Downloaded" : "Downloading"} ${formatBytes(size)}`),
      save: (log) => this.saveDownload(log),
      fail: (reason) => this.failDownload(reason),
    });
    frame.root.addEventListener("keydown", (event) => this.keyDown(event));
  }

  dispose() {
    this.download.end();
  }

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
    this.statusLine.showStopping();
    this.requests.send({ type: "stop" });
  }

  /** Send the input field's text to the command. */
  submit() {
    this.requests.send({ type: "input", text: `${this.frame.input.value}\n` });
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
      await this.requests.read(this.lines.next);
    }
    this.viewport.behind = false;
    this.viewport.follow();
  }

  async jumpToStart() {
    this.viewport.following = false;
    await this.requests.readEarlier(true);
    this.viewport.showStart();
  }

  async openSearch() {
    this.searchBar.open();
    await this.requests.readEarlier(true);
    this.searchBar.find();
  }

  async copy() {
    await this.requests.readEarlier(true);
    try {
      await navigator.clipboard.writeText(this.lines.text);
      this.statusLine.flash(`Copied ${formatLines(this.lines.count)}`);
    } catch {
      this.statusLine.notify("The browser does not let this page copy. Select the text and copy it, or download the log.");
    }
  }

  startDownload() {
    this.frame.buttons.download.disabled = true;
    this.download.start();
  }

  /** @param {Blob} log */
  saveDownload(log) {
    const url = URL.createObjectURL(log);
    const name = `${this.session || "command"}.log`;
    element("a", "", { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
    this.requests.send({ type: "downloaded" });
    this.frame.buttons.download.disabled = false;
  }

  /** @param {string} reason */
  failDownload(reason) {
    this.frame.buttons.download.disabled = false;
    this.statusLine.notify(`The download failed: ${reason}`);
  }
}
