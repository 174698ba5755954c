"""Pictures, compressed: words, numbers and levels of weights each in its own way, in one stream that any zlib reads."""

from __future__ import annotations

import struct
import zlib

PIECE = 1 << 18  # bytes of numbers, or of levels, that are packed in one way
SHARE, LEAST = 32, 1 << 10  # of which one in so many is tried, and at least so many
WAYS = (zlib.Z_DEFAULT_STRATEGY, zlib.Z_RLE, zlib.Z_HUFFMAN_ONLY)
MEMORY = 9  # 32,768 bytes share one code, which takes some 100 bytes


def compressed(picture: bytes, n_levels: int, level: int) -> bytes:
    """Return a picture as a zlib stream.

    Weights of which none is like the other have no repetitions: looking for some takes up to ten times as long and
    makes them larger. Those under a causal mask have runs of 0.

    Args:
        picture: what `pack` returned.
        n_levels: how many of its last bytes are levels.
        level: of zlib.
    """
    view, levels = memoryview(picture), len(picture) - n_levels
    numbers = min(levels, 4 + int.from_bytes(view[:4], "little"))
    pieces = [_deflated(view[:numbers], level, zlib.Z_DEFAULT_STRATEGY)]
    for first, end in ((numbers, levels), (levels, len(picture))):
        pieces += [_best(view[at : min(at + PIECE, end)], level) for at in range(first, end, PIECE)]
    last = zlib.compressobj(wbits=-zlib.MAX_WBITS).flush()
    return b"".join([b"\x78\x9c", *pieces, last, struct.pack(">I", zlib.adler32(picture))])


def _best(piece: memoryview, level: int) -> bytes:
    """Return a piece, deflated in the way that makes least of a sample from its middle."""
    n_tried = min(len(piece), max(LEAST, len(piece) // SHARE))
    middle = (len(piece) - n_tried) // 2
    sample = piece[middle : middle + n_tried]
    return _deflated(piece, level, min(WAYS, key=lambda way: len(_deflated(sample, level, way))))


def _deflated(data: memoryview, level: int, way: int) -> bytes:
    """Return deflated bytes without an end, so that others can follow."""
    packer = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS, MEMORY, way)
    return packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH)
