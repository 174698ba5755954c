"""The pointer network does what equation 3 says, and the shipped one sorts."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from attnwidget import models, tasks
from attnwidget.models.pointer import Pointer, PointerNetwork, PointerSizes
from attnwidget.models.training.courses import COURSES

pytestmark = pytest.mark.usefixtures("one_thread")

SIZES = PointerSizes(n_words=7, d_embed=3, d_model=8)
LENGTHS = torch.tensor([5, 2])


def test_pointer_equals_the_equation_written_out() -> None:
    torch.manual_seed(0)
    pointer, queries, keys = Pointer(8), torch.randn(2, 4, 8), torch.randn(2, 5, 8)
    with torch.no_grad():
        weights = pointer(queries, keys=keys, mask=torch.arange(5) < LENGTHS.unsqueeze(1))
    w1, w2, v = pointer.key.weight.detach(), pointer.query.weight.detach(), pointer.score.weight.detach()[0]
    for row, length in enumerate(LENGTHS.tolist()):
        for query in range(4):
            powers = [float(torch.exp(v @ torch.tanh(w1 @ e + w2 @ queries[row, query]))) for e in keys[row, :length]]
            expected = np.array([*powers, *[0.0] * (5 - length)]) / sum(powers)
            np.testing.assert_allclose(weights[row, query], expected, atol=1e-6)


def test_steps_give_what_teacher_forcing_gives() -> None:
    torch.manual_seed(0)
    network = PointerNetwork(SIZES)
    source, order = torch.tensor([[1, 2, 3]]), torch.tensor([[2, 0, 1]])
    with torch.no_grad():
        weights = network(source, lengths=torch.tensor([3]), order=order)
        memory, state = network.encode(source, lengths=torch.tensor([3]))
        for query, previous in enumerate([None, torch.tensor([2]), torch.tensor([0])]):
            state, row = network.step(previous, state=state, memory=memory)
            torch.testing.assert_close(row, weights[:, query])


def test_the_start_is_not_any_input() -> None:
    network = PointerNetwork(SIZES)
    assert network.start.shape == (3,)
    assert "start" in dict(network.named_parameters())


@pytest.fixture(scope="module")
def shipped() -> models.System:
    return models.pretrained("pointer")


def test_shipped_pointer_sorts_unseen_numbers(shipped: models.System) -> None:
    quality = models.measure(shipped, COURSES["pointer"].unseen(21, 200))
    assert quality.exact_match >= 0.93
    assert quality.alignment is not None
    assert quality.alignment >= 0.95


def test_the_weights_are_the_output(shipped: models.System) -> None:
    inputs = shipped.encode("42 7 99 13 58")
    steps = list(shipped.steps(inputs))
    assert [inputs.tokens[int(step.weights.argmax())] for step in steps] == [step.token for step in steps]
    assert shipped.run(inputs) == ["7", "13", "42", "58", "99"]
    for step in steps:
        assert step.candidates[0] == (step.token, pytest.approx(float(step.weights.max())))


def test_numbers_that_stand_close_together_are_sorted(shipped: models.System) -> None:
    for first in (0, 45, 90):
        numbers = [str(number) for number in range(first, first + 10)]
        assert shipped.run(shipped.encode(numbers[::-1])) == numbers


def test_one_number_is_sorted_in_one_step(shipped: models.System) -> None:
    assert shipped.run(shipped.encode("5")) == ["5"]


def test_more_numbers_than_in_training_warn_and_are_decoded(shipped: models.System) -> None:
    with pytest.warns(UserWarning, match="has 11 words, but the longest in training had 10") as caught:
        inputs = shipped.encode(" ".join(map(str, range(11))))
    assert caught[0].filename == __file__
    assert len(shipped.run(inputs)) == 11


def test_sorting_aligns_each_number_with_where_it_stood() -> None:
    example = tasks.sorting.example([42, 7, 99])
    assert example == tasks.Example(
        ("42", "7", "99"), ("7", "42", "99"), (frozenset({1}), frozenset({0}), frozenset({2}))
    )
    for seed in range(30):
        drawn = tasks.get("sorting").draw(random.Random(seed))
        assert list(drawn.target) == sorted(drawn.source, key=int)
        assert len(set(drawn.source)) == len(drawn.source)
