// The lines that a view keeps: a contiguous run of the log.
//
// A view that follows the end of the log drops lines at the front. While its reader is somewhere else it
// drops no line, so that the page does not move; once it has enough lines, it takes no more.

const FOLLOWED_LINES = 5_000;
const READING_LINES = 20_000;

/**
 * A line as the kernel sends it: its text, or [text, [length, style words, …], characters cut off].
 * @typedef {string | [string, (number | string)[], number]} Line
 */

/**
 * Consecutive lines of the log. `first` is the number of `lines[0]`, counted from 0. `last` is the
 * unfinished line after them. `times` holds [line number, seconds since the epoch] where the time changes.
 * `before` is a number in an answer to a request for earlier lines.
 * @typedef {{ first: number, lines: Line[], last: Line | null, times: [number, number][], before?: number | null }} Excerpt
 */

/** Return a line's text without its styles. @param {Line | null} line */
export function textOf(line) {
  if (line === null) return "";
  return typeof line === "string" ? line : line[0];
}

export class Lines {
  constructor() {
    /** The number of the first line that is kept. */
    this.first = 0;
    /** @type {Line[]} */
    this.finished = [];
    /** The unfinished line. @type {Line | null} */
    this.last = null;
    /** @type {[number, number][]} */
    this.times = [];
    /** The reader has cleared the lines below this number. */
    this.cleared = 0;
  }

  /** The number of the first line that is not finished. */
  get next() {
    return this.first + this.finished.length;
  }

  /** How many lines can be shown. */
  get count() {
    return this.finished.length + (textOf(this.last) === "" ? 0 : 1);
  }

  /** @param {number} index counted from the first line that is kept */
  at(index) {
    return index < this.finished.length ? this.finished[index] : this.last;
  }

  /** The text of all lines, as it is copied to the clipboard. */
  get text() {
    return [...this.finished, this.last].map(textOf).join("\n");
  }

  /**
   * Take an excerpt, and return whether it fitted.
   * @param {Excerpt} excerpt
   * @param {boolean} reading whether the reader is somewhere else, so that no line may be dropped
   */
  take(excerpt, reading) {
    if (isEarlier(excerpt)) {
      this.prepend(excerpt);
      return true;
    }
    if (excerpt.first + excerpt.lines.length < this.next) return true;
    // A batch can overtake the answer to the first read.
    if (excerpt.first < this.first) this.prepend(excerpt);
    const gap = excerpt.first > this.next;
    const many = this.finished.length + excerpt.lines.length > READING_LINES;
    if (reading && this.count > 0 && (gap || many)) return false;
    if (gap) {
      this.first = excerpt.first;
      this.finished = [];
      this.times = [];
    }
    for (const line of excerpt.lines.slice(this.next - excerpt.first)) this.finished.push(line);
    this.last = excerpt.last;
    this.takeTimes(excerpt.times);
    if (!reading) this.drop(this.finished.length - FOLLOWED_LINES);
    return true;
  }

  /** Put the earlier ones of an excerpt's lines in front. @param {Excerpt} excerpt */
  prepend(excerpt) {
    const first = Math.max(excerpt.first, this.cleared);
    if (first >= this.first || excerpt.first + excerpt.lines.length < this.first) return;
    this.finished.unshift(...excerpt.lines.slice(first - excerpt.first, this.first - excerpt.first));
    this.first = first;
    this.takeTimes(excerpt.times);
  }

  /** @param {[number, number][]} times */
  takeTimes(times) {
    const known = new Map(this.times);
    for (const [line, time] of times) if (!known.has(line)) known.set(line, time);
    this.times = [...known].sort((one, other) => one[0] - other[0]);
  }

  /** Return when a line arrived, in seconds since the epoch; null: unknown. @param {number} number */
  timeOf(number) {
    let [low, high] = [0, this.times.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.times[middle][0] <= number) low = middle + 1;
      else high = middle;
    }
    return low ? this.times[low - 1][1] : null;
  }

  /** Drop finished lines at the front. @param {number} count */
  drop(count) {
    if (count <= 0) return;
    this.finished.splice(0, count);
    this.first += count;
    while (this.times.length > 1 && this.times[1][0] <= this.first) this.times.shift();
  }

  /** Drop all finished lines, and take none of them again. */
  clear() {
    this.drop(this.finished.length);
    this.cleared = this.first;
  }
}

/** Whether an excerpt answers a request for earlier lines. @param {Excerpt} excerpt */
export function isEarlier(excerpt) {
  return excerpt.before !== undefined && excerpt.before !== null;
}
