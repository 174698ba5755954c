"""aw.mark records what no adapter finds, once, and does nothing outside of a recording."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import attnwidget as aw

N_HEADS, N_QUERIES, N_KEYS = 3, 4, 5
WEIGHTS = torch.rand(N_HEADS, N_QUERIES, N_KEYS, generator=torch.Generator().manual_seed(0)).softmax(-1)
KEYS = torch.ones(1, N_HEADS, N_KEYS, 2)

KINDS: dict[str, Callable[[], object]] = {
    "tensor": lambda: WEIGHTS[None],
    "tensor with a gradient": lambda: WEIGHTS[None].clone().requires_grad_(),
    "array": lambda: WEIGHTS[None].numpy(),
    "list": lambda: WEIGHTS[None].tolist(),
}
WRONG: dict[str, tuple[object, type[Exception], str]] = {
    "None": (None, TypeError, "mark: NoneType came"),
    "text": ("weights", TypeError, "mark: str came"),
    "complex numbers": (torch.ones(2, 2, dtype=torch.complex64), TypeError, "dtype torch.complex64"),
    "one number": (0.5, ValueError, r"shape \(\) came"),
    "no keys": (np.ones((2, 0)), ValueError, r"shape \(2, 0\) came"),
}


class Marking(nn.Module):
    """Runs a function of no arguments, in which aw.mark is called."""

    def __init__(self, body: Callable[[], object]) -> None:
        super().__init__()
        self.body = body

    def forward(self) -> object:
        return self.body()


def recorded(body: Callable[[], object]) -> aw.Trace:
    model = Marking(body)
    with aw.record(model) as trace:
        model()
    return trace


@pytest.mark.parametrize("kind", KINDS)
def test_marked_weights_are_recorded(kind: str) -> None:
    trace = recorded(lambda: aw.mark(KINDS[kind]()))
    assert [site.name for site in trace.sites] == ["Marking"]
    assert np.array_equal(trace.weights(), WEIGHTS.numpy())


@pytest.mark.parametrize("kind", KINDS)
def test_mark_returns_the_very_object(kind: str) -> None:
    weights = KINDS[kind]()
    returned: list[object] = [aw.mark(weights)]
    recorded(lambda: returned.append(aw.mark(weights)))
    assert all(it is weights for it in returned)


@pytest.mark.parametrize("kind", WRONG)
def test_what_cannot_be_weights_is_refused_while_recording(kind: str) -> None:
    weights, error, sentence = WRONG[kind]
    with pytest.raises(error, match=sentence):
        recorded(lambda: aw.mark(weights))


@pytest.mark.parametrize("kind", WRONG)
def test_mark_does_nothing_outside_of_a_recording(kind: str) -> None:
    assert aw.mark(WRONG[kind][0]) is WRONG[kind][0]


def test_a_mark_names_its_site() -> None:
    assert [site.name for site in recorded(lambda: aw.mark(WEIGHTS[None], name="pointer")).sites] == ["pointer"]


def test_sigmoid_attention_is_recorded_and_flagged() -> None:
    scores = torch.linspace(-2, 2, N_KEYS).expand(1, N_QUERIES, N_KEYS)
    trace = recorded(lambda: aw.mark(scores.sigmoid()) @ KEYS[:, 0])
    np.testing.assert_allclose(trace.weights()[0], scores[0].sigmoid())
    assert {flag.kind for flag in trace.flags} == {"row_sum"}


SCORES = WEIGHTS.log()[None]
ONCE: dict[str, Callable[[], object]] = {
    "before the product": lambda: aw.mark(SCORES.softmax(-1)) @ KEYS,
    "after the product": lambda: _after(SCORES.softmax(-1)),
    "what came of the softmax": lambda: aw.mark(SCORES.softmax(-1).clone()) @ KEYS,
    "what came of the softmax, after the product": lambda: _after(SCORES.softmax(-1).clone()),
    "and used twice": lambda: aw.mark(weights := SCORES.softmax(-1)) @ KEYS + weights @ KEYS,
}


def _after(weights: Tensor) -> Tensor:
    values = weights @ KEYS
    aw.mark(weights)
    return values


@pytest.mark.parametrize("case", ONCE)
def test_a_marked_softmax_is_recorded_once(case: str) -> None:
    trace = recorded(ONCE[case])
    assert len(trace.sites) == 1
    np.testing.assert_allclose(trace.weights(), WEIGHTS, atol=1e-6)


def test_a_mark_of_another_model_does_not_count() -> None:
    other = Marking(lambda: aw.mark(torch.ones(1, 1, 2) / 2))
    model = Marking(lambda: aw.mark(WEIGHTS[None]))
    with aw.record(model) as trace:
        other()
        model()
    assert np.array_equal(trace.weights(), WEIGHTS.numpy())
