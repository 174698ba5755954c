"""generate: what a person types to see a model of Transformers attend while it writes, hears or describes."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from tqdm import tqdm  # type: ignore[import-untyped]

from attnwidget.capture.copying import copied
from attnwidget.capture.decoding import Decoding
from attnwidget.capture.edit import Edit, as_edits
from attnwidget.capture.errors import CaptureError
from attnwidget.capture.prefixes import Plan
from attnwidget.capture.recording import opened, trace_for, unwrapped
from attnwidget.capture.sizes import StoreChoice
from attnwidget.capture.token_text import TokenText
from attnwidget.trace import Trace

_MAIN = ("input_ids", "inputs_embeds", "input_features", "input_values", "pixel_values")


@dataclass(frozen=True)
class Run:
    """All that it takes to decode again."""

    model: Any
    inputs: Mapping[str, Any]
    tokenizer: Any
    edits: tuple[Edit, ...]
    options: dict[str, Any]  # of `generate`
    kwargs: Mapping[str, Any]  # of the model's own
    randomness: torch.Tensor
    cuda: Sequence[torch.Tensor]


runs: weakref.WeakKeyDictionary[Trace, Run] = weakref.WeakKeyDictionary()


def generate(
    model: torch.nn.Module,
    inputs: object,
    tokenizer: object = None,
    into: Trace | None = None,
    edits: Edit | Iterable[Edit] = (),
    *,
    example: int | None = None,
    store: StoreChoice = "auto",
    title: str = "",
    progress: bool = True,
    save: str | os.PathLike[str] | None = None,
    **generate_kwargs: Any,  # noqa: ANN401 - whatever the model's own generate takes
) -> Trace:
    """Let a model of Transformers generate, and record what each token was chosen by.

    The tokens are those that `model.generate` would have given. Row t of a decoder's site is the one that chose output
    token t; its keys count the strip "context", which is the prompt or the start tokens, then the output. Rows of the
    prompt that chose nothing are left out: `aw.record(model)` around one pass shows them. With beams the rows are the
    winner's, and `trace.beams` holds the tree. On ranks that share the heads of a model, as in `aw.record`.

    Args:
        model: a model of Transformers with `generate`: decoder-only or encoder-decoder, for text, speech or images.
        inputs: a text (with a tokenizer), token ids [token] or [batch, token], or what a tokenizer or processor
            returned: a mapping from names to tensors.
        tokenizer: of Transformers or tokenizers, or a processor that holds one; without it tokens are shown as ids.
        into: an empty trace to record into, for example one that is shown already; it grows token by token.
        edits: changes of weights, made before the model uses them.
        example: which example of a batch to record; a batch of one needs none.
        store: how weights are kept, as in `aw.record`.
        title: a short name, shown above the picture.
        progress: whether a line shows how many tokens a second come.
        save: where to write the trace while it grows, as in `aw.record`.
        **generate_kwargs: what `model.generate` takes: max_new_tokens, do_sample, num_beams, cache_implementation,
            assistant_model, ...

    Returns:
        The trace. Each step carries its most probable tokens, as the model gave them: before temperature, top-k and
        top-p.

    Raises:
        CaptureError: the model cannot generate, no attention was found, an edit met no call, or a rank that holds a
            part of the heads did not generate along.
        TypeError, ValueError: inputs that are not what was expected.
        TraceError: the trace is complete, but could not be written to `save`.
    """
    _check(model)
    kwargs = dict(generate_kwargs)
    tensors = _tensors(model, inputs, tokenizer)
    count = _batch(tensors, kwargs)
    if example is None and count != 1:
        raise CaptureError(
            f"a batch of {count} examples came, a trace holds one. Say which one to keep, as in "
            "aw.generate(model, inputs, example=0)."
        )
    if example is not None and not -count <= example < count:
        raise CaptureError(f"example {example} was asked for, the batch has {count}.")
    index = (example or 0) % count
    options = {"example": example, "store": store, "title": title, "progress": progress}
    randomness = torch.get_rng_state()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    changes = as_edits(edits)
    run = Run(model, copied(tensors), tokenizer, changes, options, copied(kwargs), randomness, cuda)
    trace = trace_for(into, None, None, title)
    if save is not None:
        trace.save(save)
    _decode(model, tensors, kwargs, tokenizer, trace, changes, index, count, store=store, progress=progress)
    runs[trace] = run
    return trace


def _decode(
    model: Any,  # noqa: ANN401 - a model of Transformers
    tensors: Mapping[str, Any],
    kwargs: dict[str, Any],
    tokenizer: Any,  # noqa: ANN401 - of any library
    trace: Trace,
    edits: tuple[Edit, ...],
    index: int,
    count: int,
    *,
    store: StoreChoice,
    progress: bool,
) -> None:
    n_beams = int(_setting(model, kwargs, "num_beams") or 1)
    end = _setting(model, kwargs, "eos_token_id")
    ends = frozenset(() if end is None else torch.as_tensor(end).flatten().tolist())
    inner = getattr(tokenizer, "tokenizer", tokenizer)
    text = TokenText(inner)
    _name_inputs(model, tensors, trace, text, index)
    total = _setting(model, kwargs, "max_new_tokens")
    with tqdm(total=total, unit=" tokens", disable=not progress, desc=trace.title or None) as bar:
        recorder = Decoding(unwrapped(model), trace, index, store, Plan(count, n_beams, ends), text, bar.update)
        kwargs = kwargs | {"logits_processor": [*(kwargs.get("logits_processor") or ()), _Tap(recorder)]}
        if tokenizer is not None and (_setting(model, kwargs, "stop_strings") or "assistant_tokenizer" in kwargs):
            kwargs["tokenizer"] = inner  # which generate needs for these
        with opened(recorder, edits):
            output = model.generate(**tensors, **kwargs)
            sequences = output if isinstance(output, torch.Tensor) else output["sequences"]
            if sequences.ndim != 2:
                raise CaptureError(
                    f"{type(model).__name__} returned {tuple(sequences.shape)} where [batch, token] was expected: "
                    "its output is no text. Call its generate inside `with aw.record(model)`."
                )
            recorder.end(sequences[index * (len(sequences) // count)].tolist())


def _setting(model: Any, kwargs: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401
    """Return what generate will use: what a person passed, or else what the model brings along."""
    if name in kwargs:
        return kwargs[name]
    value = getattr(kwargs.get("generation_config"), name, None)
    return getattr(model.generation_config, name, None) if value is None else value


class _Tap:
    """Stands among the processors of scores, which are the only ones to see prefixes, scores and beams together."""

    def __init__(self, recorder: Decoding) -> None:
        self._recorder = recorder

    def __call__(self, ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        self._recorder.check()
        with torch.no_grad(), torch._C.DisableTorchFunction():
            self._recorder.scored(ids, scores)
        return scores


def _check(model: object) -> None:
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"model: {type(model).__name__} came, a model of Transformers was expected.")
    if not callable(getattr(model, "generate", None)) or not hasattr(model, "generation_config"):
        raise CaptureError(
            f"{type(model).__name__} has no generate() of Transformers. Write the decode loop inside "
            "`with aw.record(model)`, and call aw.step(token) once a token."
        )


def _tensors(model: Any, inputs: object, tokenizer: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return what the model's generate takes by name."""
    device = getattr(model, "device", None)
    if device is not None and device.type == "meta":
        device = None  # weights that move in and out bring the inputs to where they are
    if isinstance(inputs, str):
        if tokenizer is None:
            raise TypeError("inputs: a text came, and no tokenizer. Pass the tokenizer of the model, or token ids.")
        inputs = _encoded(tokenizer, inputs)
    if isinstance(inputs, Mapping) or hasattr(inputs, "keys"):
        found: Any = inputs
        return {name: _moved(found[name], device) for name in found.keys()}  # noqa: SIM118 - BatchEncoding is no dict
    try:
        ids = torch.as_tensor(inputs)
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(
            f"inputs: {type(inputs).__name__} came; a text, token ids [token] or [batch, token], or a mapping from "
            "names to tensors was expected."
        ) from None
    if ids.is_floating_point() or ids.ndim not in (1, 2) or not ids.numel():
        raise ValueError(
            f"inputs: {ids.dtype} of shape {tuple(ids.shape)} came, token ids [token] or [batch, token] were expected. "
            "Features and pixels go by name, as in {'pixel_values': pixels}."
        )
    ids = ids[None] if ids.ndim == 1 else ids
    return {"input_ids": _moved(ids, device), "attention_mask": _moved(torch.ones_like(ids), device)}


def _encoded(tokenizer: Any, text: str) -> Any:  # noqa: ANN401
    if callable(tokenizer):
        return tokenizer(text, return_tensors="pt")
    ids = tokenizer.encode(text)  # of the package tokenizers
    return {"input_ids": torch.tensor([getattr(ids, "ids", ids)])}


def _moved(value: object, device: torch.device | None) -> object:
    return value.detach().clone().to(device) if isinstance(value, torch.Tensor) else value


def _batch(tensors: Mapping[str, Any], kwargs: Mapping[str, Any]) -> int:
    main = next((tensors[name] for name in _MAIN if isinstance(tensors.get(name), torch.Tensor)), None)
    found = [main] if main is not None else [it for it in (*tensors.values(), *kwargs.values()) if torch.is_tensor(it)]
    return len(found[0]) if found else 1


def _name_inputs(
    model: Any,  # noqa: ANN401
    tensors: Mapping[str, Any],
    trace: Trace,
    text: TokenText,
    index: int,
) -> None:
    """Name the tokens of the input."""
    ids = tensors.get("input_ids")
    if ids is not None and not trace.tokens["source"]:
        trace.set_tokens("source", text.texts(ids[index].tolist()))
