"""What a recording says of modules that ran and gave nothing, by their classes and how many there are."""

from __future__ import annotations

import contextlib
import re
import sys
import warnings
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

from attnwidget.capture.errors import CaptureError

COMPILED = (
    "Compiled model: running its eager code while recording, so outputs may differ from the compiled ones in the last "
    "bits."
)
READ_AT_ONCE = (
    "{} read the prompt at once, looking ahead, and then token by token, which no trace can hold together. Record "
    "single passes, with `with aw.record(model)` around each."
)
TWO_AT_ONCE = (
    "{} attends to another sequence and to what was read at once, so that its keys are of no one strip. Record single "
    "passes, with `with aw.record(model)` around each."
)
NO_ROWS = (
    "No attention was seen of which a row chose a token: what is read looks ahead, and is more than tokens. Record "
    "single passes, with `with aw.record(model)` around each."
)
MORE_KEYS = (
    "{} attends to keys that are no tokens, such as summaries of earlier ones, so that nobody knows which key is which "
    "token: it is left out. `with aw.record(model)` around one pass shows all of its keys, numbered."
)
NO_NUMBERS = (
    "{}: its weights hold no numbers yet, so that they are missing here. Is it on the meta device, or inside "
    "torch.func.vmap?"
)
_PACKAGE = str(Path(__file__).resolve().parents[1])
_CONTEXTS = contextlib.__file__  # which runs the end of a `with`
_ATTENTION = re.compile(r"att(entio)?n(?!.*(output|bias|norm|mask|embed|conv|proj))", re.IGNORECASE)
# Layers that carry a state from token to token: they attend to nothing.
_RECURRENT = re.compile(
    r"((Mamba\d?|Bamba|FalconH1)(Mixer|Layer)|Mamba\d?|DeltaNet|(Delta|Linear|Lightning|Rwkv(Self)?)Attention"
    r"|ShortConv(olution)?|RecurrentBlock|Retention|x?LSTM(Layer|Block)|SSM)$"
)
_LISTED = 12  # classes that an error names


def nothing_found(model: str, ran: Mapping[str, str]) -> str:
    """Say that a model ran and no attention was found.

    Args:
        model: its class.
        ran: the classes of the modules that ran, by path.
    """
    mixers = [kind for kind in ran.values() if _is_recurrent(kind)]
    if mixers:
        return (
            f"no attention was found in {model}: its layers ({_counted(mixers)}) keep a recurrent state instead of "
            "attending to tokens."
        )
    return (
        f"no attention was found in {model}. These modules ran: {_counted(ran.values())}. "
        "Attention of torch.nn and Transformers counts, and so does a softmax whose result flows into a product; "
        "for anything else call aw.mark(weights) where the weights are."
    )


def not_read(model: object, path: str, error: Exception) -> CaptureError:
    """Return what says that looking at a model went wrong: itself, or that it is our mistake.

    Args:
        model: the model.
        path: of the module that ran; "" where that is not known.
        error: what went wrong.
    """
    if isinstance(error, CaptureError):
        return error
    name = f"{path} in {type(model).__name__}" if path else type(model).__name__
    said = CaptureError(
        f"attention of {name} could not be read: {type(error).__name__}: {error}. The model ran as "
        "without recording. Please report it, with the lines above."
    )
    said.__cause__ = error
    return said


def which_example(name: str, count: int, parts: str) -> str:
    """Say that a batch came and no example was chosen; `parts` is what `in_parts` says of it."""
    return (
        f"{name}: a batch of {count} examples came, a trace holds one. "
        f"Say which one to keep, as in aw.record(model, example=0). {parts}".rstrip()
    )


def in_parts(name: str, count: int, read: Sequence[int]) -> str:
    """Say that what stands where examples are expected may be parts of one, such as blocks of a sequence.

    Args:
        name: the module that attends.
        count: how many examples it has.
        read: the shape of what the model read; () where that is not known.

    Returns:
        "" where the model read so many examples, or nobody knows.
    """
    if not read or not read[0] or count <= read[0] or count % read[0] or count in read[:2]:
        return ""
    return (
        f"{name}: attention of {count} examples came where the model read {read[0]}. If they are blocks of a sequence, "
        "the example that is kept is one block, and its queries and keys are counted from the start of that."
    )


