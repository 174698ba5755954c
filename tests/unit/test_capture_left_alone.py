"""A recording costs little, holds nothing alive and lets the model do whatever it does without one."""

from __future__ import annotations

import copy
import gc
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils.checkpoint import checkpoint

import attnwidget as aw
from attnwidget.capture import recording
from attnwidget.capture.adapter import Adapter, TorchFunction
from attnwidget.capture.adapters import ADAPTERS
from attnwidget.capture.call import to_call

N_HEADS, N_QUERIES, N_KEYS, D_HEAD, N_VOCABULARY = 3, 4, 5, 2, 50
MANY_MODULES, MANY_STEPS = 10_000, 1_000
ATTACH_SECONDS = 1.0


class Model(nn.Module):
    """One attention, then logits over a vocabulary."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.key, self.output = nn.Linear(D_HEAD, D_HEAD), nn.Linear(D_HEAD, N_VOCABULARY)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.output(self.attend(x)))

    def attend(self, x: Tensor) -> Tensor:
        weights = (x @ self.key(x[..., :N_KEYS, :]).mT).softmax(-1)
        return self.dropout(weights) @ x[..., :N_KEYS, :]


def inputs() -> Tensor:
    return torch.randn(1, N_HEADS, N_KEYS + 1, D_HEAD, generator=torch.Generator().manual_seed(1))


def test_a_softmax_over_the_vocabulary_is_not_kept_alive() -> None:
    model, dead = Model(), []
    with torch.no_grad(), aw.record(model):
        for _ in range(3):
            probabilities = model(inputs()[..., -1:, :]).softmax(-1)
            reference = weakref.ref(probabilities)
            token = probabilities[0, 0, 0].argmax().item()
            del probabilities
            gc.collect()
            dead.append(reference() is None)
            aw.step(str(token))
    assert dead == [True] * 3


def test_following_holds_nothing_after_many_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Adapter] = []

    class Spy(ADAPTERS[-1]):  # type: ignore[name-defined, misc]
        def __init__(self, sink: object) -> None:
            super().__init__(sink)
            seen.append(self)

    monkeypatch.setattr(recording, "ADAPTERS", (Spy,))
    model, x = Model().eval(), inputs()[..., -1:, :]
    sizes = []
    with torch.no_grad(), aw.record(model) as trace:
        for step in range(MANY_STEPS):
            model(x).softmax(-1).relu().exp()
            aw.step(str(step))
            sizes.append(len(seen[0]._trail.followed))  # type: ignore[attr-defined]
    assert max(sizes) == 0
    assert len(trace.steps) == MANY_STEPS


def test_weights_that_the_model_drops_are_held_until_the_product_only() -> None:
    class Dropping(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            weights = (x @ x.mT).softmax(-1)
            storages.append(StorageWeakRef(weights.untyped_storage()))
            double = weights.double()
            del weights
            storages.append(StorageWeakRef(double.untyped_storage()))
            return double @ x.double()

    storages: list[StorageWeakRef] = []
    with torch.no_grad(), aw.record(model := Dropping()) as trace:
        values = model(inputs())
        gc.collect()
        assert [storage.expired() for storage in storages] == [True, True]
    assert values.shape == inputs().shape
    assert trace.weights().shape == (N_HEADS, N_KEYS + 1, N_KEYS + 1)


def test_hooks_of_many_modules_attach_and_leave_in_a_second() -> None:
    model = nn.Sequential(Model(), *(nn.Identity() for _ in range(MANY_MODULES)))
    start = time.thread_time()  # of this thread alone, whatever else the machine does
    with aw.record(model):
        model[0](inputs())
    assert time.thread_time() - start < ATTACH_SECONDS
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_a_deep_model_is_no_matter() -> None:
    model: nn.Module = Model()
    for _ in range(100):
        model = nn.Sequential(model)
    with aw.record(model) as trace:
        model(inputs())
    assert trace.sites[0].name == ".".join(["0"] * 100)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad, nullcontext])
@pytest.mark.parametrize("inside", [True, False])
def test_gradient_modes_do_not_matter(mode: Callable[[], AbstractContextManager[object]], inside: bool) -> None:
    model, nothing = Model(), nullcontext
    with (nothing if inside else mode)(), aw.record(model) as trace, (mode if inside else nothing)():
        output = model(inputs())
    with mode():
        assert torch.equal(output, model(inputs()))
    assert trace.weights().shape == (N_HEADS, N_KEYS + 1, N_KEYS)


def test_dropout_that_is_on_is_said_once() -> None:
    model = Model(dropout=0.5).train()

    def run() -> None:
        with aw.record(model):
            for step in range(3):
                model(inputs()[..., -1:, :])
                aw.step(str(step))

    with pytest.warns(UserWarning, match=r"Dropout is on: .* before dropout\. model\.eval\(\)") as found:
        run()
    assert len(found) == 1
    assert found[0].filename == __file__


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("dropout", "training"), [(0.5, False), (0.0, True)])
def test_dropout_that_is_off_is_not_spoken_of(dropout: float, training: bool) -> None:
    model = Model(dropout).train(training)
    with aw.record(model):
        model(inputs())


@pytest.mark.filterwarnings("ignore:Dropout is on:UserWarning")
def test_dropout_draws_the_same_numbers() -> None:
    model = Model(dropout=0.5).train()
    torch.manual_seed(2)
    expected = model(inputs())
    torch.manual_seed(2)
    with aw.record(model):
        assert torch.equal(model(inputs()), expected)


@pytest.mark.parametrize("reentrant", [True, False])
def test_what_runs_again_for_the_backward_pass_is_not_recorded_twice(reentrant: bool) -> None:
    class Checkpointed(Model):
        def forward(self, x: Tensor) -> Tensor:
            return torch.as_tensor(checkpoint(super().forward, x, use_reentrant=reentrant))

    model = Checkpointed()
    with aw.record(model) as trace:
        model(inputs().requires_grad_()).sum().backward()
    assert len(trace.sites) == 1
    assert model.key.weight.grad is not None


def test_a_copy_made_while_recording_is_a_model_of_its_own() -> None:
    model = Model()
    with aw.record(model) as trace:
        twin = copy.deepcopy(model)
        twin(inputs())
        expected = model(inputs())
    assert [site.n_queries for site in trace.sites] == [N_KEYS + 1]
    assert torch.equal(twin(inputs()), expected)
    assert not any(module._forward_pre_hooks for module in twin.modules())


def test_hooks_of_the_user_stay() -> None:
    model, n_calls = Model(), []
    handle = model.key.register_forward_pre_hook(lambda *_: n_calls.append(1))
    with aw.record(model):
        model(inputs())
    model(inputs())
    assert len(n_calls) == 2
    handle.remove()


@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")
def test_a_scripted_part_does_not_stop_the_recording() -> None:
    model = nn.Sequential(Model(), torch.jit.trace(nn.Linear(N_VOCABULARY, 2), torch.ones(1, N_VOCABULARY)))
    with aw.record(model) as trace:
        model(inputs())
    assert [site.name for site in trace.sites] == ["0"]


@pytest.mark.parametrize("warm", [True, False])
def test_a_compiled_model_is_recorded_and_stays_compiled(warm: bool) -> None:
    graphs: list[object] = []

    def backend(graph: torch.fx.GraphModule, _: object) -> Callable[..., object]:
        graphs.append(graph)
        return graph.forward

    model = torch.compile(Model(), backend=backend)
    if warm:
        model(inputs())
    with aw.record(model) as trace:
        output = model(inputs())
    assert [site.name for site in trace.sites] == ["Model"]
    assert len(graphs) == warm
    assert torch.equal(model(inputs()), output)
    assert len(graphs) == 1


def test_a_compiled_part_keeps_its_name() -> None:
    model = nn.Sequential(torch.compile(Model(), backend="eager"))
    with aw.record(model) as trace:
        model(inputs())
    assert [site.name for site in trace.sites] == ["0"]


class Whole(Adapter):
    """Claims a function whose body holds a softmax of its own."""

    name = "whole"
    functions = frozenset({"softmin"})

    def run(self, func: TorchFunction, args: Sequence[object], kwargs: Mapping[str, object]) -> object:
        result = func(*args, **kwargs)
        owner = self.sink.owner()
        assert owner is not None
        assert isinstance(result, Tensor)
        self.sink.claim(result, by=self)
        self.sink.take(to_call(result.detach(), owner=owner, route=self.name, name="whole", note="seen whole"))
        return result


class Patching(Adapter):
    """Patches something, and runs what it claims unseen by the others."""

    name = "patching"

    @contextmanager
    def watching(self) -> Iterator[None]:
        original = Model.attend

        def attend(model: Model, x: Tensor) -> Tensor:
            with self.sink.muted():
                return original(model, x)

        Model.attend = attend  # type: ignore[method-assign]
        try:
            yield
        finally:
            Model.attend = original  # type: ignore[method-assign]


def test_the_first_adapter_that_asks_for_a_function_runs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Second(Whole):
        name = "second"

        def run(self, func: TorchFunction, args: Sequence[object], kwargs: Mapping[str, object]) -> object:
            raise AssertionError

    class Softmin(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.softmin(x, dim=-1) @ x.mT

    monkeypatch.setattr(recording, "ADAPTERS", (Whole, Second, *ADAPTERS))

    def run() -> aw.Trace:
        with aw.record(model := Softmin()) as trace:
            model(inputs())
        return trace

    with pytest.warns(UserWarning, match="seen whole"):
        trace = run()
    assert [site.name for site in trace.sites] == ["whole"]
    np.testing.assert_allclose(trace.weights(), (-inputs()[0]).softmax(-1))


def test_what_an_adapter_mutes_the_others_do_not_see(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "ADAPTERS", (Patching, *ADAPTERS))
    model = Model()
    with pytest.raises(aw.CaptureError, match="no attention was found"), aw.record(model):
        model(inputs())
