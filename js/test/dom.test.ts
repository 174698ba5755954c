// @vitest-environment happy-dom
import { describe, expect, it, vi } from "vitest";
import { html, set, setStyle, setText } from "../src/dom.ts";

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
});
