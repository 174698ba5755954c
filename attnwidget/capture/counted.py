"""Which strip of a trace an axis of weights counts, and what is made of one that nobody gave."""

from __future__ import annotations

from attnwidget.capture.kinds import tower_of
from attnwidget.ledger import CONTEXT, SOURCE
from attnwidget.tokens import Tokens
from attnwidget.trace import Trace

_START = "<start>"


class Counted:
    """The strips that the sites of a recording count.

    Args:
        trace: whose strips they are.
    """

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._n_source = 0  # how many tokens the first site had that counts the source

    def begin_context(self, n_read: int, *, taken: bool) -> None:
        """Name what the decoder had read before its first step, unless somebody has.

        Args:
            n_read: how many tokens that were.
            taken: whether some keys count the source, so that it is no prompt.
        """
        tokens = self._trace.tokens
        if tokens.get(CONTEXT):
            return
        source = tokens[SOURCE]
        if len(source) == n_read and not taken:
            self._trace.set_tokens(CONTEXT, source)
        else:
            texts = [_START] if n_read == 1 else [str(i + 1) for i in range(n_read)]
            self._trace.set_tokens(CONTEXT, texts)

    def of(self, strip: str, site: str, count: int, *, whole: bool, apart: bool) -> str:
        """Return the strip that an axis counts: what has another length than the source has tokens of its own.

        Args:
            strip: that its kind of attention counts.
            site: its name.
            count: how long the axis is.
            whole: whether all of a sequence came at once.
            apart: whether nobody can be asked for other tokens where they do not fit.
        """
        if strip != SOURCE:
            return strip
        n_tokens, tower = self._trace.n_tokens, tower_of(site)
        n_source = n_tokens[SOURCE] or self._n_source
        if count == (n_source or count):
            self._n_source = count
            return strip
        own = tower if tower not in ("", "encoder", "decoder") else ""
        # Rows of a language model may be fewer than its keys; and tokens that fit nowhere are to be complained of.
        if not own and not apart and not (whole and self._n_source):
            return strip
        own = own or f"{SOURCE}_{count}"
        own = own if n_tokens.get(own, 0) in (0, count) else f"{own}_{count}"
        if own not in n_tokens:
            scene = self._trace.tokens[SOURCE].scene
            names = tuple(str(i + 1) for i in range(count))
            self._trace.set_tokens(own, Tokens(names, None if scene is None else scene.pooled(count)))
        return own
