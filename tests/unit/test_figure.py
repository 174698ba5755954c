"""Figures for print: what is drawn is what was recorded, whatever the tokens and the numbers are."""

from __future__ import annotations

import json
import re
import struct
import zlib
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from traitlets import TraitError

import attnwidget as aw
from attnwidget import figure
from attnwidget.figure.axes import axis, pooled
from attnwidget.figure.colours import DARK, LIGHT, Colours
from attnwidget.figure.text import cut, shown, width
from attnwidget.stores.factors import Factors
from attnwidget.stores.visible import Visible

SVG = "{http://www.w3.org/2000/svg}"
WORDS = ["the", "black", "cat"]


def trace_of(weights: np.ndarray, **options: object) -> aw.Trace:
    source = options.pop("source", None) or [f"s{i}" for i in range(weights.shape[-1])]
    target = [f"t{i}" for i in range(weights.shape[-2])]
    return aw.Trace.from_weights(weights, source=source, target=target, **options)  # type: ignore[arg-type]


def random_weights(*shape: int, seed: int = 0) -> np.ndarray:
    weights = np.random.default_rng(seed).random(shape).astype(np.float32) ** 4
    return weights / weights.sum(-1, keepdims=True)


def texts(drawn: str) -> list[str]:
    return [node.text or "" for node in ElementTree.fromstring(drawn).iter(f"{SVG}text")]


def cells(drawn: str) -> dict[tuple[int, int], str]:
    """Return the colour of each cell of a heatmap by column and row; those of no weight are not drawn."""
    found = {}
    for node in ElementTree.fromstring(drawn).iter(f"{SVG}path"):
        for x, y in re.findall(r"M(\d+) (\d+)h1v1h-1z", node.attrib["d"]):
            found[int(x), int(y)] = node.attrib["fill"]
    return found


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("rows", ["query", "key"])
def test_each_cell_has_the_colour_of_its_weight(theme: str, rows: str) -> None:
    weights = random_weights(4, 6)
    drawn = figure.svg(trace_of(weights), theme=theme, rows=rows)  # type: ignore[arg-type]
    colours = DARK if theme == "dark" else LIGHT
    shown_cells = weights if rows == "query" else weights.T
    found = cells(drawn)
    assert max(found) < shown_cells.shape[::-1]
    for (r, c), weight in np.ndenumerate(shown_cells):
        assert found.get((c, r), colours.of(0)) == colours.of(float(weight))


@pytest.mark.parametrize(("colours", "crc"), [(LIGHT, 450843933), (DARK, 2895197698)])
def test_the_colours_are_those_of_the_screen(colours: Colours, crc: int) -> None:
    assert zlib.crc32(colours.ramp(np.arange(256) / 255).tobytes()) == crc  # as in js/test/theme.test.ts


def test_the_step_is_told_in_numbers_and_words() -> None:
    weights = np.array([[0.7, 0.2, 0.1], [0.1, 0.85, 0.05]], np.float32)
    said = texts(figure.svg(trace_of(weights, source=WORDS), step=1))
    assert {"0.10", "0.85", "0.05"} <= set(said)
    first, second = said[-1].split(". ")
    assert first == "Step 2, “t1”: 85 % of the attention is on “black”"
    assert second == "The strongest other input is “the” with 10 %."
    assert "decoder → encoder · head 1 of 1 · step 2 of 2" in said


def test_weak_and_strong_inputs_have_a_pattern_and_a_word() -> None:
    weights = np.array([[0.98, 0.01, 0.01], [0.97, 0.02, 0.01]], np.float32)
    drawn = figure.svg(trace_of(weights, source=WORDS))
    assert {"1.95 strong", "0.03 weak", "0.02 weak", "expected 1"} <= set(texts(drawn))
    assert drawn.count('fill="url(#weak)"') == 2
    assert drawn.count('fill="url(#strong)"') == 1


