// The search bar of a view.

/** @import { Frame } from "./frame.js" */
/** @import { Lines } from "./lines.js" */
/** @import { Search } from "./search.js" */
/** @import { Viewport } from "./viewport.js" */

export class SearchBar {
  /**
   * @param {Frame} frame
   * @param {Lines} lines
   * @param {Search} search
   * @param {Viewport} viewport
   */
  constructor(frame, lines, search, viewport) {
    this.frame = frame;
    this.lines = lines;
    this.search = search;
    this.viewport = viewport;
    frame.field.addEventListener("input", () => this.find());
  }

  get isOpen() {
    return !this.frame.searchBar.hidden;
  }

  /** Whether the reader is at a match, which new output must not move. */
  get atMatch() {
    return this.isOpen && this.search.current >= 0;
  }

  open() {
    this.frame.searchBar.hidden = false;
    this.frame.field.focus();
    this.frame.field.select();
  }

  close() {
    this.frame.searchBar.hidden = true;
    this.search.text = "";
    this.search.run(this.lines);
    this.frame.scroll.focus({ preventScroll: true });
    this.viewport.draw();
  }

  /** Search for the text in the field, from the end of the log. */
  find() {
    this.search.text = this.frame.field.value;
    this.search.current = -1;
    this.update();
    if (this.search.hits.length) this.step(-1);
    else this.viewport.draw();
  }

  /** Search again, since the lines have changed. */
  update() {
    if (this.search.text || this.search.hits.length) this.search.run(this.lines);
    this.frame.hits.textContent = this.search.summary;
  }

  /** @param {1 | -1} direction */
  step(direction) {
    const hit = this.search.step(direction);
    this.frame.hits.textContent = this.search.summary;
    if (!hit) return;
    this.viewport.showLine(hit[0]);
    this.frame.rows.querySelector(".dk-current")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
}
