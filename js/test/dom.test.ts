// @vitest-environment happy-dom
import { describe, expect, it, vi } from "vitest";
import {
  heading,
  html,
  iconButton,
  select,
  set,
  setCount,
  setOptions,
  setStyle,
  setText,
  svg,
  title,
} from "../src/dom.ts";

describe("a node", () => {
  it("is touched only where it differs from what was set before", () => {
    const node = html("div", "");
    set(node, { "data-gaze": true, "data-ghost": false, "aria-label": "cat", "aria-rowindex": 3 });
    setStyle(node, { left: "3px", color: null });
    expect(node.outerHTML).toBe('<div data-gaze="" aria-label="cat" aria-rowindex="3" style="left: 3px;"></div>');
    const written = [
      vi.spyOn(node, "setAttribute"),
      vi.spyOn(node, "removeAttribute"),
      vi.spyOn(node.style, "setProperty"),
    ];
    set(node, { "data-gaze": true, "data-ghost": false, "aria-label": "cat", "aria-rowindex": 3 });
    setStyle(node, { left: "3px", color: null });
    for (const write of written) expect(write).not.toHaveBeenCalled();
  });

  it("loses an attribute that is set to false or null, and a style that is set to null", () => {
    const node = html("div", "");
    set(node, { "data-gaze": true, "aria-label": "cat" });
    setStyle(node, { left: "3px" });
    set(node, { "data-gaze": false, "aria-label": null });
    setStyle(node, { left: null });
    expect([...node.attributes].filter(({ value }) => value)).toEqual([]);
    expect(node.hasAttribute("data-gaze")).toBe(false);
  });

  it("keeps its text node when the text changes", () => {
    const node = html("p", "", {}, "cat");
    const { firstChild } = node;
    setText(node, "<b>dog</b>");
    expect([node.textContent, node.firstChild]).toEqual(["<b>dog</b>", firstChild]);
  });

  it("holds text as text, whatever it looks like", () => {
    const markup = '<img src=x onerror="alert(1)"></p><script>';
    const node = html("p", "told", { "aria-label": markup }, markup, null, html("b", "", {}, markup));
    expect([...node.querySelectorAll("*")].map((child) => child.tagName)).toEqual(["B"]);
    expect([node.textContent, node.getAttribute("aria-label")]).toEqual([markup + markup, markup]);
    setText(node, markup);
    expect([node.children.length, node.textContent]).toEqual([0, markup]);
    const drawn = svg("text", "", { "data-text": markup }, markup);
    expect([drawn.children.length, drawn.textContent, drawn.getAttribute("data-text")]).toEqual([0, markup, markup]);
  });

  it("is left alone where its text is what it has, even in several parts", () => {
    const node = html("p", "", {}, "black", " cat");
    const parts = [...node.childNodes];
    setText(node, "black cat");
    expect([...node.childNodes]).toEqual(parts);
    setText(node, "black");
    expect(node.textContent).toBe("black");
  });

  it("has no attribute that is false or null, and an empty one that is true", () => {
    const node = html("input", "", { disabled: true, checked: false, title: null, value: 0 });
    expect([node.getAttributeNames(), node.getAttribute("disabled"), node.getAttribute("value")]).toEqual([
      ["disabled", "value", "data-lm-suppress-shortcuts"],
      "",
      "0",
    ]);
  });

  it("has its part as a class, and keeps keys where the focus can be", () => {
    const nodes = [html("div", "row"), html("div", ""), html("div", "cell", { tabindex: 0 }), html("button", "more")];
    expect(nodes.map((node) => [node.className, "lmSuppressShortcuts" in node.dataset])).toEqual([
      ["attnwidget-row", false],
      ["", false],
      ["attnwidget-cell", true],
      ["attnwidget-more", true],
    ]);
    expect(svg("g", "links").getAttribute("class")).toBe("attnwidget-links");
    expect(svg("g", "").hasAttribute("class")).toBe(false);
  });
});

describe("headings", () => {
  it("stand below those of the page", () => {
    const levels = () => [title(), heading("Heads")].map((node) => node.getAttribute("aria-level"));
    expect(levels()).toEqual(["1", "2"]);
    const own = html("h1", "", {}, "A notebook");
    document.body.append(own);
    expect(levels()).toEqual(["2", "3"]);
    own.remove();
  });
});

describe("controls", () => {
  it("say what they are", () => {
    const button = iconButton("close", "Close <b>", "M0 0");
    expect([button.type, button.title, button.getAttribute("aria-label")]).toEqual([
      "button",
      "Close <b>",
      "Close <b>",
    ]);
    expect(button.querySelector("svg")?.getAttribute("aria-hidden")).toBe("true");
    const { field, control } = select("Head");
    expect([field.textContent, field.contains(control), control.getAttribute("aria-label")]).toEqual([
      "Head",
      true,
      "Head",
    ]);
  });

  it("hold the choices that there are, untouched where nothing changed", () => {
    const { control } = select("Head");
    const held = () => [...control.options].map((option) => `${option.value}: ${option.text}`);
    setOptions(
      control,
      [
        ["0", "head 1"],
        ["1", "<b>"],
      ],
      "1",
    );
    const before = [...control.options];
    expect([held(), control.value]).toEqual([["0: head 1", "1: <b>"], "1"]);
    setOptions(
      control,
      [
        ["0", "head 1"],
        ["1", "<b>"],
      ],
      "0",
    );
    expect([[...control.options], control.value]).toEqual([before, "0"]);
    for (const other of [
      [
        ["0", "head 1"],
        ["1", "head 2"],
      ],
      [
        ["0", "head 1"],
        ["2", "head 2"],
      ],
      [["0", "head 1"]],
    ] as [string, string][][]) {
      setOptions(control, other, "0");
      expect(held()).toEqual(other.map(([value, text]) => `${value}: ${text}`));
    }
  });
});

describe("children", () => {
  it("are made and removed at the end alone", () => {
    const list = html("ul", "");
    const make = (i: number) => html("li", "", {}, String(i));
    const three = setCount(list, 3, make);
    expect(three.map((node) => node.textContent)).toEqual(["0", "1", "2"]);
    expect(setCount(list, 5, make).slice(0, 3)).toEqual(three);
    expect([...setCount(list, 2, make)]).toEqual(three.slice(0, 2));
    expect(list.textContent).toBe("01");
    expect(setCount(list, 0, make)).toEqual([]);
  });
});
