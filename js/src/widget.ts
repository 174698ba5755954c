/** The module that anywidget loads: one store and one picture for each view of a model. */
import type { Model } from "./host.ts";
import { connect } from "./host.ts";
import { watchKernel } from "./kernel.ts";
import { tieSelector, type WidgetManager } from "./selector.ts";
import { createStore } from "./store.ts";
import { watchTheme } from "./theme.ts";
import { mount } from "./views/index.ts";

interface RenderProps {
  model: Model & { widget_manager?: WidgetManager };
  el: HTMLElement;
  signal?: AbortSignal;
}

export default {
  render({ model, el, signal }: RenderProps): () => void {
    const life = new AbortController(); // hosts older than anywidget 0.11 pass no signal but call what is returned
    signal?.addEventListener("abort", () => life.abort(), { once: true });
    const store = createStore(watchTheme(life.signal), document.documentElement.lang);
    mount(el, store, life.signal);
    const link = connect(model, store, life.signal);
    const { kernel } = model.widget_manager ?? {};
    if (kernel) watchKernel(kernel, store, link, life.signal);
    const selector = model.get("selector");
    if (selector && typeof model.widget_manager?.get_model === "function")
      tieSelector(model.widget_manager, selector, store, life.signal).catch(() => {
        // a page without bqplot: the picture has its own slider
      });
    return () => life.abort();
  },
};
