// The vertical position of each line, in pixels.
//
// Heights of wrapped lines are estimated from their lengths. `measured` corrects those that a drawn row
// has shown to be wrong.

/** @import { Lines } from "./lines.js" */
import { textOf } from "./lines.js";

export class Layout {
  constructor() {
    this.rowHeight = 18;
    this.charWidth = 7.2;
    /** The characters that fit into a row; Infinity: lines are not wrapped. */
    this.columns = Infinity;
    /** Line number → height. @type {Map<number, number>} */
    this.measured = new Map();
    /** The top of each line, and the bottom of the last; null: every line is one row. @type {Float64Array | null} */
    this.tops = null;
    this.count = 0;
  }

  /** Compute the position of each line. @param {Lines} lines */
  arrange(lines) {
    this.count = lines.count;
    this.tops = null;
    if (this.columns === Infinity) return;
    const tops = new Float64Array(this.count + 1);
    for (let index = 0; index < this.count; index += 1) {
      const measured = this.measured.get(lines.first + index);
      const rows = Math.max(1, Math.ceil(textOf(lines.at(index)).length / this.columns));
      tops[index + 1] = tops[index] + (measured ?? rows * this.rowHeight);
    }
    this.tops = tops;
  }

  get height() {
    return this.top(this.count);
  }

  /** @param {number} index counted from the first line that is kept */
  top(index) {
    return this.tops ? this.tops[index] : index * this.rowHeight;
  }

  /** Return the index of the line at a height, or of the nearest line. @param {number} y */
  indexAt(y) {
    if (!this.tops) return Math.max(0, Math.min(this.count - 1, Math.floor(y / this.rowHeight)));
    let [low, high] = [0, Math.max(0, this.count - 1)];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.tops[middle] <= y) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}
