// A download asks for one piece after the other, and again for a piece that is lost.

import assert from "node:assert/strict";
import test from "node:test";

import { Download } from "../../daytona_kernel/views/static/download.js";

class Page {
  constructor() {
    /** @type {number[]} */
    this.asked = [];
    /** @type {[number, boolean][]} */
    this.shown = [];
    /** @type {Blob | null} */
    this.saved = null;
    this.reason = "";
  }

  /** @param {number} piece */
  ask(piece) {
    this.asked.push(piece);
  }

  /** @param {number} size @param {boolean} done */
  progress(size, done) {
    this.shown.push([size, done]);
  }

  /** @param {Blob} log */
  save(log) {
    this.saved = log;
  }

  /** @param {string} reason */
  fail(reason) {
    this.reason = reason;
  }
}

/** @param {string} text */
function bytes(text) {
  return [new TextEncoder().encode(text)];
}

test("all pieces make the log", async () => {
  const page = new Page();
  const download = new Download(page);
  download.start();
  download.start();
  download.receive({ piece: 0, last: false }, bytes("one "));
  download.receive({ piece: 0, last: false }, bytes("again "));
  download.receive({ piece: 1, last: true }, bytes("two"));
  assert.deepEqual(page.asked, [0, 1]);
  assert.deepEqual(page.shown, [[4, false], [7, true]]);
  assert.equal(await page.saved?.text(), "one two");
  assert.equal(download.running, false);
});

test("a lost piece is asked for again", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const page = new Page();
  const download = new Download(page);
  download.start();
  download.receive({ piece: 0 }, bytes("one"));
  context.mock.timers.tick(10_000);
  context.mock.timers.tick(10_000);
  assert.deepEqual(page.asked, [0, 1, 1, 1]);
  download.receive({ piece: 1, last: true }, bytes("two"));
  context.mock.timers.tick(60_000);
  assert.deepEqual(page.asked, [0, 1, 1, 1]);
});

test("an error ends the download, and it can start again", async () => {
  const page = new Page();
  const download = new Download(page);
  download.start();
  download.receive({ piece: 0 }, bytes("half"));
  download.receive({ piece: 1, error: "the sandbox is gone" }, []);
  assert.deepEqual([page.reason, page.saved, download.running], ["the sandbox is gone", null, false]);
  download.start();
  download.receive({ piece: 0, last: true }, bytes("whole"));
  assert.equal(await page.saved?.text(), "whole");
});