def test_what_is_unusual_is_said_and_hatched() -> None:
    weights = np.array([[np.nan, 0.5, 0.5], [-1, 1, 1], [0.2, 0.2, 0.1]], np.float32)
    drawn = figure.svg(trace_of(weights, source=WORDS))
    said = " ".join(texts(drawn))
    for word in ("1 weight is NaN", "negative", "1 row does not sum to 1"):
        assert word in said
    (hatched,) = (node for node in ElementTree.fromstring(drawn).iter(f"{SVG}path") if "odd" in node.get("fill", ""))
    assert hatched.attrib["d"].count("M") == 2


@pytest.mark.parametrize("rows", ["query", "key"])
@pytest.mark.parametrize("strength", ["sum", "step"])
def test_strength_below_zero_has_no_bar_and_its_number(rows: str, strength: str) -> None:
    weights = np.array([[-0.75, 0.5, 1.25], [-0.25, 0.5, 0.75]], np.float32)
    drawn = figure.svg(trace_of(weights, source=WORDS), rows=rows, strength=strength)
    boxes = [node.attrib for node in ElementTree.fromstring(drawn).iter(f"{SVG}rect") if node.get("height") != "100%"]
    assert min(float(box[side]) for box in boxes for side in ("width", "height")) == 0
    assert ("−1.00" if strength == "sum" else "−0.25") in {text.split(" ")[0] for text in texts(drawn)}


def test_special_tokens_can_be_left_out() -> None:
    weights = np.array([[0.5, 0.25, 0.25], [0.5, 0.3, 0.2]], np.float32)
    said = texts(figure.svg(trace_of(weights, source=["[CLS]", "a", "b"]), special="omit"))
    assert "0.60" in said
    assert any("left out" in text for text in said)


@pytest.mark.parametrize(("n_queries", "n_keys"), [(1, 1), (1, 3000), (3000, 1), (700, 900), (2, 200)])
def test_any_size_is_drawn_and_no_spike_is_lost(n_queries: int, n_keys: int) -> None:
    weights = np.full((n_queries, n_keys), 1e-6, np.float32)
    weights[n_queries // 2, n_keys // 3] = 1
    drawn = figure.svg(trace_of(weights), step=n_queries - 1, scale="absolute")
    assert LIGHT.of(1) in cells(drawn).values()
    assert len(drawn) < 400_000


def test_a_head_that_is_kept_as_queries_and_keys_is_drawn() -> None:
    n_tokens, rng = 2200, np.random.default_rng(0)
    trace = aw.Trace(source=[str(i) for i in range(n_tokens)])
    trace.add_site(aw.Site("a", "encoder", 0, 1, "source", "source"), store="qk")
    rows = rng.normal(size=(1, n_tokens, 8)).astype(np.float32)
    trace.append({"a": Factors(rows, rows, Visible.causal(n_tokens, n_tokens), 1.0)})
    assert f"token 3 of {n_tokens}" in " ".join(texts(figure.svg(trace, step=2)))


def test_pictures_are_drawn_as_pictures() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    weights = random_weights(3, 16)
    trace = aw.Trace.from_weights(weights, source=aw.Tokens.image(pixels, (4, 4)), target=WORDS)
    drawn = figure.svg(trace, step=1)
    (image,) = ElementTree.fromstring(drawn).iter(f"{SVG}image")
    assert image.attrib["href"].startswith("data:image/png;base64,")
    assert any(text.startswith("clearest where the weight is largest") for text in texts(drawn))


def test_an_empty_trace_says_so() -> None:
    assert "No weights were recorded yet." in texts(figure.svg(aw.Trace(title="nothing")))


def test_hostile_tokens_are_text_and_nothing_else(hostile_texts: list[str]) -> None:
    allowed = {"svg", "title", "desc", "g", "rect", "path", "text", "defs", "pattern", "linearGradient", "stop"}
    for first in range(0, len(hostile_texts), 8):
        some = hostile_texts[first : first + 8]
        trace = aw.Trace.from_weights(
            np.full((len(some), len(some)), 1 / len(some), np.float32), source=some, target=some, title=some[0]
        )
        root = ElementTree.fromstring(figure.svg(trace).encode("utf-8"))
        assert {node.tag.removeprefix(SVG) for node in root.iter()} <= allowed
        assert not [name for node in root.iter() for name in node.attrib if name.startswith("on")]


def test_tokens_are_written_as_on_the_screen() -> None:
    pairs = json.loads((Path(__file__).parents[1] / "data" / "shown.json").read_text("utf-8"))  # of words.test.ts too
    assert [(text, shown(text)) for text, _ in pairs] == [(text, written) for text, written in pairs]


def test_confusable_tokens_are_told_apart() -> None:
    for one, other in [("the", " the"), (" ", "\u00a0"), ("a\u200bb", "ab"), ("\n", "\n\n"), ("", "\u200b")]:
        assert shown(one) != shown(other)
    assert shown("\ud800") == "⟨D800⟩"
    assert shown("a" * 100) == "a" * 60 + "…"
    assert shown("👩\u200d🔬") == "👩\u200d🔬"


def test_a_text_is_cut_to_its_room() -> None:
    assert cut("word", 100, 11) == "word"
    assert cut("a long word", 40, 11).endswith("…")
    assert width(cut("一二三四五六", 40, 11), 11) <= 40


def test_a_figure_speaks_chinese() -> None:
    weights = np.array([[0.7, 0.2, 0.1], [0.1, 0.85, 0.05], [0.1, 0.2, 0.1]], np.float32)
    said = texts(figure.svg(trace_of(weights, source=WORDS), step=1, language="zh"))
    assert said[-1] == "第 2 步“t1”：85 % 的注意力在“black”上。其次是“the”，占 10 %。"
    assert {"输入", "输出", "⚠ 1 行之和不是 1"} <= set(said)
    assert not [text for text in said if re.search("[a-z]{3}", text) and text not in WORDS and text != said[-1]]


def test_mistakes_are_told() -> None:
    trace = trace_of(random_weights(2, 3))
    with pytest.raises(ValueError, match="theme: 'pink' came"):
        figure.svg(trace, theme="pink")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="scale: 0 came"):
        figure.png(trace, scale=0)
    with pytest.raises(TraitError, match="step: 7 came"):
        figure.svg(trace, step=7)
    with pytest.raises(TypeError, match="'stepp' came"):
        figure.svg(trace, stepp=7)


