// The pieces of a line: one for each style and each match.

/** @import { Line } from "../../daytona_kernel/views/static/lines.js" */
/** @import { Mark } from "../../daytona_kernel/views/static/search.js" */
import assert from "node:assert/strict";
import test from "node:test";

import { piecesOf } from "../../daytona_kernel/views/static/rows.js";

/** @param {Line | null} line @param {Mark[]} marks */
function pieces(line, marks = []) {
  return [...piecesOf(line, marks)].map(({ text, style, mark }) => [text, style, Boolean(mark)]);
}

/** @param {number} start @param {number} end */
function mark(start, end) {
  return { start, end, current: false };
}

test("a plain line is one piece", () => {
  assert.deepEqual(pieces("text"), [["text", "", false]]);
  assert.deepEqual(pieces(["text", [], 7]), [["text", "", false]]);
  assert.deepEqual(pieces(""), []);
  assert.deepEqual(pieces(null), []);
});

test("each style is a piece", () => {
  assert.deepEqual(pieces(["one two", [3, "fc1 b", 1, "", 3, "e"], 0]), [
    ["one", "fc1 b", false],
    [" ", "", false],
    ["two", "e", false],
  ]);
});

test("a match is cut where the style changes", () => {
  assert.deepEqual(pieces(["one two", [3, "b", 4, "e"], 0], [mark(0, 1), mark(2, 5)]), [
    ["o", "b", true],
    ["n", "b", false],
    ["e", "b", true],
    [" t", "e", true],
    ["wo", "e", false],
  ]);
});

test("a match beyond the end of a line marks nothing", () => {
  assert.deepEqual(pieces("ab", [mark(1, 3), mark(5, 7)]), [["a", "", false], ["b", "", true]]);
});

test("a line with many styles and many matches takes time in proportion to both", () => {
  let looks = 0;
  const marks = Array.from({ length: 5000 }, (_, index) => ({
    get start() {
      looks += 1;
      return 2 * index;
    },
    end: 2 * index + 1,
    current: false,
  }));
  const runs = Array.from({ length: 5000 }, (_, index) => [2, `fc${index % 8}`]).flat();
  assert.equal(pieces(["ab".repeat(5000), runs, 0], marks).length, 10_000);
  assert.ok(looks < 25_000, `${looks} looks at a mark`);
});
