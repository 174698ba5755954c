"""Pictures, compressed: levels of weights otherwise than all else, in one stream that any zlib reads."""

from __future__ import annotations

import struct
import zlib

PIECE = 1 << 18  # bytes of levels that are packed in one way
SAMPLE = 1 << 14  # of which so many are tried
WAYS = (zlib.Z_DEFAULT_STRATEGY, zlib.Z_RLE, zlib.Z_HUFFMAN_ONLY)
MEMORY = 9  # 32,768 bytes share one code, which takes some 100 bytes


def compressed(picture: bytes, n_levels: int, level: int) -> bytes:
    """Return a picture as a zlib stream.

    Weights of which none is like the other have no repetitions: looking for some takes ten times as long and makes
    them larger. Those under a causal mask have runs of 0.

    Args:
        picture: what `pack` returned.
        n_levels: how many of its last bytes are levels.
        level: of zlib.
    """
    rest = len(picture) - n_levels
    view = memoryview(picture)
    pieces = [_deflated(view[:rest], level, zlib.Z_DEFAULT_STRATEGY)]
    for at in range(rest, len(picture), PIECE):
        piece = view[at : at + PIECE]
        middle = max(0, len(piece) - SAMPLE) // 2
        way = min(WAYS, key=lambda way: len(_deflated(piece[middle : middle + SAMPLE], level, way)))
        pieces.append(_deflated(piece, level, way))
    end = zlib.compressobj(wbits=-zlib.MAX_WBITS).flush()
    return b"".join([b"\x78\x9c", *pieces, end, struct.pack(">I", zlib.adler32(picture))])


def _deflated(data: memoryview, level: int, way: int) -> bytes:
    """Return deflated bytes without an end, so that others can follow."""
    packer = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS, MEMORY, way)
    return packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH)
