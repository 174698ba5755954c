"""Ranks: the processes that hold one model together, and what they tell each other while they record.

A collective that one rank does not enter never returns. So ranks first say through the store of torch.distributed what
comes next, and wait for each other no longer than a time limit; only what all of them said alike is then gathered.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from attnwidget.capture.errors import CaptureError

SECONDS = 30.0  # that a rank waits for the others
_GOES_ON, _STOPPED = "+", "-"  # what a message begins with
_END = "\n"  # of its kind

_n_recordings: dict[str, int] = {}  # so far, by place: the number under which ranks find each other


class Ranks:
    """The ranks of a process group, for one recording.

    Args:
        group: a process group; this process is in it.
    """

    def __init__(self, group: Any) -> None:  # noqa: ANN401 - dist.ProcessGroup is not there in every build
        self._group = group
        self.ranks: list[int] = dist.get_process_group_ranks(group)
        self.index = int(dist.get_rank(group))
        self._store = dist.distributed_c10d._get_default_store()
        self._root = "attnwidget/" + ",".join(map(str, self.ranks))
        self._number = _n_recordings.get(self._root, 0)
        while self._store.check([f"{self._root}/{self._number}/stopped"]):  # by a rank that waited in vain for this one
            self._number += 1
        self._n_sent = 0

    def __len__(self) -> int:
        return len(self.ranks)

    def exchange(self, what: str, content: str = "") -> list[str]:
        """Tell all ranks what comes next here, and return what they told; of another kind it must not be.

        Args:
            what: the kind of message.
            content: what ranks may differ in.

        Raises:
            CaptureError: a rank told nothing in time, has stopped, or came with something else.
        """
        keys = [self._key(self._n_sent, rank) for rank in self.ranks]
        verdict = self._key(self._n_sent, "verdict")
        self._send(_GOES_ON + what + _END + content)
        try:
            self._store.wait(keys, timedelta(seconds=SECONDS))
            found = _GOES_ON
        except RuntimeError:
            found = self._verdict(keys)
        # The first rank that knows decides for all: a late one must not go on alone.
        found = self._store.compare_set(verdict, "", found).decode()
        if found.startswith(_STOPPED):
            raise CaptureError(found[1:])
        messages = [self._store.get(key).decode() for key in keys]
        self._forget(self._n_sent - 2)  # who sent this one has read the one before
        for rank, text in zip(self.ranks, messages, strict=True):
            if text.startswith(_STOPPED):
                raise CaptureError(f"rank {rank} stopped recording: {text[1:]}")
        pairs = [text[1:].split(_END, 1) for text in messages]
        self.complain_unless_alike([kind for kind, _ in pairs])
        return [content for _, content in pairs]

    def complain_unless_alike(self, messages: Sequence[str]) -> None:
        """Complain of messages that differ, naming two ranks."""
        mine = messages[self.index]
        other = next((i for i, text in enumerate(messages) if text != mine), None)
        if other is not None:
            raise CaptureError(
                f"rank {self.ranks[self.index]} came with {mine}, rank {self.ranks[other]} with {messages[other]}. "
                "Ranks that hold a model together must run it alike: the same inputs, options, edits and steps on each."
            )

    def gather(self, data: np.ndarray, sizes: Sequence[int]) -> list[np.ndarray]:
        """Return the data of all ranks.

        Args:
            data: uint8 [byte].
            sizes: how many bytes each rank has.
        """
        devices = {it.type for it in self._group._device_types}
        device = "cpu" if "cpu" in devices else devices.pop()
        own = torch.zeros(max(sizes), dtype=torch.uint8)
        own[: len(data)] = torch.from_numpy(data)
        own = own.to(device)
        parts = [torch.empty_like(own) for _ in self.ranks]
        dist.all_gather(parts, own, group=self._group)
        return [part[:size].cpu().numpy() for part, size in zip(parts, sizes, strict=True)]

    def close(self) -> None:
        """Leave together with the others."""
        self.exchange("the end of the recording")
        _n_recordings[self._root] = self._number + 1

    def stop(self, error: BaseException) -> None:
        """Leave because of an error, which the others read in place of the next message."""
        _n_recordings[self._root] = self._number + 1
        with contextlib.suppress(RuntimeError):  # a store that is gone must not hide the error
            self._send(f"{_STOPPED}{type(error).__name__}: {error}")
            self._store.set(f"{self._root}/{self._number}/stopped", "")

    def _verdict(self, keys: Sequence[str]) -> str:
        missing = [str(rank) for rank, key in zip(self.ranks, keys, strict=True) if not self._store.check([key])]
        if not missing:
            return _GOES_ON
        return (
            f"{_STOPPED}rank {', '.join(missing)} did not record along with the others within {SECONDS:g} s. Each of "
            f"the ranks {', '.join(map(str, self.ranks))} holds a part of this model's heads, so that all of them must "
            "run the same aw.record or aw.generate."
        )

    def _forget(self, index: int) -> None:
        if index >= 0:
            self._store.delete_key(self._key(index, self.ranks[self.index]))
            if self.index == 0:
                self._store.delete_key(self._key(index, "verdict"))

    def _send(self, text: str) -> None:
        self._store.set(self._key(self._n_sent, self.ranks[self.index]), text)
        self._n_sent += 1

    def _key(self, index: int, rank: int | str) -> str:
        return f"{self._root}/{self._number}/{index}/{rank}"
