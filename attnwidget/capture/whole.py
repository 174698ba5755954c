"""A recording without steps: what one pass attended to becomes the sites of a trace, at once or when they are seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from attnwidget.capture.attention import DotProduct
from attnwidget.capture.kinds import kind_of
from attnwidget.capture.pieces import Rows
from attnwidget.capture.sharding import Sharding
from attnwidget.capture.sites import Sites
from attnwidget.capture.sizes import Sizer
from attnwidget.outline import Kind
from attnwidget.trace import Trace


@dataclass(frozen=True)
class Whole:
    """All rows of a recording.

    Args:
        rows: by site.
        n_source, n_target: how many tokens these strips were given; 0 where the rows tell.
    """

    rows: Mapping[str, Rows]
    n_source: int
    n_target: int

    def kinds(self) -> dict[str, Kind]:
        """Return which kind of attention each site is."""
        counts = {"n_source": self.n_source, "n_target": self.n_target}
        return {name: kind_of(name, rows, step=None, **counts) for name, rows in self.rows.items()}

    def add_to(self, sites: Sites) -> None:
        """Add the sites and their rows."""
        kinds = self.kinds()
        alone = not self.n_target and "cross" not in kinds.values()
        for name, rows in self.rows.items():
            sites.add(name, kinds[name], rows, alone=alone)
        sites.append_rows(self.rows, n_keys=self.n_target)

    def can_wait(self, sites: Sites, trace: Trace) -> bool:
        """Tell whether nothing can go wrong later, and nobody needs to be told anything before.

        Rows wait that are queries and keys in this machine's memory, all a kernel was given, and small; the strips of
        their trace are numbered, so that there is nothing that they could miss.
        """
        return (
            not any(trace.n_tokens.values())
            and not trace.sites
            and sites.are_plain
            and all(_is_plain(rows) for rows in self.rows.values())
            and all(sites.sizer.is_settled(name, rows) for name, rows in self.rows.items())
        )

    def add_later(self, sites: Sites, trace: Trace) -> None:
        """Add them when somebody looks; until then the trace holds them, and nothing of the model."""
        store, tolerances = sites.sizer.settled, dict(sites.tolerances)
        trace.finish_later(lambda it: self.add_to(Sites(it, Sizer(store), Sharding(None), tolerances)))


def _is_plain(rows: Rows) -> bool:
    """Tell whether rows are one matrix of queries and keys without a mask."""
    if len(rows.parts) != 1:
        return False
    (piece, n_rows) = rows.parts[0]
    it = piece.attention
    return (
        isinstance(it, DotProduct)
        and it.mask is None
        and it.sinks is None
        and it.softcap is None
        and it.query.is_cpu
        and piece.cross is False
        and not piece.first_key
        and not piece.first_query
        and 1 < n_rows == it.shape[2] == it.shape[3] == piece.n_keys
    )
