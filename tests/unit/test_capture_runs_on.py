"""What goes wrong while looking never stops a model: it runs to its end, and then the recording says what it was."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import attnwidget as aw
from attnwidget.capture.recorder import Recorder
from attnwidget.capture.softmax import SoftmaxAdapter
from attnwidget.capture.trail import Trail

N_QUERIES, N_KEYS, D_HEAD = 3, 5, 4


class Blocks(nn.Module):
    """Two computations of attention, one after the other."""

    def __init__(self, first: Callable[[Tensor, Tensor], Tensor], second: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.first, self.second, self.n_runs = first, second, 0

    def forward(self, q: Tensor, k: Tensor) -> Tensor:
        output = self.second(self.first(q, k), k)
        self.n_runs += 1
        return output


def attended(q: Tensor, k: Tensor) -> Tensor:
    return (q @ k.mT).softmax(-1) @ k


def mapped(q: Tensor, k: Tensor) -> Tensor:
    return torch.func.vmap(attended)(q, k)


def given(n_examples: int = 1) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    return torch.randn(n_examples, N_QUERIES, D_HEAD), torch.randn(n_examples, N_KEYS, D_HEAD)


@pytest.mark.parametrize(("first", "second"), [(attended, mapped), (mapped, attended)])
def test_what_has_no_numbers_is_left_out_and_named(first: Callable[..., Tensor], second: Callable[..., Tensor]) -> None:
    model = Blocks(first, second)
    plain = model(*given())
    with pytest.warns(UserWarning, match="its weights hold no numbers yet"), aw.record(model) as trace:
        output = model(*given())
    assert torch.equal(output, plain)
    assert [trace.weights(site).shape for site in trace.sites] == [(1, N_QUERIES, N_KEYS)]


def test_a_batch_of_which_no_example_was_chosen_is_complained_of_when_the_model_has_run() -> None:
    model = Blocks(attended, attended)
    with pytest.raises(aw.CaptureError, match="a batch of 2 examples came"), aw.record(model):
        model(*given(2))
    assert model.n_runs == 1


def test_a_step_says_what_went_wrong_before_it() -> None:
    def stepping(q: Tensor, k: Tensor) -> Tensor:
        aw.step("a")
        return attended(q, k)

    with (
        pytest.raises(aw.CaptureError, match="a batch of 2 examples came"),
        aw.record(model := Blocks(attended, stepping)),
    ):
        model(*given(2))
    assert not model.n_runs


@pytest.mark.parametrize(("room", "method"), [(Trail, "look"), (SoftmaxAdapter, "_weigh"), (Recorder, "take")])
def test_a_mistake_of_ours_is_told_when_the_model_has_run(
    room: type, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mistaken(*_: object) -> None:
        raise IndexError("no such axis")

    model = Blocks(attended, attended)
    plain = model(*given())
    monkeypatch.setattr(room, method, mistaken)
    outputs = []
    with pytest.raises(aw.CaptureError, match="could not be read: IndexError: no such axis") as told, aw.record(model):
        outputs.append(model(*given()))
    assert torch.equal(outputs[0], plain)
    assert isinstance(told.value.__cause__, IndexError)


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_an_error_of_the_model_is_raised_at_once(error: type[BaseException]) -> None:
    def broken(*_: Tensor) -> Tensor:
        raise error

    model = Blocks(attended, broken)
    with pytest.raises(error), aw.record(model):
        model(*given())


BY_NAME: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "matmul": lambda w, k: torch.matmul(input=w, other=k),
    "bmm": lambda w, k: torch.bmm(input=w, mat2=k),
    "where": lambda w, k: torch.where(condition=w > 0, input=w, other=torch.zeros(())) @ k,
    "dropout": lambda w, k: F.dropout(input=w, p=0.1, training=False) @ k,
    "transposed": lambda w, k: torch.matmul(torch.transpose(input=w, dim0=1, dim1=2).mT, k),
    "stacked": lambda w, k: torch.cat(tensors=[w], dim=0) @ k,
}


@pytest.mark.parametrize("way", BY_NAME)
def test_tensors_are_followed_that_are_passed_by_name(way: str) -> None:
    def attend(q: Tensor, k: Tensor) -> Tensor:
        return BY_NAME[way](torch.softmax(input=torch.matmul(input=q, other=k.mT), dim=-1), k)

    with aw.record(model := Blocks(attend, lambda output, _: output)) as trace:
        output = model(*given())
    np.testing.assert_allclose(torch.from_numpy(trace.weights(0)) @ given()[1], output, atol=1e-6)


def test_queries_that_all_examples_share_are_those_of_each() -> None:
    _, k = given(2)
    with aw.record(
        model := Blocks(lambda q, k: F.scaled_dot_product_attention(q, k, k), lambda it, _: it), example=1
    ) as trace:
        output = model(torch.ones(1, 1, N_QUERIES, D_HEAD), k[:, None])
    np.testing.assert_allclose(torch.from_numpy(trace.weights(0)) @ k[1], output[1], atol=1e-6)


def test_a_model_that_is_called_by_name_says_that_parts_stand_for_examples() -> None:
    class Cut(nn.Module):
        def forward(self, *, x: Tensor) -> Tensor:
            parts = x.unflatten(1, (2, -1)).flatten(0, 1)
            return attended(parts, parts)

    with (
        pytest.warns(UserWarning, match="attention of 2 examples came where the model read 1"),
        aw.record(m := Cut(), example=1),
    ):
        m(x=torch.randn(1, 6, D_HEAD))
