// The saved log takes the place of its own view and of no other output.

import assert from "node:assert/strict";
import test from "node:test";

import { Replacement } from "../../daytona_kernel/views/static/replacement.js";

const VIEW = "application/vnd.jupyter.widget-view+json";

class Outputs {
  /** @param {{ data?: Record<string, any> }[]} items */
  constructor(items) {
    this.items = items;
  }

  get length() {
    return this.items.length;
  }

  /** @param {number} index */
  get(index) {
    return this.items[index];
  }

  /** @param {number} index @param {object} output */
  set(index, output) {
    this.items[index] = output;
  }
}

function notebook() {
  const other = { data: { [VIEW]: { model_id: "other" } } };
  const own = { data: { [VIEW]: { model_id: "own" } } };
  return [{}, { outputs: new Outputs([{}, other, own]) }, { outputs: new Outputs([own]) }];
}

/** @param {string} state */
function message(state) {
  return { state, model_id: "own", bundle: { "text/plain": state } };
}

test("the final saved log replaces every output with the view", () => {
  const cells = notebook();
  const replacement = new Replacement(() => {}, () => ({ cells }));
  replacement.receive(message("exited"));
  const saved = { output_type: "display_data", data: { "text/plain": "exited" }, metadata: {} };
  assert.deepEqual(cells[1].outputs?.items[2], saved);
  assert.deepEqual(cells[2].outputs?.items[0], saved);
  assert.equal(cells[1].outputs?.items[1].data?.[VIEW].model_id, "other");
});

test("the saved log of a running command waits until the kernel is gone", () => {
  const cells = notebook();
  const replacement = new Replacement(() => {}, () => ({ cells }));
  replacement.apply();
  replacement.receive(message("running"));
  assert.equal(cells[2].outputs?.items[0].data?.[VIEW].model_id, "own");
  replacement.apply();
  assert.equal(cells[2].outputs?.items[0].data?.["text/plain"], "running");
});

test("a page without cells keeps its output", () => {
  new Replacement(() => {}, () => undefined).receive(message("exited"));
});

test("the view asks when a log falls quiet, and now and then while it grows", () => {
  let asked = 0;
  const replacement = new Replacement(() => { asked += 1; }, () => undefined);
  /** @type {[changedAt: number, now: number, asked: number][]} */
  const steps = [
    [1_000, 1_100, 1], // the first lines
    [1_050, 1_400, 1], // nothing has changed since
    [1_300, 1_400, 1], // output is coming, and the last request is recent
    [1_300, 1_800, 2], // quiet
    [5_700, 5_750, 2],
    [5_800, 5_850, 3], // four seconds of output
  ];
  for (const [changedAt, now, expected] of steps) {
    replacement.askIfChanged(changedAt, now);
    assert.equal(asked, expected, `at ${now}`);
  }
});

test("at the end the view asks, and uses what it has if no answer comes", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const cells = notebook();
  let asked = 0;
  const replacement = new Replacement(() => { asked += 1; }, () => ({ cells }));
  replacement.receive(message("running"));
  replacement.askAtEnd();
  context.mock.timers.tick(3_000);
  assert.equal(asked, 1);
  context.mock.timers.tick(10_000);
  assert.equal(cells[2].outputs?.items[0].data?.["text/plain"], "running");
});

test("a page of a shared notebook waits for its turn", () => {
  const cells = notebook();
  const replacement = new Replacement(() => {}, () => ({ cells, collaborative: true }));
  replacement.receive(message("exited"));
  assert.equal(cells[2].outputs?.items[0].data?.[VIEW].model_id, "own");
  replacement.receive({ ...message("exited"), to: "this view" });
  assert.equal(cells[2].outputs?.items[0].data?.["text/plain"], "exited");
});
