"""What a trace file says in words: a JSON header, and which tensors belong to it."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import astuple
from typing import Any

import numpy as np

from attnwidget.booked import booked
from attnwidget.outline import Site
from attnwidget.scene import Scene
from attnwidget.stores.stack import Stack
from attnwidget.trace import Trace

HEADER, CRC = "attnwidget", "attnwidget.crc"  # what the text of a header and its CRC-32 stand under
VERSION = 2  # 1 knew no stores but dense ones, no strips but two, and no beams

MAX_TOLD = 1 << 24  # numbers of a trace that explain its weights and are saved with them
_LEFT_OUT = f"what the weights of some sites came of was not saved: it is more than {4 * MAX_TOLD >> 20} MB."


def described(trace: Trace) -> tuple[dict[str, Any], dict[str, np.ndarray | Stack]]:
    """Return the header of a trace, and its tensors by name, which are not copied."""
    with trace.lock:
        header, tensors = outlined(trace)
        texts, n_steps = trace.ledger.strips.texts, len(trace.ledger.steps)
        header["strips"] = {name: list(tokens) for name, tokens in texts.items()}
        header["steps"] = described_steps(trace, range(n_steps))
    return header, tensors


def described_steps(trace: Trace, which: range) -> list[dict[str, Any]]:
    """Return some of the steps as a header has them."""
    steps = trace.ledger.steps[which.start : which.stop]
    return [{"token": step.token, "candidates": [[c.token, c.probability] for c in step.candidates]} for step in steps]


def outlined(trace: Trace, *, computed: bool = True) -> tuple[dict[str, Any], dict[str, np.ndarray | Stack]]:
    """Return the header of a trace without its tokens and steps, and its tensors by name.

    Args:
        computed: see `Store.state`.
    """
    ledger, sites, room = trace.ledger, [], MAX_TOLD
    tensors: dict[str, np.ndarray | Stack] = {
        f"scene.{name}": scene.pixels for name, scene in ledger.strips.scenes.items()
    }
    for i, record in enumerate(ledger.records.values()):
        arrays, numbers = record.store.state(computed=computed)
        tensors |= {f"{name}.{i}": array for name, array in arrays.items()}
        sites.append(_described_site(record.current, numbers))
        told = booked(record.book) if trace.status in ("complete", "stopped") and record.is_told else None
        room -= 0 if told is None else told[0].size
        if told is not None and room >= 0:
            tensors[f"terms.{i}"], sites[-1]["terms"] = told
    if room < 0:
        warnings.warn(_LEFT_OUT, stacklevel=2)
    header = {
        "version": VERSION,
        "title": trace.title,
        "edits": list(trace.edits),
        "status": trace.status,
        "strips": {},
        "scenes": {name: _described_scene(scene) for name, scene in ledger.strips.scenes.items()},
        "known": sorted(ledger.strips.known),
        "n_read": ledger.strips.n_read,
        "steps": [],
        "beams": [astuple(beam) for beam in trace.beams],
        "architecture": trace.architecture.to_dict(),
        "sites": sites,
    }
    return header, tensors


def sealed(header: dict[str, Any], crcs: Mapping[str, int]) -> str:
    """Return the text of a header, which says the CRC-32 of each tensor."""
    for tensor, crc in crcs.items():
        name, _, place = tensor.rpartition(".")
        if name == "scene":
            header["scenes"][place]["crc"] = crc
        else:
            header["sites"][int(place)]["crc"][name] = crc
    return json.dumps(header)


def _described_scene(scene: Scene) -> dict[str, Any]:
    return {"kind": scene.kind, "grid": list(scene.grid), "before": scene.before, "seconds": scene.seconds}


def _described_site(site: Site, numbers: Mapping[str, float | None]) -> dict[str, Any]:
    return {
        "name": site.name,
        "kind": site.kind,
        "layer": site.layer,
        "n_heads": site.n_heads,
        "query": site.query,
        "key": site.key,
        "asks": site.asks,
        "store": site.store,
        "numbers": numbers,
        "shape": [site.n_heads, site.n_queries, site.n_keys],
        "flags": [[flag.kind, flag.count, flag.where] for flag in site.flags],
        "crc": {},
    }
