"""Sharded models: the heads that other ranks computed come together with those of this one, before a trace takes them.

Under tensor parallelism each rank computes some heads (Shoeybi et al. 2019, arXiv 1909.08053, section 3). Rank r of n
has heads r * n_local to (r + 1) * n_local. Where a rank has all heads it is a replica, which has other examples than
the others and records them alone; so it is with data parallelism and fully sharded parameters.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from attnwidget.capture.attention import DotProduct
from attnwidget.capture.call import Call
from attnwidget.capture.errors import CaptureError
from attnwidget.capture.ranks import Ranks
from attnwidget.stores import Factors

_TENSOR_PARALLEL = ("tp", "tensor", "tensor_parallel", "model_parallel", "mp")  # what people call that axis of a mesh
_HEAD_COUNTS = ("num_attention_heads", "n_head", "num_heads", "n_heads", "nhead", "heads")
_PAIR_COUNTS = ("encoder_attention_heads", "decoder_attention_heads")
_SPLIT_BOTH_WAYS = {0, 1}
_START, _SITE, _ROWS = "a recording", "a site", "rows of sites"  # what ranks tell each other
_BY_HEAD = ("queries", "keys", "bias", "sinks")  # of Factors, the arrays whose first axis counts heads


class Sharding:
    """How the heads of a model are spread over ranks; without torch.distributed they are not.

    Args:
        model: the model that is recorded; None where it is known that one process has all heads.
    """

    def __init__(self, model: torch.nn.Module | None) -> None:
        self._ranks: Ranks | None = None
        self.is_spread = False  # whether ranks hold the model together, and must agree on each step
        self._heads: dict[str, list[int]] = {}  # by site: how many heads each rank has; [] where each has all
        self._whole: set[str] = set()  # modules whose heads are all on every rank, as their tensors say
        self._terms, self._is_open = "", False
        self._split: dict[str, int] = {}  # parameters that ranks share out, and along which axis
        if model is None or not dist.is_available() or not dist.is_initialized() or dist.get_world_size() == 1:
            return
        self._modules = {path.replace("_orig_mod.", ""): module for path, module in model.named_modules()}
        self._root = type(model).__name__
        group = self._find_group(model) or dist.group.WORLD
        if dist.get_world_size(group) > 1:
            self._ranks, self.is_spread = Ranks(group), True

    @contextmanager
    def together(self, terms: str) -> Iterator[None]:
        """Record along with the other ranks inside the block.

        Args:
            terms: what ranks must agree on before they begin.
        """
        self._terms = terms
        try:
            if self._split:
                self._open()
            yield
            if self._is_open and self._ranks is not None:
                self._ranks.close()
        except BaseException as error:
            if self._is_open and self._ranks is not None:
                self._ranks.stop(error)
            raise

    def local(self, call: Call, name: str) -> Call:
        """Return what this rank holds of a call whose tensors are shared out (DTensor)."""
        if self._ranks is None or not is_shared_out(call):
            return call
        fields = {key: it for key, it in vars(call.attention).items() if hasattr(it, "to_local")}
        axes = {key: {place.dim for place in it.placements if place.is_shard()} for key, it in fields.items()}
        by_head = axes.get("query", axes.get("tensor", set()))
        if by_head - {1} or (by_head and axes.get("key", by_head) != by_head):
            raise CaptureError(
                f"{name}: its attention is shared out along axes {axes} of [batch, head, query, feature]; heads alone "
                "can be brought together. Have its projections use_local_output=True, split by columns."
            )
        if not by_head:
            self._whole.add(name)
        return replace(call, attention=replace(call.attention, **{key: it.to_local() for key, it in fields.items()}))  # type: ignore[type-var]

    def heads(self, name: str, count: int) -> tuple[int, int]:
        """Return the first head of this rank at a site, and how many heads all ranks have.

        Args:
            name: the site.
            count: how many heads this rank has.
        """
        if self._ranks is None:
            return 0, count
        if name not in self._heads:
            self._heads[name] = []
            if self._is_part(name.partition("#")[0], count, len(self._ranks)):
                self._open()
                found = [json.loads(it) for it in self._ranks.exchange(_SITE, json.dumps([name, count]))]
                self._ranks.complain_unless_alike([str(it[0]) for it in found])
                self._heads[name] = [int(it[1]) for it in found]
        counts = self._heads[name]
        if not counts:
            return 0, count
        if count != counts[self._ranks.index]:
            raise CaptureError(f"{name}: {count} heads came, {counts[self._ranks.index]} were expected as before.")
        return sum(counts[: self._ranks.index]), sum(counts)

    def gathered(
        self, rows: Mapping[str, np.ndarray | Factors], token: str | None
    ) -> Mapping[str, np.ndarray | Factors]:
        """Return rows of sites with the heads of all ranks.

        Args:
            rows: by site, with the heads of this rank.
            token: what the step chose, on which ranks must agree; None where there is no step.
        """
        if self._ranks is None:
            return rows
        own = {name: _arrays(it) for name, it in rows.items() if self._heads.get(name)}
        if not own:
            return rows
        flat = [(f"{name} {field}".rstrip(), array) for name, it in own.items() for field, array in it.items()]
        told = [[label, str(array.dtype), list(array.shape)] for label, array in flat]
        found = [json.loads(it) for it in self._ranks.exchange(_ROWS, json.dumps([token, told]))]
        self._ranks.complain_unless_alike(_differing(found))
        layouts = [[(np.dtype(dtype), shape) for _, dtype, shape in it[1]] for it in found]
        sizes = [sum(dtype.itemsize * int(np.prod(shape)) for dtype, shape in layout) for layout in layouts]
        data = np.concatenate([np.ascontiguousarray(array).reshape(-1).view(np.uint8) for _, array in flat])
        parts = [_split(it, layout) for it, layout in zip(self._ranks.gather(data, sizes), layouts, strict=True)]
        whole = iter(list(column) for column in zip(*parts, strict=True))
        brought: dict[str, np.ndarray | Factors] = dict(rows)
        for name, fields in own.items():
            joined = {field: _joined(next(whole), field, self._heads[name]) for field in fields}
            it = rows[name]
            brought[name] = replace(it, **joined) if isinstance(it, Factors) else joined[""]  # type: ignore[arg-type]
        return brought

    def _open(self) -> None:
        if not self._is_open and self._ranks is not None:
            self._is_open = True
            self._ranks.complain_unless_alike(self._ranks.exchange(_START, self._terms))

    def _find_group(self, model: torch.nn.Module) -> Any:  # noqa: ANN401 - a process group, or None
        """Return the ranks that share out parameters by tensor parallelism, and note which parameters."""
        group, fully_sharded = None, _is_fully_sharded(model)
        for path, module in self._modules.items():
            for name, parameter in module.named_parameters(recurse=False):
                mesh: Any = getattr(parameter, "device_mesh", None)  # of a DTensor
                dim = None if mesh is None else _tensor_parallel_dim(parameter, mesh, fully_sharded)
                if dim is not None and parameter.ndim == 2:
                    axis = getattr(parameter, "placements")[dim].dim % 2  # noqa: B009 - a Parameter has none by its type
                    self._split[f"{path}.{name}".lstrip(".")] = axis
                    group = mesh.get_group(dim)
        return group

    def _is_part(self, path: str, count: int, n_ranks: int) -> bool:
        """Tell whether a rank with so many heads has only a part of them."""
        path = "" if path == self._root and path not in self._modules else path
        module = self._modules.get(path)
        configured = self._configured(path)
        if count in configured or path in self._whole:
            return False
        own = {getattr(module, name, None) for name in _HEAD_COUNTS}
        if count * n_ranks in configured | own:
            return True
        # Nobody says how many there are; projections that are split by columns, then by rows, have heads between them.
        while module is not None and path and not any(True for _ in module.parameters()):
            path = path.rpartition(".")[0]
            module = self._modules.get(path)
        inside = f"{path}." if path else ""
        axes = {axis for name, axis in self._split.items() if name.startswith(inside)}
        return module is not None and axes == _SPLIT_BOTH_WAYS

    def _configured(self, path: str) -> set[int]:
        """Return the numbers of heads that the configuration of Transformers names for a module."""
        while True:
            config = getattr(self._modules.get(path), "config", None)
            if config is not None or not path:
                break
            path = path.rpartition(".")[0]
        found = (getattr(config, name, None) for name in (*_HEAD_COUNTS, *_PAIR_COUNTS))
        return {it for it in found if isinstance(it, int)}


def is_shared_out(call: Call) -> bool:
    """Tell whether a call has tensors of several ranks (DTensor)."""
    tensor: Any = (
        call.attention.query if isinstance(call.attention, DotProduct) else getattr(call.attention, "tensor", 0)
    )
    return hasattr(tensor, "to_local")


def _is_fully_sharded(model: torch.nn.Module) -> bool:
    """Tell whether `fully_shard` of torch was here, which puts an axis of its own before others of a mesh."""
    return any(kind.__name__ == "FSDPModule" for module in model.modules() for kind in type(module).__mro__)


def _tensor_parallel_dim(parameter: Any, mesh: Any, fully_sharded: bool) -> int | None:  # noqa: ANN401
    """Return the axis of the mesh along which a parameter is shared out by tensor parallelism, if it is."""
    sharded = [i for i, placement in enumerate(parameter.placements) if placement.is_shard()]
    names = mesh.mesh_dim_names or [""] * mesh.ndim
    named = [i for i in sharded if names[i] in _TENSOR_PARALLEL]
    if named:
        return named[-1]
    return sharded[-1] if len(sharded) > int(fully_sharded) else None


def _arrays(rows: np.ndarray | Factors) -> dict[str, np.ndarray]:
    if not isinstance(rows, Factors):
        return {"": rows}
    found = {field: getattr(rows, field) for field in _BY_HEAD}
    return {field: array for field, array in found.items() if array is not None}


def _differing(found: list[Any]) -> list[str]:
    """Return, for each rank, the first of what it told in which ranks differ; heads may."""
    texts = [
        [f"token {token!r}", *(f"{label} {dtype} {shape[1:]}" for label, dtype, shape in told)] for token, told in found
    ]
    longest = max(map(len, texts))
    padded = [[*it, *["nothing"] * (longest - len(it))] for it in texts]
    return list(next((column for column in zip(*padded, strict=True) if len(set(column)) > 1), [""] * len(found)))


def _split(data: np.ndarray, layout: list[tuple[np.dtype[Any], list[int]]]) -> list[np.ndarray]:
    """Return the arrays of one rank out of its bytes."""
    arrays, start = [], 0
    for dtype, shape in layout:
        end = start + dtype.itemsize * int(np.prod(shape))
        arrays.append(data[start:end].copy().view(dtype).reshape(shape))
        start = end
    return arrays


def _joined(parts: list[np.ndarray], field: str, counts: list[int]) -> np.ndarray:
    """Join arrays of all ranks by head."""
    if field == "bias" and all(len(part) == 1 for part in parts):  # one for all heads, or for the one of a rank
        if all(np.array_equal(part, parts[0]) for part in parts):
            return parts[0]
        parts = [part.repeat(count, 0) for part, count in zip(parts, counts, strict=True)]
    return np.concatenate(parts)
