"""Decoding: rows of a generation, kept by what the decoder had read, until it is settled which tokens they chose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np
import torch

from attnwidget.capture.attention import Weights
from attnwidget.capture.call import Call
from attnwidget.capture.errors import CaptureError
from attnwidget.capture.joining import numbered
from attnwidget.capture.kinds import kind_in_pass
from attnwidget.capture.passes import Pass, n_layers, row_of
from attnwidget.capture.pieces import Piece, Rows
from attnwidget.capture.prefixes import Key, Node, Plan, Prefixes, common, likely_tokens
from attnwidget.capture.readers import Unread, reads_prefix, streams_of
from attnwidget.capture.recorder import Recorder
from attnwidget.capture.report import MORE_KEYS, NO_ROWS, READ_AT_ONCE, TWO_AT_ONCE
from attnwidget.capture.sizes import StoreChoice
from attnwidget.capture.streak import Streak
from attnwidget.capture.token_text import TokenText
from attnwidget.capture.tree import tell_modules
from attnwidget.ledger import CONTEXT, TARGET
from attnwidget.outline import Kind
from attnwidget.stores import Factors
from attnwidget.trace import Trace

N_CANDIDATES = 5
_FORGETS = 8  # steps after which rows of lost beams are dropped


class Decoding(Recorder):
    """Takes calls while a model of Transformers generates, and appends the rows that chose the tokens of one sequence.

    Args:
        model: the model that generates.
        trace: where rows go.
        example: which example of the batch to keep.
        store: how weights are kept.
        plan: how it decodes.
        text: turns ids into texts.
        on_token: called after each step.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        trace: Trace,
        example: int | None,
        store: StoreChoice,
        plan: Plan,
        text: TokenText,
        on_token: Callable[[], None],
    ) -> None:
        if plan.n_beams > 1 and store == "qk":
            raise ValueError(
                "store: 'qk' came with beams, whose keys differ; 'auto', 'dense' or 'reduced' was expected."
            )
        super().__init__(model, trace, example, "dense" if plan.n_beams > 1 and store == "auto" else store)
        self._plan, self._text, self._on_token = plan, text, on_token
        self._tree, self._streak = Prefixes(plan.end), Streak(self.sites)
        self._prompt: list[int] | None = None  # ids before the first token
        self._read: list[str] = []  # their texts
        self._n_layers, self._unread = n_layers(model), Unread()
        self._n_keys: dict[str, int] = {}  # of the first row of a site
        self._begun = False  # whether the first token was about to be chosen
        self._outside: list[tuple[str, Piece]] = []  # encoders, which run once
        self._open: tuple[Node, Pass, int, int] | None = None  # the node whose row the streak took last, and its place

    def keep(self, call: Call, name: str, example: int) -> None:
        """Keep a call with the pass that it belongs to."""
        current, known = self.passes.current, name in self.sites.names
        if current is not None and not self.passes.is_pair and self._unread.holds(call, name, current, known=known):
            self.notes[MORE_KEYS.format(name)] = None
            return
        if current is not None and reads_prefix(call, current.n_read, is_pair=self.passes.is_pair):
            self.passes.learn_hidden(current, call.attention.shape[2])
            if call.causal is False and not call.cross and call.attention.shape[2] > 1:  # which change with each token
                call = replace(call, attention=Weights(call.attention.weights()))
            current.calls.append((self.placed_name(call), call))
        elif current is not None and (streams := streams_of(call, current.n_read)):
            name = self.placed_name(call)
            current.calls.extend((f"{name}#{i}" if i > 1 else name, it) for i, it in enumerate(streams, 1))
        elif not known:
            self._outside.append((self.placed_name(call), Piece.of(call, name, 0, example, factors=True)))

    def example_of(self, call: Call, name: str) -> int:
        """Return which row of the batch is the first of the example."""
        return (self._example or 0) * (call.attention.shape[0] // self._plan.n_examples)

    def scored(self, ids: torch.Tensor, scores: torch.Tensor) -> None:
        """Take what is known when the next token is about to be chosen.

        Args:
            ids: [batch, token], what was read.
            scores: [batch, token of the vocabulary], logits or their logarithms after softmax.
        """
        if n_layers(self._model) != self._n_layers:
            return  # a draft of the model's own first layers
        width = len(ids) // self._plan.n_examples
        first = (self._example or 0) * width
        own = range(first, first + (width if self._plan.n_beams > 1 else 1))
        read = ids[first : own.stop].tolist()
        if self._prompt is None:
            self._prompt, self._read = read[0], [self._text.put(it) for it in read[0]]
        found = self.passes.find(ids)
        if found is None or self._prompt is None:
            return  # a draft of another model
        it, row = found
        keys = [tuple(text[len(self._prompt) :]) for text in read]
        if read[0][: len(self._prompt)] != self._prompt or (self._tree.settled and () in keys):
            raise CaptureError(
                f"{type(self._model).__name__} began its output anew, as models do that read a long input in parts or "
                "try again at another temperature. A trace holds one output: pass one part, and one temperature."
            )
        self._begun |= () in keys
        if not self.passes.used and not self._tree.may_end:
            self._settle(common(keys))
        self.passes.used = True
        likely = likely_tokens(scores[first : own.stop], max(N_CANDIDATES, 2 * self._plan.n_beams))
        for i, key, tokens in zip(own, keys, likely, strict=True):
            self._tree.nodes[key] = self._node(it, i, row, tokens)
            if self._plan.n_beams > 1 and not self._plan.end.isdisjoint(tokens):
                self._tree.may_end.add(key)
        if self._plan.n_beams > 1 and len(keys[0]) % _FORGETS == 0:
            self._tree.forget_lost(keys)

    def end(self, sequence: Sequence[int]) -> None:
        """Settle the rest.

        Args:
            sequence: the ids that came out, with or without the prompt.
        """
        generated = self._tree.generated(list(sequence), self._prompt or [])
        if self._plan.n_beams > 1:
            self.trace.set_beams(self._tree.beams(generated, self._text))
        self._settle(generated)
        self._streak.flush()
        if len(self._tree.settled) < len(generated) or not self._begun:
            raise CaptureError(
                f"{type(self._model).__name__}: no pass was seen that chose output token {len(self._tree.settled)}. "
                "Write the decode loop inside `with aw.record(model)`, and call aw.step(token) once a token."
            )

    def finish(self) -> None:
        """Close the trace."""
        if not self.sites.names:
            raise CaptureError(self.what_ran())
        if all(site.query != TARGET for site in self.sites.names.values()):
            self.notes[NO_ROWS] = None
        tell_modules(self.modules, self.trace)
        self.trace.finish()
        self.tell()

    def stop(self) -> None:
        """Close the trace with the steps that were finished."""
        with suppress(Exception):  # what stopped the run is what a person must hear of
            self._streak.flush()
        super().stop()

    def _name_context(self, n_keys: int) -> None:
        """Name what the decoder has read before its first token; parts of an image have numbers."""
        if not self.trace.tokens.get(CONTEXT):
            numbers = [str(i + 1) for i in range(n_keys - len(self._read))]
            self.trace.set_tokens(CONTEXT, [*numbers, *self._read][:n_keys])

    def placed_name(self, call: Call) -> str:
        """Return the name of the site of a call that was just counted."""
        return numbered(self.name_of(call), self._counts[self.name_of(call), self.turn] - 1)

    def site_of(self, name: str, call: Call) -> str:
        """Return the name of the site of a call that has not been counted yet."""
        return numbered(name, self._counts[name, self.turn])

    def _node(self, it: Pass, example: int, row: int, likely: dict[int, float]) -> Node:
        """Return what is known where a pass has read a prefix; its rows may wait for others like them."""
        if self._open is not None and self._streak.n_open:  # the step before chose no token
            node, before, own, last = self._open
            node.rows = self._rows(before, own, last)
            self._streak.drop_open()
        if self._plan.n_beams > 1 or row != -1 or self._outside or not self._streak.takes(it.calls, example):
            return Node(self._rows(it, example, row), likely)
        node = Node(None, likely)
        self._open = (node, it, example, row)
        return node

    def _rows(self, it: Pass, example: int, row: int) -> dict[str, np.ndarray | Factors]:
        """Return one row of each site of the decoder; the first time, add the sites."""
        self._flush_outside()
        if not it.calls and not self.sites.names:
            raise CaptureError(self.what_ran())
        self.sites.begin_step()
        rows: dict[str, np.ndarray | Factors] = {}
        for name, call in it.calls:
            kind = self._kind_in(name, call, it)
            piece = Rows([(row_of(call, name, example, row, own=kind == "decoder"), 1)])
            if name not in self.sites.names:
                if kind == "decoder":
                    self._name_context(piece.n_keys)
                self.sites.add(name, kind, piece, decoding=True, apart=True)
                self._n_keys[name] = piece.n_keys
            elif kind == "cross" and piece.n_keys != self._n_keys[name]:
                raise CaptureError(TWO_AT_ONCE.format(name))
            elif kind == "encoder":
                raise CaptureError(READ_AT_ONCE.format(name))
            rows[name] = self.sites.of_step(name, piece)
        return rows

    def _kind_in(self, name: str, call: Call, it: Pass) -> Kind:
        if name in self.sites.names:
            return self.sites.names[name].kind
        n_source = len(self.trace.tokens["source"])
        return kind_in_pass(name, call, it.past, n_source=n_source, is_pair=self.passes.is_pair)

    def _flush_outside(self) -> None:
        for name, piece in self._outside:
            if name not in self.sites.names:
                rows = Rows([(piece, piece.n_queries)])
                self.sites.add(name, "encoder", rows, apart=True)
                self.sites.append_rows({name: rows})
        self._outside.clear()

    def _settle(self, generated: Key) -> None:
        """Append the steps that chose these tokens and are not in the trace yet."""
        tree, generated = self._tree, self._tree.ended(generated)
        for index in range(len(tree.settled), len(generated)):
            node = tree.nodes.get(generated[:index])
            if node is None:
                break
            if not self.sites.names:
                raise CaptureError(self.what_ran())
            likely = list(node.likely.items())[:N_CANDIDATES]
            before = generated[index - 1 : index] if index else tuple((self._prompt or ())[-1:])
            candidates = [(self._text.behind(before, token), probability) for token, probability in likely]
            token = self._text.put(generated[index])
            if node.rows is None:
                self._streak.chosen.append((token, candidates))
            else:
                self._streak.flush()
                self.sites.append(node.rows, token=token, candidates=candidates)
            tree.settled = generated[: index + 1]
            if self._plan.n_beams == 1:
                del tree.nodes[generated[:index]]
            self._on_token()
        if self._streak.is_due:
            self._streak.flush()
