// The rows of the document. Only lines in sight have a row, and a row lives as long as its line is in
// sight, so that a selection survives new output.

/** @import { Layout } from "./layout.js" */
/** @import { Line, Lines } from "./lines.js" */
/** @import { Mark, Search } from "./search.js" */
import { element } from "./elements.js";
import { formatNumber, formatTime } from "./formats.js";
import { textOf } from "./lines.js";

/**
 * A part of a line that has one look. `style` holds the words that `styled_text.py` lists.
 * @typedef {{ text: string, style: string, mark: Mark | null }} Piece
 */

/** @typedef {{ node: HTMLElement, line: Line | null, signature: string }} Row */

export class Rows {
  /** @param {HTMLElement} node the parent of all rows */
  constructor(node) {
    this.node = node;
    /** Line number → row. @type {Map<number, Row>} */
    this.shown = new Map();
  }

  clear() {
    this.node.replaceChildren();
    this.shown.clear();
  }

  /**
   * Show the lines from one index up to another, and no others.
   * @param {Lines} lines
   * @param {Layout} layout
   * @param {Search} search
   * @param {{ from: number, to: number, times: boolean }} wanted
   */
  draw(lines, layout, search, { from, to, times }) {
    /** @type {Map<number, Row>} */
    const rows = new Map();
    for (let index = from; index < to; index += 1) {
      const number = lines.first + index;
      const time = times ? lines.timeOf(number) : undefined;
      rows.set(number, this.row(number, lines.at(index), search.marksOf(number), time));
    }
    for (const [number, row] of this.shown) if (rows.get(number)?.node !== row.node) row.node.remove();
    /** @type {HTMLElement | null} */
    let previous = null;
    for (const { node } of rows.values()) {
      /** @type {ChildNode | null} */
      const place = previous ? previous.nextSibling : this.node.firstChild;
      if (place !== node) this.node.insertBefore(node, place);
      previous = node;
    }
    this.shown = rows;
    this.node.style.transform = `translateY(${layout.top(from)}px)`;
  }

  /**
   * @param {number} number
   * @param {Line | null} line
   * @param {Mark[]} marks
   * @param {number | null | undefined} time undefined: no times are shown; null: the time is unknown
   * @returns {Row}
   */
  row(number, line, marks, time) {
    const signature = `${JSON.stringify(marks)}${time !== undefined}`;
    const known = this.shown.get(number);
    if (known && known.line === line && known.signature === signature) return known;
    const node = known?.node ?? element("div", "dk-row");
    fillRow(node, line, marks);
    if (time !== undefined) node.dataset.time = time === null ? "" : formatTime(time);
    return { node, line, signature };
  }

  /** Note the heights that the layout has wrong; return whether there are any. @param {Layout} layout @param {Lines} lines */
  correctHeights(layout, lines) {
    let wrong = false;
    for (const [number, row] of this.shown) {
      const { height } = row.node.getBoundingClientRect();
      const index = number - lines.first;
      if (height && Math.abs(height - (layout.top(index + 1) - layout.top(index))) > 0.5) {
        layout.measured.set(number, height);
        wrong = true;
      }
    }
    return wrong;
  }
}

/** @param {HTMLElement} row @param {Line | null} line @param {Mark[]} marks */
function fillRow(row, line, marks) {
  row.replaceChildren();
  const pieces = [...piecesOf(line, marks)];
  row.classList.toggle("dk-stderr", pieces.some((piece) => isStderr(piece.style)));
  for (const { text, style, mark } of pieces) {
    const node = style ? styled(text, style) : document.createTextNode(text);
    row.append(mark ? element("mark", mark.current ? "dk-mark dk-current" : "dk-mark", {}, node) : node);
  }
  const cut = line === null || typeof line === "string" ? 0 : line[2];
  if (cut) row.append(element("span", "dk-cut", {}, ` … ${formatNumber(cut)} more characters`));
}

/** Cut a line where its style changes, and at each end of a mark. The marks are in order. @param {Line | null} line @param {Mark[]} marks @returns {Generator<Piece>} */
export function* piecesOf(line, marks) {
  const text = textOf(line);
  const runs = line === null || typeof line === "string" || line[1].length === 0 ? [text.length, ""] : line[1];
  let position = 0;
  let next = 0; // the first mark that does not end before the position
  for (let index = 0; index < runs.length; index += 2) {
    const end = position + Number(runs[index]);
    const style = String(runs[index + 1]);
    while (next < marks.length && marks[next].end <= position) next += 1;
    for (let at = next; at < marks.length && marks[at].start < end; at += 1) {
      const mark = marks[at];
      const [from, to] = [Math.max(mark.start, position), Math.min(mark.end, end)];
      if (from >= to) continue;
      if (from > position) yield { text: text.slice(position, from), style, mark: null };
      yield { text: text.slice(from, to), style, mark };
      position = to;
    }
    if (position < end) yield { text: text.slice(position, end), style, mark: null };
    position = end;
  }
}

/** @param {string} style */
function isStderr(style) {
  return /^e\b/.test(style);
}

/** Return a span with a style. @param {string} text @param {string} style */
function styled(text, style) {
  const span = element("span", "");
  for (const word of style.split(" ")) {
    const color = cssColor(word.slice(1));
    if (word[0] === "f") span.style.color = color;
    else if (word[0] === "k") span.style.backgroundColor = color;
    else span.classList.add(`dk-${word}`);
  }
  span.textContent = text;
  return span;
}

/** @param {string} color `#rrggbb`, or the name of a color in `text.css` */
function cssColor(color) {
  return color.startsWith("#") ? color : `var(--dk-${color})`;
}
