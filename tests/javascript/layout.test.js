// The position of each line, with and without wrapping.

import assert from "node:assert/strict";
import test from "node:test";

import { Layout } from "../../daytona_kernel/views/static/layout.js";
import { Lines } from "../../daytona_kernel/views/static/lines.js";
import { excerpt, excerptOf } from "./excerpts.js";

test("without wrapping every line is one row", () => {
  const lines = new Lines();
  const layout = new Layout();
  assert.equal(layout.height, 0);
  lines.take(excerpt(0, 100), false);
  layout.arrange(lines);
  assert.equal(layout.height, 1800);
  assert.equal(layout.top(10), 180);
  assert.deepEqual([-50, 0, 17, 18, 1799, 9999].map((y) => layout.indexAt(y)), [0, 0, 0, 1, 99, 99]);
});

test("a wrapped line has as many rows as its text needs", () => {
  const lines = new Lines();
  const layout = new Layout();
  layout.rowHeight = 10;
  layout.columns = 10;
  lines.take(excerptOf(5, ["", "x".repeat(10), "x".repeat(11), ["x".repeat(35), [35, "b"], 0]]), false);
  layout.arrange(lines);
  assert.deepEqual([0, 1, 2, 3, 4].map((index) => layout.top(index)), [0, 10, 20, 40, 80]);
  assert.deepEqual([0, 9, 10, 39, 40, 79, 500].map((y) => layout.indexAt(y)), [0, 0, 1, 2, 3, 3, 3]);
});

test("a measured height replaces the estimate", () => {
  const lines = new Lines();
  const layout = new Layout();
  layout.rowHeight = 10;
  layout.columns = 10;
  lines.take(excerpt(3, 6), false);
  layout.measured.set(4, 25);
  layout.arrange(lines);
  assert.deepEqual([0, 1, 2, 3].map((index) => layout.top(index)), [0, 10, 35, 45]);
});

test("an empty log has a first line to scroll to", () => {
  const layout = new Layout();
  for (const columns of [Infinity, 10]) {
    layout.columns = columns;
    layout.arrange(new Lines());
    assert.deepEqual([layout.height, layout.indexAt(100)], [0, 0]);
  }
});
