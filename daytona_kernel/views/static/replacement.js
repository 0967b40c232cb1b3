// The saved log that takes the view's place in the notebook.
//
// The kernel replaces the view when the command ends. It cannot do so in a page that was reloaded, because
// that page does not know the display's id, and after its own end. So the view asks for the saved log now and
// then, and replaces its own output in the notebook that the page will save.

const WIDGET_MIME_TYPE = "application/vnd.jupyter.widget-view+json";
const ENDED_GRACE_MS = 1_500;
const ANSWER_TIMEOUT_MS = 10_000;
const QUIET_MS = 400;
const INTERVAL_MS = 4_000;

/** @typedef {{ to?: string, state: string, model_id: string, bundle: Record<string, string> }} SavedLogMessage */

/**
 * JupyterLab's list of a cell's outputs.
 * @typedef {object} Outputs
 * @property {number} length
 * @property {(index: number) => { data?: Record<string, any> }} get
 * @property {(index: number, output: object) => void} set
 */

/**
 * A notebook in JupyterLab. `collaborative`: whether several pages change it together.
 * @typedef {{ cells?: Iterable<{ outputs?: Outputs }>, collaborative?: boolean }} Notebook
 */

export class Replacement {
  /**
   * @param {() => void} ask asks the kernel for the saved log
   * @param {() => Notebook | undefined} notebook the notebook, where the page has it
   */
  constructor(ask, notebook) {
    this.ask = ask;
    this.notebook = notebook;
    /** @type {SavedLogMessage | null} */
    this.latest = null;
    this.askedAt = -Infinity;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
  }

  dispose() {
    clearTimeout(this.timer);
  }

  /** Ask while the command runs: when its log falls quiet, and now and then while it grows. @param {number} changedAt @param {number} now */
  askIfChanged(changedAt, now) {
    const wait = now - changedAt > QUIET_MS ? QUIET_MS : INTERVAL_MS;
    if (changedAt <= this.askedAt || now - this.askedAt < wait) return;
    this.askedAt = now;
    this.ask();
  }

  /** Ask after the command's end. If the kernel is gone by then, an earlier saved log takes its place. */
  askAtEnd() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.ask();
      this.timer = setTimeout(() => this.apply(), ANSWER_TIMEOUT_MS);
    }, ENDED_GRACE_MS * (1 + Math.random()));
  }

  /** @param {SavedLogMessage} message */
  receive(message) {
    this.latest = message;
    // Two pages that replace the output of a shared notebook at once would leave two outputs. Usually another
    // page replaces it first, so this page waits for its turn.
    const unasked = message.to === undefined;
    if (message.state !== "running" && !(unasked && this.notebook()?.collaborative)) this.apply();
  }

  /** Replace the view with the latest saved log, wherever the notebook shows it. */
  apply() {
    if (!this.latest) return;
    const { model_id: id, bundle } = this.latest;
    for (const { outputs } of this.notebook()?.cells ?? []) {
      for (let index = 0; outputs && index < outputs.length; index += 1) {
        if (outputs.get(index).data?.[WIDGET_MIME_TYPE]?.model_id !== id) continue;
        outputs.set(index, { output_type: "display_data", data: bundle, metadata: {} });
      }
    }
  }
}
