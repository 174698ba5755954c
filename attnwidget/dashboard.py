"""show(): the widget with a bqplot figure under it, which a user can restyle from Python."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import ipywidgets
import numpy as np
import traitlets

from attnwidget.analysis import special_keys, strength, strength_by_step, without
from attnwidget.selection import checked, expected_strength
from attnwidget.widget import AttentionWidget
from attnwidget.wire import MEAN

if TYPE_CHECKING:
    import bqplot

    from attnwidget.outline import Site
    from attnwidget.trace import Trace

BAR, ACCENT = "#6b7fc4", "#c2410c"
TEXT, LINE = "var(--jp-content-font-color1, #1d2026)", "var(--jp-content-font-color2, #5c6370)"  # as the theme has them
LINE_COLOURS = ["#c2410c", "#3d5bc4", "#14838a", "#8d4bb0", "#7a6a12", "#b0365f"]
MODES = ("strength of each input so far", "strength over decoder steps")
N_LINES = 3  # inputs whose lines are drawn while none is locked: the strongest ones
MAX_LABELS = 24
MAX_LABEL_CHARS = 24
MAX_STRENGTH_TICKS = 7


def show(trace: Trace, *, figure: bool = True, **traits: object) -> Dashboard:
    """Show a trace in a notebook, now; it grows while the trace does.

    Args:
        trace: what to show; it may still be empty.
        figure: whether to add the bqplot figure where bqplot is installed.
        traits: how to look at it first, as `AttentionWidget` takes them: `step=3`, `rows="key"`, `expected=[1, 0, 1]`.

    Returns:
        The dashboard: an ipywidgets box. `dashboard.widget` is the AttentionWidget, `dashboard.strength_figure` and
        `dashboard.steps_figure` are the bqplot figures.
    """
    dashboard = Dashboard(AttentionWidget(checked(trace), **traits), figure=figure)  # type: ignore[arg-type]
    dashboard._ipython_display_()
    return dashboard


class Dashboard(ipywidgets.VBox):  # type: ignore[misc]
    """An AttentionWidget over a bqplot figure that shows strength along the input or along the decoder steps.

    The index selector of the second figure is the widget's step, both ways; the page ties them itself, so that this and
    the choice of the figure work without a kernel. What has to be computed anew waits for the kernel.

    Args:
        widget: what to show.
        figure: whether to add the figure where bqplot is installed.
    """

    def __init__(self, widget: AttentionWidget, *, figure: bool = True) -> None:
        self.widget = widget
        self.strength_figure: bqplot.Figure | None = None
        self.steps_figure: bqplot.Figure | None = None
        self._shown_in: object = None
        children: list[ipywidgets.Widget] = [widget]
        if figure and importlib.util.find_spec("bqplot") is not None:
            children += self._make_figures()
            widget.observe(self._draw_all, names=["frame", "site", "head", "locked", "special", "special_keys"])
            widget.observe(self._draw_strength, names=["step", "expectation", "expected", "strength"])
            self._draw_all()
        super().__init__(children=children, layout=ipywidgets.Layout(width="100%"))
        self.add_class("attnwidget-dashboard")

    @property
    def trace(self) -> Trace:
        """What is shown; setting it shows another trace."""
        return self.widget.trace

    @trace.setter
    def trace(self, trace: Trace) -> None:
        self.widget.trace = trace

    def _ipython_display_(self) -> None:
        """Display, but not a second time in the same cell, as when `show(trace)` is its last line."""
        from IPython.core.getipython import get_ipython
        from IPython.display import publish_display_data

        shell = get_ipython()
        cell = None if shell is None else shell.execution_count
        if cell is None or cell != self._shown_in:
            self._shown_in = cell
            publish_display_data(self._repr_mimebundle_())  # type: ignore[no-untyped-call]

    def _make_figures(self) -> list[ipywidgets.Widget]:
        import bqplot
        from bqplot.interacts import IndexSelector

        layout = ipywidgets.Layout(width="100%", height="230px")
        margin = {"top": 12, "bottom": 46, "left": 54, "right": 20}
        x, y = _scale(), _scale(0.0)
        self._bars = bqplot.Bars(x=[0], y=[0], scales={"x": x, "y": y}, colors=[BAR], padding=0.4)
        self._line = bqplot.Lines(x=[0], y=[0], scales={"x": x, "y": y}, colors=[LINE], line_style="dashed")
        self._key_axis = bqplot.Axis(scale=x, label="input", label_color=TEXT, grid_lines="none", tick_format="d")
        self._strength_axis = _strength_axis(y, "strength so far")
        axes = [self._key_axis, self._strength_axis]
        self.strength_figure = bqplot.Figure(
            marks=[self._bars, self._line], axes=axes, layout=layout, fig_margin=margin, animation_duration=0
        )

        t, s = _scale(), _scale(0.0)
        self._curves = bqplot.Lines(
            x=[0, 0], y=[0, 0], scales={"x": t, "y": s}, colors=LINE_COLOURS, display_legend=True, labels=[""]
        )
        # The page ties it to the step, both ways. Tied here as well, late news of the one would undo the other.
        step = np.array([float(self.widget.step)])
        self._selector = IndexSelector(scale=t, marks=[self._curves], color=ACCENT, line_width=2, selected=step)
        self._step_axis = bqplot.Axis(
            scale=t, label="decoder step", label_color=TEXT, grid_lines="none", tick_format="d"
        )
        self._curves_axis = _strength_axis(s, "strength")
        self.steps_figure = bqplot.Figure(
            marks=[self._curves], axes=[self._step_axis, self._curves_axis], interaction=self._selector,
            layout=layout, fig_margin=margin, animation_duration=0, legend_location="top-left",
        )  # fmt: skip
        self.widget.selector = self._selector.model_id

        modes = ipywidgets.ToggleButtons(options=MODES, index=0, style={"button_width": "auto"})
        stack = ipywidgets.Stack(children=[self.strength_figure, self.steps_figure], selected_index=0)
        ipywidgets.jslink((modes, "index"), (stack, "selected_index"))
        return [modes, stack]

    def _weights(self) -> np.ndarray:
        """Return the weights that are drawn, float32 [query, key]; a single 0 while there are none."""
        for site in self._site():
            weights = self.trace.weights(site, "mean" if self.widget.head == MEAN else self.widget.head)
            if self.widget.special != "omit":
                return weights
            texts = self.trace.tokens[site.key].texts
            named = [key for key in self.widget.special_keys if key < weights.shape[1]]
            return without(weights, named or special_keys(texts, weights))
        return np.zeros((1, 1), np.float32)

    def _site(self) -> list[Site]:
        """Return the selected site, if it has weights already."""
        index = self.widget.site
        return [site for site in self.trace.sites[index : index + 1] if site.n_queries]

    def _draw_all(self, _: traitlets.Bunch | None = None) -> None:
        weights = self._weights()
        strips = [self.trace.tokens[strip].texts for site in self._site() for strip in (site.key, site.query)]
        keys, queries = strips or ((), ())
        total = strength(weights[None])[0]
        chosen = list(self.widget.locked) or [int(k) for k in np.argsort(-total)[:N_LINES]]
        running = strength_by_step(weights[None])[0]
        steps = np.arange(len(weights)) if len(weights) > 1 else np.zeros(2, int)  # bqplot squeezes a lone step away
        with self._curves.hold_sync():
            self._curves.x = steps
            self._curves.y = running[steps][:, chosen].T
            self._curves.labels = [_label(keys, key) for key in chosen]
        self._curves_axis.tick_values = _ticks(self._curves.y)
        _name_ticks(self._key_axis, keys, weights.shape[1])
        _name_ticks(self._step_axis, queries, len(weights))
        self._draw_strength()

    def _draw_strength(self, _: traitlets.Bunch | None = None) -> None:
        weights = self._weights()
        widget, n_keys = self.widget, weights.shape[1]
        has_steps = all(site.kind != "encoder" for site in self._site())
        step = min(widget.step, len(weights) - 1) if has_steps or widget.strength == "step" else len(weights) - 1
        choices = {name: getattr(widget, name) for name in ("expectation", "expected", "strength")}
        levels: list[float] = []
        for site in self._site():
            levels = expected_strength(site, self.trace.tokens[site.key], choices, step + 1)
        with self._bars.hold_sync():
            self._bars.x = np.arange(n_keys)
            self._bars.y = strength(weights[None, 0 if widget.strength == "sum" else step : step + 1])[0]
        with self._line.hold_sync():
            self._line.x = (np.arange(n_keys)[:, None] + [-0.5, 0.5]).ravel()
            self._line.y = np.repeat(levels or [0.0] * n_keys, 2)
            self._line.visible = bool(levels)
        self._strength_axis.tick_values = _ticks(np.append(self._bars.y, levels))
        self._strength_axis.label = "strength so far" if widget.strength == "sum" else "strength in this step"


def _label(texts: tuple[str, ...], index: int) -> str:
    """Return a text that JSON in UTF-8 can carry, which a lone surrogate cannot, short enough for an axis."""
    text = texts[index] if index < len(texts) else str(index + 1)
    whole = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return whole if len(whole) <= MAX_LABEL_CHARS else whole[: MAX_LABEL_CHARS - 1] + "…"


def _scale(least: float | None = None) -> bqplot.LinearScale:
    """Return a scale that ends where the data do: bqplot's own padding of a first single bar would never go away."""
    import bqplot

    return bqplot.LinearScale(min=least, allow_padding=False)


def _strength_axis(scale: bqplot.LinearScale, label: str) -> bqplot.Axis:
    import bqplot

    return bqplot.Axis(scale=scale, orientation="vertical", label=label, label_color=TEXT, tick_format="~g")


def _ticks(strengths: np.ndarray) -> np.ndarray:
    """Return a few round numbers from 0 to the largest strength: bqplot's own choice is too many for its height."""
    top = float(np.max(strengths))
    if not 0 < top < np.inf:
        return np.zeros(1)
    least = top / (MAX_STRENGTH_TICKS - 1)
    power = 10.0 ** np.floor(np.log10(least))
    step = next(many * power for many in (1, 2, 5, 10) if many * power >= least)
    ticks: np.ndarray = np.arange(int(top / step * (1 + 1e-9)) + 1) * step
    return ticks


def _name_ticks(axis: bqplot.Axis, texts: tuple[str, ...], count: int) -> None:
    """Say which ticks there are, after their labels: bqplot 0.13 writes new ticks with the labels it had before."""
    every = max(1, -(-count // MAX_LABELS))
    axis.tick_labels = {str(i): _label(texts, i) for i in range(0, count, every)}
    axis.tick_values = np.arange(0, count, every)