def test_a_view_that_is_not_there_is_named() -> None:
    trace = trace_of(random_weights(2, 3))
    with pytest.raises(ValueError, match="view: 'all' came, one of 'head', 'heads', 'diagram' was expected"):
        figure.svg(trace, view="all")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="view: 'all' came"):
        trace.to_png("nowhere.png", view="all")  # type: ignore[arg-type]
    assert figure.svg(trace, view="head") == figure.svg(trace)


def test_a_png_has_as_many_pixels_as_asked_for(tmp_path: Path) -> None:
    trace = trace_of(random_weights(2, 3))
    trace.to_png(tmp_path / "a.png", scale=1.5)
    data = (tmp_path / "a.png").read_bytes()
    assert data.startswith(b"\x89PNG")
    assert struct.unpack(">I", data[16:20]) == (1440,)


def test_what_is_on_screen_can_be_written(tmp_path: Path) -> None:
    widget = aw.AttentionWidget(trace_of(random_weights(2, 3, 4)), head=1, step=0)
    widget.trace.to_svg(tmp_path / "a.svg", **widget.selection)
    assert "head 2 of 2 · step 1 of 3" in (tmp_path / "a.svg").read_text("utf-8")
    widget.close()


def test_a_notebook_keeps_a_picture_for_hosts_without_widgets() -> None:
    widget = aw.AttentionWidget(trace_of(random_weights(12, 128, 128)))
    bundle = widget._repr_mimebundle_()
    assert bundle is not None
    assert set(bundle[0]) == {"text/plain", "application/vnd.jupyter.widget-view+json", "image/svg+xml"}
    assert len(str(bundle[0]["image/svg+xml"])) < 80_000
    widget.close()


def test_spikes_survive_cells_of_several_tokens() -> None:
    values = np.arange(10.0)
    assert pooled(values, 4, 0).tolist() == [3, 7, 9]
    assert np.isnan(pooled(np.full(4, np.nan), 2, 0)).all()
    assert pooled(np.array([np.nan, 1.0]), 2, 0).tolist() == [1]
    assert axis(1000, 300, 3, 40).per == 16
    assert axis(3, 300, 3, 40).size == 40
