// The elements that a view is made of.

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

/**
 * JupyterLab takes letters typed on a focused button as commands to the notebook. It asks only the
 * element that has the focus, so each element that can have the focus needs this attribute.
 */
export const OWN_KEYS = { "data-lm-suppress-shortcuts": "true" };

/** Return an icon's SVG source. @param {keyof typeof ICONS} name */
export function icon(name) {
  return `<svg viewBox="0 0 16 16" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="1.3" stroke-linecap="round" stroke-linejoin="round">${ICONS[name]}</svg>`;
}

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {string} className
 * @param {Record<string, string>} attributes
 * @param {(Node | string)[]} children
 */
export function element(tag, className, attributes = {}, ...children) {
  const node = document.createElement(tag);
  node.className = className;
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/**
 * @param {keyof typeof ICONS} name
 * @param {string} label the button's tooltip, and its name for screen readers
 * @param {() => void} act
 * @param {string} text beside the icon
 */
export function button(name, label, act, text = "") {
  const node = element("button", "dk-button", { type: "button", "aria-label": label, title: label, ...OWN_KEYS });
  node.innerHTML = icon(name);
  if (text) node.append(text);
  node.dataset.name = name;
  node.addEventListener("click", act);
  return node;
}
