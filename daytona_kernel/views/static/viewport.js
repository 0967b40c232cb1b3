// The area that shows the lines: scrolling, drawing, its height, and the button back to the end.

/** @import { Frame } from "./frame.js" */
/** @import { Lines } from "./lines.js" */
/** @import { Search } from "./search.js" */
import { formatNumber } from "./formats.js";
import { Layout } from "./layout.js";
import { Rows } from "./rows.js";

const OVERSCAN_PX = 200;
const LARGEST_AUTO_HEIGHT = 340;
const NEAR_START_PX = 400;
const TIME_CHARACTERS = 13;
const SIDE_PADDING_PX = 20;

export class Viewport {
  /**
   * @param {Frame} frame
   * @param {Lines} lines
   * @param {Search} search
   * @param {() => void} nearStart called when the reader comes near the first line that is kept
   */
  constructor(frame, lines, search, nearStart) {
    this.frame = frame;
    this.lines = lines;
    this.search = search;
    this.nearStart = nearStart;
    this.layout = new Layout();
    this.rows = new Rows(frame.rows);
    /** Whether the end of the log stays in sight. */
    this.following = true;
    /** Whether the kernel has sent lines that were not taken, since the reader is somewhere else. */
    this.behind = false;
    /** How many lines the log has. */
    this.total = 0;
    this.wrapped = false;
    this.timesShown = false;
    this.outOfSight = false;
    /** Whether the reader has chosen a height. */
    this.heightChosen = false;
    /** The height that the view has chosen, in pixels. */
    this.autoHeight = 0;
    /** Lines put in front since the last drawing. */
    this.added = 0;
    this.lastTop = 0;
    this.lastLeft = 0;
    /** The next drawing. @type {number | null} */
    this.pending = null;
    frame.scroll.addEventListener("scroll", () => this.scrolled());
    this.resizes = new ResizeObserver(() => this.resized());
    this.resizes.observe(frame.scroll);
    this.sight = new IntersectionObserver((entries) => this.sighted(entries[entries.length - 1].isIntersecting));
    this.sight.observe(frame.root);
  }

  dispose() {
    this.resizes.disconnect();
    this.sight.disconnect();
  }

  // A view out of sight keeps its lines and draws none: a page may hold many views.

  /** @param {boolean} inSight */
  sighted(inSight) {
    this.outOfSight = !inSight;
    if (inSight) this.draw();
  }

  resized() {
    const { style } = this.frame.scroll;
    if (this.autoHeight && style.height !== `${this.autoHeight}px`) this.heightChosen = true;
    this.draw();
  }

  /** Draw with the next frame of the page. @param {number} added how many lines were put in front */
  draw(added = 0) {
    this.added += added;
    if (this.pending !== null || (this.outOfSight && this.autoHeight === LARGEST_AUTO_HEIGHT)) return;
    this.pending = requestAnimationFrame(() => {
      this.pending = null;
      this.drawNow();
    });
  }

  drawNow() {
    if (!this.measure()) return;
    const { layout, frame: { scroll } } = this;
    this.arrange();
    this.fitHeight();
    if (this.following) this.scrollTo(scroll.scrollHeight);
    else if (this.added > 0) this.scrollTo(scroll.scrollTop + layout.top(this.added));
    this.added = 0;
    this.drawRows();
    if (this.wrapped && this.rows.correctHeights(layout, this.lines)) {
      this.arrange();
      if (this.following) this.scrollTo(scroll.scrollHeight);
      this.drawRows();
    }
    this.showJump();
  }

  arrange() {
    this.layout.arrange(this.lines);
    this.frame.canvas.style.height = `${this.layout.height}px`;
  }

  /** Measure a character in the page's font; return false while the view is hidden. */
  measure() {
    const { width, height } = this.frame.probe.getBoundingClientRect();
    if (!width) return false;
    const { layout } = this;
    layout.rowHeight = height;
    layout.charWidth = width / 100;
    const gutter = this.timesShown ? TIME_CHARACTERS : 0;
    const room = this.frame.scroll.clientWidth - SIDE_PADDING_PX;
    const columns = this.wrapped ? Math.max(10, Math.floor(room / layout.charWidth) - gutter) : Infinity;
    if (columns !== layout.columns) layout.measured.clear();
    layout.columns = columns;
    return true;
  }

