"""Write what the declarations of the wire say: TypeScript for the page, a page of documentation for people."""

from __future__ import annotations

import typing
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, get_args, get_origin

from attnwidget import wire

_HEAD = "// Written by `python -m attnwidget.wire` from attnwidget/wire. Do not edit.\n"
_NUMBERS = (
    "PROTOCOL",
    "MEAN",
    "STEP_BYTES",
    "FRAME_BYTES",
    "MESSAGE_BYTES",
    "MESSAGES_PER_SECOND",
    "HEADS_BYTES",
    "HEADS_WEIGHTS",
    "WHOLE_WEIGHTS",
    "PAGE_WEIGHTS",
    "AHEAD_WEIGHTS",
)
_FOR_THE_PAGE = ("PROTOCOL", "MEAN", "HEADS_WEIGHTS", "WHOLE_WEIGHTS", "AHEAD_WEIGHTS")
_SCALARS = {int: "number", float: "number", str: "string", bool: "boolean", bytes: "DataView", NoneType: "null"}


def typescript() -> str:
    """Return the TypeScript side of the wire."""
    parts = [_HEAD]
    parts += [f"export const {name} = {getattr(wire, name)};\n" for name in _FOR_THE_PAGE]
    for declared in (*wire.DATA, *wire.TO_PAGE, *wire.TO_KERNEL):
        lines = [f"  /** {doc} */ {name}: {_ts(hint)};" for name, hint, doc in _fields(declared)]
        parts.append(_interface(str(declared.__doc__), declared.__name__, lines))
    for name, group in (("ToPage", wire.TO_PAGE), ("ToKernel", wire.TO_KERNEL)):
        parts.append(f"export type {name} = {' | '.join(d.__name__ for d in group)};\n")
    lines = [f"  /** {trait.help} */ {name}: {_trait_ts(trait)};" for name, trait in _traits()]
    parts.append(_interface("The synced traits.", "Traits", lines))
    return "\n".join(parts)


def _interface(doc: str, name: str, lines: list[str]) -> str:
    return f"/** {doc} */\nexport interface {name} {{\n" + "\n".join(lines) + "\n}\n"


def markdown() -> str:
    """Return the documentation of the wire."""
    parts = [
        "# The wire\n",
        "Written by `python -m attnwidget.wire` from `attnwidget/wire/`; do not edit.\n",
    ]
    parts.append((wire.__doc__ or "").partition("\n\n")[2].partition("\n`python")[0].strip() + "\n")
    parts.append(
        "## Limits\n\n| name | value |\n|---|---|\n" + "\n".join(f"| `{n}` | {getattr(wire, n):,} |" for n in _NUMBERS)
    )
    rows = []
    for name, trait in _traits():
        writer = "both" if trait.metadata.get("page_writes") else "kernel"
        rows.append(f"| `{name}` | {type(trait).__name__} | {writer} | {trait.help} |")
    parts.append("\n## Traits\n\n| trait | type | written by | what |\n|---|---|---|---|\n" + "\n".join(rows))
    parts.append("\n## Messages\n")
    parts += [_table(declared) for declared in (*wire.TO_PAGE, *wire.TO_KERNEL)]
    parts.append("## A picture\n\n" + _LAYOUT)
    parts += [_table(declared) for declared in wire.DATA]
    return "\n".join(parts)


_LAYOUT = """\
| bytes | what |
|---|---|
| 4 | length of the header, uint32 little-endian |
| length | the header: `PictureData` as JSON, ASCII only (so that any string survives), padded with spaces to 4 |
| rest | the blocks, each padded to 4 |

`frame` holds these bytes compressed with zlib; messages hold them as they are. A block of dtype `u1` is: the least
finite value of each row, 0 included (float32), then the greatest of each, then for each of `n_odd` values that are not
finite its index and its code (two uint32; 0 NaN, 1 plus infinity, 2 minus infinity); and at `levels` a uint8 for each
weight, from the least of its row to the greatest. Levels of all blocks stand together behind everything else, as they
are packed in another way. A span is `[first, end, per]`: tokens from `first` to before `end`, cut into cells of
`per`, the last of which may hold fewer. A block has one value for each pair of cells: the largest weight in it.
The small picture of a head is uint8 [row, column]: the largest weight of a square of weights, 255 for the largest of
its row, so that a head that spreads its weights shows where.
"""


def _table(declared: type) -> str:
    rows = ((name, _ts(hint).replace("|", "\\|"), doc) for name, hint, doc in _fields(declared))
    body = "\n".join(f"| `{name}` | `{kind}` | {doc} |" for name, kind, doc in rows)
    return f"### {declared.__name__}\n\n{declared.__doc__}\n\n| field | type | what |\n|---|---|---|\n{body}\n"


def _fields(declared: type) -> list[tuple[str, Any, str]]:
    fields = []
    for name, hint in typing.get_type_hints(declared, include_extras=True).items():
        inner, doc = (get_args(hint)[0], get_args(hint)[1]) if get_origin(hint) is Annotated else (hint, "its type")
        fields.append((name, inner, doc))
    return fields


def _ts(hint: object) -> str:
    if isinstance(hint, type) and hint in _SCALARS:
        return _SCALARS[hint]
    origin, args = get_origin(hint), get_args(hint)
    if origin is Literal:
        return " | ".join(f'"{value}"' for value in args)
    if origin is list:
        inner = _ts(args[0])
        return f"({inner})[]" if " | " in inner else f"{inner}[]"
    if origin in (typing.Union, UnionType):
        return " | ".join(map(_ts, args))
    if typing.is_typeddict(hint):
        return str(getattr(hint, "__name__", hint))
    raise TypeError(f"the wire has no TypeScript for {hint}")


def _traits() -> list[tuple[str, Any]]:
    return list(wire.Traits.class_traits(sync=True).items())


def _trait_ts(trait: object) -> str:
    values = getattr(trait, "values", None)
    if values:
        return " | ".join(f'"{value}"' for value in values)
    kinds = {"Bool": "boolean", "Int": "number", "Unicode": "string", "Bytes": "DataView", "List": "number[]"}
    return kinds[type(trait).__name__]
