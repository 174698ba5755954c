"""Figures of the network: blocks stand where the page puts them, say what they are, and are lit by the chosen site."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from test_figure import SVG, random_weights, texts, trace_of

import attnwidget as aw
from attnwidget import figure
from attnwidget.architecture import Architecture
from attnwidget.architecture.data import Edge, Node
from attnwidget.figure.colours import DARK, LIGHT, mixed
from attnwidget.figure.diagram_faces import boxes_of, lit, said_of
from attnwidget.figure.diagram_layout import Box, place
from attnwidget.figure.diagram_lines import line
from attnwidget.figure.look import Look, look_at
from attnwidget.outline import Site

CASES = json.loads((Path(__file__).parents[1] / "data" / "diagrams.json").read_text("utf-8"))  # of diagram.test.ts too

RECURRENT = Architecture(
    (
        Node("in", "strip", strip="source"),
        Node("enc", "module", "encoder", "BiGRU 24 → 24"),
        Node("part", "part", "embedding", parent="enc"),
        Node("att", "attention", detail="AdditiveAttention", sites=("cross",)),
        Node("ctx", "context"),
        Node("dec", "module", "decoder", "GRU cell 72 → 48"),
        Node("out", "strip", strip="target"),
    ),
    (
        Edge("in", "enc"),
        Edge("enc", "att", "keys"),
        Edge("att", "ctx"),
        Edge("ctx", "dec"),
        Edge("dec", "out"),
        Edge("dec", "att", "query"),
    ),
)
TOWERS = Architecture(
    (
        Node("in", "strip", strip="source"),
        Node("enc", "tower", "encoder", repeat=2, sites=("e0", "e1")),
        Node("self", "attention", parent="enc", sites=("e0", "e1")),
        Node("ff", "module", "feed-forward", parent="enc"),
        Node("so", "strip", strip="target", lane=1),
        Node("dec", "tower", repeat=1, sites=("cross",), lane=1),
        Node("att", "attention", parent="dec", sites=("cross",), lane=1),
        Node("out", "strip", strip="target", lane=1),
    ),
    (Edge("in", "enc"), Edge("self", "ff"), Edge("enc", "att", "keys"), Edge("so", "dec"), Edge("dec", "out")),
)


def recorded(network: Architecture, asks: str = "") -> aw.Trace:
    trace = aw.Trace(source=["a", "b", "c"], target=["d", "e"], title="run")
    names = {name: node for node in network.nodes for name in node.sites}
    for name in names:
        kind = "cross" if name == "cross" else "encoder"
        layer, query = (int(name[1:]), "source") if kind == "encoder" else (0, "target")
        trace.add_site(
            Site(name, kind, layer, 1 + (kind == "encoder"), query, "source", asks=asks if kind == "cross" else "")
        )  # type: ignore[arg-type]
        n_queries = 3 if kind == "encoder" else 2
        trace.append({name: random_weights(1 + (kind == "encoder"), n_queries, 3)})
    trace.set_architecture(network)
    trace.finish()
    return trace


def looked(trace: aw.Trace, **selection: object) -> Look:
    look = look_at(trace, selection)
    assert look is not None
    return look


def said(trace: aw.Trace, **selection: object) -> dict[str, tuple[str, str]]:
    return {box.id: (box.title, box.detail) for box in boxes_of(looked(trace, **selection), trace.architecture)}


def numbers(path: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", path)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['name']}, {case['width']}")
def test_blocks_and_lines_are_where_the_page_puts_them(
    case: dict[str, list[list[object]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attnwidget.figure.diagram_layout.width", lambda text, size: len(text) * size * 0.58)
    boxes = {str(face[0]): Box(*face) for face in case["faces"]}  # type: ignore[arg-type]
    edges = [Edge(*edge) for edge in case["edges"]]  # type: ignore[arg-type]
    assert place(list(boxes.values()), edges, float(case["width"])) == pytest.approx(case["taken"], abs=0.01)  # type: ignore[arg-type]
    found = [(b.x, b.y, b.width, b.height, b.axis, *b.words) for b in boxes.values()]
    assert np.allclose(found, case["boxes"], atol=0.01)
    known = [edge for edge in edges if edge.source in boxes and edge.target in boxes]
    assert [[edge.source, edge.target] for edge in known] == [each[:2] for each in case["lines"]]
    for edge, (_, _, *wanted) in zip(known, case["lines"], strict=True):
        drawn = line(edge, boxes)
        for path, text in zip((drawn.d, drawn.head), map(str, wanted[:2]), strict=True):
            assert re.sub(r"[\d. -]", "", path) == re.sub(r"[\d. -]", "", text)
            assert numbers(path) == pytest.approx(numbers(text), abs=0.01)
        assert (*drawn.label, drawn.anchor) == (pytest.approx(wanted[2]), pytest.approx(wanted[3]), wanted[4])


def test_the_cases_have_every_kind_of_line_and_every_way_to_make_room() -> None:
    kinds = {edge[2] for case in CASES for edge in case["edges"]}
    letters = {re.sub(r"[^A-Z]", "", str(drawn[2])) for case in CASES for drawn in case["lines"]}
    assert kinds == {"flow", "keys", "query", "gate"}
    assert {"ML", "MV", "MC", "MCV", "MCVQ", "MHQV"} <= letters
    assert any(case["taken"] > case["width"] for case in CASES)


def test_blocks_say_what_they_are_and_what_happens_at_the_step() -> None:
    trace = recorded(RECURRENT)
    assert said(trace, step=0) == {
        "in": ("input", "3 tokens"),
        "enc": ("encoder", "BiGRU 24 → 24"),
        "att": ("attention", "AdditiveAttention"),
        "ctx": ("context", "c(1)"),
        "dec": ("decoder", "GRU cell 72 → 48"),
        "out": ("output", "“d”"),
    }
    assert {key: said(trace, step=1)[key][1] for key in ("ctx", "out")} == {"ctx": "c(2)", "out": "“e”"}
    assert said(trace, language="zh")["att"][0] == "注意力"


def test_towers_say_which_layer_is_chosen() -> None:
    trace = recorded(TOWERS)
    first, other = (next(i for i, site in enumerate(trace.sites) if site.name == name) for name in ("e0", "e1"))
    assert said(trace, site=first)["enc"] == ("encoder × 2", "layer 1 of 2")
    assert said(trace, site=other)["enc"] == ("encoder × 2", "layer 2 of 2")
    blocks = said(trace)
    assert blocks["enc"] == ("encoder × 2", "")
    assert blocks["dec"] == ("decoder", "")
    assert (blocks["self"], blocks["att"]) == (("self-attention", "2 heads"), ("cross-attention", ""))
    assert (blocks["so"][0], blocks["out"][0]) == ("output so far", "output")


@pytest.mark.parametrize(("asks", "words"), [("", "query"), ("before", "s(t−1)"), ("after", "s(t)")])
def test_the_query_says_which_state_asks(asks: str, words: str) -> None:
    look = looked(recorded(RECURRENT, asks))
    assert words in said_of(look, RECURRENT, RECURRENT.edges[-1])
    assert said_of(look, RECURRENT, Edge("in", "enc", "gate")) == "×"
    assert said_of(look, RECURRENT, RECURRENT.edges[0]) == ""


def test_what_the_site_does_is_lit() -> None:
    def named(network: Architecture, site: str) -> tuple[set[str], set[str]]:
        trace = recorded(network)
        blocks, ways = lit(network, next(each for each in trace.sites if each.name == site))
        return blocks, {f"{edge.source}-{edge.target}" for edge in ways}

    way = {"att-ctx", "ctx-dec", "dec-att", "enc-att"}
    assert named(RECURRENT, "cross") == ({"att", "ctx", "dec", "in", "out"}, way)
    asker = Architecture(RECURRENT.nodes, (*RECURRENT.edges[:3], Edge("enc", "att", "query")))
    assert named(asker, "cross")[0] == {"att", "ctx", "enc", "in", "out"}
    assert named(TOWERS, "e1") == ({"enc", "in", "self"}, {"in-enc"})
    assert named(TOWERS, "cross") == ({"att", "dec", "in", "so", "out"}, {"enc-att"})


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_lit_lines_are_as_thick_as_the_largest_weight(theme: str) -> None:
    trace = recorded(RECURRENT)
    colours = DARK if theme == "dark" else LIGHT
    for step in (0, 1):
        root = ElementTree.fromstring(figure.svg(trace, view="diagram", theme=theme, step=step))  # type: ignore[arg-type]
        lines = [node for node in root.iter(f"{SVG}path") if node.get("fill") == "none"]
        thick = 1.75 + 4.75 * float(trace.weights("cross", 0)[step].max())
        found = [(node.get("stroke"), float(node.attrib["stroke-width"])) for node in lines]
        pale = (mixed(colours.text, colours.ground, 0.3), 1.25)
        bold = (colours.accent, pytest.approx(thick, abs=0.001))
        assert found == [pale, bold, bold, bold, pale, (colours.accent, 1.75)]
        assert lines[-1].get("stroke-dasharray") == "4 3"


def test_the_chosen_attention_has_the_tint() -> None:
    root = ElementTree.fromstring(figure.svg(recorded(TOWERS), view="diagram", site=0))
    around = [node for node in root.iter(f"{SVG}rect") if node.get("stroke") == LIGHT.accent]
    assert [node.get("fill") == LIGHT.tint for node in around].count(True) == 1
    assert len(around) == 3  # the tower, the attention, and the strip that it reads


def test_the_figure_has_place_flags_and_sentence() -> None:
    weights = random_weights(2, 3)
    weights[0, 0] = np.nan
    trace = trace_of(weights, title="unusual")
    diagram, head = (texts(figure.svg(trace, view=view, step=1)) for view in ("diagram", "head"))  # type: ignore[arg-type]
    assert diagram[0] == "unusual"
    assert diagram[1] == head[1] == "decoder → encoder · head 1 of 1 · step 2 of 2"
    assert "⚠ 1 weight is NaN (first: head 0, query 0, key 0)" in diagram
    assert diagram[-1] == head[-1]


def test_a_title_in_the_way_of_a_line_is_written_whole() -> None:
    weights = random_weights(2, 3, 4, 5)
    assert "decoder × 2" in texts(figure.svg(trace_of(weights), view="diagram"))


def test_the_detail_of_a_tower_is_left_out_where_there_is_no_room() -> None:
    def drawn(label: str) -> bool:
        nodes = (Node("1", "tower", label, "DecoderLayer"), Node("2", "module", "feed-forward", parent="1"))
        trace = recorded(RECURRENT)
        trace.set_architecture(Architecture(nodes))
        return any(text.startswith("De") for text in texts(figure.svg(trace, view="diagram")))

    assert drawn("one")
    assert not drawn("decoder")


def test_what_is_too_wide_for_a_page_is_drawn_whole() -> None:
    chain = tuple(Node(str(i), "module", f"a module of a long name {i}", "and of a detail") for i in range(9))
    edges = tuple(Edge(str(i), str(i + 1)) for i in range(8))
    trace = recorded(RECURRENT)
    trace.set_architecture(Architecture(chain, edges))
    root = ElementTree.fromstring(figure.svg(trace, view="diagram"))
    right = max(
        float(node.attrib["x"]) + float(node.attrib["width"]) for node in root.iter(f"{SVG}rect") if "x" in node.attrib
    )
    assert 960 < right < float(root.attrib["width"])


def test_a_trace_without_blocks_says_what_to_do() -> None:
    trace = trace_of(random_weights(2, 3))
    trace.set_architecture(Architecture())
    with pytest.raises(ValueError, match=r"has no blocks. Record it with aw.record.*set_architecture"):
        trace.to_svg("nowhere.svg", view="diagram")
    assert not Path("nowhere.svg").exists()


def test_hostile_names_are_text_in_a_diagram(hostile_texts: list[str]) -> None:
    allowed = {"svg", "title", "desc", "g", "rect", "path", "text"}
    for some in hostile_texts:
        trace = recorded(RECURRENT)
        nodes = (Node("1", "module", some, some), Node("2", "tower", some, some), Node("3", "module", some, parent="2"))
        trace.set_architecture(Architecture(nodes, (Edge("1", "2"),)))
        root = ElementTree.fromstring(figure.svg(trace, view="diagram").encode("utf-8"))
        assert {node.tag.removeprefix(SVG) for node in root.iter()} <= allowed
        assert not [name for node in root.iter() for name in node.attrib if name.startswith("on")]
