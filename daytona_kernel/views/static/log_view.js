// The page's side of a followed log. `log_view.py` says what travels between page and kernel.
//
// A view keeps a contiguous run of lines. Following the tail, it drops lines at the head; while its
// reader is somewhere else it drops none, and once it has enough it only counts what is new. Only the
// rows in sight exist in the document, and a row lives as long as its line is in sight, so that a
// selection survives new output.

const FOLLOWED_LINES = 5_000;
const READING_LINES = 20_000;
const EARLIER_LINES = 1_000;
const OVERSCAN_PX = 200;
const LARGEST_AUTO_HEIGHT = 340;
const ENDED_GRACE_MS = 1_500;
const SILENCE_MS = 10_000; // after which a view asks whether it missed something
const NO_ANSWER_MS = 10_000;
const QUIET_MS = 400;
const SNAPSHOT_MS = 4_000;

const ICONS = {
  stop: '<rect x="4.5" y="4.5" width="7" height="7" rx="1.2" fill="currentColor" stroke="none"/>',
  search: '<circle cx="7" cy="7" r="3.6"/><path d="m9.8 9.8 3 3"/>',
  wrap: '<path d="M2.5 4.5h11M2.5 8h8.6a2 2 0 0 1 0 4H8m1.6-1.6L8 12l1.6 1.6M2.5 12h2.6"/>',
  clock: '<circle cx="8" cy="8" r="5.2"/><path d="M8 5v3.2l2 1.3"/>',
  clear: '<circle cx="8" cy="8" r="5.2"/><path d="m4.5 11.5 7-7"/>',
  copy: '<rect x="5.5" y="5.5" width="7.5" height="7.5" rx="1.4"/><path d="M3.2 10.3a1.2 1.2 0 0 1-.7-1.1V4a1.5 1.5 0 0 1 1.5-1.5h5.2c.5 0 .9.3 1.1.7"/>',
  download: '<path d="M8 2.5v7.2M5 7l3 3 3-3M3 13.2h10"/>',
  previous: '<path d="m4.5 9.8 3.5-3.5 3.5 3.5"/>',
  next: '<path d="m4.5 6.3 3.5 3.5 3.5-3.5"/>',
  close: '<path d="m4.8 4.8 6.4 6.4m0-6.4-6.4 6.4"/>',
  end: '<path d="M8 3v8.4M4.8 8.3 8 11.5l3.2-3.2"/>',
};

const NUMBERS = new Intl.NumberFormat();

function icon(name) {
  return `<svg viewBox="0 0 16 16" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="1.3" stroke-linecap="round" stroke-linejoin="round">${ICONS[name]}</svg>`;
}

