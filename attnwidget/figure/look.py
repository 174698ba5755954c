"""What of a trace a figure shows, as numbers and texts: no drawing, and the same rules as on the screen."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from attnwidget.analysis import special_keys, without
from attnwidget.figure.axes import Axis, pooled
from attnwidget.figure.words import WORDS, Words
from attnwidget.scene import Scene
from attnwidget.selection import chosen, expected_strength
from attnwidget.wire import MEAN

if TYPE_CHECKING:
    from attnwidget.outline import Site
    from attnwidget.trace import Trace

WEAK, STRONG = 0.5, 1.5  # shares of the expectation below and above which an input is called so
MOST_READ = 1 << 22  # weights of a head that are read whole
_ROWS = 256  # of a larger head, which are read at a time


@dataclass(frozen=True)
class Look:
    """One head of one site of a trace, at one step.

    Args:
        trace: what is shown.
        site: the place.
        head: which head; -1 for the mean over heads.
        step: the row.
        choices: how it is looked at, by the names of the widget's traits.
        apart: keys that are dimmed or left out.
    """

    trace: Trace
    site: Site
    head: int
    step: int
    choices: dict[str, Any]
    apart: tuple[int, ...] = ()

    @property
    def words(self) -> Words:
        """In the language that was chosen."""
        return WORDS[str(self.choices["language"])]

    @property
    def turned(self) -> bool:
        """Whether the rows of the heatmap are keys."""
        return bool(self.choices["rows"] == "key")

    @property
    def side(self) -> int:
        """How many weights along either axis have become one, where a head is too large to be read whole."""
        site = self.site
        return 1 if site.n_queries * site.n_keys <= MOST_READ else self._overview[1]

    @property
    def is_mask(self) -> bool:
        """Whether weights are from 0 to 1, each on its own."""
        return any(flag.kind == "mask" for flag in self.site.flags)

    def texts(self, side: Literal["key", "query"]) -> list[str]:
        """Return the tokens of an axis; those without text have their number."""
        count = self.site.n_keys if side == "key" else self.site.n_queries
        strip = self.site.key if side == "key" else self.site.query
        known = self.trace.tokens[strip].texts[:count]
        return [*known, *(str(i + 1) for i in range(len(known), count))]

    def scene(self, side: Literal["key", "query"]) -> Scene | None:
        """Return what the tokens of an axis are parts of, if they are not words."""
        return self.trace.tokens[self.site.key if side == "key" else self.site.query].scene

    def name(self, side: Literal["key", "query"]) -> str:
        """Return what the tokens of an axis are."""
        site, names = self.site, self.words.names
        if side == "key" and site.kind == "decoder" and site.query != site.key:
            return names["read"]
        if site.query != site.key:
            return names["input" if side == "key" else "output"]
        return names[side]

    @property
    def row_name(self) -> str:
        """What a row is."""
        return self.words.rows[self.site.kind != "encoder"]

    @property
    def place(self) -> str:
        """Say where the weights were taken."""
        site, words = self.site, self.words
        n_layers = sum(other.kind == site.kind for other in self.trace.sites)
        head = words.mean(site.n_heads) if self.head == MEAN else words.head(self.head, site.n_heads)
        return " · ".join(
            [
                words.mask if self.is_mask else words.kinds[site.kind],
                *([words.layer(site.layer, n_layers)] if n_layers > 1 else []),
                head,
                words.row(self.row_name, self.step, site.n_queries),
            ]
        )

    @property
    def n_reached(self) -> int:
        """Rows that are not pale: up to the step; of an encoder, which has no steps, all."""
        return self.site.n_queries if self.site.kind == "encoder" else self.step + 1

    @property
    def n_read(self) -> int:
        """Keys that there were at the step."""
        site = self.site
        grows = site.kind == "decoder" and site.query != site.key
        return site.n_keys - site.n_queries + 1 + self.step if grows else site.n_keys

    def rows(self, queries: slice) -> np.ndarray:
        """Return rows of weights, float32 [query, key]; without the keys that are left out."""
        weights = self.trace.weights(self.site, "mean" if self.head == MEAN else self.head, queries)
        return without(weights, self.apart) if self.choices["special"] == "omit" and self.apart else weights

    @cached_property
    def row(self) -> np.ndarray:
        """The weights of the step, float32 [key]."""
        return np.asarray(self.rows(slice(self.step, self.step + 1))[0])

    def cells(self, queries: Axis, keys: Axis) -> tuple[np.ndarray, np.ndarray]:
        """Return the greatest weight of each cell, float32 [query cell, key cell], and where one is out of order."""
        found = self._overview[0] if self.side > 1 else self.rows(slice(None))
        odd = ~((found >= 0) & (found <= 1.02))
        along = ((0, queries.per // self.side), (1, keys.per // self.side))
        for number, per in along:
            found, odd = pooled(found, per, number), pooled(odd, per, number)
        return found, odd.astype(bool)

    @property
    def received(self) -> np.ndarray:
        """Strength of each key: of all rows that are not pale, or in the step alone; float64 [key]."""
        if self.choices["strength"] == "step":
            return np.nan_to_num(self.row.astype(np.float64), posinf=0, neginf=0)
        total = np.zeros(self.site.n_keys)
        for first in range(0, self.n_reached, _ROWS):
            rows = self.rows(slice(first, min(first + _ROWS, self.n_reached)))
            total += np.where(np.isfinite(rows), rows, 0).sum(0, dtype=np.float64)
        return total

    @property
    def expected(self) -> list[float]:
        """Strength that is expected of each key; empty for none."""
        keys = self.trace.tokens[self.site.key]
        return expected_strength(self.site, keys, self.choices, self.n_reached)

    def verdicts(self, received: np.ndarray) -> list[str]:
        """Return which keys are "weak" or "strong", "" for others; nothing before half of the rows are there."""
        expected = self.expected
        if not expected or self.n_reached * 2 < self.site.n_queries:
            return [""] * len(received)
        found = []
        for key, (value, level) in enumerate(zip(received.tolist(), expected, strict=True)):
            strong = value > (level * STRONG if level else WEAK)
            verdict = "weak" if value < level * WEAK else "strong" if strong else ""
            found.append("" if key in self.apart or key >= self.n_read else verdict)
        return found

    @cached_property
    def _overview(self) -> tuple[np.ndarray, int]:
        return self.trace.overview(self.site, "mean" if self.head == MEAN else self.head, 512)


def look_at(trace: Trace, selection: dict[str, object]) -> Look | None:
    """Return what a figure of a trace shows; None while it has no weights.

    Raises:
        TypeError: no such trait, or one that is not a choice.
        TraitError: a value that the trait cannot have, or that the trace does not have.
    """
    choices = chosen(trace, selection)
    sites = trace.sites
    number, head, step = (cast("int", choices[name]) for name in ("site", "head", "step"))
    if not sites or not sites[number].n_queries:
        return None
    look = Look(trace, sites[number], head, step, choices)
    if choices["special"] == "keep" or look.side > 1:
        return look
    named = [key for key in cast("list[int]", choices["special_keys"]) if key < look.site.n_keys]
    apart = named or special_keys(look.texts("key"), look.rows(slice(None)))
    return Look(trace, look.site, head, step, choices, tuple(apart))
