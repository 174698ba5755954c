"""Attention that is no weighted mean: pointers; and which state of a decoder asks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import attnwidget as aw


class Pointer(nn.Module):
    def __init__(self, *, logarithm: bool) -> None:
        super().__init__()
        self.logarithm, self.weights = logarithm, torch.empty(0)

    def forward(self, query: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
        scores = (keys @ query.unsqueeze(2)).squeeze(2)  # [batch, key]
        self.weights = scores.softmax(-1)
        return keys, scores.log_softmax(-1) if self.logarithm else self.weights


class PointerNetwork(nn.Module):
    def __init__(self, *, logarithm: bool = False, first: str = "cell") -> None:
        super().__init__()
        self.encoder, self.cell = nn.GRU(4, 4, batch_first=True), nn.GRUCell(4, 4)
        self.pointer, self.first = Pointer(logarithm=logarithm), first

    def forward(self, inputs: Tensor, n_steps: int) -> Tensor:
        keys, last = self.encoder(inputs)
        state, read, rows = last[0], torch.zeros(1, 4), []
        for _ in range(n_steps):
            state = self.cell(read, state) if self.first == "cell" else state
            _, weights = self.pointer(state, keys)
            read = inputs[:, int(weights.argmax())]
            state = state if self.first == "cell" else self.cell(read, state)
            rows.append(self.pointer.weights)
            aw.step(str(int(weights.argmax())))
        return torch.stack(rows, dim=1)  # [batch, query, key]


@pytest.mark.parametrize("logarithm", [False, True])
def test_a_pointer_is_recorded_once_and_as_it_pointed(logarithm: bool) -> None:
    torch.manual_seed(0)
    network, inputs = PointerNetwork(logarithm=logarithm), torch.randn(1, 5, 4)
    with aw.record(network, source=list("abcde")) as trace:
        weights = network(inputs, 3)
    (site,) = trace.sites
    assert (site.name, site.kind) == ("pointer", "cross")
    np.testing.assert_allclose(trace.weights(site, 0), weights[0].detach(), atol=1e-6)


@pytest.mark.parametrize("logarithm", [False, True])
def test_a_pointer_can_be_edited(logarithm: bool) -> None:
    torch.manual_seed(0)
    network, inputs = PointerNetwork(logarithm=logarithm), torch.randn(1, 5, 4)
    with aw.record(network, source=list("abcde"), edits=[aw.Edit("set", query=1, key=3, value=1.0)]) as trace:
        network(inputs, 3)
    assert [step.token for step in trace.steps][1] == "3"


@pytest.mark.parametrize("edits", [[], [aw.Edit("scale", value=1.0)]])
def test_weights_that_a_pointer_hands_on_are_those_of_its_layer(edits: list[aw.Edit]) -> None:
    class PointerLayer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.MultiheadAttention(4, 2, batch_first=True)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return tuple(self.layer(x, x, x))

    with aw.record(pointer := PointerLayer(), edits=edits) as trace:
        pointer(torch.randn(1, 5, 4))
    assert [(site.name, site.n_heads) for site in trace.sites] == [("layer", 2)]


def test_the_vocabulary_of_a_pointer_generator_is_not_pointed_at() -> None:
    class PointerGenerator(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.query, self.words = nn.Linear(4, 4), nn.Linear(4, 11)

        def forward(self, x: Tensor) -> Tensor:
            weights = (self.query(x[:, -1:]) @ x.mT).softmax(-1)  # [batch, 1, key]
            return self.words((weights @ x)[:, 0]).softmax(-1).scatter_add(1, torch.arange(5)[None], weights[:, 0]) / 2

    with aw.record(generator := PointerGenerator()) as trace:
        generator(torch.randn(1, 5, 4))
    assert [(site.n_queries, site.n_keys) for site in trace.sites] == [(1, 5)]


@pytest.mark.parametrize(("first", "asks"), [("cell", "after"), ("pointer", "before")])
def test_a_recording_says_which_state_asked(first: str, asks: str) -> None:
    torch.manual_seed(0)
    with aw.record(network := PointerNetwork(first=first), source=list("abcde")) as trace:
        network(torch.randn(1, 5, 4), 3)
    assert trace.sites[0].asks == asks


def test_a_decoder_without_states_asks_with_none() -> None:
    layer = nn.MultiheadAttention(4, 2, batch_first=True)
    with aw.record(layer, source=list("abcde")) as trace:
        for step in range(3):
            layer(torch.randn(1, 1, 4), torch.randn(1, 5, 4), torch.randn(1, 5, 4))
            aw.step(str(step))
    assert trace.sites[0].asks == ""


@pytest.mark.parametrize("packs", [False, True])
def test_an_encoder_that_reads_again_at_each_step_tells_nothing_of_who_asks(packs: bool) -> None:
    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder, self.layer = nn.GRU(4, 4, batch_first=True), nn.MultiheadAttention(4, 2, batch_first=True)

        def forward(self, x: Tensor) -> None:
            if packs:
                packed, _ = self.encoder(nn.utils.rnn.pack_padded_sequence(x, [5], batch_first=True))
                keys, _ = nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)
            else:
                keys, _ = self.encoder(x)
            self.layer(x[:, :1], keys, keys)

    with aw.record(reader := Reader(), source=list("abcde")) as trace:
        for step in range(3):
            reader(torch.randn(1, 5, 4))
            aw.step(str(step))
    assert trace.sites[0].asks == ""
