"""What kernel and page say to each other besides traits."""

from __future__ import annotations

from typing import Annotated, Literal, TypedDict


class DigestData(TypedDict):
    """What a head's weights must come to once all its rows are there."""

    site: Annotated[int, "index into sites"]
    head: Annotated[int, "index of the head"]
    crc: Annotated[int, "CRC-32 of its weights as little-endian float32 [query, key]"]


class RowsMessage(TypedDict):
    """kernel -> page: new steps. Its one buffer is a packed picture."""

    t: Literal["rows"]
    run: Annotated[str, "run of the picture"]
    seq: Annotated[int, "number of this message in the run, from 0, without gaps"]


class EndMessage(TypedDict):
    """kernel -> page: nothing more will come, and this is what must have arrived."""

    t: Literal["end"]
    run: Annotated[str, "which recording"]
    count: Annotated[int, "number of rows messages in the run"]
    digests: Annotated[list[DigestData], "one for each head that was streamed"]


class BlocksMessage(TypedDict):
    """kernel -> page: the answer to what a page asks for. Its one buffer is a packed picture."""

    t: Literal["blocks"]
    run: Annotated[str, "run of the picture"]


class ReadyMessage(TypedDict):
    """page -> kernel: how far has the run come? The answer is an end, an empty picture, or another run's frame."""

    t: Literal["ready"]
    run: Annotated[str, "which recording"]
    seq: Annotated[int, "the first message that it lacks"]


class NeedMessage(TypedDict):
    """page -> kernel: send these rows messages again."""

    t: Literal["need"]
    run: Annotated[str, "which recording"]
    seqs: Annotated[list[int], "numbers of the messages that did not come"]


class FetchMessage(TypedDict):
    """page -> kernel: send all weights of one head."""

    t: Literal["fetch"]
    run: Annotated[str, "which recording"]
    site: Annotated[int, "index into sites"]
    head: Annotated[int, "index of the head; -1 for the mean over heads"]


class WhyMessage(TypedDict):
    """page -> kernel: say what the weights of one row of one head came of."""

    t: Literal["why"]
    run: Annotated[str, "which recording"]
    site: Annotated[int, "index into sites"]
    head: Annotated[int, "index of the head"]
    query: Annotated[int, "index of the row"]


class HeadsMessage(TypedDict):
    """page -> kernel: tell of all heads of one site. The answers tell of some of them each."""

    t: Literal["heads"]
    run: Annotated[str, "which recording"]
    site: Annotated[int, "index into sites"]


class TextsMessage(TypedDict):
    """page -> kernel: send more tokens of a strip, from position `at` on."""

    t: Literal["texts"]
    run: Annotated[str, "which recording"]
    strip: Annotated[str, "name of the strip"]
    at: Annotated[int, "position of the first token that is wanted"]


class ViewMessage(TypedDict):
    """page -> kernel: this part of a head is looked at. The answers are blocks: coarse ones at first, then exact."""

    t: Literal["view"]
    run: Annotated[str, "which recording"]
    site: Annotated[int, "index into sites"]
    head: Annotated[int, "index of the head; -1 for the mean over heads"]
    queries: Annotated[list[int], "first and end of the rows, and how many make a cell"]
    keys: Annotated[list[int], "first and end of the columns, and how many make a cell"]
    step: Annotated[int, "the row that is read in full, and up to which strength is summed"]
    cells: Annotated[int, "0 where the cells are here, and rows and sums are asked for alone"]


class RefusedMessage(TypedDict):
    """kernel -> page: what was asked for is not in the trace."""

    t: Literal["refused"]
    run: Annotated[str, "which recording"]
    reason: Annotated[str, "what came and what was expected"]
