// The state of a command, from reports that can be late, lost or repeated.

import assert from "node:assert/strict";
import test from "node:test";

import { Status } from "../../daytona_kernel/views/static/status.js";

test("a command runs and exits", () => {
  const status = new Status();
  assert.equal(status.take({ state: "running", exit_code: null, elapsed: 2 }, 10_000), false);
  assert.deepEqual([status.text, status.kind], ["running", "running"]);
  status.count(1, 5, 10_000);
  assert.equal(status.facts("s", 11_000), "3.0 s · 1 line · 5 B · session s");
  const report = { state: "exited", exit_code: 0, elapsed: 4 };
  assert.equal(status.take(report, 12_000), true);
  assert.equal(status.take(report, 13_000), false);
  assert.deepEqual([status.text, status.kind], ["exited 0", "exited"]);
  assert.equal(status.facts("s", 99_000), "4.0 s · 1 line · 5 B · session s");
});

test("a late report does not bring a command back", () => {
  const status = new Status();
  status.take({ state: "exited", exit_code: 1, elapsed: 4 }, 0);
  status.take({ state: "running", exit_code: null, elapsed: 3 }, 0);
  assert.deepEqual([status.text, status.kind], ["exited 1", "failed"]);
});

test("each outcome has its text", () => {
  /** @type {[string, number | null, string][]} */
  const ends = [
    ["exited", null, "ended"],
    ["exited", 3, "exited 3"],
    ["stopped", -15, "stopped"],
    ["lost", null, "no longer followed"],
  ];
  for (const [state, exitCode, text] of ends) {
    const status = new Status();
    status.take({ state, exit_code: exitCode, elapsed: 0 }, 0);
    assert.equal(status.text, text);
  }
});

test("a view without a kernel stays disconnected", () => {
  const status = new Status();
  status.take({ state: "running", exit_code: null, elapsed: 1 }, 1_000);
  status.stopping = true;
  assert.equal(status.text, "stopping");
  status.disconnect(6_000);
  assert.deepEqual([status.text, status.kind, status.elapsed], ["disconnected", "lost", 6]);
  assert.equal(status.take({ state: "exited", exit_code: 0, elapsed: 9 }, 9_000), false);
  assert.equal(status.text, "disconnected");
});

test("the rate is that of the last two seconds", () => {
  const status = new Status();
  assert.equal(status.rate(0), 0);
  status.count(0, 0, 0);
  assert.equal(status.rate(0), 0);
  for (let now = 100; now <= 10_000; now += 100) status.count(now, now * 10, now);
  assert.equal(status.rate(10_000), 10_000);
  assert.match(status.facts("s", 10_000), / · 10 kB\/s · /);
  assert.equal(status.rate(13_000), 0);
});
