"""Figures of all heads: every head is there, in its place, in the colours of its own weights."""

from __future__ import annotations

import base64
import struct
import zlib
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from test_figure import SVG, random_weights, texts, trace_of

import attnwidget as aw
from attnwidget import figure
from attnwidget.figure.colours import DARK, LIGHT
from attnwidget.stores.factors import Factors
from attnwidget.stores.visible import Visible


def read_png(address: str) -> np.ndarray:
    """Return the pixels of an image that is embedded, uint8 [row, column, 3]."""
    data, chunks, at = base64.b64decode(address.partition(",")[2], validate=True), {}, 8
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        chunks[data[at + 4 : at + 8]] = data[at + 8 : at + 8 + length]
        at += 12 + length
    width, height = struct.unpack(">II", chunks[b"IHDR"][:8])
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, 1 + 3 * width)
    return lines[:, 1:].reshape(height, width, 3)


def tiles(drawn: str, shape: tuple[int, int]) -> list[list[np.ndarray]]:
    """Return the colours of the cells of each tile as they stand on the page, line by line; `shape` is in cells."""
    found: dict[tuple[float, float], np.ndarray] = {}

    def walk(node: ElementTree.Element, x: float, y: float) -> None:
        for child in node:
            place = child.get("transform", "")
            dx, dy = (
                map(float, place[10:-1].split()) if place.startswith("translate(") and "rotate" not in place else (0, 0)
            )
            if child.tag == f"{SVG}image":
                pixels = read_png(child.attrib["href"])
                down, across = (length // n for length, n in zip(pixels.shape, shape, strict=False))
                assert np.array_equal(pixels, pixels[::down, ::across].repeat(down, 0).repeat(across, 1))
                found[round(y, 1), round(x, 1)] = pixels[::down, ::across]
            walk(child, x + dx, y + dy)

    walk(ElementTree.fromstring(drawn), 0.0, 0.0)
    rows = sorted({y for y, _ in found})
    return [[found[place] for place in sorted(found) if place[0] == y] for y in rows]


def expected(weights: np.ndarray, scale: str, theme: str) -> np.ndarray:
    top = weights.max(-1, keepdims=True) if scale == "row" else 1
    return (DARK if theme == "dark" else LIGHT).ramp(weights / top)


@pytest.mark.parametrize(("theme", "scale", "rows"), [("light", "row", "query"), ("dark", "absolute", "key")])
def test_every_head_has_the_colours_of_its_weights(theme: str, scale: str, rows: str) -> None:
    weights = random_weights(3, 5, 4, 6)
    drawn = figure.svg(trace_of(weights), view="heads", theme=theme, scale=scale, rows=rows)  # type: ignore[arg-type]
    found = tiles(drawn, (4, 6) if rows == "query" else (6, 4))
    assert [len(line) for line in found] == [5, 5, 5]
    for (layer, head), _ in np.ndenumerate(weights[..., 0, 0]):
        cells = found[layer][head]
        wanted = expected(weights[layer, head], scale, theme)
        assert np.array_equal(cells, wanted if rows == "query" else wanted.swapaxes(0, 1))


def test_rows_are_scaled_to_their_largest_weight_as_on_the_screen() -> None:
    trace = trace_of(random_weights(2, 3, 4, 6))
    assert figure.svg(trace, view="heads") == figure.svg(trace, view="heads", scale="row")
    assert figure.svg(trace, view="heads") != figure.svg(trace, view="heads", scale="absolute")
    said = texts(figure.svg(trace, view="heads"))
    assert {"row max", "Each row of a tile is scaled to its largest weight."} <= set(said)
    assert "Each column of a tile is scaled to its largest weight." in texts(
        figure.svg(trace, view="heads", rows="key")
    )
    assert "row max" not in texts(figure.svg(trace, view="heads", scale="absolute"))


@pytest.mark.parametrize(("n_layers", "n_heads", "n_tokens"), [(1, 1, 1), (1, 1, 40), (12, 12, 9), (32, 32, 16)])
def test_any_number_of_heads_is_drawn(n_layers: int, n_heads: int, n_tokens: int) -> None:
    weights = random_weights(n_layers, n_heads, n_tokens, n_tokens)
    drawn = figure.svg(aw.Trace.from_weights(weights, source=[str(i) for i in range(n_tokens)]), view="heads")
    root = ElementTree.fromstring(drawn)
    assert len(list(root.iter(f"{SVG}image"))) == n_layers * n_heads
    assert {f"layer {i + 1}" for i in range(n_layers)} <= set(texts(drawn))
    assert float(root.attrib["width"]) <= 960
    assert float(root.attrib["height"]) < 1250
    assert len(drawn) < 2_500_000


def test_heads_that_do_not_fit_into_a_line_go_on_in_the_next() -> None:
    weights = random_weights(2, 70, 3, 4)
    drawn = figure.svg(trace_of(weights), view="heads")
    found = tiles(drawn, (3, 4))
    assert [len(line) for line in found] == [32, 32, 6] * 2
    assert np.array_equal(found[5][4], expected(weights[1, 68], "row", "light"))
    assert texts(drawn).count("65–70") == 2


def test_the_head_that_was_chosen_has_a_frame_and_no_other() -> None:
    trace = trace_of(random_weights(3, 4, 5, 6))

    def framed(**selection: object) -> list[str]:
        root = ElementTree.fromstring(figure.svg(trace, view="heads", **selection))  # type: ignore[arg-type]
        around = {child: parent for parent in root.iter() for child in parent}
        frames = [node for node in root.iter(f"{SVG}rect") if node.get("stroke") == LIGHT.accent]
        return [around[node].findtext(f"{SVG}image/{SVG}title") or "" for node in frames]

    assert framed(site=1, head=2) == ["layer 2, head 3 of 4"]
    assert framed() == framed(site=1) == framed(site=1, head=-1) == []


def test_the_site_chooses_which_heads_are_drawn(translated: aw.Trace) -> None:
    names = [(site.kind, site.n_heads) for site in translated.sites]
    for site, (kind, n_heads) in enumerate(names):
        drawn = figure.svg(translated, view="heads", site=site)
        said = {"encoder": "encoder self", "decoder": "decoder self", "cross": "decoder → encoder"}[kind]
        layers = sum(other == kind for other, _ in names)
        assert f"{said} · {layers} layer{'s' * (layers != 1)} of {n_heads} head{'s' * (n_heads != 1)}" in texts(drawn)
        assert len(list(ElementTree.fromstring(drawn).iter(f"{SVG}image"))) == layers * n_heads


def test_tokens_are_named_where_there_is_room() -> None:
    few = texts(figure.svg(trace_of(random_weights(1, 2, 3, 4)), view="heads"))
    assert [few.count(f"s{i}") for i in range(4)] == [2] * 4  # above each column of tiles
    assert [few.count(f"t{i}") for i in range(3)] == [1] * 3
    some = texts(figure.svg(trace_of(random_weights(1, 9, 40, 50)), view="heads"))
    assert [some.count(token) for token in ("s0", "s49", "s7", "t0", "t39", "t3")] == [1, 1, 0, 1, 1, 0]
    many = texts(figure.svg(trace_of(random_weights(20, 30, 40, 50)), view="heads"))
    assert not {"s0", "s49", "t0", "t39"} & set(many)
    for said in (few, some, many):
        assert any(text.startswith("Rows of a tile: output, “t0” to “t") for text in said)
        assert any(text.startswith("Columns of a tile: input, “s0” to “s") for text in said)


def test_a_spike_in_a_large_head_is_there_and_coarse_cells_are_told() -> None:
    weights = np.full((1, 2, 700, 900), 1e-6, np.float32)
    weights[0, 1, 333, 777] = 1
    drawn = figure.svg(trace_of(weights), view="heads", scale="absolute")
    _, spiked = ElementTree.fromstring(drawn).iter(f"{SVG}image")
    assert (read_png(spiked.attrib["href"]) == LIGHT.ramp(np.ones(1))).all(-1).any()
    assert "Each cell shows the maximum of up to 4 weights." in texts(drawn)
    assert not [text for text in texts(figure.svg(trace_of(random_weights(2, 3)), view="heads")) if "maximum" in text]


def test_heads_that_are_kept_as_queries_and_keys_are_drawn() -> None:
    n_tokens, rng = 2200, np.random.default_rng(0)
    trace = aw.Trace(source=[str(i) for i in range(n_tokens)])
    trace.add_site(aw.Site("a", "encoder", 0, 2, "source", "source"), store="qk")
    rows = rng.normal(size=(2, n_tokens, 4)).astype(np.float32)
    trace.append({"a": Factors(rows, rows, Visible.causal(n_tokens, n_tokens), 1.0)})
    drawn = figure.svg(trace, view="heads")
    first, _ = (read_png(node.attrib["href"]) for node in ElementTree.fromstring(drawn).iter(f"{SVG}image"))
    above = np.triu_indices(len(first), len(first) // 4)
    assert (first[above] == LIGHT.ramp(np.zeros(1))).all()  # causal: nothing is attended to that comes later
    assert not (first[above[::-1]] == LIGHT.ramp(np.zeros(1))).all()


def test_what_is_unusual_is_said_and_has_its_own_colour() -> None:
    weights = random_weights(2, 3, 4, 5)
    weights[0, 1, 2, 3], weights[1, 2, 0, 0] = np.nan, -1
    drawn = figure.svg(trace_of(weights), view="heads")
    red = tuple(bytes.fromhex(LIGHT.warning[1:]))
    found = [
        (layer, head, *place)
        for layer, line in enumerate(tiles(drawn, (4, 5)))
        for head, cells in enumerate(line)
        for place in zip(*np.nonzero((cells == red).all(-1)), strict=True)
    ]
    assert found == [(0, 1, 2, 3), (1, 2, 0, 0)]
    said = " ".join(texts(drawn))
    assert "1 weight is NaN" in said
    assert "1 weight is negative" in said


def test_layers_of_other_sizes_and_layers_without_rows_are_drawn() -> None:
    trace = aw.Trace(source=["a", "b", "c"], target=["d", "e"])
    for layer, key in enumerate(("source", "target", "source")):
        trace.add_site(aw.Site(f"layer.{layer}", "cross", layer, 1 + layer, "target", key))
    trace.append({"layer.0": random_weights(1, 2, 3), "layer.1": random_weights(2, 2, 2)})
    drawn = figure.svg(trace, view="heads")
    root = ElementTree.fromstring(drawn)
    assert len(list(root.iter(f"{SVG}image"))) == 3
    assert sum("stroke-dasharray" in node.attrib for node in root.iter(f"{SVG}rect")) == 3
    assert "decoder → encoder · 3 layers" in texts(drawn)
    assert not [text for text in texts(drawn) if text.startswith("Rows of a tile: output")]


@pytest.mark.parametrize("rows", ["query", "key"])
def test_a_single_query_over_a_picture_is_laid_out_as_the_picture(rows: str) -> None:
    pixels = np.zeros((4, 6, 3), np.uint8)
    weights = random_weights(1, 5, 1, 6)
    trace = aw.Trace.from_weights(weights, source=aw.Tokens.image(pixels, (2, 3)), target=["seven"])
    drawn = figure.svg(trace, view="heads", rows=rows)
    for cells, one in zip(tiles(drawn, (2, 3))[0], weights[0], strict=True):
        assert np.array_equal(cells, expected(one, "row", "light").reshape(2, 3, 3))
    notes = [
        "A tile shows the patches of the input where they lie, for “seven”.",
        "Each tile is scaled to its largest weight.",
    ]
    assert texts(drawn)[-2:] == notes
    several = aw.Trace.from_weights(
        random_weights(1, 5, 2, 6), source=aw.Tokens.image(pixels, (2, 3)), target=["a", "b"]
    )
    assert any(text.startswith("Columns of a tile: input") for text in texts(figure.svg(several, view="heads")))


def test_special_tokens_can_be_left_out_of_all_heads() -> None:
    weights = np.array([[[0.5, 0.25, 0.25], [0.5, 0.3, 0.2]]] * 2, np.float32)
    trace = aw.Trace.from_weights(weights, source=["[CLS]", "a", "b"], target=["x", "y"])
    drawn = figure.svg(trace, view="heads", special="omit", scale="absolute")
    ((cells, _),) = tiles(drawn, (2, 3))
    assert np.array_equal(cells, LIGHT.ramp(np.array([[0, 0.5, 0.5], [0, 0.6, 0.4]])))
    assert any("left out" in text for text in texts(drawn))
    assert not any("dimmed" in text for text in texts(figure.svg(trace, view="heads", special="dim")))


def test_hostile_tokens_are_text_in_figures_of_all_heads(hostile_texts: list[str]) -> None:
    allowed = {"svg", "title", "desc", "g", "rect", "text", "image", "defs", "linearGradient", "stop"}
    for first in range(0, len(hostile_texts), 20):
        some = hostile_texts[first : first + 20]
        trace = aw.Trace.from_weights(random_weights(1, len(some), len(some)), source=some, title=some[0])
        root = ElementTree.fromstring(figure.svg(trace, view="heads").encode("utf-8"))
        assert {node.tag.removeprefix(SVG) for node in root.iter()} <= allowed
        assert not [name for node in root.iter() for name in node.attrib if name.startswith("on")]


def test_an_empty_trace_has_no_heads() -> None:
    assert "No weights were recorded yet." in texts(figure.svg(aw.Trace(), view="heads"))


def test_all_heads_are_written_to_files(tmp_path: Path) -> None:
    trace = trace_of(random_weights(2, 3, 4, 5), title="run")
    trace.to_svg(tmp_path / "a.svg", view="heads", head=1)
    assert (tmp_path / "a.svg").read_text("utf-8") == figure.svg(trace, view="heads", head=1)
    trace.to_png(tmp_path / "a.png", view="heads", scale=1.0)
    width = float(ElementTree.fromstring(figure.svg(trace, view="heads")).attrib["width"])
    data = (tmp_path / "a.png").read_bytes()
    assert abs(struct.unpack(">I", data[16:20])[0] - width) <= 1
