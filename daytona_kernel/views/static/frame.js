// The fixed elements of a view: header, search bar, area of the lines, input, notices.

import { button, element, icon, OWN_KEYS } from "./elements.js";

/**
 * What the buttons do.
 * @typedef {object} Actions
 * @property {() => void} search
 * @property {() => void} wrap
 * @property {() => void} clock
 * @property {() => void} clear
 * @property {() => void} copy
 * @property {() => void} download
 * @property {() => void} stop
 * @property {() => void} previous
 * @property {() => void} next
 * @property {() => void} close
 * @property {() => void} jump
 */

export class Frame {
  /** @param {string} command @param {Actions} actions */
  constructor(command, actions) {
    this.buttons = {
      search: button("search", "Search", actions.search),
      wrap: button("wrap", "Wrap lines", actions.wrap),
      clock: button("clock", "Show times", actions.clock),
      clear: button("clear", "Clear this view", actions.clear),
      copy: button("copy", "Copy the latest lines", actions.copy),
      download: button("download", "Download the whole log", actions.download),
      stop: button("stop", "Stop the command", actions.stop, "Stop"),
    };
    this.buttons.wrap.setAttribute("aria-pressed", "false");
    this.buttons.clock.setAttribute("aria-pressed", "false");
    this.state = element("span", "dk-state");
    this.facts = element("span", "dk-facts");
    const head = element("div", "dk-head", {},
      element("span", "dk-dot", { "aria-hidden": "true" }),
      element("div", "dk-heading", {},
        element("div", "dk-command", { title: command }, command),
        element("div", "dk-status", {}, this.state, this.facts)),
      element("div", "dk-tools", { role: "toolbar", "aria-label": "Log" }, ...Object.values(this.buttons)));

    this.field = textField("dk-field", "Search the log", { placeholder: "Search" });
    this.hits = element("span", "dk-hits", { role: "status" });
    this.searchBar = element("div", "dk-search", { role: "search", hidden: "" }, this.field, this.hits,
      button("previous", "Previous match", actions.previous),
      button("next", "Next match", actions.next),
      button("close", "Close search", actions.close));

    this.rows = element("div", "dk-rows");
    /** As high as all lines together. */
    this.canvas = element("div", "dk-canvas", {}, this.rows);
    this.scroll = element("div", "dk-scroll", {
      tabindex: "0", role: "log", "aria-live": "off", "aria-label": `Output of ${command}`, ...OWN_KEYS,
    }, this.canvas);
    /** A hidden row of 100 characters, whose size gives the size of one. */
    this.probe = element("div", "dk-row dk-probe", { "aria-hidden": "true" }, "x".repeat(100));
    this.jump = element("button", "dk-jump", { type: "button", hidden: "", ...OWN_KEYS });
    this.jump.addEventListener("click", actions.jump);
    const body = element("div", "dk-body", {}, this.scroll, this.probe, this.jump);

    this.input = textField("dk-input", "Input to the command", {
      placeholder: "Input", autocomplete: "off", autocapitalize: "off",
    });
    this.form = element("div", "dk-form", {},
      element("span", "dk-prompt", { "aria-hidden": "true" }, "›"), this.input);
    this.notice = element("div", "dk-notice", { role: "alert", hidden: "" });
    /** For screen readers only. */
    this.announcement = element("div", "dk-announcement", { role: "status" });

    // The last two classes keep JupyterLab from looking for formulas between the dollars of a log.
    this.root = element("div", "dk-log tex2jax_ignore mathjax_ignore", { role: "region", "aria-label": `Log of ${command}` },
      head, this.searchBar, body, this.form, this.notice, this.announcement);
  }

  /** Show what the button does that brings the reader back to the end. @param {string} label */
  labelJump(label) {
    if (this.jump.dataset.label === label) return;
    this.jump.dataset.label = label;
    this.jump.innerHTML = icon("end");
    this.jump.append(label);
  }
}

/** @param {string} className @param {string} label @param {Record<string, string>} attributes */
function textField(className, label, attributes) {
  return element("input", className, {
    type: "text", "aria-label": label, spellcheck: "false", ...attributes, ...OWN_KEYS,
  });
}
