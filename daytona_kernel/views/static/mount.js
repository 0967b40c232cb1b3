// The place of a view in the page.
//
// When the command ends, the saved log takes the view's place in the notebook, and the page shows it in place
// of the widget. But somebody may be reading or searching the view. So the view moves in front of the saved
// log and hides it, as long as the page shows that log. A page that opens later has only the saved log.

/** The outputs of a cell. */
export const OUTPUTS = ".jp-OutputArea";
const GRACE_MS = 5_000; // A page takes a moment to show the saved log.

/** Return the class of the saved log of a view. @param {string} viewId */
export function savedClass(viewId) {
  return `dk-saved-${viewId}`;
}

export class Mount {
  /**
   * @param {HTMLElement} root the view
   * @param {string} saved the class of the view's saved log
   * @param {{ moved: () => void, lost: () => void }} notify called when the view has moved, and when its output
   *   is gone
   */
  constructor(root, saved, notify) {
    this.root = root;
    this.saved = saved;
    this.notify = notify;
    /** The outputs of the cell. @type {Element | null} */
    this.outputs = null;
    this.observer = new MutationObserver(() => this.settle());
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    /** The element of the view that had the focus last. @type {HTMLElement | null} */
    this.focused = null;
    root.addEventListener("focusin", (event) => { this.focused = /** @type {HTMLElement} */ (event.target); });
    root.addEventListener("focusout", () => setTimeout(() => this.unfocused()));
  }

  dispose() {
    this.observer.disconnect();
    clearTimeout(this.timer);
    this.root.remove();
  }

  /** Forget the focus, unless the page has taken it by removing the view. */
  unfocused() {
    if (this.root.isConnected && !this.root.contains(document.activeElement)) this.focused = null;
  }

  /** Expect that the saved log takes the view's place. */
  expect() {
    if (!this.outputs) this.observe(this.root);
  }

  /** @param {HTMLElement} node */
  observe(node) {
    this.outputs = node.closest(OUTPUTS);
    if (this.outputs) this.observer.observe(this.outputs, { childList: true, subtree: true });
  }

  /** The page has removed the widget. Return whether the view may come back. */
  leave() {
    if (!this.outputs) return false;
    this.settle();
    return true;
  }

  /** Move in front of the saved log, if that has taken the view's place. */
  settle() {
    const { outputs, root } = this;
    if (!outputs || outputs.contains(root)) return;
    clearTimeout(this.timer);
    const saved = outputs.querySelector(`.${this.saved}`);
    if (saved instanceof HTMLElement) this.cover(saved);
    else this.timer = setTimeout(() => { if (!outputs.contains(root)) this.notify.lost(); }, GRACE_MS);
  }

  /** Show the view in place of the saved log. @param {HTMLElement} saved */
  cover(saved) {
    const { focused, root } = this;
    if (!this.outputs) this.observe(saved);
    saved.style.display = "none";
    saved.before(root);
    // JupyterLab has a margin beside HTML, and none beside widgets.
    const { paddingRight } = getComputedStyle(/** @type {Element} */ (root.parentElement));
    root.style.marginRight = `-${paddingRight}`;
    this.notify.moved();
    if (focused && document.activeElement === document.body) focused.focus({ preventScroll: true });
  }
}
