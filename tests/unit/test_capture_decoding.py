"""Sites, kinds, layers and strips of models that decode in loops, in one pass, or that share their modules."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import attnwidget as aw
from attnwidget.outline import Kind

N_HEADS, D_HEAD, N_SOURCE, N_TARGET = 3, 2, 5, 4
D_MODEL = N_HEADS * D_HEAD
SOURCE = [f"source {i}" for i in range(N_SOURCE)]
TARGET = [f"target {i}" for i in range(N_TARGET)]


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def features(n_tokens: int, *, seed: int = 1) -> Tensor:
    return torch.randn(1, n_tokens, D_MODEL, generator=torch.Generator().manual_seed(seed))


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.n_heads = N_HEADS
        self.query, self.key = nn.Linear(D_MODEL, D_MODEL), nn.Linear(D_MODEL, D_MODEL)
        self.kept: list[Tensor] = []

    def forward(self, queries: Tensor, keys: Tensor, *, causal: bool = False) -> Tensor:
        q, k, v = (
            it.unflatten(2, (N_HEADS, D_HEAD)).transpose(1, 2) for it in (self.query(queries), self.key(keys), keys)
        )
        scores = 3 * q @ k.mT  # [batch, head, query, key]
        if causal:
            scores = scores.masked_fill(torch.ones(scores.shape[-2:]).triu(1) > 0, float("-inf"))
        weights = scores.softmax(-1)
        self.kept.append(weights.detach()[0])
        return (weights @ v).transpose(1, 2).flatten(2)


class DecoderLayer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.self_attention, self.cross_attention = Attention(), Attention()

    def forward(self, x: Tensor, memory: Tensor, *, past: Tensor) -> Tensor:
        x = x + self.self_attention(x, torch.cat([past, x], dim=1), causal=past.shape[1] == 0)
        return x + self.cross_attention(x, memory)


class Transformer(nn.Module):
    """Two encoder and two decoder layers with neutral or telling names."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.ModuleList(Attention() for _ in range(2))
        self.decoder = nn.ModuleList(DecoderLayer() for _ in range(2))

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        memory = self.encode(source)
        for layer in self.decoder:
            target = layer(target, memory, past=target[:, :0])
        return target

    def encode(self, source: Tensor) -> Tensor:
        for layer in self.encoder:
            source = source + layer(source, source)
        return source

    def decode(self, source: Tensor, *, cached: bool, n_steps: int = N_TARGET) -> None:
        memory, prefix = self.encode(source), features(n_steps, seed=2)
        for step in range(n_steps):
            x, past = (
                (prefix[:, step : step + 1], prefix[:, :step]) if cached else (prefix[:, : step + 1], prefix[:, :0])
            )
            for layer in self.decoder:
                x = layer(x, memory, past=past)
            aw.step(TARGET[step])


class GruDecoder(nn.Module):
    """A decoder that attends before each step, teacher-forced in forward and free in decode."""

    def __init__(self) -> None:
        super().__init__()
        self.attention, self.cell = Attention(), nn.GRUCell(D_MODEL, D_MODEL)

    def forward(self, memory: Tensor, n_steps: int) -> Tensor:
        state = memory[:, 0]
        for _ in range(n_steps):
            state = self.cell(self.attention(state[:, None], memory)[:, 0], state)
        return state

    def decode(self, memory: Tensor, n_steps: int) -> None:
        state = memory[:, 0]
        for step in range(n_steps):
            state = self.cell(self.attention(state[:, None], memory)[:, 0], state)
            aw.step(TARGET[step])


def sites(trace: aw.Trace) -> list[tuple[str, Kind, int, str, str]]:
    return [(site.name, site.kind, site.layer, site.query, site.key) for site in trace.sites]


ALL_THREE = [
    ("encoder.0", "encoder", 0, "source", "source"),
    ("encoder.1", "encoder", 1, "source", "source"),
    ("decoder.0.self_attention", "decoder", 0, "target", "target"),
    ("decoder.0.cross_attention", "cross", 0, "target", "source"),
    ("decoder.1.self_attention", "decoder", 1, "target", "target"),
    ("decoder.1.cross_attention", "cross", 1, "target", "source"),
]

