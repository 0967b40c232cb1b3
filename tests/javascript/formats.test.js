// The view and the saved log write the same numbers. tests/views/test_page_script.py reads the same cases.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { formatBytes, formatClock, formatLines, formatTime } from "../../daytona_kernel/views/static/formats.js";

/** @type {Record<string, [number, string][]>} */
const cases = JSON.parse(readFileSync(new URL("formats.json", import.meta.url), "utf-8"));

test("numbers are written as in the saved log", () => {
  for (const [seconds, text] of cases.clock) assert.equal(formatClock(seconds), text);
  for (const [count, text] of cases.bytes) assert.equal(formatBytes(count), text);
  for (const [count, text] of cases.lines) assert.equal(formatLines(count), text);
});

test("a time has milliseconds", () => {
  const time = new Date(2026, 0, 2, 3, 4, 5, 6);
  assert.equal(formatTime(time.getTime() / 1000), "03:04:05.006");
});
