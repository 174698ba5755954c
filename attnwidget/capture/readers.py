"""What a decoder reads in a pass: which calls have a row for each token, and which have several."""

from __future__ import annotations

from dataclasses import replace

from attnwidget.capture.call import Call
from attnwidget.capture.kinds import says_cross, tower_of
from attnwidget.capture.passes import Pass

_SENSES = ("vision", "visual", "image", "audio", "speech")  # towers that read no tokens


def reads_prefix(call: Call, n_read: int | None, *, is_pair: bool) -> bool:
    """Tell whether a call has a row for each token of a pass, as a decoder has and an encoder has not.

    Args:
        call: what an adapter saw.
        n_read: how many tokens the pass reads; None where that is not known.
        is_pair: whether the model has an encoder and a decoder.
    """
    n_queries, n_keys = call.attention.shape[2:]
    n_read = n_queries if n_read is None else n_read
    if call.causal is False and not call.cross and n_queries > 1:  # an encoder, or text that is read anew each time
        return not is_pair and n_queries == n_read == n_keys and tower_of(call.module) not in _SENSES
    if n_queries <= n_read or call.causal is not None:
        return n_queries == n_read or (n_queries > n_read and bool(call.causal))
    # It may put an image before its tokens, and what these see is all that tells.
    if n_queries != n_keys or call.cross or is_pair or tower_of(call.module) in _SENSES:
        return False
    text = call.attention.part(slice(None), slice(n_queries - n_read, n_queries))
    return not text.looks_ahead(n_queries - n_read)


class Unread(set[str]):
    """The modules of a decoder that attend to keys which are no tokens, as to summaries of earlier ones."""

    def __init__(self) -> None:
        super().__init__()
        self._windows: dict[tuple[str, int], int] = {}  # keys by module and number of queries, once some were forgotten

    def holds(self, call: Call, name: str, current: Pass, *, known: bool) -> bool:
        """Tell whether a call comes of such a module.

        Args:
            call: what an adapter saw.
            name: the module.
            current: the pass in which it runs.
            known: whether rows of it were taken before, when its keys were tokens.
        """
        n_queries, n_keys = call.attention.shape[2:]
        is_own = n_queries == current.n_read and not (call.cross or says_cross(call.module))
        if is_own and call.first_key and n_keys > self._windows.setdefault((name, n_queries), n_keys):
            self.add(name)  # a window that forgot tokens does not grow
        if is_own and current.past is not None and call.n_keys is None and (current.past or not known):
            total = current.past + n_queries
            if n_keys > total and call.attention.looks_beyond(total):
                self.add(name)
        return name in self


def streams_of(call: Call, n_read: int | None) -> list[Call]:
    """Return the parts of attention to a source by a decoder that reads each token several times.

    Args:
        call: what an adapter saw.
        n_read: how many tokens the pass reads; None where that is not known.
    """
    n_queries, is_cross = call.attention.shape[2], call.cross or says_cross(call.module)
    if not n_read or n_queries % n_read or call.causal or not is_cross:
        return []
    parts = (slice(first, first + n_read) for first in range(0, n_queries, n_read))
    return [replace(call, attention=call.attention.part(slice(None), it), cross=True) for it in parts]