  fitHeight() {
    if (this.heightChosen) return;
    const { scroll } = this.frame;
    const border = scroll.offsetHeight - scroll.clientHeight;
    const needed = Math.max(this.layout.height, this.layout.rowHeight) + border + 12;
    const height = Math.min(LARGEST_AUTO_HEIGHT, Math.round(needed));
    if (this.autoHeight !== height) {
      this.autoHeight = height;
      scroll.style.height = `${height}px`;
    }
  }

  drawRows() {
    const { lines, layout, frame: { scroll } } = this;
    if (!lines.count) {
      this.rows.clear();
      return;
    }
    const from = layout.indexAt(scroll.scrollTop - OVERSCAN_PX);
    const below = layout.indexAt(scroll.scrollTop + scroll.clientHeight + OVERSCAN_PX) + 1;
    const to = Math.min(lines.count, below);
    this.rows.draw(lines, layout, this.search, { from, to, times: this.timesShown });
  }

  /** @param {number} top */
  scrollTo(top) {
    const { scroll } = this.frame;
    scroll.scrollTop = top;
    this.lastTop = scroll.scrollTop;
  }

  /** Scroll back to where the view was before it moved in the page. */
  restore() {
    const { frame: { scroll }, lastTop, lastLeft } = this;
    this.drawNow();
    if (!this.following) this.scrollTo(lastTop);
    scroll.scrollLeft = lastLeft;
    this.draw();
  }

  scrolled() {
    const { scroll } = this.frame;
    if (!scroll.clientHeight) return; // The view is out of the page, on its way to another place.
    const rest = scroll.scrollHeight - scroll.clientHeight - scroll.scrollTop;
    const up = scroll.scrollTop < this.lastTop - 1;
    this.lastTop = scroll.scrollTop;
    this.lastLeft = scroll.scrollLeft;
    if (up && rest > 2) this.following = false;
    else if (rest <= 2 && !this.behind) this.following = true;
    if (scroll.scrollTop < NEAR_START_PX) this.nearStart();
    this.draw();
  }

  /** Go to the end of the log and stay there. */
  follow() {
    this.following = true;
    this.draw();
  }

  /** Go to the first line that is kept. */
  showStart() {
    this.following = false;
    this.drawNow();
    this.scrollTo(0);
  }

  /** Scroll to a line if it is not in sight. @param {number} number */
  showLine(number) {
    const { layout, frame: { scroll } } = this;
    const index = number - this.lines.first;
    layout.arrange(this.lines);
    const [top, bottom] = [layout.top(index), layout.top(index + 1)];
    if (top < scroll.scrollTop || bottom > scroll.scrollTop + scroll.clientHeight) {
      this.following = false;
      this.arrange();
      this.scrollTo(Math.max(0, (top + bottom - scroll.clientHeight) / 2));
    }
    this.drawNow();
  }

  /** Draw every row again, since lines or their looks have changed. */
  redraw() {
    this.layout.measured.clear();
    this.draw();
  }

  toggleWrap() {
    this.wrapped = !this.wrapped;
    this.frame.buttons.wrap.setAttribute("aria-pressed", String(this.wrapped));
    this.frame.root.classList.toggle("dk-wrapped", this.wrapped);
    this.redraw();
  }

  toggleTimes() {
    this.timesShown = !this.timesShown;
    this.frame.buttons.clock.setAttribute("aria-pressed", String(this.timesShown));
    this.frame.root.classList.toggle("dk-times", this.timesShown);
    this.redraw();
  }

  showJump() {
    const away = !this.following && this.layout.height > this.frame.scroll.clientHeight;
    this.frame.jump.hidden = !away;
    if (!away) return;
    const fresh = Math.max(0, this.total - this.lines.first - this.lines.count);
    this.frame.labelJump(fresh ? `${formatNumber(fresh)} new lines` : "Jump to end");
  }
}
