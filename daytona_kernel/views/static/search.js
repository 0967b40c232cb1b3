// A search for a text in the lines that a view keeps. Case does not matter.

/** @import { Lines } from "./lines.js" */
import { formatNumber } from "./formats.js";
import { textOf } from "./lines.js";

/**
 * A match within one line, in columns. `current`: the reader is at this match.
 * @typedef {{ start: number, end: number, current: boolean }} Mark
 */

export class Search {
  constructor() {
    this.text = "";
    /** [line number, column] of each match, in order. @type {[number, number][]} */
    this.hits = [];
    /** The index of the match that the reader is at; -1: none. */
    this.current = -1;
  }

  /** Find all matches. The reader stays at the current one if it is still there. @param {Lines} lines */
  run(lines) {
    const before = this.hits[this.current];
    this.hits = [];
    const wanted = this.text.toLowerCase();
    if (wanted) {
      for (let index = 0; index < lines.count; index += 1) {
        const text = textOf(lines.at(index)).toLowerCase();
        let column = text.indexOf(wanted);
        while (column >= 0) {
          this.hits.push([lines.first + index, column]);
          column = text.indexOf(wanted, column + wanted.length);
        }
      }
    }
    this.current = this.hits.findIndex((hit) => before && hit[0] === before[0] && hit[1] === before[1]);
  }

  /**
   * Go to the next (1) or the previous (-1) match and return it. Without a current match, the previous
   * one is the last one, which is nearest to the end of the log.
   * @param {1 | -1} direction
   */
  step(direction) {
    if (!this.hits.length) return null;
    if (this.current < 0) this.current = direction > 0 ? -1 : this.hits.length;
    this.current = (this.current + direction + this.hits.length) % this.hits.length;
    return this.hits[this.current];
  }

  /** Return the matches in a line. @param {number} number */
  marksOf(number) {
    /** @type {Mark[]} */
    const marks = [];
    if (!this.text) return marks;
    for (let index = this.indexOf(number); this.hits[index]?.[0] === number; index += 1) {
      const start = this.hits[index][1];
      marks.push({ start, end: start + this.text.length, current: index === this.current });
    }
    return marks;
  }

  /** Return the index of the first match in a line or after it. @param {number} number */
  indexOf(number) {
    let [low, high] = [0, this.hits.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.hits[middle][0] < number) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** "2 of 17", "no match", or nothing without a text. */
  get summary() {
    if (!this.text) return "";
    if (!this.hits.length) return "no match";
    return `${this.current < 0 ? "–" : formatNumber(this.current + 1)} of ${formatNumber(this.hits.length)}`;
  }
}
