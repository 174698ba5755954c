"""Passes of a decoder: what it reads in each, and which row of a pass has read just a given prefix.

A row of attention is a function of what the decoder has read up to it. So rows are told apart by prefix, whatever the
decoding does with them: search with beams, draft and reject, read the prompt in parts, or read it all again each time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace

import torch

from attnwidget.capture.call import Call
from attnwidget.capture.inventory import Inventory
from attnwidget.capture.kinds import says_cross
from attnwidget.capture.pieces import Piece
from attnwidget.capture.unstopped import Unstopped

_IDS = ("decoder_input_ids", "input_ids")
_CACHES = ("past_key_values", "cache_params")


@dataclass
class Pass:
    """One pass of a decoder.

    Args:
        past: tokens that were in its cache before; None where it does not say.
        ids: the tokens that it reads, [batch, query]; None where it reads features.
        n_read: how many tokens or features it reads; None where that is not known.
        calls: what it attended to, with the names of the sites.
    """

    past: int | None
    ids: torch.Tensor | None
    n_read: int | None = None
    calls: list[tuple[str, Call]] = field(default_factory=list)

    def row_of(self, prefixes: torch.Tensor, n_hidden: int) -> int | None:
        """Return which row, counted from the end as -1, -2, ..., has read these prefixes.

        Args:
            prefixes: [batch, token], everything that was read.
            n_hidden: how much was read before it that is no token.

        Returns:
            None where this pass read something else.
        """
        if self.ids is None:
            return -1
        n_batch, n_read = self.ids.shape
        n_prefix = prefixes.shape[1]
        past = n_prefix - n_read if self.past is None else self.past and self.past - n_hidden
        n_own = n_prefix - past
        if n_batch != len(prefixes) or not 0 < n_own <= n_read or past < 0:
            return None
        if not torch.equal(prefixes[:, past:], self.ids[:, :n_own].to(prefixes)):
            return None
        return n_own - n_read - 1


class Passes:
    """The passes of the decoders in a model of Transformers since the last token was chosen."""

    def __init__(self, inventory: Inventory, unstopped: Unstopped) -> None:
        self._unstopped = unstopped
        self._decoders = inventory.having("prepare_inputs_for_generation")
        self.is_pair = bool(getattr(getattr(inventory.model, "config", None), "is_encoder_decoder", False))
        self._list: list[Pass] = []
        self._depth = 0
        self._n_hidden = 0  # features that were read in place of tokens
        self.n_begun = 0
        self.used = True  # whether a token was chosen by the last pass

    @property
    def current(self) -> Pass | None:
        """The pass that runs now."""
        return self._list[-1] if self._depth else None

    def withdraw(self, key: object) -> None:
        """Drop a call."""
        for it in self._list:
            it.calls = [(name, call) for name, call in it.calls if call.key is not key]

    def find(self, prefixes: torch.Tensor) -> tuple[Pass, int] | None:
        """Return the latest pass that has read these prefixes, and which of its rows; None if there is none."""
        for it in reversed(self._list):
            if it.ids is None and it.past is not None and it.n_read is not None:
                self._n_hidden = it.past + it.n_read - prefixes.shape[1]
            row = it.row_of(prefixes, self._n_hidden)
            if row is not None:
                return it, row
        return None

    def learn_hidden(self, current: Pass, n_queries: int) -> None:
        """Learn that the first pass reads more than its tokens, as an image that a decoder puts before them."""
        if current.ids is not None and current.past == 0 and current.n_read is not None:
            self._n_hidden = max(self._n_hidden, n_queries - current.n_read)

    def placed(self, call: Call) -> Call:
        """Return a call with the positions that the pass tells, where its adapter did not know them."""
        current = self.current
        if current is None or current.past is None or call.n_keys is not None or call.cross:
            return call
        n_queries, n_seen = call.attention.shape[2:]
        total = current.past + n_queries
        if n_queries != current.n_read or (call.cross is None and says_cross(call.module)):
            return call
        if n_seen < total and not self.is_pair:  # a window has forgotten the beginning
            return replace(call, first_query=current.past, first_key=total - n_seen, n_keys=total)
        if n_seen < total or call.attention.looks_beyond(total):
            return call
        return replace(call, first_query=current.past, n_keys=total)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch inside the block; no hook is left behind."""
        with ExitStack() as stack:
            for decoder in self._decoders:
                begin = decoder.register_forward_pre_hook(self._begin, with_kwargs=True)
                stack.callback(begin.remove)
                end = decoder.register_forward_hook(self._end, always_call=True)
                stack.callback(end.remove)
            yield

    def _begin(self, _: torch.nn.Module, args: tuple[object, ...], kwargs: Mapping[str, object]) -> None:
        self._depth += 1
        if self._depth > 1:
            return  # a decoder inside a larger model, which has told already
        self.n_begun += 1
        if self.used:
            self._list.clear()
            self.used = False
        with self._unstopped:
            self._list.append(_begun(args, kwargs))

    def _end(self, *_: object) -> None:
        self._depth -= 1


def _begun(args: tuple[object, ...], kwargs: Mapping[str, object]) -> Pass:
    ids = next((kwargs[name] for name in _IDS if isinstance(kwargs.get(name), torch.Tensor)), None)
    if ids is None and kwargs.get("inputs_embeds") is None and args and isinstance(args[0], torch.Tensor):
        ids = args[0] if not args[0].is_floating_point() else None
    read = ids if isinstance(ids, torch.Tensor) else None
    features = kwargs.get("inputs_embeds") if read is None else read
    n_read = features.shape[1] if isinstance(features, torch.Tensor) else None
    return Pass(_past(kwargs), read, n_read)


def _past(kwargs: Mapping[str, object]) -> int | None:
    cache = next((kwargs[name] for name in _CACHES if kwargs.get(name) is not None), None)
    if cache is None:
        return 0
    count = getattr(cache, "get_seq_length", None)
    try:
        return None if count is None else int(count())
    except (ValueError, IndexError, AttributeError, TypeError):  # its first layer keeps no keys
        return None


def n_layers(model: torch.nn.Module) -> int | None:
    """Return how many layers run, of which a draft by the model itself (early exit) takes the first ones."""
    count = getattr(getattr(model, "config", None), "num_hidden_layers", None)
    return count if isinstance(count, int) else None


def row_of(call: Call, name: str, example: int, row: int, *, own: bool) -> Piece:
    """Return one row of a call as a piece.

    Args:
        call: what an adapter saw.
        name: its site.
        example: which one of the batch.
        row: which row, from the end.
        own: whether keys are what the decoder reads, so that those after the row's own are of a draft.
    """
    _, _, n_queries, n_seen = call.attention.shape
    part = call.attention.part(slice(example, example + 1), slice(n_queries + row, n_queries + row + 1))
    n_keys = call.first_key + n_seen if call.n_keys is None else call.n_keys
    return Piece(
        call.key,
        name,
        0,
        part,
        call.cross,
        call.causal,
        None if call.first_query is None else call.first_query + n_queries + row,
        call.first_key,
        n_keys + row + 1 if own else n_keys,
    )
