"""The diagram as plain data: what becomes a block, where it stands, and that nothing is left out."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence

import pytest

from attnwidget.architecture import Architecture, Edge, Module, Node, architecture_of
from attnwidget.outline import Flag, Kind, Site

STRIPS = ("source", "target")


def tree(path: str, class_name: str = "Block", *children: Module, order: int = -1, detail: str = "") -> Module:
    return Module(path, class_name, detail, order, "", children)


def site(name: str, kind: Kind = "encoder", layer: int = 0, **change: object) -> Site:
    query, key = {"encoder": ("source", "source"), "decoder": ("target", "target"), "cross": ("target", "source")}[kind]
    return Site(**{"name": name, "kind": kind, "layer": layer, "n_heads": 2, "query": query, "key": key, **change})  # type: ignore[arg-type]


def flow(diagram: Architecture) -> list[str]:
    """Return edges as `words kind words`, by label, strip or kind of the nodes."""
    names = {node.id: node.strip or node.label or node.kind for node in diagram.nodes}
    return [f"{names[edge.source]} {edge.kind} {names[edge.target]}" for edge in diagram.edges]


def blocks(diagram: Architecture, parent: str = "") -> list[Node]:
    return [node for node in diagram.nodes if node.parent == parent and node.kind != "part"]


def layer(path: str, *names: str) -> Module:
    return tree(path, "Layer", *(tree(f"{path}.{name}", name.title().replace("_", "")) for name in names))


RECURRENT = tree(
    "",
    "Network",
    tree("source_embedding", "Embedding", order=0),
    tree("encoder", "GRU", order=1, detail="GRU 8 → 8"),
    tree("attention", "Attention", tree("attention.query", "Linear"), order=2),
    tree("target_embedding", "Embedding", order=3),
    tree("decoder", "GRUCell", order=4),
    tree("output", "Linear", order=5),
)


def test_a_decoder_that_asks_before_its_step_takes_the_context() -> None:
    diagram = architecture_of(RECURRENT, [site("attention", "cross", asks="before")], STRIPS)
    assert flow(diagram) == [
        "source flow encoder",
        "encoder keys attention",
        "attention flow context",
        "decoder flow output",
        "output flow target",
        "context flow decoder",
        "decoder query attention",
    ]
    assert {node.lane for node in diagram.nodes} == {0}


def test_a_decoder_that_asks_after_its_step_stands_below_the_attention() -> None:
    ran = {"source_embedding": 0, "encoder": 1, "target_embedding": 2, "decoder": 3, "attention": 4, "output": 5}
    modules = RECURRENT._replace(children=tuple(m._replace(order=ran[m.path]) for m in RECURRENT.children))
    diagram = architecture_of(modules, [site("attention", "cross", asks="after")], STRIPS)
    assert [node.label for node in blocks(diagram) if node.lane == 1] == ["decoder"]
    assert {"decoder query attention", "decoder flow output", "context flow output"} <= set(flow(diagram))


def test_a_decoder_around_its_attention_is_one_block_beside_it() -> None:
    modules = tree(
        "",
        "Seq2Seq",
        tree("encoder", "Encoder", tree("encoder.rnn", "GRU", detail="GRU 4 → 4", order=1), order=0),
        tree(
            "decoder",
            "Decoder",
            tree("decoder.embedding", "Embedding", order=3),
            tree("decoder.attention", "Attention", order=4),
            tree("decoder.rnn", "GRU", detail="GRU 8 → 4", order=5),
            tree("decoder.out", "Linear", order=6),
            order=2,
        ),
    )
    diagram = architecture_of(modules, [site("decoder.attention", "cross", asks="before")], STRIPS)
    named = [(node.label, node.detail) for node in blocks(diagram) if node.kind == "module"]
    assert named == [("encoder", "GRU 4 → 4"), ("decoder", "GRU 8 → 4")]


def transformer(n_layers: int) -> tuple[Module, list[Site]]:
    encoder = [layer(f"encoder.layers.{i}", "attn", "norm", "mlp") for i in range(n_layers)]
    decoder = [layer(f"decoder.layers.{i}", "self_attn", "cross_attn", "mlp") for i in range(n_layers)]
    sites = [site(f"encoder.layers.{i}.attn", "encoder", i) for i in range(n_layers)]
    for i in range(n_layers):
        sites += [
            site(f"decoder.layers.{i}.{name}_attn", kind, i) for name, kind in (("self", "decoder"), ("cross", "cross"))
        ]
    modules = tree(
        "",
        "Model",
        tree("encoder", "Stack", tree("encoder.layers", "ModuleList", *encoder)),
        tree("decoder", "Stack", tree("decoder.layers", "ModuleList", *decoder)),
        tree("head", "Linear"),
    )
    return modules, sites


@pytest.mark.parametrize("n_layers", [1, 2, 80])
def test_layers_that_are_alike_are_one_tower(n_layers: int) -> None:
    diagram = architecture_of(*transformer(n_layers), STRIPS)
    towers = [node for node in diagram.nodes if node.kind == "tower"]
    assert [(tower.label, tower.repeat, tower.lane) for tower in towers] == [
        ("encoder", n_layers, 0),
        ("decoder", n_layers, 1),
    ]
    inside = [(node.kind, len(node.sites)) for node in blocks(diagram, towers[1].id)]
    assert inside == [("attention", n_layers), ("attention", n_layers), ("module", 0)]
    cross = blocks(diagram, towers[1].id)[1]
    assert Edge(towers[0].id, cross.id, "keys") in diagram.edges


def test_layers_that_alternate_are_one_tower() -> None:
    layers = [layer(f"layers.{i}", *(("attn", "mlp") if i % 4 == 3 else ("mamba", "mlp"))) for i in range(32)]
    sites = [site(f"layers.{i}.attn", "decoder", i // 4) for i in range(3, 32, 4)]
    diagram = architecture_of(
        tree("", "Hybrid", tree("layers", "ModuleList", *layers), tree("head", "Linear")), sites, STRIPS
    )
    assert [(node.repeat, len(node.sites)) for node in diagram.nodes if node.kind == "tower"] == [(32, 8)]


def test_a_mask_gates_what_stands_beside_it() -> None:
    modules = tree(
        "",
        "Network",
        tree("first", "Conv2d"),
        tree("attention", "ResidualAttention", tree("attention.trunk", "Unit"), tree("attention.mask", "MaskBranch")),
        tree("last", "Linear"),
    )
    masked = site("attention.mask", "cross", flags=(Flag("mask", 1),))
    diagram = architecture_of(modules, [masked], STRIPS)
    assert "attention gate trunk" in flow(diagram)
    assert {node.lane for node in diagram.nodes} == {0}


def test_two_networks_that_do_not_meet_have_a_row_each() -> None:
    towers = [
        tree(name, "Tower", tree(f"{name}.embed", "Embedding"), tree(f"{name}.attn", "Attention"))
        for name in ("vision_model", "text_model")
    ]
    sites = [site("vision_model.attn", query="vision_model", key="vision_model"), site("text_model.attn")]
    diagram = architecture_of(tree("", "Clip", *towers), sites, ("source", "vision_model"))
    assert [node.strip for node in diagram.nodes if node.kind == "strip"] == ["vision_model", "source"]


def test_without_modules_there_are_strips_and_attentions() -> None:
    assert flow(architecture_of(None, [site("cross", "cross")], STRIPS)) == [
        "source keys attention",
        "attention flow context",
        "context flow target",
    ]
    sites = [site(f"{kind}.{i}", kind, i) for kind in ("encoder", "decoder", "cross") for i in range(3)]
    towers = [node for node in architecture_of(None, sites, STRIPS).nodes if node.kind == "tower"]
    assert [tower.repeat for tower in towers] == [3, 3]


def test_sites_of_modules_that_nobody_knows_are_drawn() -> None:
    diagram = architecture_of(RECURRENT, [site("elsewhere", "encoder")], STRIPS)
    assert any(node.kind == "attention" and node.sites == ("elsewhere",) for node in diagram.nodes)
    assert {"encoder", "output"} <= {node.label for node in diagram.nodes}


def test_a_module_of_any_kind_is_drawn_with_its_name() -> None:
    odd = [tree(f"odd_{i}", "Thing", tree(f"odd_{i}.inner", "Gadget")) for i in range(5)]
    modules = tree("", "Network", *odd[:2], tree("attn", "Attention"), *odd[2:])
    diagram = architecture_of(modules, [site("attn")], STRIPS)
    named = {node.label for node in diagram.nodes}
    assert {f"odd_{i}" for i in range(5)} <= named | {name.replace(" ", "_") for name in named}


def test_no_sites_no_diagram() -> None:
    assert architecture_of(RECURRENT, [], STRIPS) == Architecture()


def grown(rng: random.Random, path: str, depth: int) -> Module:
    names = rng.sample(
        ["0", "1", "2", "attn", "encoder", "decoder", "mlp", "norm", "layers", "<b>", "self"], rng.randint(0, 4)
    )
    children = [grown(rng, f"{path}.{name}".strip("."), depth - 1) for name in names] if depth else []
    classes = ["Linear", "Attention", "LayerNorm", "ModuleList", "GRU", "Block", "Embedding", "Conv2d"]
    return tree(path, rng.choice(classes), *children, order=rng.choice([-1, rng.randint(0, 99)]))


def paths(module: Module) -> list[str]:
    return [module.path, *(path for child in module.children for path in paths(child))]


def random_sites(rng: random.Random, names: Sequence[str]) -> list[Site]:
    chosen = rng.sample(sorted(set(names)), min(len(set(names)), rng.randint(1, 6)))
    strips = ["source", "target", "context", "vision", "source_16"]
    kinds: list[Kind] = ["encoder", "decoder", "cross"]
    return [
        site(
            f"{name}#2" if rng.random() < 0.1 else name or "Lost",
            rng.choice(kinds),
            i,
            query=rng.choice(strips),
            key=rng.choice(strips),
        )
        for i, name in enumerate(chosen)
    ]


@pytest.mark.parametrize("seed", range(150))
def test_no_site_of_any_tree_is_left_out(seed: int) -> None:
    rng = random.Random(seed)
    modules = grown(rng, "", 4)
    sites = random_sites(rng, paths(modules))
    diagram = architecture_of(modules, sites, STRIPS)
    drawn = sorted(name for node in diagram.nodes if node.kind == "attention" for name in node.sites)
    assert drawn == sorted(it.name for it in sites)
    assert Architecture.from_dict(json.loads(json.dumps(diagram.to_dict()))) == diagram


LIES: list[tuple[str, object]] = [
    ("a list was expected", None),
    ("a list was expected", {"nodes": {}, "edges": []}),
    ("other fields", {"nodes": [{"id": "0"}], "edges": []}),
]


@pytest.mark.parametrize(("said", "data"), LIES)
def test_something_else_is_no_diagram(said: str, data: object) -> None:
    with pytest.raises(ValueError, match=said):
        Architecture.from_dict(data)


CHANGES: list[tuple[str, dict[str, object]]] = [
    ("no kind of node", {"kind": "script"}),
    ("lane of a node", {"lane": "0"}),
    ("stands in row", {"lane": -1}),
    ("stands in row", {"repeat": 0}),
    ("not all names", {"sites": [1]}),
    ("is a part of", {"parent": "9"}),
    ("is a part of", {"parent": "0"}),
    ("empty", {"id": ""}),
]


@pytest.mark.parametrize(("said", "change"), CHANGES)
def test_a_node_that_contradicts_itself_is_refused(said: str, change: dict[str, object]) -> None:
    data = Architecture((Node("0", "module", "a"),)).to_dict()
    data["nodes"][0].update(change)  # type: ignore[typeddict-item]
    with pytest.raises(ValueError, match=said):
        Architecture.from_dict(data)


def test_an_edge_from_nowhere_is_refused() -> None:
    with pytest.raises(ValueError, match="not both nodes"):
        Architecture((Node("0", "module"),), (Edge("0", "1"),))
    data = Architecture((Node("0", "module"), Node("1", "module")), (Edge("0", "1"),)).to_dict()
    data["edges"][0]["kind"] = "wormhole"  # type: ignore[typeddict-item]
    with pytest.raises(ValueError, match="no kind of edge"):
        Architecture.from_dict(data)
