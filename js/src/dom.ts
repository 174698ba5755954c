/** Nodes without HTML strings. */

type Child = Node | string | null;
type Attributes = Record<string, string | number | boolean | null>;

function fill<E extends Element>(node: E, attributes: Attributes, children: Child[]): E {
  for (const [name, value] of Object.entries(attributes))
    if (value !== null && value !== false) node.setAttribute(name, value === true ? "" : String(value));
  node.append(...children.filter((child) => child !== null));
  return node;
}

const FOCUSABLE = new Set<string>(["button", "input", "select"]);

/** An HTML element; `part` becomes the class `attnwidget-part`. */
export function html<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  part: string,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const node = fill(document.createElement(tag), attributes, children);
  // JupyterLab leaves keys alone only where the element that has the focus says so, not one around it.
  if (FOCUSABLE.has(tag) || "tabindex" in attributes) node.dataset.lmSuppressShortcuts = "true";
  if (part) node.className = `attnwidget-${part}`;
  return node;
}

/** Where a page has headings of its own, ours stand below them. */
const level = (depth: number) => depth + Number(document.querySelector("h1") !== null);

/** The title of the picture. */
export const title = (): HTMLElement => html("strong", "title", { role: "heading", "aria-level": level(1) });

/** The heading of a section of the panel. */
export const heading = (text: string): HTMLElement => html("h4", "heading", { "aria-level": level(2) }, text);

const SVG = "http://www.w3.org/2000/svg";

/** An SVG element; `part` becomes the class `attnwidget-part`. */
export function svg<K extends keyof SVGElementTagNameMap>(
  tag: K,
  part: string,
  attributes: Attributes = {},
  ...children: Child[]
): SVGElementTagNameMap[K] {
  const node = fill(document.createElementNS(SVG, tag), attributes, children);
  if (part) node.setAttribute("class", `attnwidget-${part}`);
  return node;
}

/** A button with an icon, which is a path in a 16 x 16 square. */
export function iconButton(part: string, label: string, path: string): HTMLButtonElement {
  const icon = svg("svg", "icon", { viewBox: "0 0 16 16", "aria-hidden": "true" }, svg("path", "", { d: path }));
  return html("button", part, { type: "button", "aria-label": label, title: label }, icon);
}

/** A drop-down list with its label. */
export function select(label: string): { field: HTMLLabelElement; control: HTMLSelectElement } {
  const control = html("select", "select", { "aria-label": label });
  return { field: html("label", "field", {}, html("span", "field-name", {}, label), control), control };
}

/** Makes a drop-down list hold these choices, without touching it where it does already. */
export function setOptions(control: HTMLSelectElement, choices: [value: string, text: string][], chosen: string): void {
  const same =
    control.options.length === choices.length &&
    choices.every(([v, t], i) => control.options[i]?.value === v && control.options[i]?.text === t);
  if (!same) control.replaceChildren(...choices.map(([value, text]) => html("option", "", { value }, text)));
  control.value = chosen;
}

/** Shows whether a button does anything now. It stays where the focus can be, which would else fall to the page. */
export function setEnabled(button: HTMLButtonElement, enabled: boolean): void {
  button.setAttribute("aria-disabled", String(!enabled));
}

/** Sets what differs from what was set here before: to ask a node what it has costs as much as to set it. */
function keeping<E extends Element>(write: (node: E, name: string, value: string | null) => void) {
  const known = new WeakMap<E, Attributes>();
  return (node: E, values: Attributes): void => {
    const before = known.get(node) ?? {};
    for (const name in values) {
      const value = values[name] ?? null;
      if (before[name] === value) continue;
      before[name] = value;
      write(node, name, value === true ? "" : value === null || value === false ? null : String(value));
    }
    known.set(node, before);
  };
}

/** Sets attributes; false and null take one away. Those that are set so are set by nothing else. */
export const set = keeping<Element>((node, name, value) =>
  value === null ? node.removeAttribute(name) : node.setAttribute(name, value),
);

/** Sets properties of the style, by their names in CSS. */
export const setStyle = keeping<HTMLElement | SVGElement>((node, name, value) =>
  node.style.setProperty(name, value ?? ""),
);

/** Sets text without disturbing a node that has it. */
export function setText(node: Element, text: string): void {
  const { firstChild } = node;
  if (!(firstChild instanceof Text) || firstChild.nextSibling) {
    if (node.textContent !== text) node.textContent = text;
  } else if (firstChild.data !== text) firstChild.data = text;
}

/** Makes `parent` hold exactly `count` children, making or removing the last ones. */
export function setCount<E extends Element>(parent: Element, count: number, make: (index: number) => E): E[] {
  while (parent.children.length > count) parent.lastElementChild?.remove();
  while (parent.children.length < count) parent.append(make(parent.children.length));
  return [...parent.children] as E[];
}