BY_STEPS = [(*it[:4], "context" if it[1] == "decoder" else it[4]) for it in ALL_THREE]


@pytest.mark.parametrize("cached", [True, False])
@pytest.mark.parametrize("source", [SOURCE, None])
def test_a_decode_loop_has_all_three_kinds(cached: bool, source: list[str] | None) -> None:
    model = Transformer()
    with aw.record(model, source=source) as trace:
        model.decode(features(N_SOURCE), cached=cached)
    assert sites(trace) == BY_STEPS
    assert list(trace.tokens["context"]) == ["<start>", *TARGET[:-1]]
    assert trace.flags == ()


@pytest.mark.parametrize("cached", [True, False])
def test_a_decode_loop_keeps_the_row_that_chose_each_token(cached: bool) -> None:
    model = Transformer()
    with aw.record(model, source=SOURCE) as trace:
        model.decode(features(N_SOURCE), cached=cached)
    for name, n_keys in (("self_attention", N_TARGET), ("cross_attention", N_SOURCE)):
        kept = model.decoder[1].get_submodule(name).kept  # type: ignore[union-attr]
        rows = [nn.functional.pad(part[:, -1], (0, n_keys - part.shape[2])) for part in kept]
        assert np.array_equal(trace.weights(f"decoder.1.{name}"), torch.stack(rows, dim=1))


def test_the_encoder_of_a_decode_loop_is_recorded_whole() -> None:
    model = Transformer()
    with aw.record(model, source=SOURCE) as trace:
        model.decode(features(N_SOURCE), cached=True)
    assert np.array_equal(trace.weights("encoder.1"), model.encoder[1].kept[0])


def test_a_decode_loop_may_know_its_target() -> None:
    model = Transformer()
    with aw.record(model, source=SOURCE, target=TARGET) as trace:
        model.decode(features(N_SOURCE), cached=True)
    assert sites(trace) == BY_STEPS
    assert trace.tokens["target"].texts == tuple(TARGET)
    assert {(site.n_queries, site.n_keys) for site in trace.sites if site.kind == "decoder"} == {(N_TARGET, N_TARGET)}


@pytest.mark.parametrize(("source", "target"), [(SOURCE, TARGET), (None, None)])
def test_one_pass_has_all_three_kinds(source: list[str] | None, target: list[str] | None) -> None:
    model = Transformer()
    with aw.record(model, source=source, target=target) as trace:
        model(features(N_SOURCE), features(N_TARGET))
    assert sites(trace) == ALL_THREE
    for site in trace.sites:
        assert np.array_equal(trace.weights(site), model.get_submodule(site.name).kept[0])  # type: ignore[index, arg-type]


def test_strips_of_equal_length_do_not_mix_up_the_kinds() -> None:
    model = Transformer()
    with aw.record(model, source=SOURCE, target=SOURCE) as trace:
        model(features(N_SOURCE), features(N_SOURCE, seed=3))
    assert sites(trace) == ALL_THREE