function element(tag, className, attributes = {}, ...children) {
  const node = document.createElement(tag);
  node.className = className;
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function button(name, label, act, text = "") {
  const node = element("button", "dk-button", { type: "button", "aria-label": label, title: label, ...OWN_KEYS });
  node.innerHTML = icon(name);
  if (text) node.append(text);
  node.dataset.name = name;
  node.addEventListener("click", act);
  return node;
}

function formatDuration(seconds) {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  const two = (number) => String(Math.floor(number)).padStart(2, "0");
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  return hours ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

function formatBytes(count) {
  const units = ["B", "kB", "MB", "GB"];
  let unit = 0;
  while (count >= 999.5 && unit < units.length - 1) {
    count /= 1000;
    unit += 1;
  }
  return `${unit === 0 || count >= 9.95 ? count.toFixed(0) : count.toFixed(1)} ${units[unit]}`;
}

function lineText(line) {
  return typeof line === "string" ? line : line[0];
}

// JupyterLab would take letters typed on a focused button as commands to the notebook. It asks only the
// element that has the focus, so each that can have it says so.
const OWN_KEYS = { "data-lm-suppress-shortcuts": "true" };

// --- The lines that a view has ------------------------------------------------------------------

class Lines {
  constructor() {
    this.reset();
  }

  reset() {
    this.first = 0;
    this.finished = [];
    this.last = null;
    this.times = [];
    this.cleared = 0;
  }

  get next() {
    return this.first + this.finished.length;
  }

  get count() {
    return this.finished.length + (this.last !== null && lineText(this.last) !== "" ? 1 : 0);
  }

  at(index) {
    return index < this.finished.length ? this.finished[index] : this.last;
  }

  // Take a batch; say whether it fitted.
  take(batch, reading) {
    const end = batch.first + batch.lines.length;
    if (batch.before !== undefined && batch.before !== null) return this.prepend(batch);
    if (end < this.next) return true;
    if (batch.first < this.first) this.prepend(batch); // a batch has overtaken the answer to the first read
    const gap = batch.first > this.next;
    const many = this.finished.length + batch.lines.length > READING_LINES;
    if (reading && this.count > 0 && (gap || many)) return false;
    if (gap) {
      this.first = batch.first;
      this.finished = [];
      this.times = [];
    }
    for (const line of batch.lines.slice(this.next - batch.first)) this.finished.push(line);
    this.last = batch.last;
    this.takeTimes(batch.times);
    if (!reading) this.drop(this.finished.length - FOLLOWED_LINES);
    return true;
  }

  prepend(batch) {
    const first = Math.max(batch.first, this.cleared);
    if (first >= this.first || batch.first + batch.lines.length < this.first) return true;
    this.finished.unshift(...batch.lines.slice(first - batch.first, this.first - batch.first));
    this.first = first;
    this.takeTimes(batch.times);
    return true;
  }

  takeTimes(times) {
    const known = new Map(this.times);
    for (const [line, time] of times) if (!known.has(line)) known.set(line, time);
    this.times = [...known].sort((a, b) => a[0] - b[0]);
  }

  timeOf(number) {
    let [low, high] = [0, this.times.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.times[middle][0] <= number) low = middle + 1;
      else high = middle;
    }
    return low ? this.times[low - 1][1] : null;
  }

  drop(count) {
    if (count <= 0) return;
    this.finished.splice(0, count);
    this.first += count;
    while (this.times.length > 1 && this.times[1][0] <= this.first) this.times.shift();
  }

  clear() {
    this.drop(this.finished.length);
    this.cleared = this.first;
  }
}

// --- Where each line stands ---------------------------------------------------------------------

class Layout {
  constructor() {
    this.rowHeight = 18;
    this.charWidth = 7.2;
    this.columns = Infinity; // characters that fit a row; Infinity: lines are not wrapped
    this.measured = new Map(); // line number → height, where the estimate was wrong
    this.tops = [0];
  }

  arrange(lines) {
    const count = lines.count;
    if (this.columns === Infinity) {
      this.tops = null;
      this.count = count;
      return;
    }
    const tops = new Float64Array(count + 1);
    for (let index = 0; index < count; index += 1) {
      const measured = this.measured.get(lines.first + index);
      const rows = Math.max(1, Math.ceil(lineText(lines.at(index)).length / this.columns));
      tops[index + 1] = tops[index] + (measured ?? rows * this.rowHeight);
    }
    this.tops = tops;
    this.count = count;
  }

  get height() {
    return this.top(this.count);
  }

  top(index) {
    return this.tops ? this.tops[index] : index * this.rowHeight;
  }

  indexAt(y) {
    if (!this.tops) return Math.max(0, Math.min(this.count - 1, Math.floor(y / this.rowHeight)));
    let [low, high] = [0, Math.max(0, this.count - 1)];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.tops[middle] <= y) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

// --- One line as a row ---------------------------------------------------------------------------

const STYLE_CLASSES = { e: "dk-err", b: "dk-b", d: "dk-d", i: "dk-i", u: "dk-u", s: "dk-s" };

function styled(text, words) {
  const span = element("span", "");
  let [fore, back, inverse] = [null, null, false];
  for (const word of words.split(" ")) {
    if (STYLE_CLASSES[word]) span.classList.add(STYLE_CLASSES[word]);
    else if (word === "v") inverse = true;
    else if (word[0] === "f") fore = color(word.slice(1));
    else if (word[0] === "k") back = color(word.slice(1));
  }
  if (inverse) [fore, back] = [back ?? "var(--dk-background)", fore ?? "var(--dk-text)"];
  else if (back && !fore) fore = "var(--dk-on-color)";
  if (fore) span.style.color = fore;
  if (back) span.style.backgroundColor = back;
  span.textContent = text;
  return span;
}

function color(word) {
  return word[0] === "#" ? word : `var(--dk-c${word})`;
}

function fillRow(row, line, marks) {
  row.replaceChildren();
  const text = lineText(line);
  const runs = typeof line === "string" || line[1].length === 0 ? [text.length, ""] : line[1];
  row.classList.toggle("dk-stderr", runs.some((run) => typeof run === "string" && /^e\b/.test(run)));
  let position = 0;
  for (let index = 0; index < runs.length; index += 2) {
    const end = position + runs[index];
    for (const [piece, mark] of cutAtMarks(text, position, end, marks)) {
      const node = runs[index + 1] ? styled(piece, runs[index + 1]) : document.createTextNode(piece);
      if (mark) row.append(element("mark", mark.current ? "dk-mark dk-current" : "dk-mark", {}, node));
      else row.append(node);
    }
    position = end;
  }
  if (typeof line !== "string" && line[2]) {
    row.append(element("span", "dk-cut", {}, ` … ${NUMBERS.format(line[2])} more characters`));
  }
}

function* cutAtMarks(text, start, end, marks) {
  let position = start;
  for (const mark of marks) {
    const [from, to] = [Math.max(mark.start, start), Math.min(mark.end, end)];
    if (from >= to) continue;
    if (from > position) yield [text.slice(position, from), null];
    yield [text.slice(from, to), mark];
    position = to;
  }
  if (position < end) yield [text.slice(position, end), null];
}

// --- Search ---------------------------------------------------------------------------------------

class Search {
  constructor() {
    this.text = "";
    this.hits = []; // [line number, column]
    this.current = -1;
  }

  run(lines) {
    const before = this.hits[this.current];
    this.hits = [];
    const wanted = this.text.toLowerCase();
    if (wanted) {
      for (let index = 0; index < lines.count; index += 1) {
        const text = lineText(lines.at(index)).toLowerCase();
        let column = text.indexOf(wanted);
        while (column >= 0) {
          this.hits.push([lines.first + index, column]);
          column = text.indexOf(wanted, column + wanted.length);
        }
      }
    }
    const same = (hit) => before && hit[0] === before[0] && hit[1] === before[1];
    this.current = this.hits.findIndex(same);
  }

  // Go to the next (1) or previous (-1) hit; from none, to the last one, nearest to the tail.
  step(direction) {
    if (!this.hits.length) return null;
    if (this.current < 0) this.current = direction > 0 ? -1 : this.hits.length;
    this.current = (this.current + direction + this.hits.length) % this.hits.length;
    return this.hits[this.current];
  }

  marksOf(number) {
    if (!this.text) return [];
    const [low, marks] = [this.lowest(number), []];
    for (let index = low; index < this.hits.length && this.hits[index][0] === number; index += 1) {
      const start = this.hits[index][1];
      marks.push({ start, end: start + this.text.length, current: index === this.current });
    }
    return marks;
  }

  lowest(number) {
    let [low, high] = [0, this.hits.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.hits[middle][0] < number) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

// --- The view --------------------------------------------------------------------------------------

class View {
  constructor(model, el) {
    this.model = model;
    this.el = el;
    this.id = Math.random().toString(36).slice(2);
    this.lines = new Lines();
    this.layout = new Layout();
    this.search = new Search();
    this.rows = new Map();
    this.following = true;
    this.behind = false; // the kernel has sent more than this view took, since its reader is elsewhere
    this.known = { start: 0, count: 0, bytes: 0 };
    this.waiting = new Map(); // what to do with the answer to a read
    this.rates = [];
    this.heard = performance.now();
    this.ended = false;
    this.download = null;
    this.build();
    this.onMessage = (message, buffers) => this.receive(message, buffers);
    this.onState = () => this.takeState({
      state: model.get("state"),
      exit_code: model.get("exit_code"),
      elapsed: model.get("elapsed"),
    });
    this.onCut = () => this.cutOff();
    model.on("msg:custom", this.onMessage);
    model.on("change:state", this.onState);
    model.on("comm_live_update", this.onCut);
    this.ticker = setInterval(() => this.tick(), 250);
    this.observer = new ResizeObserver(() => this.resized());
    this.observer.observe(this.scroll);
    this.sight = new IntersectionObserver((entries) => this.sighted(entries.at(-1).isIntersecting));
    this.sight.observe(this.root);
    this.onState();
    this.read();
  }

  dispose() {
    clearTimeout(this.endTimer);
    clearInterval(this.ticker);
    this.observer.disconnect();
    this.sight.disconnect();
    this.model.off("msg:custom", this.onMessage);
    this.model.off("change:state", this.onState);
    this.model.off("comm_live_update", this.onCut);
  }

  send(message) {
    this.model.send({ view: this.id, ...message });
  }

  // What the document holds

  build() {
    const { model, el } = this;
    const command = model.get("command");
    this.dot = element("span", "dk-dot", { "aria-hidden": "true" });
    this.stateText = element("span", "dk-state");
    this.facts = element("span", "dk-facts");
    this.title = element("code", "dk-command", { title: command }, command);
    this.tools = element("div", "dk-tools", { role: "toolbar", "aria-label": "Log" });
    this.buttons = {
      search: button("search", "Search", () => this.openSearch()),
      wrap: button("wrap", "Wrap lines", () => this.toggleWrap()),
      clock: button("clock", "Show times", () => this.toggleTimes()),
      clear: button("clear", "Clear this view", () => this.clear()),
      copy: button("copy", "Copy what is kept", () => this.copy()),
      download: button("download", "Download the whole log", () => this.startDownload()),
      stop: button("stop", "Stop the command", () => this.stop(), "Stop"),
    };
    this.buttons.wrap.setAttribute("aria-pressed", "false");
    this.buttons.clock.setAttribute("aria-pressed", "false");
    this.tools.append(...Object.values(this.buttons));
    const status = element("div", "dk-status", {}, this.stateText, this.facts);
    const heading = element("div", "dk-heading", {}, this.title, status);
    const head = element("div", "dk-head", {}, this.dot, heading, this.tools);

    this.field = element("input", "dk-field", { type: "text", placeholder: "Search", "aria-label": "Search the log", spellcheck: "false", ...OWN_KEYS });
    this.hits = element("span", "dk-hits", { role: "status" });
    this.searchBar = element("div", "dk-search", { role: "search", hidden: "" }, this.field, this.hits,
      button("previous", "Previous match", () => this.goToHit(-1)),
      button("next", "Next match", () => this.goToHit(1)),
      button("close", "Close search", () => this.closeSearch()));

    this.rowsNode = element("div", "dk-rows");
    this.canvas = element("div", "dk-canvas", {}, this.rowsNode);
    this.scroll = element("div", "dk-scroll", { tabindex: "0", role: "log", "aria-live": "off", "aria-label": `Output of ${command}`, ...OWN_KEYS }, this.canvas);
    this.probe = element("div", "dk-row dk-probe", { "aria-hidden": "true" }, "x".repeat(100));
    this.jump = element("button", "dk-jump", { type: "button", hidden: "", ...OWN_KEYS });
    this.jump.addEventListener("click", () => this.jumpToEnd());
    const body = element("div", "dk-body", {}, this.scroll, this.probe, this.jump);

    this.input = element("input", "dk-input", { type: "text", "aria-label": "Input to the command", placeholder: "Input", spellcheck: "false", autocomplete: "off", autocapitalize: "off", ...OWN_KEYS });
    this.form = element("div", "dk-form", {}, element("span", "dk-prompt", { "aria-hidden": "true" }, "›"), this.input);
    this.notice = element("div", "dk-notice", { role: "alert", hidden: "" });
    this.spoken = element("div", "dk-spoken", { role: "status" });

    this.root = element("div", "dk-log", { role: "region", "aria-label": `Log of ${command}` },
      head, this.searchBar, body, this.form, this.notice, this.spoken);
    el.append(this.root);

    this.scroll.addEventListener("scroll", () => this.scrolled());
    this.field.addEventListener("input", () => this.searchFor(this.field.value));
    this.root.addEventListener("keydown", (event) => this.keyDown(event));
  }

  keyDown(event) {
    const find = event.key === "f" && (event.ctrlKey || event.metaKey) && !event.altKey;
    if (find || (event.key === "/" && event.target === this.scroll)) {
      this.openSearch();
    } else if (event.key === "Escape" && !this.searchBar.hidden) {
      this.closeSearch();
    } else if (event.key === "Enter" && event.target === this.field) {
      this.goToHit(event.shiftKey ? 1 : -1); // upwards first, since a log is read from its end
    } else if (event.key === "Enter" && event.target === this.input && !event.isComposing) {
      this.submit();
    } else if (event.key === "End" && event.target === this.scroll) {
      this.jumpToEnd();
    } else if (event.key === "Home" && event.target === this.scroll) {
      this.jumpToStart();
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }

  // What the kernel says

  receive(message, buffers) {
    if (message.to && message.to !== this.id) return;
    if (message.type === "lines") this.receiveLines(message);
    else if (message.type === "notice") this.showNotice(message.text);
    else if (message.type === "piece") this.receivePiece(message, buffers);
    else if (message.type === "bundle") this.receiveBundle(message);
  }

  receiveLines(batch) {
    const { start, count, bytes } = batch;
    this.heard = performance.now();
    this.rates.push([this.heard, bytes]);
    this.known = { start, count, bytes };
    this.takeState(batch);
    const earlier = batch.before !== undefined && batch.before !== null;
    const before = this.lines.first;
    const fitted = this.lines.take(batch, !this.following || this.searching);
    if (!earlier) this.behind = !fitted;
    const added = Math.max(0, before - this.lines.first);
    if (this.search.text) this.searchAgain();
    this.draw(added);
    if (batch.to) {
      const done = this.waiting.get(earlier ? "earlier" : "tail");
      this.waiting.delete(earlier ? "earlier" : "tail");
      done?.();
    }
  }

  get searching() {
    return !this.searchBar.hidden && this.search.current >= 0;
  }

  read(since = 0) {
    return new Promise((done) => {
      this.waiting.set("tail", done);
      this.send({ type: "read", since });
    });
  }

  readEarlier(all = false) {
    if (this.lines.first <= Math.max(this.known.start, this.lines.cleared)) return Promise.resolve();
    if (this.waiting.has("earlier")) return Promise.resolve();
    return new Promise((done) => {
      this.waiting.set("earlier", done);
      const since = all ? 0 : Math.max(0, this.lines.first - EARLIER_LINES);
      this.send({ type: "read", since, before: this.lines.first });
    });
  }

  // Drawing

  // A view out of sight keeps its lines and draws none: a page may hold many.
  sighted(inSight) {
    this.outOfSight = !inSight;
    if (inSight) this.draw();
  }

  draw(added = 0) {
    this.added = (this.added ?? 0) + added;
    if (this.frame || (this.outOfSight && this.autoHeight === LARGEST_AUTO_HEIGHT)) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = null;
      this.drawNow();
    });
  }

  drawNow() {
    if (!this.measure()) return;
    const { lines, layout, scroll } = this;
    layout.arrange(lines);
    this.canvas.style.height = `${layout.height}px`;
    this.fitHeight();
    if (this.following) this.scrollTo(scroll.scrollHeight);
    else if (this.added > 0) this.scrollTo(scroll.scrollTop + layout.top(this.added));
    this.added = 0;
    this.drawRows();
    if (this.correctHeights()) {
      layout.arrange(lines);
      this.canvas.style.height = `${layout.height}px`;
      if (this.following) this.scrollTo(scroll.scrollHeight);
      this.drawRows();
    }
    this.showJump();
  }

  // The size of a character, as the page's fonts have it; false while the view is not in sight.
  measure() {
    const { width, height } = this.probe.getBoundingClientRect();
    if (!width) return false;
    this.layout.rowHeight = height;
    this.layout.charWidth = width / 100;
    const gutter = this.root.classList.contains("dk-times") ? 13 : 0;
    const room = this.scroll.clientWidth - 20;
    const columns = this.wrapped ? Math.max(10, Math.floor(room / this.layout.charWidth) - gutter) : Infinity;
    if (columns !== this.layout.columns) this.layout.measured.clear();
    this.layout.columns = columns;
    return true;
  }

  fitHeight() {
    if (this.heightChosen) return;
    const border = this.scroll.offsetHeight - this.scroll.clientHeight;
    const needed = Math.max(this.layout.height, this.layout.rowHeight) + border + 12;
    const height = Math.min(LARGEST_AUTO_HEIGHT, Math.round(needed));
    if (this.autoHeight !== height) {
      this.autoHeight = height;
      this.scroll.style.height = `${height}px`;
    }
  }

  drawRows() {
    const { lines, layout, scroll } = this;
    const count = lines.count;
    if (!count) {
      this.rowsNode.replaceChildren();
      this.rows.clear();
      return;
    }
    const from = layout.indexAt(scroll.scrollTop - OVERSCAN_PX);
    const to = Math.min(count, layout.indexAt(scroll.scrollTop + scroll.clientHeight + OVERSCAN_PX) + 1);
    const rows = new Map();
    for (let index = from; index < to; index += 1) {
      const number = lines.first + index;
      rows.set(number, this.row(number, lines.at(index)));
    }
    for (const [number, row] of this.rows) if (rows.get(number) !== row) row.node.remove();
    let previous = null;
    for (const row of rows.values()) {
      const place = previous ? previous.nextSibling : this.rowsNode.firstChild;
      if (place !== row.node) this.rowsNode.insertBefore(row.node, place);
      previous = row.node;
    }
    this.rows = rows;
    this.rowsNode.style.transform = `translateY(${layout.top(from)}px)`;
  }

  row(number, line) {
    const marks = this.search.marksOf(number);
    const signature = `${JSON.stringify(marks)}${this.timesShown}`;
    const known = this.rows.get(number);
    if (known && known.line === line && known.signature === signature) return known;
    const node = known?.node ?? element("div", "dk-row");
    fillRow(node, line, marks);
    if (this.timesShown) {
      const time = this.lines.timeOf(number);
      node.dataset.time = time === null ? "" : localTime(time);
    }
    return { node, line, signature };
  }

  correctHeights() {
    if (!this.wrapped) return false;
    let wrong = false;
    for (const [number, row] of this.rows) {
      const height = row.node.getBoundingClientRect().height;
      const index = number - this.lines.first;
      if (height && Math.abs(height - (this.layout.top(index + 1) - this.layout.top(index))) > 0.5) {
        this.layout.measured.set(number, height);
        wrong = true;
      }
    }
    return wrong;
  }

  resized() {
    if (this.autoHeight && this.scroll.style.height !== `${this.autoHeight}px`) this.heightChosen = true;
    this.draw();
  }

  // Following the tail

  scrollTo(top) {
    this.scroll.scrollTop = top;
    this.lastTop = this.scroll.scrollTop;
  }

  scrolled() {
    const { scroll } = this;
    const rest = scroll.scrollHeight - scroll.clientHeight - scroll.scrollTop;
    const up = scroll.scrollTop < (this.lastTop ?? 0) - 1;
    this.lastTop = scroll.scrollTop;
    if (up && rest > 2) this.following = false;
    else if (rest <= 2 && !this.following && !this.behind) this.following = true;
    if (scroll.scrollTop < 400) this.readEarlier();
    this.draw();
  }

  async jumpToEnd() {
    if (this.behind) {
      this.lines.drop(this.lines.finished.length);
      await this.read(this.lines.next);
    }
    this.following = true;
    this.behind = false;
    this.draw();
  }

  async jumpToStart() {
    this.following = false;
    await this.readEarlier(true);
    this.drawNow();
    this.scrollTo(0);
  }

  showJump() {
    const away = !this.following && this.layout.height > this.scroll.clientHeight;
    this.jump.hidden = !away;
    if (!away) return;
    const shown = Math.max(0, this.known.count - this.lines.first - this.lines.count);
    const label = shown ? `${NUMBERS.format(shown)} new lines` : "Jump to end";
    if (this.jump.dataset.label === label) return;
    this.jump.dataset.label = label;
    this.jump.innerHTML = icon("end");
    this.jump.append(label);
  }

  // State

  // The state comes with each batch and as state of the model: either may be lost on the way.
  takeState({ state, exit_code: code, elapsed }) {
    if (this.cut || (this.ended && state === "running")) return;
    this.clock = performance.now() - elapsed * 1000;
    this.elapsed = elapsed;
    this.state = state;
    this.exitCode = code;
    if (state !== "running" && !this.ended) {
      this.ended = true;
      this.endTimer = setTimeout(() => this.askForEnd(), ENDED_GRACE_MS);
    }
    this.showState();
  }

  // A kernel that shuts down says that the log has ended, and may be gone before it is asked for it.
  askForEnd() {
    this.send({ type: "bundle" });
    this.endTimer = setTimeout(() => this.replacement && this.replaceOutput(this.replacement), NO_ANSWER_MS);
  }

  // The kernel that fed this view is gone: after a reload nothing would be left here of its log.
  cutOff() {
    if (this.cut) return;
    this.elapsed = (performance.now() - this.clock) / 1000;
    this.cut = true;
    this.ended = true;
    this.state = "lost";
    this.showState();
    if (this.replacement) this.replaceOutput(this.replacement);
  }

  // A snapshot is asked for when the log falls quiet, and now and then while it does not.
  askForSnapshot() {
    const now = performance.now();
    const changed = this.heard > (this.asked ?? -1);
    const wait = now - this.heard > QUIET_MS ? QUIET_MS : SNAPSHOT_MS;
    if (this.ended || !changed || now - (this.asked ?? 0) < wait) return;
    this.asked = now;
    this.send({ type: "bundle" });
  }

  receiveBundle(message) {
    this.replacement = message;
    if (message.state !== "running") this.replaceOutput(message);
  }

  showState() {
    const { state, exitCode: code } = this;
    this.root.dataset.state = state === "exited" && code ? "failed" : state;
    const text = {
      running: this.stopping ? "stopping" : "running",
      exited: code === null ? "ended" : `exited ${code}`,
      stopped: "stopped",
      lost: this.cut ? "disconnected" : "lost",
    }[state];
    if (text !== this.stateShown) {
      this.stateShown = text;
      this.spoken.textContent = `Command ${text}`;
    }
    this.stateText.textContent = this.said ?? text;
    this.buttons.stop.disabled = Boolean(this.stopping);
    this.buttons.stop.hidden = this.ended;
    this.buttons.download.hidden = Boolean(this.cut);
    this.form.hidden = this.ended;
    this.tick();
  }

  tick() {
    const now = performance.now();
    const seconds = this.ended ? this.elapsed : (now - this.clock) / 1000;
    const { count, bytes } = this.known;
    const facts = [formatDuration(Math.max(0, seconds)), `${NUMBERS.format(count)} line${count === 1 ? "" : "s"}`, formatBytes(bytes)];
    const rate = this.rate();
    if (!this.ended && rate >= 100) facts.push(`${formatBytes(rate)}/s`);
    facts.push(`session ${this.model.get("session")}`);
    const text = facts.join(" · ");
    if (this.facts.textContent !== text) this.facts.textContent = text;
    this.askForSnapshot();
    if (!this.ended && now - this.heard > SILENCE_MS) {
      this.heard = now;
      this.read(this.lines.next);
    }
  }

  // Bytes a second over the last two seconds.
  rate() {
    const now = performance.now();
    while (this.rates.length > 1 && this.rates[1][0] < now - 2000) this.rates.shift();
    if (this.rates.length < 2 || this.rates.at(-1)[0] < now - 2000) return 0;
    const [[, before], [, after]] = [this.rates[0], this.rates.at(-1)];
    return (after - before) / Math.max(0.25, (now - this.rates[0][0]) / 1000);
  }

  showNotice(text) {
    this.stopping = false;
    this.notice.textContent = text;
    this.notice.hidden = !text;
    this.showState();
  }

  // What the reader does

  stop() {
    this.stopping = true;
    this.notice.hidden = true;
    this.showState();
    this.send({ type: "stop" });
  }

  submit() {
    this.send({ type: "input", text: `${this.input.value}\n` });
    this.input.value = "";
    this.following = true;
    this.draw();
  }

  clear() {
    this.lines.clear();
    this.layout.measured.clear();
    this.following = true;
    if (this.search.text) this.searchAgain();
    this.draw();
  }

  toggleWrap() {
    this.wrapped = !this.wrapped;
    this.buttons.wrap.setAttribute("aria-pressed", String(this.wrapped));
    this.root.classList.toggle("dk-wrapped", this.wrapped);
    this.layout.measured.clear();
    this.draw();
  }

  toggleTimes() {
    this.timesShown = !this.timesShown;
    this.buttons.clock.setAttribute("aria-pressed", String(this.timesShown));
    this.root.classList.toggle("dk-times", this.timesShown);
    this.layout.measured.clear();
    this.draw();
  }

  async copy() {
    await this.readEarlier(true);
    const parts = [];
    for (let index = 0; index < this.lines.count; index += 1) parts.push(lineText(this.lines.at(index)));
    const text = parts.join("\n") + (this.lines.last ? "" : "\n");
    try {
      await navigator.clipboard.writeText(text);
      this.say(`Copied ${NUMBERS.format(parts.length)} lines`);
    } catch {
      this.showNotice("The browser did not let the page copy. Select the text, or download the log.");
    }
  }

  // Say something in passing, where the state stands.
  say(text) {
    this.spoken.textContent = text;
    this.said = text;
    this.showState();
    clearTimeout(this.sayTimer);
    this.sayTimer = setTimeout(() => {
      this.said = null;
      this.showState();
    }, 1500);
  }

  // Search

  async openSearch() {
    this.searchBar.hidden = false;
    this.field.focus();
    this.field.select();
    await this.readEarlier(true);
    this.searchFor(this.field.value);
  }

  closeSearch() {
    this.searchBar.hidden = true;
    this.search.text = "";
    this.search.run(this.lines);
    this.scroll.focus({ preventScroll: true });
    this.draw();
  }

  searchFor(text) {
    this.search.text = text;
    this.search.current = -1;
    this.searchAgain();
    if (this.search.hits.length) this.goToHit(-1);
    else this.draw();
  }

  searchAgain() {
    this.search.run(this.lines);
    this.showHits();
  }

  showHits() {
    const { hits, current, text } = this.search;
    if (!text) this.hits.textContent = "";
    else if (!hits.length) this.hits.textContent = "no match";
    else this.hits.textContent = `${current < 0 ? "–" : NUMBERS.format(current + 1)} of ${NUMBERS.format(hits.length)}`;
  }

  goToHit(direction) {
    const hit = this.search.step(direction);
    this.showHits();
    if (!hit) return;
    const index = hit[0] - this.lines.first;
    const { layout, scroll } = this;
    layout.arrange(this.lines);
    const [top, bottom] = [layout.top(index), layout.top(index + 1)];
    if (top < scroll.scrollTop || bottom > scroll.scrollTop + scroll.clientHeight) {
      this.following = false;
      this.canvas.style.height = `${layout.height}px`;
      this.scrollTo(Math.max(0, (top + bottom - scroll.clientHeight) / 2));
    }
    this.drawNow();
    this.rowsNode.querySelector(".dk-current")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  // Download: the page asks for one piece after the other, and unpacks nothing it does not have to

  startDownload() {
    if (this.download) return;
    this.download = { parts: [], size: 0, piece: 0 };
    this.buttons.download.disabled = true;
    this.askForPiece();
  }

  askForPiece() {
    const { piece } = this.download;
    this.send({ type: "download", piece });
    clearTimeout(this.pieceTimer);
    // A server that limits the rate of messages may have dropped the answer.
    this.pieceTimer = setTimeout(() => this.download?.piece === piece && this.askForPiece(), 10_000);
  }

  receivePiece(message, buffers) {
    if (!this.download || message.piece !== this.download.piece) return;
    if (message.error) {
      this.endDownload();
      this.showNotice(`The download failed: ${message.error}`);
      return;
    }
    this.download.parts.push(new Blob([buffers[0]]));
    this.download.size += buffers[0].byteLength;
    this.download.piece += 1;
    this.say(`${message.last ? "Downloaded" : "Downloading"} ${formatBytes(this.download.size)}`);
    if (!message.last) {
      this.askForPiece();
      return;
    }
    const url = URL.createObjectURL(new Blob(this.download.parts, { type: "text/plain" }));
    const link = element("a", "", { href: url, download: `${this.model.get("session") || "command"}.log` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
    this.send({ type: "downloaded" });
    this.endDownload();
  }

  endDownload() {
    clearTimeout(this.pieceTimer);
    this.download = null;
    this.buttons.download.disabled = false;
  }

  // After the end: a page that was reloaded does not know the display's id, so the kernel cannot
  // replace this view by the final log. The view does, in the notebook that the page will save.
  replaceOutput({ model_id: id, bundle }) {
    const cells = this.model.widget_manager?.context?.model?.cells;
    if (!cells) return;
    const mime = "application/vnd.jupyter.widget-view+json";
    for (const cell of cells) {
      const outputs = cell.outputs;
      for (let index = 0; outputs && index < outputs.length; index += 1) {
        const output = outputs.get(index);
        if (output.data?.[mime]?.model_id !== id) continue;
        outputs.set(index, { output_type: "display_data", data: bundle, metadata: {} });
      }
    }
  }
}

function localTime(seconds) {
  const time = new Date(seconds * 1000);
  const two = (number, width = 2) => String(number).padStart(width, "0");
  return `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}.${two(time.getMilliseconds(), 3)}`;
}

export default {
  initialize({ model }) {
    model.send({ type: "present" });
  },
  render({ model, el }) {
    const view = new View(model, el);
    return () => view.dispose();
  },
};
