"""The diagrams of recorded networks: reference systems, and models that are not of this project."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from architectures import ARCHITECTURES, built, inputs
from torch import Tensor, nn

import attnwidget as aw
from attnwidget.architecture import Architecture, Module, Node
from attnwidget.cli.demo import recorded as recorded_system
from attnwidget.ledger import Cursor
from attnwidget.wire.codec import describe

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore:.* is a mask|Layer 0 .*has no:UserWarning"),
]


@cache
def of_system(name: str) -> Architecture:
    return recorded_system(name)[1].architecture


@cache
def of_transformers(name: str) -> Architecture:
    torch.manual_seed(0)
    model, batch = built(name), inputs(ARCHITECTURES[name].reads)
    with torch.no_grad(), aw.record(model, example=0) as trace:
        model(**batch)
    return trace.architecture


def tops(diagram: Architecture, lane: int = 0) -> list[str]:
    """Return what stands in a row, from left to right."""
    row = [node for node in diagram.nodes if not node.parent and node.lane == lane]
    return [
        node.strip or (f"{node.label or node.kind} x{node.repeat}" if node.kind == "tower" else node.label or node.kind)
        for node in row
    ]


def edges(diagram: Architecture, kind: str) -> list[tuple[Node, Node]]:
    nodes = {node.id: node for node in diagram.nodes}
    return [(nodes[edge.source], nodes[edge.target]) for edge in diagram.edges if edge.kind == kind]


@pytest.mark.parametrize("name", ["dates", "numbers-de", "reverse"])
def test_bahdanau_asks_from_behind(name: str) -> None:
    diagram = of_system(name)
    assert tops(diagram) == ["source", "encoder", "attention", "context", "decoder", "maxout, output", "target"]
    ((asks, _),) = edges(diagram, "query")
    assert (asks.label, asks.lane) == ("decoder", 0)


@pytest.mark.parametrize("name", ["luong-dot", "luong-feeding", "luong-local-p"])
def test_luong_asks_from_below(name: str) -> None:
    diagram = of_system(name)
    assert tops(diagram) == ["source", "encoder", "attention", "context", "combine, output", "target"]
    assert tops(diagram, 1) == ["decoder"]


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("captioner", [["source", "features", "attention", "context", "decoder", "target"]]),
        ("video", [["source", "features, motion", "attention", "context", "decoder", "target"]]),
        ("pointer", [["source", "encoder", "attention", "target"], ["decoder"]]),
        ("residual", [["source", "first", "attention x1", "last", "target"]]),
        ("vit", [["source", "patches", "tower x2", "output", "target"]]),
        ("retrieval", [["source", "features, surroundings", "attention", "context"], ["target", "encoder"]]),
        (
            "transformer",
            [["source", "source embedding", "encoder x1"], ["context", "target embedding", "decoder x1", "target"]],
        ),
    ],
)
def test_systems_are_drawn_as_they_are_taught(name: str, rows: list[list[str]]) -> None:
    diagram = of_system(name)
    assert [tops(diagram, lane) for lane in range(len(rows))] == rows


def test_the_mask_of_residual_attention_gates_its_trunk() -> None:
    ((mask, trunk),) = edges(of_system("residual"), "gate")
    assert (mask.kind, trunk.label) == ("attention", "trunk")


@pytest.mark.parametrize(
    ("name", "towers"),
    [
        ("BERT", [("encoder", 0)]),
        ("ALBERT", None),
        ("GPT-2", [("", 0)]),
        ("Llama", [("", 0)]),
        ("ViT", [("", 0)]),
        ("T5", [("encoder", 0), ("decoder", 1)]),
        ("BART", [("encoder", 0), ("decoder", 1)]),
        ("Whisper", [("encoder", 0), ("decoder", 1)]),
        ("CLIP", [("encoder", 0), ("encoder", 1)]),
        ("DETR", None),
        ("Swin", None),
        ("LLaVA", None),
        ("Perceiver", None),
        ("Jamba", None),
        ("Wav2Vec2", None),
    ],
)
def test_each_site_of_a_model_of_transformers_is_drawn_once(name: str, towers: list[tuple[str, int]] | None) -> None:
    torch.manual_seed(0)
    model, batch = built(name), inputs(ARCHITECTURES[name].reads)
    with torch.no_grad(), aw.record(model, example=0) as trace:
        model(**batch)
    diagram = trace.architecture
    drawn = [site for node in diagram.nodes if node.kind == "attention" for site in node.sites]
    assert sorted(drawn) == sorted(site.name for site in trace.sites)
    if towers is not None:
        assert [(node.label, node.lane) for node in diagram.nodes if node.kind == "tower"] == towers


@pytest.mark.parametrize("name", ["T5", "BART", "Whisper"])
def test_keys_come_from_the_encoder(name: str) -> None:
    diagram = of_transformers(name)
    ((source, target),) = edges(diagram, "keys")
    assert (source.kind, source.lane, target.kind, target.lane) == ("tower", 0, "attention", 1)


def test_pictures_are_led_to_the_language_model_that_reads_them() -> None:
    ends = [
        (one.label, other.kind, other.lane)
        for one, other in edges(of_transformers("LLaVA"), "flow")
        if other.lane > one.lane
    ]
    assert ends == [("multi modal projector", "tower", 1)]


def test_a_pooler_gives_no_keys() -> None:
    ((source, _),) = edges(of_transformers("ViT and GPT-2"), "keys")
    assert source.kind == "tower"


class Attention(nn.Module):
    """Scores by a network of one layer."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.score = nn.Linear(2 * size, 1)

    def forward(self, state: Tensor, keys: Tensor) -> Tensor:
        pairs = torch.cat([state[:, None].expand_as(keys), keys], -1)
        return (torch.softmax(self.score(pairs).squeeze(-1), -1)[:, None] @ keys)[:, 0]


