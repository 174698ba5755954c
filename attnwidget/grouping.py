"""Tokens put together: sub-words into words, words into sentences, or by spans of one's own. Rows still sum to 1."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Literal

import numpy as np

from attnwidget.ledger import CONTEXT
from attnwidget.outline import Site
from attnwidget.trace import Trace

By = Literal["words", "sentences"]
Spans = Sequence[tuple[int, int]]

MOST_BYTES = 1 << 28  # of the weights of a grouped trace
BLOCK = 1 << 22  # weights that are read at once
READ = "read"  # the strip of what a decoder has read, grouped: steps no longer add one token each to it
_SPECIAL = re.compile(r"\[[A-Z]+\]|<[^<>]*>|<\|.*\|>", re.DOTALL)
_STARTS = (" ", "\n", "\t", "▁", "Ġ", "Ċ")
_SENTENCE_END = re.compile(r"[.!?…。！？]['\")\]»”’]*\s*$|\n\s*$")


def grouped(trace: Trace, by: By | Mapping[str, Spans] = "words") -> Trace:
    """Return a trace whose tokens are groups of tokens.

    The weight on a group is the sum over its tokens, and the row of a group is the mean over the rows of its tokens
    (rows without weights left aside). So rows sum to what they summed to before.

    Args:
        trace: what to group; it stays as it is.
        by: "words" puts sub-words together, as their tokenizer marks them (a space or its sign in front, or "##");
            "sentences" ends a group after a full stop, a question or an exclamation mark, or a line break; or spans
            [first, end) by the name of the strip. Tokens outside any span stay by themselves, and so do special ones.

    Raises:
        KeyError: no such strip.
        ValueError: spans that overlap, or reach outside their strip; or groups that still are too many to be kept.
    """
    strips = _lengths(trace)
    if not isinstance(by, str):
        for strip in by:
            if strip not in strips:
                raise KeyError(f"strip {strip!r} was asked for, the trace has {', '.join(map(repr, strips))}.")
    starts = {strip: _starts(trace, strip, length, by) for strip, length in strips.items()}
    n_bytes = sum(4 * site.n_heads * len(starts[site.query]) * len(starts[site.key]) for site in trace.sites)
    if n_bytes > MOST_BYTES:
        raise ValueError(
            f"groups of {n_bytes / 2**20:,.0f} MiB of weights came, at most {MOST_BYTES / 2**20:,.0f} were expected: "
            'group by "sentences", or by longer spans.'
        )
    made = Trace(title=trace.title)
    made.edits = trace.edits
    for strip, at in starts.items():
        if len(at):
            texts = [trace.tokens[strip].texts[first:end] for first, end in pairwise([*at.tolist(), strips[strip]])]
            made.set_tokens(_name(strip), [_joined(parts, trace.tokens[strip].texts) for parts in texts])
    for site in trace.sites:
        made.add_site(
            replace(site, query=_name(site.query), key=_name(site.key), n_queries=0, n_keys=0, flags=(), store="dense")
        )
    for site in trace.sites:
        if site.n_queries:
            made.append({site.name: _weights(trace, site, starts[site.query], starts[site.key])})
    made.finish()
    return made


def _joined(parts: Sequence[str], strip: Sequence[str]) -> str:
    """Return the text of a group, with spaces between tokens where those of its strip have none of their own."""
    if any(text.startswith("##") for text in strip):
        return "".join(part.removeprefix("##") if part.startswith("##") else f" {part}" for part in parts).strip()
    text = ("" if any(text.startswith(_STARTS) for text in strip) else " ").join(parts)
    return text.strip() or text


def _name(strip: str) -> str:
    return READ if strip == CONTEXT else strip


def _lengths(trace: Trace) -> dict[str, int]:
    """Return how many tokens each strip has: those that have texts, or that a site counts."""
    lengths = dict(trace.n_tokens)
    for site in trace.sites:
        for strip, length in ((site.query, site.n_queries), (site.key, site.n_keys)):
            lengths[strip] = max(lengths.get(strip, 0), length)
    return lengths


def _starts(trace: Trace, strip: str, length: int, by: By | Mapping[str, Spans]) -> np.ndarray:
    """Return where groups begin, int [group]. What a decoder wrote begins anew behind its prompt."""
    texts = [*trace.tokens[strip].texts, *[""] * length][:length] if strip in trace.n_tokens else [""] * length
    if isinstance(by, str):
        begins = _words(texts) if by == "words" else _sentences(texts)
    else:
        begins = _spans(by.get(strip, ()), strip, length)
    n_read = trace.ledger.strips.n_read if strip == CONTEXT else None
    if n_read is not None and n_read < length:
        begins[n_read] = True
    if length:
        begins[0] = True
    return np.flatnonzero(begins)


def _words(texts: Sequence[str]) -> np.ndarray:
    """Tell which tokens begin a word, bool [token]."""
    special = [_SPECIAL.fullmatch(text) is not None for text in texts]
    if any(text.startswith("##") for text in texts):
        begins = [not text.startswith("##") for text in texts]
    elif any(text.startswith(_STARTS) for text in texts[1:]):
        begins = [text.startswith(_STARTS) or not any(map(str.isalnum, text)) for text in texts]
    else:
        begins = [True] * len(texts)
    behind = [False, *special][: len(special)]
    return np.array([any(reasons) for reasons in zip(begins, special, behind, strict=True)], bool)


def _sentences(texts: Sequence[str]) -> np.ndarray:
    """Tell which tokens begin a sentence, bool [token]."""
    special = [_SPECIAL.fullmatch(text) is not None for text in texts]
    ends = [_SENTENCE_END.search(text) is not None for text in texts]
    return np.array([i > 0 and (ends[i - 1] or special[i - 1] or special[i]) for i in range(len(texts))], bool)


def _spans(spans: Spans, strip: str, length: int) -> np.ndarray:
    """Tell which tokens begin a span, or stand outside any, bool [token]."""
    inside = np.zeros(length, bool)
    begins = np.ones(length, bool)
    for first, end in spans:
        if not 0 <= first < end <= length:
            raise ValueError(f"{strip}: span {first} to {end} came, it has {length} tokens, counted from 0.")
        if inside[first:end].any():
            raise ValueError(f"{strip}: span {first} to {end} came, which overlaps another one.")
        inside[first:end] = True
        begins[first + 1 : end] = False
    return begins


def _weights(trace: Trace, site: Site, queries: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Return float32 [head, group of queries, group of keys]."""
    found = np.zeros((site.n_heads, len(queries), len(keys)), np.float32)
    ends = [*queries[1:].tolist(), site.n_queries]
    at_once = max(1, BLOCK // (site.n_keys * site.n_heads))
    group = 0
    while group < len(queries):
        last = group + 1
        while last < len(queries) and ends[last] - queries[group] <= at_once:
            last += 1
        rows = trace.weights(site, queries=slice(int(queries[group]), ends[last - 1])).astype(np.float64)
        sums = np.add.reduceat(rows, keys, axis=2)
        known = np.asarray(~np.isnan(sums).all(2))
        starts = queries[group:last] - queries[group]
        counts = np.add.reduceat(known.astype(np.float64), starts, axis=1)[..., None]
        totals = np.add.reduceat(np.where(known[..., None], sums, 0), starts, axis=1)
        with np.errstate(invalid="ignore"):
            found[:, group:last] = np.where(counts > 0, totals / counts, np.nan)
        group = last
    return found
