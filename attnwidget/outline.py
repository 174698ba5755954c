"""What a trace says of itself without its weights: sites, steps, candidates and flags."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["encoder", "decoder", "cross"]
Status = Literal["empty", "recording", "complete", "stopped"]
Asks = Literal["", "before", "after"]
StoreKind = Literal["dense", "qk", "reduced"]  # weights as they are, queries and keys, or the largest weights
FlagKind = Literal[
    "nan", "infinite", "negative", "above_one", "row_sum", "zero_row", "column_sum", "missing", "reduced", "mask"
]

MAX_PLACES = 5  # places that a flag keeps; `count` says how many there are in all

_SAYS: dict[str, tuple[str, str]] = {  # of one, and of more
    "nan": ("weight is NaN", "weights are NaN"),
    "infinite": ("weight is infinite", "weights are infinite"),
    "negative": ("weight is negative", "weights are negative"),
    "above_one": ("weight is above 1", "weights are above 1"),
    "row_sum": ("row does not sum to 1", "rows do not sum to 1"),
    "zero_row": ("row is all zero", "rows are all zero"),
    "column_sum": (
        "head has columns that sum to 1 where rows were expected to",
        "heads have columns that sum to 1 where rows were expected to",
    ),
    "missing": ("step has no weights: no attention ran in it", "steps have no weights: no attention ran in them"),
    "reduced": (
        "row keeps its 16 largest weights only; the others are shown as 0",
        "rows keep their 16 largest weights only; the others are shown as 0",
    ),
    "mask": (
        "row is a mask, each weight from 0 to 1 on its own: it need not sum to 1",
        "rows are a mask, each weight from 0 to 1 on its own: they need not sum to 1",
    ),
}
_ASKS: dict[str, str] = {
    "negative": ": are these scores from before softmax?",
    "column_sum": ": is the matrix transposed?",
}


@dataclass(frozen=True)
class Flag:
    """Something unusual in the weights of a site.

    Args:
        kind: what is unusual.
        count: how often, in cells, rows, heads or steps, whichever the kind speaks of.
        where: the first places as (head, query, key), indices from 0; -1 where an axis does not apply.
    """

    kind: FlagKind
    count: int
    where: tuple[tuple[int, int, int], ...] = ()

    def __str__(self) -> str:
        head, query, key = self.where[0] if self.where else (-1, -1, -1)
        names = (("head", head), ("query", query), ("key", key))
        place = ", ".join(f"{name} {index}" for name, index in names if index >= 0)
        says = _SAYS[self.kind][self.count != 1]
        return f"{self.count} {says}" + (f" (first: {place})" if place else "") + _ASKS.get(self.kind, "")

    def plus(self, other: Flag) -> Flag:
        """Return this flag with another of the same kind added to it."""
        return Flag(self.kind, self.count + other.count, (self.where + other.where)[:MAX_PLACES])


@dataclass(frozen=True)
class Candidate:
    """A token that the decoder could have chosen at a step.

    Args:
        token: its text.
        probability: dimensionless, 0 to 1.
    """

    token: str
    probability: float


@dataclass(frozen=True)
class Step:
    """One decoder step: the query row `index` chose `token`.

    Args:
        index: position on the time axis, from 0.
        token: the token that was chosen.
        candidates: the most probable tokens, best first; empty where the decode loop told none.
        position: of its query in what the decoder had read, from 0: `index`, and behind a prompt the more.
    """

    index: int
    token: str
    candidates: tuple[Candidate, ...] = ()
    position: int = 0


@dataclass(frozen=True)
class Beam:
    """A token that a beam search kept at a step, behind the path that its parents make.

    Args:
        step: position on the time axis, from 0.
        token: its text.
        parent: index of the beam that it continues, which is one step before; -1 at step 0.
        probability: of the token, given what came before it; 0 to 1.
        chosen: whether it is on the path that won.
    """

    step: int
    token: str
    parent: int
    probability: float
    chosen: bool = False


@dataclass(frozen=True)
class Site:
    """A place where weights are taken.

    Args:
        name: unique within its trace.
        kind: "encoder" or "decoder" self-attention, or "cross" (queries from the decoder, keys from the encoder).
        layer: ordinal among the sites of the same kind, from 0.
        n_heads: number of heads.
        query: name of the strip that the query axis counts.
        key: name of the strip that the key axis counts.
        n_queries: rows recorded so far.
        n_keys: columns recorded so far.
        flags: what is unusual in its weights.
        store: how its weights are kept: "dense", as "qk" (queries and keys), or "reduced" to the largest.
        asks: of a recurrent decoder, whether a step's query is the state "before" it has read the token before, s_(t-1)
            (Bahdanau et al. 2014), or "after" that, s_t (Luong et al. 2015); "" where that does not apply.
    """

    name: str
    kind: Kind
    layer: int
    n_heads: int
    query: str
    key: str
    n_queries: int = 0
    n_keys: int = 0
    flags: tuple[Flag, ...] = ()
    store: StoreKind = "dense"
    asks: Asks = ""


def printable(text: str) -> str:
    """Return a text that does nothing to a terminal: a space for each character that is not printed."""
    return "".join(c if c.isprintable() else " " for c in text)


def brief(text: str, most: int = 60) -> str:
    """Return the beginning of a text, at most so many characters, for a line that is to stay one."""
    return text if len(text) <= most else f"{text[:most]}…"


def first_shown(sites: Sequence[Site]) -> int:
    """Return the site that is shown before anybody chose one: cross-attention, else of a decoder, else the first."""
    kinds = [site.kind for site in sites]
    return next((kinds.index(kind) for kind in ("cross", "decoder") if kind in kinds), 0)


def first_step(site: Site) -> int:
    """Return the row that is shown before anybody chose one: of a decoder the last, of an encoder the first."""
    return 0 if site.kind == "encoder" else max(site.n_queries - 1, 0)


def merged(flags: Iterable[Flag]) -> tuple[Flag, ...]:
    """Add up flags of the same kind."""
    by_kind: dict[str, Flag] = {}
    for flag in flags:
        by_kind[flag.kind] = by_kind[flag.kind].plus(flag) if flag.kind in by_kind else flag
    return tuple(by_kind.values())
