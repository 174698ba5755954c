"""A trace as tables: arrays for numpy, lines for a spreadsheet, and a summary to read."""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, cast

import numpy as np

from attnwidget.disk import replacing
from attnwidget.outline import brief, printable

if TYPE_CHECKING:
    from attnwidget.outline import Site
    from attnwidget.trace import Trace

CSV_HEADER = ("site", "layer", "head", "query", "query_token", "key", "key_token", "weight")
_MOST_TOKENS = 8  # that a summary shows
_MOST_NUMBERS = 1 << 28  # weights of a table: 1 GiB of float32


def to_npz(trace: Trace, path: str | os.PathLike[str], *, progress: bool = False) -> None:
    """Write arrays that `numpy.load` reads, without pickle.

    There is an array for the weights of each site, float32 [head, query, key], named weights_0, weights_1 and so on;
    `about` is a JSON text with title, strips of tokens and what each site is. Half a token (a lone surrogate) is
    written as JSON has it.

    Args:
        trace: what to write.
        path: the file; an existing one is replaced once the new one is whole.
        progress: whether to show a bar on stderr.

    Raises:
        OSError: the file could not be written.
        ValueError: the weights are too many for one table.
    """
    sites = trace.sites
    _check_size(sites)
    about = {
        "title": trace.title,
        "tokens": {name: list(tokens.texts) for name, tokens in trace.tokens.items()},
        "sites": [
            {"name": site.name, "kind": site.kind, "layer": site.layer, "query": site.query, "key": site.key}
            for site in sites
        ],
    }
    arrays = {f"weights_{i}": trace.weights(site) for i, site in enumerate(_counted(sites, progress))}
    with replacing(path) as temporary, temporary.open("xb") as file:
        np.savez_compressed(file, allow_pickle=False, about=np.array(json.dumps(about)), **arrays)


def to_csv(trace: Trace, path: str | os.PathLike[str], *, progress: bool = False) -> None:
    """Write a table with a line for each weight: site, layer, head, query and its token, key and its token, weight.

    Tokens, and sites of unusual names, are written as JSON strings, quotes included: so spaces and line breaks can be
    told apart, and no spreadsheet takes one for a formula. Indices count from 0. Lines end as in RFC 4180; the text is
    UTF-8.

    Args:
        trace: what to write.
        path: the file; an existing one is replaced once the new one is whole.
        progress: whether to show a bar on stderr.

    Raises:
        OSError: the file could not be written.
        ValueError: the weights are too many for one table.
    """
    sites = trace.sites
    _check_size(sites)
    with replacing(path) as temporary, temporary.open("x", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(CSV_HEADER)
        for site in _counted(sites, progress):
            table.writerows(_lines(trace, site))


def summary(trace: Trace) -> str:
    """Return what is in a trace as text: strips, places of attention with their sizes, and what is unusual."""
    lines = [re.sub(r"\s+", " ", printable(repr(trace))), "", "tokens"]
    for name, tokens in trace.tokens.items():
        if tokens.texts:
            first = " ".join(_quoted(brief(text)) for text in tokens.texts[:_MOST_TOKENS])
            more = " ..." if len(tokens.texts) > _MOST_TOKENS else ""
            lines.append(f"  {printable(brief(name))} ({len(tokens.texts)}): {first}{more}")
    head = ("#", "name", "kind", "layer", "heads", "queries x keys", "kept as")
    rows = [
        (
            str(i),
            printable(brief(site.name)),
            site.kind,
            str(site.layer),
            str(site.n_heads),
            f"{site.n_queries} x {site.n_keys}",
            site.store,
        )
        for i, site in enumerate(trace.sites)
    ]
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines += ["", "places of attention"]
    for row in (head, *rows):
        lines.append("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    flags = [f"  {printable(brief(site.name))}: {flag}" for site in trace.sites for flag in site.flags]
    return "\n".join([*lines, *(["", "unusual", *flags] if flags else [])])


def _lines(trace: Trace, site: Site) -> Iterator[tuple[object, ...]]:
    queries, keys = (
        [_quoted(text) for text in trace.tokens[strip].texts[:count]]
        + ['""'] * (count - len(trace.tokens[strip].texts))
        for strip, count in ((site.query, site.n_queries), (site.key, site.n_keys))
    )
    name = site.name if re.fullmatch(r"[\w.#]+", site.name) else _quoted(site.name)
    for head in range(site.n_heads):
        for query, row in enumerate(trace.weights(site, head).tolist()):
            for key, weight in enumerate(row):
                yield name, site.layer, head, query, queries[query], key, keys[key], f"{weight:.9g}"


def _quoted(text: str) -> str:
    """Return a token as a JSON string; what a terminal or a table cannot show is escaped in it."""
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in json.dumps(text, ensure_ascii=False))


def _check_size(sites: Iterable[Site]) -> None:
    count = sum(site.n_heads * site.n_queries * site.n_keys for site in sites)
    if count > _MOST_NUMBERS:
        raise ValueError(
            f"a table of {count:,} weights was asked for, {_MOST_NUMBERS:,} is the most; read what you need of it "
            "with trace.weights(site, head, queries, keys)."
        )


def _counted(sites: tuple[Site, ...], progress: bool) -> Iterable[Site]:
    if not progress:
        return sites
    from tqdm import tqdm  # type: ignore[import-untyped]

    return cast("Iterable[Site]", tqdm(sites, unit="site", leave=False))
