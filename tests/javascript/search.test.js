// Search in the lines that a view keeps.

import assert from "node:assert/strict";
import test from "node:test";

import { Lines } from "../../daytona_kernel/views/static/lines.js";
import { Search } from "../../daytona_kernel/views/static/search.js";
import { excerpt, excerptOf } from "./excerpts.js";

/** @param {string} text @param {Lines} lines */
function searchFor(text, lines) {
  const search = new Search();
  search.text = text;
  search.run(lines);
  return search;
}

test("every match is found, whatever its case", () => {
  const lines = new Lines();
  lines.take({ ...excerptOf(3, ["Error: an ERROR", "fine", ["error", [5, "e"], 0]]), last: "errors" }, false);
  const search = searchFor("eRRor", lines);
  assert.deepEqual(search.hits, [[3, 0], [3, 10], [5, 0], [6, 0]]);
});

test("matches do not overlap", () => {
  const lines = new Lines();
  lines.take(excerptOf(0, ["aaaaa"]), false);
  assert.deepEqual(searchFor("aa", lines).hits, [[0, 0], [0, 2]]);
});

test("the first match is the last one, and steps go around", () => {
  const lines = new Lines();
  lines.take(excerpt(1, 3001), false);
  const search = searchFor("77", lines);
  assert.equal(search.hits.length, 57);
  assert.equal(search.summary, "– of 57");
  assert.equal(search.step(-1)?.[0], 2977);
  assert.equal(search.summary, "57 of 57");
  assert.equal(search.step(-1)?.[0], 2877);
  search.step(1);
  assert.equal(search.step(1)?.[0], 77);
  assert.equal(search.summary, "1 of 57");
  assert.equal(search.step(-1)?.[0], 2977);
});

test("the first step forward is to the first match", () => {
  const lines = new Lines();
  lines.take(excerpt(0, 3), false);
  assert.deepEqual(searchFor("line", lines).step(1), [0, 0]);
});

test("the reader stays at a match while lines come and go", () => {
  const lines = new Lines();
  lines.take(excerpt(0, 10), false);
  const search = searchFor("line", lines);
  search.step(-1);
  search.step(-1);
  lines.take(excerpt(10, 12), false);
  lines.drop(5);
  search.run(lines);
  assert.deepEqual([search.hits[search.current], search.summary], [[8, 0], "4 of 7"]);
  lines.drop(5);
  search.run(lines);
  assert.equal(search.current, -1);
});

test("the marks of a line say where the reader is", () => {
  const lines = new Lines();
  lines.take(excerptOf(4, ["no", "abcab", "ab"]), false);
  const search = searchFor("ab", lines);
  search.step(-1);
  assert.deepEqual(search.marksOf(4), []);
  assert.deepEqual(search.marksOf(5), [
    { start: 0, end: 2, current: false },
    { start: 3, end: 5, current: false },
  ]);
  assert.deepEqual(search.marksOf(6), [{ start: 0, end: 2, current: true }]);
});

test("no text and no match", () => {
  const lines = new Lines();
  lines.take(excerpt(0, 3), false);
  const none = searchFor("nothing like it", lines);
  assert.deepEqual([none.summary, none.step(1)], ["no match", null]);
  const empty = searchFor("", lines);
  assert.deepEqual([empty.summary, empty.marksOf(0)], ["", []]);
});
