"""Which site a piece is of, and how pieces of one site come together by position."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from attnwidget.capture.call import Call
from attnwidget.capture.pieces import Piece, Rows


def by_site(pieces: Sequence[Piece], *, by_step: bool, n_target: int = 0) -> dict[str, list[Piece]]:
    """Tell apart what one module did several times in a forward pass.

    Matrices are layers that share it, and so is everything within a step. Single rows follow each other in time, and if
    there are twice as many of them as target tokens, two layers share it.

    Args:
        pieces: in the order in which they ran.
        by_step: whether they are of one step.
        n_target: how many target tokens there are; 0 where nobody knows.
    """
    n_single = Counter((piece.name, piece.forward) for piece in pieces if piece.n_queries == 1)
    several = shared_by_layers(pieces)
    ordinals: Counter[tuple[str, int]] = Counter()
    found: dict[str, list[Piece]] = {}
    for piece in pieces:
        place = (piece.name, piece.forward)
        ordinal = ordinals[place]
        ordinals[place] += 1
        if not by_step and piece.n_queries == 1 and piece.name not in several:
            fits = n_target and n_single[place] % n_target == 0
            ordinal %= n_single[place] // n_target if fits else 1
        found.setdefault(numbered(piece.name, ordinal), []).append(piece)
    return found


def shared_by_layers(pieces: Iterable[Piece]) -> set[str]:
    """Return the names of modules that made several matrices in a pass, so that their single rows are of layers too.

    What has another number of heads is of another layer as well, as where a module pools what it attended to.
    """
    n_matrices: Counter[tuple[str, int]] = Counter()
    n_heads: dict[tuple[str, int], set[int]] = {}
    for piece in pieces:
        place = (piece.name, piece.forward)
        n_matrices[place] += piece.n_queries > 1
        n_heads.setdefault(place, set()).add(piece.attention.shape[1])
    return {place[0] for place, count in n_matrices.items() if count > 1 or len(n_heads[place]) > 1}


def numbered(name: str, ordinal: int) -> str:
    """Return the name of a site: that of its module, and which of several calls in a pass it is."""
    return name if ordinal == 0 else f"{name}#{ordinal + 1}"


def joined(pieces: list[Piece], on_other_run: Callable[[], None]) -> Rows:
    """Put pieces under what came before; a later matrix has computed the earlier rows again.

    A decoder that keeps its keys says by their number where its rows belong, so that a part of a prompt, or a row that
    was decoded again, takes its place.

    Args:
        pieces: of one site, in the order in which they ran.
        on_other_run: called where a matrix takes the place of a whole run.
    """
    kept: list[tuple[Piece, int]] = []
    n_rows = 0
    for piece in pieces:
        if _goes_on(kept, n_rows, piece.n_queries, piece.n_keys, causal=piece.causal):
            first = piece.n_keys - piece.n_queries
            kept, n_rows = _upto(kept, first) if first < n_rows else kept, first
            if kept:
                kept[-1][0].share_keys(piece)
        elif piece.n_queries > 1 and kept:
            if n_rows >= piece.n_queries:
                on_other_run()
            kept, n_rows = [], 0
        kept.append((piece, piece.n_queries))
        n_rows += piece.n_queries
    return Rows(kept)


def place_of_next(pieces: Sequence[Piece], site: str, call: Call) -> int:
    """Return which row of its site the first row of a call becomes that comes behind pieces of its module."""
    n_queries, n_seen = call.attention.shape[2:]
    n_keys = call.first_key + n_seen if call.n_keys is None else call.n_keys
    kept = joined(by_site(pieces, by_step=False).get(site, []), lambda: None).parts
    n_rows = sum(count for _, count in kept)
    if _goes_on(kept, n_rows, n_queries, n_keys, causal=call.causal):
        return n_keys - n_queries
    return 0 if n_queries > 1 else n_rows


def _goes_on(kept: list[tuple[Piece, int]], n_rows: int, n_queries: int, n_keys: int, *, causal: bool | None) -> bool:
    """Tell whether new rows are of a decoder that keeps its keys, so that their number says where the rows belong."""
    first = n_keys - n_queries
    return bool((causal and 0 < first <= n_rows) or (kept and first == n_rows == kept[-1][0].n_keys))


def _upto(parts: list[tuple[Piece, int]], n_rows: int) -> list[tuple[Piece, int]]:
    """Leave out rows from `n_rows` on."""
    kept = []
    for piece, count in parts:
        if n_rows > 0:
            kept.append((piece, min(count, n_rows)))
        n_rows -= count
    return kept
