// The lines that a view keeps, whatever order batches and answers arrive in.

import assert from "node:assert/strict";
import test from "node:test";

import { isEarlier, Lines, textOf } from "../../daytona_kernel/views/static/lines.js";
import { excerpt } from "./excerpts.js";

const FOLLOWING = false;
const READING = true;

/** @param {Lines} lines */
function numbers(lines) {
  return lines.finished.map((line) => Number(textOf(line).split(" ")[1]));
}

/** @param {number} from @param {number} to */
function range(from, to) {
  return Array.from({ length: to - from }, (_, index) => from + index);
}

test("batches follow each other", () => {
  const lines = new Lines();
  assert.equal(lines.take(excerpt(0, 3, { last: "unfinished" }), FOLLOWING), true);
  assert.deepEqual([lines.first, lines.next, lines.count], [0, 3, 4]);
  assert.equal(lines.at(3), "unfinished");
  lines.take(excerpt(3, 5), FOLLOWING);
  assert.deepEqual(numbers(lines), range(0, 5));
  assert.equal(lines.count, 5);
});

test("an unfinished line without a text does not count", () => {
  const lines = new Lines();
  lines.take(excerpt(0, 1, { last: ["", [], 0] }), FOLLOWING);
  assert.equal(lines.count, 1);
  lines.take(excerpt(1, 1, { last: ["x", [1, "fc2"], 0] }), FOLLOWING);
  assert.equal(lines.count, 2);
});

test("lines that come twice are kept once", () => {
  const lines = new Lines();
  lines.take(excerpt(0, 5), FOLLOWING);
  lines.take(excerpt(3, 8), FOLLOWING);
  assert.deepEqual(numbers(lines), range(0, 8));
  lines.take(excerpt(1, 4), FOLLOWING);
  assert.deepEqual(numbers(lines), range(0, 8));
});

test("a batch that overtakes the first answer costs no lines", () => {
  const lines = new Lines();
  lines.take(excerpt(7, 9), FOLLOWING);
  lines.take(excerpt(0, 10), FOLLOWING);
  assert.deepEqual(numbers(lines), range(0, 10));
});

test("a view that follows the end skips a gap, and one that is read does not", () => {
  const lines = new Lines();
  lines.take(excerpt(0, 5), FOLLOWING);
  assert.equal(lines.take(excerpt(100, 105), READING), false);
  assert.deepEqual(numbers(lines), range(0, 5));
  assert.equal(lines.take(excerpt(100, 105), FOLLOWING), true);
  assert.deepEqual(numbers(lines), range(100, 105));
  assert.equal(lines.first, 100);
});

test("a view that follows the end drops the first lines", () => {
  const lines = new Lines();
  for (let first = 0; first < 12_000; first += 500) lines.take(excerpt(first, first + 500), FOLLOWING);
  assert.deepEqual([lines.first, lines.next], [7_000, 12_000]);
});

test("a view that is read drops nothing, and at some point takes no more", () => {
  const lines = new Lines();
  let first = 0;
  while (lines.take(excerpt(first, first + 500), READING)) first += 500;
  assert.deepEqual([lines.first, lines.next], [0, 20_000]);
});

test("earlier lines come in front", () => {
  const lines = new Lines();
  lines.take(excerpt(50, 60), FOLLOWING);
  const answer = excerpt(40, 50, { before: 50 });
  assert.equal(isEarlier(answer), true);
  assert.equal(isEarlier(excerpt(40, 50)), false);
  assert.equal(lines.take(answer, READING), true);
  assert.deepEqual(numbers(lines), range(40, 60));
  // An answer that does not reach the first line would leave a gap.
  lines.take(excerpt(10, 20, { before: 20 }), READING);
  assert.equal(lines.first, 40);
});

test("cleared lines do not come back", () => {
  const lines = new Lines();
  lines.take(excerpt(0, 10), FOLLOWING);
  lines.clear();
  assert.deepEqual([lines.first, lines.count], [10, 0]);
  lines.take(excerpt(10, 12), FOLLOWING);
  lines.take(excerpt(5, 10, { before: 10 }), READING);
  assert.deepEqual(numbers(lines), range(10, 12));
});

test("each line has the time of the last change before it", () => {
  const lines = new Lines();
  assert.equal(lines.timeOf(0), null);
  lines.take(excerpt(0, 10, { times: [[0, 1], [4, 2]] }), FOLLOWING);
  assert.deepEqual([0, 3, 4, 9].map((number) => lines.timeOf(number)), [1, 1, 2, 2]);
  lines.drop(6);
  assert.deepEqual(lines.times, [[4, 2]]);
  assert.equal(lines.timeOf(7), 2);
});

test("the text of all lines is what a reader copies", () => {
  const lines = new Lines();
  assert.equal(lines.text, "");
  lines.take(excerpt(0, 2), FOLLOWING);
  assert.equal(lines.text, "line 0\nline 1\n");
  lines.take(excerpt(2, 2, { last: ["rest", [4, "e"], 0] }), FOLLOWING);
  assert.equal(lines.text, "line 0\nline 1\nrest");
});
