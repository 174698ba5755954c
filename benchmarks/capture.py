"""Measure what a recording costs a model of Transformers, beside the model alone: python benchmarks/capture.py.

The model has 4 layers of 8 heads (4 of keys) with 256 features and random weights, or 12 layers of 12 heads with 768,
as GPT-2 small; one thread. Sides take turns, each round in another order; the median CPU time of the rounds counts, and
the median of the ratios to the plain pass of the same round.
Memory is how far the peak of a fresh process rises in one pass of 2,048 tokens; what is kept is in it.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # numpy's threads would count as time of the processor, though they wait

import torch
import transformers
from torch import Tensor

import attnwidget as aw

MS, MIB = 1e3, 1 << 20
LENGTHS = (128, 512, 2048)
LENGTHS_LARGER = (32, 128)
N_PROMPT, N_NEW = 256, 128
SECONDS, MAX_ROUNDS = 20, 100  # for which short passes take more turns, and how many at most
Times = dict[str, tuple[float, float]]  # of each side: seconds, and how many times the plain one's

SMALL: dict[str, int] = {
    "hidden_size": 256,
    "num_hidden_layers": 4,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "intermediate_size": 704,
}
LARGER: dict[str, int] = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "num_key_value_heads": 12,
    "intermediate_size": 3072,
}


def built(attention: str = "sdpa", sizes: dict[str, int] = SMALL) -> torch.nn.Module:
    """Return the model that is measured."""
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=500, max_position_embeddings=4096, attn_implementation=attention, **sizes
    )
    return transformers.LlamaForCausalLM(config).eval()


def ids(n_tokens: int) -> Tensor:
    """Return a text of numbers."""
    return torch.randint(3, 500, (1, n_tokens), generator=torch.Generator().manual_seed(n_tokens))


def plain(model: torch.nn.Module, text: Tensor) -> object:
    """Run a pass without a recording."""
    return model(text, use_cache=False)


def returned(model: torch.nn.Module, text: Tensor) -> object:
    """Run a pass of the eager model that returns its weights."""
    return model(text, use_cache=False, output_attentions=True)


def recorded(store: str) -> Callable[[torch.nn.Module, Tensor], object]:
    """Return a recorded pass."""

    def run(model: torch.nn.Module, text: Tensor) -> object:
        with aw.record(model, store=store) as trace:  # type: ignore[arg-type]
            model(text, use_cache=False)
        return trace

    return run


def read(model: torch.nn.Module, text: Tensor) -> object:
    """Run a recorded pass, and compute every weight of it."""
    with aw.record(model, store="dense") as trace:
        model(text, use_cache=False)
    return [trace.weights(site) for site in trace.sites]


PASSES: dict[str, tuple[str, Callable[[torch.nn.Module, Tensor], object]]] = {
    "plain": ("sdpa", plain),
    "recorded, qk": ("sdpa", recorded("qk")),
    "recorded, dense": ("sdpa", recorded("dense")),
    "recorded, dense, and all of it read": ("sdpa", read),
    "eager with output_attentions": ("eager", returned),
}


def decode_plain(model: torch.nn.Module, text: Tensor) -> object:
    """Generate without a recording."""
    return model.generate(text, attention_mask=torch.ones_like(text), **DECODING)  # type: ignore[operator]


def decode_returned(model: torch.nn.Module, text: Tensor) -> object:
    """Generate with an eager model that returns its weights."""
    mask = torch.ones_like(text)
    return model.generate(  # type: ignore[operator]
        text, attention_mask=mask, output_attentions=True, return_dict_in_generate=True, **DECODING
    )


def decode_recorded(store: str) -> Callable[[torch.nn.Module, Tensor], object]:
    """Return a recorded generation."""
    return lambda model, text: aw.generate(model, text, store=store, progress=False, **DECODING)  # type: ignore[arg-type]


DECODING = {"max_new_tokens": N_NEW, "min_new_tokens": N_NEW, "do_sample": False, "pad_token_id": 0}
DECODES: dict[str, tuple[str, Callable[[torch.nn.Module, Tensor], object]]] = {
    "plain": ("sdpa", decode_plain),
    "recorded, qk": ("sdpa", decode_recorded("qk")),
    "recorded, dense": ("sdpa", decode_recorded("dense")),
    "eager with output_attentions": ("eager", decode_returned),
}


def timed(
    sides: dict[str, tuple[str, Callable[[torch.nn.Module, Tensor], object]]],
    text: Tensor,
    rounds: int,
    sizes: dict[str, int] = SMALL,
) -> Times:
    """Return the median seconds of each side, and the median ratio to the plain one of the same round."""
    models = {kind: built(kind, sizes) for kind in ("sdpa", "eager")}
    found: list[dict[str, float]] = []
    turns, until = random.Random(0), time.monotonic() + SECONDS
    while len(found) < rounds + 1 or (time.monotonic() < until and len(found) < MAX_ROUNDS):
        found.append({})
        for name in turns.sample([*sides], len(sides)):
            kind, run = sides[name]
            gc.collect()
            start = time.process_time()
            kept = run(models[kind], text)
            found[-1][name] = time.process_time() - start
            del kept
    found = found[1:]  # the first round warms up
    return {name: (median(it[name] for it in found), median(it[name] / it["plain"] for it in found)) for name in sides}


def table(title: str, columns: dict[str, Times], unit: float) -> None:
    """Print one row for each side, with its ratio to the plain one."""
    print(f"\n| {title} | " + " | ".join(columns) + " |\n|---" + "|---" * len(columns) + "|")
    for name in next(iter(columns.values())):
        cells = (f"{it[name][0] * unit:.1f} ms ({it[name][1]:.2f}x)" for it in columns.values())
        print(f"| {name} | " + " | ".join(cells) + " |")


def peak(side: str) -> None:
    """Print how far the memory of this process rises in one pass, in bytes; on Linux."""
    kind, run = PASSES[side]
    model, text = built(kind), ids(LENGTHS[-1])
    run(model, ids(64))
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = _peak()
    kept = run(model, text)
    print(_peak() - before)
    del kept


def _peak() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))


def main() -> None:
    """Print a table for passes, one for decoding and one for memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="at least, on each side, taking turns (default 7)")
    parser.add_argument("--peak", choices=PASSES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    if options.peak:
        peak(options.peak)
        return
    passes = {f"T={n}": timed(PASSES, ids(n), options.rounds) for n in LENGTHS}
    table("pass", passes, MS)
    larger = {f"T={n}": timed(PASSES, ids(n), options.rounds, LARGER) for n in LENGTHS_LARGER}
    table("pass, 12 layers of 768", larger, MS)
    tokens = timed(DECODES, ids(N_PROMPT), options.rounds)
    table(f"decoding behind {N_PROMPT} tokens", {"a token": tokens}, MS / N_NEW)
    print(f"\n| memory, T={LENGTHS[-1]} | peak |\n|---|---|")
    for side in PASSES:
        command = [sys.executable, __file__, "--peak", side]
        found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        print(f"| {side} | {int(found) / MIB:.0f} MiB |")


if __name__ == "__main__":
    main()