class Decoder(nn.Module):
    """Two recurrent layers that ask with their last state."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.embedding, self.attention = nn.Embedding(9, size), Attention(size)
        self.rnn, self.out = nn.GRU(2 * size, size, num_layers=2, batch_first=True), nn.Linear(size, 9)

    def forward(self, word: Tensor, state: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
        context = self.attention(state[-1], keys)
        output, state = self.rnn(torch.cat([self.embedding(word), context], -1)[:, None], state)
        return self.out(output[:, 0]), state


class Translator(nn.Module):
    """An encoder and a decoder as a tutorial has them."""

    def __init__(self, size: int = 6) -> None:
        super().__init__()
        self.embedding, self.encoder = nn.Embedding(9, size), nn.GRU(size, size, num_layers=2, batch_first=True)
        self.decoder = Decoder(size)

    def forward(self, words: Tensor) -> None:
        keys, state = self.encoder(self.embedding(words))
        word = torch.zeros(1, dtype=torch.long)
        for _ in range(3):
            logits, state = self.decoder(word, state, keys)
            word = logits.argmax(-1)
            aw.step(str(word.item()))


def recorded_translator() -> aw.Trace:
    torch.manual_seed(0)
    with torch.no_grad(), aw.record(model := Translator()) as trace:
        model(torch.arange(5)[None])
    return trace


def test_a_network_that_nobody_foresaw() -> None:
    diagram = recorded_translator().architecture
    assert tops(diagram) == ["source", "encoder", "attention", "context", "decoder", "target"]
    details = {node.label: node.detail for node in diagram.nodes if node.kind == "module"}
    assert details == {"encoder": "GRU 6 → 6, 2 layers", "decoder": "GRU 12 → 6, 2 layers"}


class Alone(nn.Module):
    """A network that attends in its own code, between its modules."""

    def __init__(self) -> None:
        super().__init__()
        self.out, self.embed = nn.Linear(6, 5), nn.Embedding(5, 6)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embed(ids)
        return torch.as_tensor(self.out((x @ x.transpose(1, 2)).softmax(-1) @ x))


class Layer(nn.Module):
    """A layer that attends in its own code, too."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.down, self.up = nn.LayerNorm(6), nn.Linear(12, 6), nn.Linear(6, 12)
        self.q, self.k, self.v = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x)
        x = x + (self.q(y) @ self.k(y).transpose(1, 2)).softmax(-1) @ self.v(y)
        return torch.as_tensor(x + self.down(self.up(x).relu()))


class Layers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers, self.embed = nn.ModuleList(Layer() for _ in range(3)), nn.Embedding(5, 6)

    def forward(self, ids: Tensor) -> Tensor:
        x: Tensor = self.embed(ids)
        for layer in self.layers:
            x = layer(x)
        return x


class Rewriter(nn.Module):
    """A decoder whose score is a matrix, all in one module."""

    def __init__(self) -> None:
        super().__init__()
        self.head, self.score = nn.Linear(6, 5), nn.Linear(6, 6, bias=False)
        self.cell, self.encoder = nn.GRUCell(12, 6), nn.GRU(6, 6, batch_first=True)
        self.embed, self.written = nn.Embedding(5, 6), nn.Embedding(5, 6)

    def forward(self, ids: Tensor) -> None:
        hidden, _ = self.encoder(self.embed(ids))
        state, token = torch.zeros(1, 6), torch.zeros(1, dtype=torch.long)
        for _ in range(3):
            weights = (hidden @ self.score(state)[:, :, None]).squeeze(2).softmax(1)
            context = (weights[:, None] @ hidden).squeeze(1)
            state = self.cell(torch.cat([self.written(token), context], 1), state)
            token = self.head(state).argmax(1)
            aw.step(str(int(token)))


