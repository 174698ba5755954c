"""What goes wrong in a recording is said in a sentence, and leaves the model as it was."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextvars import copy_context

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.overrides import _get_current_function_mode_stack

import attnwidget as aw

N_EXAMPLES, N_HEADS, N_SOURCE, N_TARGET, D_MODEL = 3, 1, 5, 4, 6
SOURCE = [f"source {i}" for i in range(N_SOURCE)]
TARGET = [f"target {i}" for i in range(N_TARGET)]


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.key = nn.Linear(D_MODEL, D_MODEL)

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        return (queries @ self.key(keys).mT).softmax(-1) @ keys


class Decoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention, self.cell = Attention(), nn.GRUCell(D_MODEL, D_MODEL)

    def forward(self, keys: Tensor, n_steps: int = N_TARGET, *, steps: bool = True) -> Tensor:
        state = keys[:, 0]
        for step in range(n_steps):
            state = self.cell(self.attention(state[:, None], keys)[:, 0], state)
            if steps:
                aw.step(TARGET[step % N_TARGET])
        return state


@pytest.fixture
def model() -> Decoder:
    torch.manual_seed(0)
    return Decoder()


def keys(n_keys: int = N_SOURCE, *, n_examples: int = 1) -> Tensor:
    return torch.randn(n_examples, n_keys, D_MODEL, generator=torch.Generator().manual_seed(1))


def nothing_is_left(model: nn.Module) -> bool:
    hooks = sum(len(it._forward_pre_hooks) + len(it._forward_hooks) for it in model.modules())
    ours = [value for var, value in copy_context().items() if var.name.startswith("attnwidget")]
    return not hooks and not _get_current_function_mode_stack() and ours.count(None) == len(ours)


def test_a_model_is_a_torch_module() -> None:
    with pytest.raises(TypeError, match=r"function came, a torch\.nn\.Module was expected"), aw.record(keys):  # type: ignore[arg-type]
        pass


def test_into_is_a_trace(model: Decoder) -> None:
    with pytest.raises(TypeError, match="into: list came"), aw.record(model, into=[]):  # type: ignore[arg-type]
        pass


def test_an_example_is_a_number(model: Decoder) -> None:
    with pytest.raises(TypeError, match="example: str came"), aw.record(model, example="0"):  # type: ignore[arg-type]
        pass


def test_a_text_is_no_source(model: Decoder) -> None:
    with pytest.raises(TypeError, match="source: one str of length 7 came, a list"), aw.record(model, source="a b c d"):
        pass


def test_a_used_trace_takes_no_second_run(model: Decoder) -> None:
    with aw.record(model) as trace:
        model(keys())
    with pytest.raises(ValueError, match="complete already"), aw.record(model, into=trace):
        pass


def test_no_attention_names_the_modules_that_ran() -> None:
    model = nn.Sequential(*(nn.Linear(2, 2) for _ in range(12)))
    sentence = r"no attention was found in Sequential\. These modules ran: Sequential, Linear x12\..*aw\.mark"
    with pytest.raises(aw.CaptureError, match=sentence), aw.record(model):
        model(torch.ones(1, 2))


def test_a_model_that_did_not_run_is_said_so(model: Decoder) -> None:
    with pytest.raises(aw.CaptureError, match="no module of Decoder ran while recording"), aw.record(model):
        pass


def test_attention_of_another_model_only_names_that_model(model: Decoder) -> None:
    with pytest.raises(aw.CaptureError, match="found in Attention, which is no part of Decoder"), aw.record(model):
        Attention()(keys(1), keys())


def test_a_model_that_ran_in_another_thread_is_said_so(model: Decoder) -> None:
    def run() -> None:
        thread = threading.Thread(target=lambda: model(keys(), steps=False))
        with aw.record(model):
            thread.start()
            thread.join()

    with pytest.raises(aw.CaptureError, match="ran in another thread"):
        run()
    assert nothing_is_left(model)


def test_a_recording_inside_a_recording_is_refused(model: Decoder) -> None:
    with aw.record(model) as outer:
        with pytest.raises(aw.CaptureError, match="open already"), aw.record(Decoder()):
            pass
        model(keys())
    assert outer.status == "complete"
    assert nothing_is_left(model)


def test_recordings_in_two_threads_do_not_meet(model: Decoder) -> None:
    other, traces = Decoder(), []

    def run() -> None:
        with aw.record(other) as trace:
            other(keys(3), 2)
        traces.append(trace)

    with aw.record(model) as trace:
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        model(keys())
    assert [it.weights().shape for it in (trace, *traces)] == [(1, N_TARGET, N_SOURCE), (1, 2, 3)]


def test_a_recording_may_be_open_in_a_generator(model: Decoder) -> None:
    def steps() -> Iterator[int]:
        with aw.record(model) as trace:
            for index, token in enumerate(TARGET):
                model(keys(), 1, steps=False)
                aw.step(token)
                yield index
        traces.append(trace)

    traces: list[aw.Trace] = []
    assert list(steps()) == [0, 1, 2, 3]
    assert len(traces[0].steps) == N_TARGET
    unfinished = steps()
    next(unfinished)
    unfinished.close()  # type: ignore[attr-defined]
    assert nothing_is_left(model)


def test_a_batch_needs_an_example(model: Decoder) -> None:
    with pytest.raises(aw.CaptureError, match=r"attention: a batch of 3 examples came.*example=0"), aw.record(model):
        model(keys(n_examples=N_EXAMPLES))


@pytest.mark.parametrize("example", [0, 1, -1])
def test_an_example_of_a_batch_is_recorded(model: Decoder, example: int) -> None:
    with aw.record(model, example=example) as trace:
        model(keys(n_examples=N_EXAMPLES))
    with aw.record(model) as alone:
        model(keys(n_examples=N_EXAMPLES)[[example]])
    np.testing.assert_allclose(trace.weights(), alone.weights(), atol=1e-6)


@pytest.mark.parametrize("example", [N_EXAMPLES, -4])
def test_an_example_must_be_in_the_batch(model: Decoder, example: int) -> None:
    sentence = f"example {example} was asked for, attention has a batch of 3"
    with pytest.raises(aw.CaptureError, match=sentence), aw.record(model, example=example):
        model(keys(n_examples=N_EXAMPLES))


def test_a_step_outside_a_recording_is_refused() -> None:
    with pytest.raises(aw.CaptureError, match=r"aw\.step was called outside"):
        aw.step("token")


def test_a_first_step_without_weights_is_refused(model: Decoder) -> None:
    with pytest.raises(aw.CaptureError, match="Step 0 has no weights: no module of Decoder ran"), aw.record(model):
        aw.step("token")


def test_a_step_is_a_text(model: Decoder) -> None:
    def run() -> None:
        with aw.record(model):
            model(keys(), 1, steps=False)
            aw.step(7)  # type: ignore[arg-type]

    with pytest.raises(TypeError, match="step 0"):
        run()


@pytest.mark.parametrize("steps", [True, False])
def test_more_keys_than_words_says_both_numbers(model: Decoder, steps: bool) -> None:
    def run(trace: aw.Trace) -> None:
        with aw.record(model, source=SOURCE, into=trace):
            model(keys(N_SOURCE + 1), steps=steps)

    trace = aw.Trace()
    with pytest.raises(
        ValueError, match=r"attention: weights have 6 keys but strip 'source' has 5 tokens\. Was padding"
    ):
        run(trace)
    assert trace.status == "stopped"


@pytest.mark.parametrize("steps", [True, False])
def test_fewer_rows_than_target_tokens_says_both_numbers(model: Decoder, steps: bool) -> None:
    def run(trace: aw.Trace) -> None:
        with aw.record(model, source=SOURCE, target=TARGET, into=trace):
            model(keys(), 3, steps=steps)

    trace = aw.Trace()
    with pytest.raises(ValueError, match="3 queries but strip 'target' has 4 tokens"):
        run(trace)
    assert trace.status == "stopped"


def test_more_steps_than_target_tokens_are_refused(model: Decoder) -> None:
    with pytest.raises(ValueError, match="step 4 came, but strip 'target' was given with 4"):
        _record(model, target=TARGET, n_steps=5)


def test_a_step_with_another_token_than_the_target_is_refused(model: Decoder) -> None:
    with pytest.raises(ValueError, match="step 0: its token is not token 0 of strip 'target'"):
        _record(model, target=["other", *TARGET[1:]])


def _record(model: Decoder, *, target: list[str], n_steps: int = N_TARGET) -> None:
    with aw.record(model, target=target):
        model(keys(), n_steps)


@pytest.mark.parametrize("place", ["meta", "vmap"])
def test_weights_without_numbers_are_refused(model: Decoder, place: str) -> None:
    def run(x: Tensor) -> Tensor:
        return model.to(x.device)(x, steps=False)  # type: ignore[no-any-return]

    with pytest.raises(aw.CaptureError, match="attention: its weights hold no numbers yet"), aw.record(model):
        torch.func.vmap(run)(keys()[None]) if place == "vmap" else run(keys().to("meta"))


class Failing:
    """Raises at the nth call."""

    def __init__(self, at: int, error: type[BaseException]) -> None:
        self.at, self.error, self.n_calls = at, error, 0

    def __call__(self, *_: object) -> None:
        self.n_calls += 1
        if self.n_calls == self.at:
            raise self.error


def _calls(model: Decoder, failing: Failing) -> aw.Trace:
    """Run with `failing` called before and after each module."""
    handles = [it.register_forward_pre_hook(failing) for it in model.modules()]
    handles += [it.register_forward_hook(failing) for it in model.modules()]
    trace = aw.Trace()
    try:
        with aw.record(model, source=SOURCE, into=trace):
            model(keys())
    except failing.error:
        pass
    finally:
        for handle in handles:
            handle.remove()
    return trace


N_CALLS = 2 + N_TARGET * 6  # the model, and in each step attention, its linear layer and the cell


def test_every_hook_call_is_counted(model: Decoder) -> None:
    failing = Failing(0, ZeroDivisionError)
    _calls(model, failing)
    assert failing.n_calls == N_CALLS


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_an_exception_at_any_call_leaves_the_model_as_it_was(model: Decoder, error: type[BaseException]) -> None:
    with torch.no_grad():
        expected = _plain(model)
        for at in range(1, N_CALLS + 1):
            _calls(model, Failing(at, error))
            assert nothing_is_left(model)
            assert torch.equal(_plain(model), expected)


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_an_exception_at_any_call_keeps_the_finished_steps(model: Decoder, error: type[BaseException]) -> None:
    for at in range(1, N_CALLS + 1):
        trace = _calls(model, Failing(at, error))
        assert trace.status == "stopped"
        assert len(trace.steps) == min((at - 2) // 6 if at > 1 else 0, N_TARGET)
        assert all(site.n_queries == len(trace.steps) for site in trace.sites)


def _plain(model: Decoder) -> Tensor:
    return model(keys(), steps=False)  # type: ignore[no-any-return]


def test_an_exception_at_any_torch_function_leaves_nothing(model: Decoder) -> None:
    class Interrupted(torch.overrides.TorchFunctionMode):
        def __init__(self, at: int) -> None:
            super().__init__()
            self.failing = Failing(at, KeyboardInterrupt)

        def __torch_function__(
            self, func: Callable[..., object], types: object, args: tuple[object, ...] = (), kwargs: object = None
        ) -> object:
            self.failing()
            return func(*args, **(kwargs or {}))  # type: ignore[arg-type]

    def run(at: int) -> int:
        with Interrupted(at) as mode, aw.record(model):
            model(keys())
        return mode.failing.n_calls

    n_functions = run(0)
    for at in range(1, n_functions + 1):
        with pytest.raises(KeyboardInterrupt):
            run(at)
        assert nothing_is_left(model)