def test_a_decoder_alone_attends_to_one_strip() -> None:
    class LanguageModel(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = nn.ModuleList(Attention() for _ in range(2))

        def forward(self, x: Tensor) -> Tensor:
            for block in self.blocks:
                x = x + block(x, x, causal=True)
            return x

    model = LanguageModel()
    with aw.record(model, source=SOURCE) as trace:
        model(features(N_SOURCE))
    expected = [(f"blocks.{i}", "decoder", i, "source", "source") for i in range(2)]
    assert sites(trace) == expected


def test_a_decoder_with_attention_to_a_source_of_the_same_length_is_cross() -> None:
    class Luong(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.decoder = nn.ModuleDict({"attention": Attention()})

        def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
            return torch.as_tensor(self.decoder["attention"](queries, keys))

    with aw.record(model := Luong(), source=SOURCE, target=SOURCE) as trace:
        model(features(N_SOURCE), features(N_SOURCE, seed=3))
    assert sites(trace) == [("decoder.attention", "cross", 0, "target", "source")]


@pytest.mark.parametrize("target", [TARGET, None])
def test_calls_in_one_forward_are_rows_in_time(target: list[str] | None) -> None:
    model = GruDecoder()
    with aw.record(model, source=SOURCE, target=target) as trace:
        model(features(N_SOURCE), N_TARGET)
    assert sites(trace) == [("attention", "cross", 0, "target", "source")]
    assert np.array_equal(trace.weights(), torch.cat(model.attention.kept, dim=1))


@pytest.mark.parametrize("n_steps", [1, N_TARGET])
def test_a_recurrent_decode_loop_is_recorded_by_step(n_steps: int) -> None:
    model = GruDecoder()
    with aw.record(model, source=SOURCE) as trace:
        model.decode(features(N_SOURCE), n_steps)
    assert sites(trace) == [("attention", "cross", 0, "target", "source")]
    assert np.array_equal(trace.weights(), torch.cat(model.attention.kept, dim=1))
    assert [step.token for step in trace.steps] == TARGET[:n_steps]


class Shared(nn.Module):
    """Two layers with one attention module."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = Attention()

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        return torch.as_tensor(self.attention(self.attention(x, memory), memory))


SHARED = [("attention", "cross", 0, "target", "source"), ("attention#2", "cross", 1, "target", "source")]


def test_a_shared_module_makes_two_layers_in_one_pass() -> None:
    model = Shared()
    with aw.record(model, source=SOURCE) as trace:
        model(features(N_TARGET), features(N_SOURCE))
    assert sites(trace) == SHARED
    assert np.array_equal(np.stack([trace.weights(0), trace.weights(1)]), torch.stack(model.attention.kept))


def test_a_shared_module_makes_two_layers_in_a_decode_loop() -> None:
    model = Shared()
    with aw.record(model, source=SOURCE) as trace:
        for token in TARGET:
            model(features(1), features(N_SOURCE))
            aw.step(token)
    assert sites(trace) == SHARED
    assert trace.flags == ()


def test_a_shared_module_makes_two_layers_of_rows_in_time() -> None:
    class Loop(Shared):
        def forward(self, x: Tensor, memory: Tensor) -> Tensor:
            for _ in TARGET:
                x = super().forward(x, memory)
            return x

    model = Loop()
    with aw.record(model, source=SOURCE, target=TARGET) as trace:
        model(features(1), features(N_SOURCE))
    assert sites(trace) == SHARED
    assert np.array_equal(trace.weights("attention#2"), torch.cat(model.attention.kept[1::2], dim=1))


def test_a_cached_loop_without_steps_is_one_matrix() -> None:
    class Cached(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = Attention()

        def forward(self, x: Tensor, past: Tensor) -> Tensor:
            keys = torch.cat([past, x], dim=1)
            return torch.as_tensor(self.attention(x, keys, causal=x.shape[1] > 1))

    model, x = Cached(), features(N_SOURCE)
    with aw.record(model) as trace:
        model(x[:, :3], x[:, :0])
        model(x[:, 3:4], x[:, :3])
        model(x[:, 4:], x[:, :4])
    with aw.record(model) as whole:
        model(x, x[:, :0])
    assert sites(trace) == sites(whole) == [("attention", "decoder", 0, "source", "source")]
    np.testing.assert_allclose(trace.weights(), whole.weights(), atol=1e-6)


def test_a_second_run_in_a_block_takes_the_place_of_the_first() -> None:
    model = Shared()

    def run() -> aw.Trace:
        with aw.record(model) as trace:
            model(features(N_TARGET), features(N_SOURCE))
            model(features(N_TARGET, seed=3), features(N_SOURCE))
        return trace

    with pytest.warns(UserWarning, match="ran more than once without aw.step"):
        trace = run()
    assert [site.name for site in trace.sites] == ["attention", "attention#2"]
    assert np.array_equal(trace.weights(0), model.attention.kept[2])


def test_attention_in_a_method_is_recorded() -> None:
    class Model(nn.Module):
        def translate(self, queries: Tensor, keys: Tensor) -> Tensor:
            return (queries @ keys.mT).softmax(-1) @ keys

    model = Model()
    with aw.record(model, source=SOURCE) as trace:
        model.translate(features(N_TARGET), features(N_SOURCE))
    assert sites(trace) == [("Model", "cross", 0, "target", "source")]


def test_a_site_is_named_by_the_path_of_its_module() -> None:
    inner = nn.ModuleDict({"layers": nn.ModuleList([Attention()])})

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tower = nn.ModuleDict({"block": inner})

        def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
            return torch.as_tensor(inner["layers"][0](queries, keys))  # type: ignore[index]

    with aw.record(model := Model()) as trace:
        model(features(N_TARGET), features(N_SOURCE))
    assert [site.name for site in trace.sites] == ["tower.block.layers.0"]


def test_another_model_in_the_block_does_not_count() -> None:
    model, teacher = GruDecoder(), GruDecoder()
    with aw.record(model, source=SOURCE) as trace:
        for token in TARGET:
            teacher(features(7), 2)
            model(features(N_SOURCE), 1)
            teacher(features(7), 2)
            aw.step(token)
    assert sites(trace) == [("attention", "cross", 0, "target", "source")]
    assert np.array_equal(trace.weights(), torch.cat(model.attention.kept, dim=1))


def test_a_model_that_is_part_of_another_is_recorded_alone() -> None:
    class Outer(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner, self.own = inner, Attention()

        def forward(self, x: Tensor) -> Tensor:
            return torch.as_tensor(self.own(x, x) + self.inner(x, N_TARGET)[:, None])

    inner = GruDecoder()
    outer = Outer(inner)
    with aw.record(inner, source=SOURCE) as trace:
        outer(features(N_SOURCE))
    assert [site.name for site in trace.sites] == ["attention"]


def test_a_step_without_weights_is_flagged_missing() -> None:
    model = GruDecoder()
    with aw.record(model, source=SOURCE) as trace:
        for index, token in enumerate(TARGET):
            if index != 2:
                model(features(N_SOURCE), 1)
            aw.step(token)
    assert [(flag.kind, flag.count, flag.where) for flag in trace.flags] == [("missing", 1, ((-1, 2, -1),))]
    assert np.isnan(trace.weights(queries=[2])).all()


def test_rows_after_the_last_step_are_left_out_with_a_warning() -> None:
    model = GruDecoder()

    def run() -> aw.Trace:
        with aw.record(model) as trace:
            model.decode(features(N_SOURCE), 3)
            model.attention(features(1), features(N_SOURCE))
            model.attention(features(1), features(N_SOURCE))
        return trace

    with pytest.warns(UserWarning, match=r"Attention ran 2 more times after the last aw\.step"):
        trace = run()
    assert trace.weights().shape == (N_HEADS, 3, N_SOURCE)


def test_a_live_trace_is_recorded_into() -> None:
    trace = aw.Trace(title="live")
    grown: list[int] = []
    trace.observe(lambda it: grown.append(len(it.steps)))
    model = GruDecoder()
    with aw.record(model, source=SOURCE, into=trace) as same:
        model.decode(features(N_SOURCE), N_TARGET)
    assert same is trace
    assert trace.title == "live"
    assert [n for n in grown if n] == [1, 2, 3, 4, 4]


def test_two_recordings_in_sequence_are_two_traces() -> None:
    model = GruDecoder()
    traces = []
    for seed in (1, 2):
        with aw.record(model, source=SOURCE) as trace:
            model(features(N_SOURCE, seed=seed), 1)
        traces.append(trace)
    kept = model.attention.kept
    assert [np.array_equal(a.weights(), b) for a in traces for b in kept] == [True, False, False, True]