def recorded_own(model: nn.Module) -> Architecture:
    torch.manual_seed(0)
    with torch.no_grad(), aw.record(model, source=list("abcd")) as trace:
        model(torch.arange(4)[None])
    return trace.architecture


def test_a_network_attends_where_its_code_does() -> None:
    assert tops(recorded_own(Alone())) == ["source", "embed", "attention", "out"]


def test_layers_that_attend_in_their_own_code_are_a_tower() -> None:
    diagram = recorded_own(Layers())
    assert tops(diagram) == ["source", "embed", "tower x3"]
    tower = next(node for node in diagram.nodes if node.kind == "tower")
    inside = [node for node in diagram.nodes if node.parent == tower.id]
    assert [node.label or node.kind for node in inside] == ["attention", "feed-forward"]
    parts = [node.label for node in diagram.nodes if node.parent == inside[0].id]
    assert parts == ["norm", "q", "k", "v"]  # what projects right before it


def test_a_decoder_of_one_module_has_its_sides() -> None:
    diagram = recorded_own(Rewriter())
    assert tops(diagram) == ["source", "encoder", "attention", "context", "cell", "head", "target"]
    ((asks, _),) = edges(diagram, "query")
    assert asks.label == "cell"


def test_parts_tell_what_they_read() -> None:
    shapes = {node.label: node.shape for node in recorded_translator().architecture.nodes if node.kind == "part"}
    assert (shapes["encoder"], shapes["out"]) == ("1 × 5 × 6", "1 × 6")


@pytest.mark.parametrize("name", ["Llama", "T5", "Whisper", "Swin", "ALBERT"])
def test_a_later_recording_tells_the_shapes_of_what_it_read(name: str) -> None:
    def recorded(batch: dict[str, Tensor]) -> list[Node]:
        with torch.no_grad(), aw.record(model, example=0) as trace:
            model(**batch)
        return trace.architecture.nodes

    batch = inputs(ARCHITECTURES[name].reads)
    model = built(name)
    shorter = {key: tensor[:1] if tensor.is_floating_point() else tensor[:1, :-2] for key, tensor in batch.items()}
    recorded(batch)
    later = recorded(shorter)
    model = built(name)
    assert later == recorded(shorter)
    assert any(node.shape.startswith("1 ×") for node in later)


def test_a_trace_of_weights_alone_has_a_diagram() -> None:
    trace = aw.Trace.from_weights(np.full((2, 3, 4, 5), 0.2), source=list("abcde"), target=list("wxyz"))
    assert [tops(trace.architecture, lane) for lane in (0, 1)] == [["source"], ["target", "tower x2", "target"]]
    ((source, target),) = edges(trace.architecture, "keys")
    assert (source.strip, target.kind) == ("source", "attention")


def test_a_diagram_of_ones_own_replaces_the_one_that_was_made() -> None:
    trace = recorded_translator()
    trace.set_architecture(Architecture((Node("0", "module", "mine"),)))
    assert tops(trace.architecture) == ["mine"]
    with pytest.raises(TypeError, match="dict came"):
        trace.set_architecture({})  # type: ignore[arg-type]


def test_modules_that_lack_what_their_class_has_are_recorded() -> None:
    model = Translator()
    del model.encoder.bidirectional, model.decoder.out.in_features
    with torch.no_grad(), aw.record(model) as trace:
        keys = model.embedding(torch.arange(5)[None])
        model.decoder(torch.zeros(1, dtype=torch.long), torch.zeros(2, 1, 6), keys)
        aw.step("a")
    assert "decoder" in tops(trace.architecture)


def test_the_diagram_travels_when_it_changed(live: aw.Trace) -> None:
    live.append({"cross": np.full((3, 1, 5), 0.2)}, token="a")
    before = live.cursor
    live.append({"cross": np.full((3, 1, 5), 0.2)}, token="b")
    assert describe(live, 0, Cursor(), None)["architecture"] is not None
    assert describe(live, 0, before, None)["architecture"] is None
    live.set_architecture(Module("", "Network"))
    assert describe(live, 0, before, None)["architecture"] is not None
