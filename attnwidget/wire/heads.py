"""What a picture says of heads as a whole; part of the declaration of the wire."""

from __future__ import annotations

from typing import Annotated, TypedDict


class StatisticsData(TypedDict):
    """What heads attend to on the whole, a number for each head, null where it has none. See `attnwidget.heads`."""

    entropy: Annotated[list[float | None], "of a row, bits"]
    distance: Annotated[list[float | None], "between a query and what it attends to, tokens"]
    previous: Annotated[list[float | None], "weight on the token before"]
    first: Annotated[list[float | None], "weight on the first key"]
    diagonal: Annotated[list[float | None], "weight on the token itself, or along the line from corner to corner"]
    induction: Annotated[list[float | None], "weight on what followed the same token before"]


class HeadsData(TypedDict):
    """Statistics of some heads of a site, and a small picture of each: bytes at `offset` behind the header."""

    site: Annotated[int, "index into sites"]
    at: Annotated[int, "the first of these heads"]
    n_heads: Annotated[int, "how many there are"]
    n_queries: Annotated[int, "how many queries they had"]
    n_read: Annotated[int, "how many of these queries were read, from all over where not all"]
    n_rows: Annotated[int, "rows of a picture; 0 where there are no pictures"]
    n_columns: Annotated[int, "columns of a picture"]
    offset: Annotated[int, "where they begin, counted from the end of the header"]
    statistics: Annotated[StatisticsData, "a number for each of these heads"]
