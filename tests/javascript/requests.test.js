// A view asks for each part of the log once, and waits for no answer that cannot come.

import assert from "node:assert/strict";
import test from "node:test";

import { Lines } from "../../daytona_kernel/views/static/lines.js";
import { Requests } from "../../daytona_kernel/views/static/requests.js";
import { excerpt } from "./excerpts.js";

/** @param {number} first the number of the first line that the view has */
function requests(first) {
  const lines = new Lines();
  lines.take(excerpt(first, first + 5), false);
  /** @type {Record<string, any>[]} */
  const sent = [];
  return { lines, sent, requests: new Requests((message) => sent.push(message), lines) };
}

test("a read waits for its answer", async () => {
  const { sent, requests: view } = requests(0);
  const read = view.read(7);
  assert.deepEqual(sent, [{ view: view.id, type: "read", since: 7 }]);
  let done = false;
  read.then(() => { done = true; });
  view.answered(true);
  await Promise.resolve();
  assert.equal(done, false);
  view.answered(false);
  await read;
});

test("earlier lines are asked for once at a time", async () => {
  const { sent, requests: view } = requests(3000);
  const read = view.readEarlier();
  await view.readEarlier(true);
  assert.deepEqual(sent, [{ view: view.id, type: "read", since: 2000, before: 3000 }]);
  view.answered(true);
  await read;
  view.readEarlier(true);
  assert.equal(sent[1].since, 0);
});

test("lines that the kernel has dropped or the reader has cleared are not asked for", async () => {
  const { lines, sent, requests: view } = requests(3000);
  view.oldest = 3000;
  await view.readEarlier();
  view.oldest = 0;
  lines.clear();
  await view.readEarlier();
  assert.deepEqual(sent, []);
});

test("nothing waits for a kernel that is gone", async () => {
  const { sent, requests: view } = requests(3000);
  const reads = [view.read(), view.readEarlier()];
  view.end();
  await Promise.all(reads);
  await view.readEarlier(true);
  assert.equal(sent.length, 2);
});
