"""rerun: decode again under edits, and say what became of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from attnwidget.capture.copying import copied
from attnwidget.capture.edit import Edit, as_edits
from attnwidget.capture.errors import CaptureError
from attnwidget.capture.generating import generate, runs
from attnwidget.trace import Trace

_SHOWN = 0.0005  # weights that differ by less look the same at three decimals


@dataclass(frozen=True)
class Change:
    """How the weights of a site differ between two runs, over the steps that chose the same tokens.

    Args:
        site: name of the site.
        largest: the largest difference of a weight, 0 to 1.
        head, query, key: where it is.
        n_rows: how many rows, of all heads, differ by 0.0005 or more.
    """

    site: str
    largest: float
    head: int
    query: int
    key: int
    n_rows: int


@dataclass(frozen=True)
class Rerun:
    """A run under edits beside the run without them.

    Args:
        before: the trace without these edits.
        after: the trace with them.
        edits: what was changed in the second run.
        kept: edits of the first run that both have; they come before the others.
        tokens: the steps whose tokens differ, as (step, token before, token after); "" where one run has no such step.
        changes: how the weights of each site changed, the largest change first. Rows are compared up to and with the
            first step whose token differs; after it the two runs read different texts.
    """

    before: Trace
    after: Trace
    edits: tuple[Edit, ...]
    kept: tuple[Edit, ...]
    tokens: tuple[tuple[int, str, str], ...]
    changes: tuple[Change, ...]

    @property
    def first(self) -> int | None:
        """The first step whose token differs, or None where all tokens stayed the same."""
        return self.tokens[0][0] if self.tokens else None

    def __str__(self) -> str:
        n_steps = max(len(self.before.steps), len(self.after.steps))
        lines = [f"Decoded again with {', '.join(map(str, self.edits)) or 'no edit'}."]
        if self.kept:
            lines = [f"{lines[0]} Both runs have {', '.join(map(str, self.kept))}."]
        elif self.before.edits:
            lines = [f"{lines[0]} The first run had {', '.join(self.before.edits)}, this one has not."]
        if self.tokens:
            lines.append(f"{len(self.tokens)} of {n_steps} tokens changed, the first at step {self.first}:")
            lines += [f"  step {step}: {old!r} -> {new!r}" for step, old, new in self.tokens]
        else:
            lines.append(f"None of the {n_steps} tokens changed, which often happens.")
        moved = [it for it in self.changes if it.n_rows]
        lines.append(f"Weights changed in {len(moved)} of {len(self.changes)} sites.")
        lines += [
            f"  {it.site}: {it.n_rows} rows, at most {it.largest:.3f} at head {it.head}, query {it.query}, key {it.key}"
            for it in moved
        ]
        return "\n".join(lines)

    __repr__ = __str__


def rerun(trace: Trace, edits: Edit | Iterable[Edit], *, keep: bool = True, into: Trace | None = None) -> Rerun:
    """Decode again what `aw.generate` decoded, with edited weights: what if this head had not looked there?

    The model, the inputs, the options and the random numbers are those of the first run; random numbers of the program
    stay as they are.

    Args:
        trace: what `aw.generate` returned.
        edits: changes of weights, in the order in which they are applied.
        keep: whether edits that the first run had are applied too, before these; without them it is as if it had had
            none.
        into: an empty trace to record into, for example one that is shown already.

    Returns:
        Both traces, which tokens changed and how weights changed. Print it.

    Raises:
        CaptureError: the trace was not made by `aw.generate` in this session, or an edit met no call.
    """
    if not isinstance(trace, Trace):
        raise TypeError(f"trace: {type(trace).__name__} came, what aw.generate returned was expected.")
    run = runs.get(trace)
    if run is None:
        raise CaptureError(
            "this trace was not made by aw.generate in this session, so nobody knows how to decode it again. Run the "
            "model inside `with aw.record(model, edits=[...])`."
        )
    kept, added = run.edits if keep else (), tuple(_named(it, trace) for it in as_edits(edits))
    chosen = (*kept, *added)
    store = "auto" if chosen and run.options["store"] == "qk" else run.options["store"]  # which knows no edited weights
    devices = list(range(torch.cuda.device_count())) if run.cuda else []
    with torch.random.fork_rng(devices):
        torch.set_rng_state(run.randomness)
        if run.cuda:
            torch.cuda.set_rng_state_all(list(run.cuda))
        options = run.options | copied(run.kwargs) | {"store": store}
        after = generate(run.model, copied(run.inputs), run.tokenizer, into, chosen, **options)
    tokens = _tokens(trace, after)
    n_alike = tokens[0][0] + 1 if tokens else len(trace.steps)
    return Rerun(trace, after, added, kept, tokens, _changes(trace, after, n_alike))


def _named(edit: Edit, trace: Trace) -> Edit:
    """Return an edit that names its site, of which the trace tells the position."""
    if not isinstance(edit, Edit) or not isinstance(edit.site, int):
        return edit
    if not 0 <= edit.site < len(trace.sites):
        raise CaptureError(f"{edit}: the trace has {len(trace.sites)} sites, counted from 0.")
    return replace(edit, site=trace.sites[edit.site].name)


def _tokens(before: Trace, after: Trace) -> tuple[tuple[int, str, str], ...]:
    old, new = ([step.token for step in trace.steps] for trace in (before, after))
    longest = max(len(old), len(new))
    padded: list[Sequence[str]] = [[*tokens, *[""] * (longest - len(tokens))] for tokens in (old, new)]
    return tuple((i, a, b) for i, (a, b) in enumerate(zip(*padded, strict=True)) if a != b)


def _changes(before: Trace, after: Trace, n_alike: int) -> tuple[Change, ...]:
    found = []
    names = {site.name for site in after.sites}
    for site in before.sites:
        if site.name not in names:
            continue
        rows = slice(n_alike) if site.query == "target" else slice(None)
        old, new = before.weights(site, queries=rows), after.weights(site.name, queries=rows)
        sizes = [min(sizes) for sizes in zip(old.shape, new.shape, strict=True)]
        old, new = (it[tuple(slice(size) for size in sizes)] for it in (old, new))
        difference = np.nan_to_num(np.abs(new - old))
        if not difference.size:
            continue
        head, query, key = np.unravel_index(int(difference.argmax()), difference.shape)
        n_rows = int((difference.max(-1) >= _SHOWN).sum())
        found.append(Change(site.name, float(difference.max()), int(head), int(query), int(key), n_rows))
    return tuple(sorted(found, key=lambda it: -it.largest))
