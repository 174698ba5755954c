"""Compiled models: their eager code runs while recording, which is said, and the compiled graph is used after it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import attnwidget as aw


class Attends(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.attention(x, x, x, need_weights=False)[0])


class Counts:
    """A backend that counts graphs and their runs."""

    def __init__(self) -> None:
        self.n_graphs = self.n_runs = 0

    def __call__(self, graph: torch.fx.GraphModule, _: object) -> Callable[..., object]:
        self.n_graphs += 1

        def run(*args: object) -> object:
            self.n_runs += 1
            return graph.forward(*args)

        return run


def whole(model: nn.Module, backend: Counts) -> nn.Module:
    return torch.compile(model, backend=backend)  # type: ignore[return-value]


def forward(model: nn.Module, backend: Counts) -> nn.Module:
    model.forward = torch.compile(model.forward, backend=backend)  # type: ignore[method-assign]
    return model


def in_place(model: nn.Module, backend: Counts) -> nn.Module:
    model.compile(backend=backend)
    return model


def part(model: nn.Module, backend: Counts) -> nn.Module:
    model.attention = torch.compile(model.attention, backend=backend)
    return model


@pytest.mark.parametrize("compiled", [whole, forward, in_place, part])
def test_it_is_said_and_the_graph_is_used_again(compiled: Callable[[nn.Module, Counts], nn.Module]) -> None:
    torch.compiler.reset()
    torch.manual_seed(0)
    model, x, backend = Attends(), torch.randn(1, 5, 8), Counts()
    with aw.record(model) as expected:
        model(x)
    model = compiled(model, backend)
    model(x)
    n_graphs, n_runs = backend.n_graphs, backend.n_runs
    with pytest.warns(UserWarning, match="Compiled model: running its eager code while recording"):  # noqa: SIM117
        with aw.record(model) as trace:
            model(x)
    assert backend.n_runs == n_runs
    model(x)
    assert (backend.n_graphs, backend.n_runs) == (n_graphs, 2 * n_runs)
    assert [site.name for site in trace.sites] == ["attention"]
    np.testing.assert_allclose(trace.weights(), expected.weights(), atol=1e-6)


class Checkpointed(Attends):
    """What computes its layer again for the backward pass, which the compiler is told to leave alone."""

    def forward(self, x: Tensor) -> Tensor:
        return checkpoint(super().forward, x, use_reentrant=False)  # type: ignore[no-any-return]


@pytest.mark.parametrize("kind", [Attends, Checkpointed])
def test_a_model_that_is_not_compiled_says_nothing(kind: type[nn.Module], recwarn: pytest.WarningsRecorder) -> None:
    with aw.record(model := kind()):
        model(torch.randn(1, 5, 8))
    assert not recwarn.list
