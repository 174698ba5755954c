"""record and step: what a user types around the model."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import cast

import torch
from torch.nn.parallel import DistributedDataParallel

from attnwidget.capture.adapters import ADAPTERS
from attnwidget.capture.edit import Edit, as_edits
from attnwidget.capture.editing import Editor
from attnwidget.capture.errors import CaptureError
from attnwidget.capture.hub import Hub
from attnwidget.capture.recorder import Recorder
from attnwidget.capture.sizes import StoreChoice
from attnwidget.tokens import TokensLike
from attnwidget.trace import Trace

# What compiles on its own; flex attention imports the compiler when it is first called, which is while it is recorded.
_COMPILING = ("torch._dynamo", "torch.nn.attention.flex_attention")
_open: ContextVar[Recorder | None] = ContextVar("attnwidget_recording", default=None)


@contextmanager
def record(
    model: torch.nn.Module,
    *,
    source: TokensLike | None = None,
    target: TokensLike | None = None,
    into: Trace | None = None,
    example: int | None = None,
    title: str = "",
    store: StoreChoice = "auto",
    edits: Edit | Iterable[Edit] = (),
    save: str | os.PathLike[str] | None = None,
) -> Iterator[Trace]:
    """Record what a model attends to while it runs in this block. The model needs no change and stays as it was.

    Attention is found as the model computes it, by the first that sees it: `aw.mark`, the attention interface of
    Transformers, the attention layer of torch.nn, `scaled_dot_product_attention`, flex attention, a softmax whose
    result flows into a product. Where a kernel returns no weights they are computed again beside it, in float32. A
    decode loop that calls `aw.step(token)` makes the trace grow by one row a step; a forward pass, or a prompt and
    what follows it from a cache, is recorded whole when the block ends.

    Where ranks of torch.distributed hold parts of the heads (tensor parallelism), every rank must record, and every
    rank gets the same trace with all heads. Where each has all heads (DDP, FSDP), each rank records its own examples.

    Args:
        model: any torch module; its outputs, gradients, mode, hooks and random numbers are those without recording.
        source: the tokens of the input, which the keys count. Without them keys are numbered.
        target: the tokens of the output, where they are known before the model runs.
        into: an empty trace to record into, for example one that is shown already.
        example: which example of a batch to keep; a batch of one needs none.
        title: a short name, shown above the picture.
        store: "dense" keeps weights, float32; "qk" queries and keys, from which any weight is computed when it is
            looked at; "reduced" the largest weights of each row, column sums and an overview. "auto" is dense up to
            256 MiB, then "qk" where a model has queries and keys, else "reduced"; a warning says so.
        edits: changes of weights, made before the model uses them.
        save: where to write the trace while it grows, as `Trace.save` does; on ranks of torch.distributed a path of its
            own for each, or None on all but one.

    Yields:
        The trace, which is complete when the block ends, and "stopped" with its finished steps if an exception ends it.

    Raises:
        CaptureError: no attention was found, the model did not run, a batch came and no example was chosen, an edit
            met no call, or a rank that holds a part of the heads did not record, or recorded something else.
        ValueError: weights that do not fit the strips; the sentence says which.
        TypeError: model is not a torch module, or into is not a Trace.
        TraceError: the trace is complete, but could not be written to `save`.
    """
    if not isinstance(model, torch.nn.Module):
        raise TypeError(
            f"model: {type(model).__name__} came, a torch.nn.Module was expected: a model that is made already, "
            "such as attnwidget.models.pretrained(name)."
        )
    if example is not None and not isinstance(example, int):
        raise TypeError(f"example: {type(example).__name__} came, the position of one example was expected.")
    check_closed()
    trace = trace_for(into, source, target, title)
    recorder = Recorder(unwrapped(model), trace, example, store)
    if save is not None:
        trace.save(save)
    with opened(recorder, edits):
        yield trace


@contextmanager
def opened(recorder: Recorder, edits: Edit | Iterable[Edit]) -> Iterator[None]:
    """Have a recorder be the one of this thread inside the block, and finish its trace."""
    changes = as_edits(edits)
    editor = Editor(changes, recorder.sites.sharding) if changes else None
    if editor is not None:
        recorder.sites.keep_weights("edits")
        recorder.unstopped.edits = True
    check_closed()
    recorder.trace.edits = tuple(map(str, changes))
    _open.set(recorder)
    try:
        with recorder.sites.sharding.together(recorder.terms(changes)):
            with uncompiled(), recorder.passes.watching(), Hub(recorder, ADAPTERS, editor).watching():
                yield
            recorder.check()
            if editor is not None:
                recorder.notes.update(dict.fromkeys(editor.check(recorder.mixed)))
            recorder.finish()
    except BaseException:
        recorder.stop()
        raise
    finally:
        _open.set(None)


def check_closed() -> None:
    """Complain of a recording that is open already in this thread."""
    if _open.get() is not None:
        raise CaptureError("a recording is open already in this thread; close it before another one.")


def step(token: str, candidates: Iterable[tuple[str, float]] = ()) -> None:
    """Say that the attention since the last step chose this output token. Call it in a decode loop, once a token.

    Args:
        token: the token's text.
        candidates: (token, probability) pairs, best first; what else could have been said.

    Raises:
        CaptureError: no recording is open in this thread, or the first step has no weights.
        TypeError, ValueError: a token that is not a string or not that of the target strip, probabilities outside 0
            to 1, or weights that do not fit the strips.
    """
    recorder = _open.get()
    if recorder is None:
        raise CaptureError("aw.step was called outside `with aw.record(model)`, or in another thread than it.")
    recorder.step(token, candidates)


def uncompiled() -> AbstractContextManager[object]:
    """Have what torch.compile compiled run its own Python code, where torch functions can be seen."""
    set_stance = getattr(torch.compiler, "set_stance", None)  # since torch 2.6
    if set_stance is None or not any(name in sys.modules for name in _COMPILING):
        return nullcontext()
    return cast("AbstractContextManager[object]", set_stance("force_eager"))


def unwrapped(model: torch.nn.Module) -> torch.nn.Module:
    """Return what torch.compile or data parallelism wrapped."""
    while True:
        name = "module" if isinstance(model, DistributedDataParallel) else "_orig_mod"
        inner = model._modules.get(name) if name in model._modules else None
        if inner is None:
            return model
        model = inner


def trace_for(into: Trace | None, source: TokensLike | None, target: TokensLike | None, title: str) -> Trace:
    if into is None:
        return Trace(source=source, target=target, title=title)
    if not isinstance(into, Trace):
        raise TypeError(f"into: {type(into).__name__} came, a Trace was expected.")
    if into.status != "empty":
        raise ValueError(f"into: this trace is {into.status} already and cannot take another run. Make a new Trace.")
    for strip, tokens in (("source", source), ("target", target)):
        if tokens is not None and not into.tokens[strip]:
            into.set_tokens(strip, tokens)
    into.title = title or into.title
    return into