def silent_modules(ran: Mapping[str, str], gave: Collection[str]) -> dict[str, str]:
    """Return the modules that are called attention, ran and gave nothing: their classes by path.

    Args:
        ran: the classes of the modules that ran, by path.
        gave: paths of the modules whose attention was found.
    """
    around = {path.rpartition(".")[0] for path in gave} - {""}
    return {
        path: kind
        for path, kind in ran.items()
        if _attends(kind)
        and path.rpartition(".")[0] not in around
        and not any(_holds(path, other) or _holds(other, path) for other in gave)
    }


def stateful_modules(ran: Mapping[str, str]) -> dict[str, str]:
    """Return the modules that keep a state from token to token in place of attending: their classes by path."""
    return {path: kind for path, kind in ran.items() if _is_recurrent(kind)}


def silent(ran: Mapping[str, str], gave: Collection[str]) -> str:
    """Name the modules that are called attention, ran and gave nothing; "" where there are none."""
    kinds = silent_modules(ran, gave)
    if not kinds:
        return ""
    return (
        f"{_counted(kinds.values())} ran but the weights could not be read, so they are missing here. "
        "Call aw.mark(weights) where the weights are."
    )


def weighs_aside(left_out: Mapping[str, str]) -> str:
    """Name the modules whose matrices of weights were left out, because they are called no attention."""
    if not left_out:
        return ""
    return (
        f"{_counted(left_out.values())} made matrices by a softmax that are not taken for attention, because "
        "Transformers calls attention so. Call aw.mark(weights) where they are to see them too."
    )


def without_attention(path: str, ran: Mapping[str, str], gave: Collection[str]) -> str:
    """Say which layers of a list keep a state while others attend; "" where all are alike.

    Args:
        path: of the list.
        ran, gave: as in `silent`.
    """
    layers: dict[int, list[str]] = {}  # by number, what ran in it that keeps a state
    attends: set[int] = set()
    for name, kind in ran.items():
        number = name.removeprefix(f"{path}.").partition(".")[0]
        if name.startswith(f"{path}.") and number.isdecimal():
            layers.setdefault(int(number), []).extend([kind] * _is_recurrent(kind))
            if any(_holds(f"{path}.{number}", other) for other in gave):
                attends.add(int(number))
    states = {number: kinds for number, kinds in layers.items() if kinds and number not in attends}
    if not states or not attends:
        return ""
    kinds = dict.fromkeys(kind for kinds in states.values() for kind in kinds)
    several = "s" * (len(states) > 1)
    return (
        f"Layer{several} {', '.join(map(str, sorted(states)))} ({', '.join(kinds)}) {'have' if several else 'has'} no "
        f"attention matrix; showing {len(attends)} of {len(layers)} layers."
    )


def warn(notes: Iterable[str]) -> None:
    """Warn once of each, at the line that a person wrote."""
    for note in filter(None, dict.fromkeys(notes)):
        warnings.warn(note, stacklevel=_n_own_frames() + 1)


def _n_own_frames() -> int:
    """Return how many frames there are up to the line that a person wrote."""
    frame, count = sys._getframe(1), 0
    while frame.f_back is not None and frame.f_code.co_filename.startswith((_PACKAGE, _CONTEXTS)):
        frame, count = frame.f_back, count + 1
    return count


@cache
def _attends(kind: str) -> bool:
    return bool(_ATTENTION.search(kind)) and not _is_recurrent(kind)


@cache
def _is_recurrent(kind: str) -> bool:
    return bool(_RECURRENT.search(kind))


def _holds(path: str, other: str) -> bool:
    return not path or path == other or other.startswith(f"{path}.")


def _counted(kinds: Iterable[str]) -> str:
    counts = Counter(kinds)
    listed = [f"{kind} x{count}" if count > 1 else kind for kind, count in list(counts.items())[:_LISTED]]
    more = f" and {len(counts) - _LISTED} more classes" if len(counts) > _LISTED else ""
    return ", ".join(listed) + more
