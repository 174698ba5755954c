"""Measure what opening a large trace costs, and following one while it is recorded: python benchmarks/files.py."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

import numpy as np

from attnwidget import Site, Trace
from attnwidget.header import CRC, HEADER, described, sealed
from attnwidget.stores import Factors, Visible

N_HEADS, N_KEY_HEADS, D_HEAD, N_LAYERS = 32, 32, 128, 32
MS, MB = 1e3, 1e6
OPEN = """
import json, sys, time, psutil, attnwidget as aw
from attnwidget.widget import AttentionWidget
from safetensors import safe_open
memory = lambda: psutil.Process().memory_info().rss
before, started = memory(), time.perf_counter()
trace = aw.load(sys.argv[1])
opened, grown = time.perf_counter() - started, memory() - before
def took(what):
    started = time.perf_counter()
    what()
    return time.perf_counter() - started
last = trace.sites[-1]
row = took(lambda: trace.weights(last, 3, queries=[last.n_queries - 1]))
tile = took(lambda: trace.weights(last, 5, queries=slice(0, 256), keys=slice(0, 256)))
whole = trace.n_bytes
widget = took(lambda: AttentionWidget(trace)) if len(sys.argv) > 2 else float("nan")
print(json.dumps([whole, opened, grown, row, tile, widget, memory() - before]))
"""


def of_size(n_bytes: float) -> Trace:
    """Return a finished trace of so many bytes of queries and keys, which are all zeros and take no memory."""
    n_tokens = int(n_bytes / (N_LAYERS * 2 * N_HEADS * D_HEAD * 2))
    zeros = np.zeros(1, np.float16)
    shape = (N_HEADS, n_tokens, D_HEAD)
    both = np.lib.stride_tricks.as_strided(zeros, shape, (0, 0, 0), writeable=False)
    trace = Trace(title="large")
    trace.set_tokens("context", ["the"] * n_tokens)
    for layer in range(N_LAYERS):
        name = f"layers.{layer}"
        trace.add_site(Site(name, "decoder", layer, N_HEADS, "target", "context"), store="qk")
        trace.append({name: Factors(both, both, Visible.causal(n_tokens, n_tokens), 0.1)})
    trace.finish()
    return trace


def write_sparse(trace: Trace, path: Path) -> None:
    """Write the file that `save` would, with holes where all is zero."""
    header, tensors = described(trace)
    large = {name for name, it in tensors.items() if it.nbytes > MB}
    zeros = {n_bytes: zlib.crc32(bytes(n_bytes)) for n_bytes in {tensors[name].nbytes for name in large}}
    crcs = {
        name: zeros[it.nbytes] if name in large else zlib.crc32(np.ascontiguousarray(it).data)
        for name, it in tensors.items()
    }
    text = sealed(header, crcs)
    said, offset = {"__metadata__": {HEADER: text, CRC: str(zlib.crc32(text.encode()))}}, 0
    names = {"<f2": "F16", "<i4": "I32", "<i8": "I64", "|u1": "U8"}
    for name, it in tensors.items():
        place = [offset, offset + it.nbytes]
        said[name] = {"dtype": names[it.dtype.str], "shape": it.shape, "data_offsets": place}
        offset += it.nbytes
    start = json.dumps(said).encode()
    start += b" " * (-len(start) % 8)
    with path.open("wb") as file:
        file.write(len(start).to_bytes(8, "little") + start)
        for name, it in tensors.items():
            if name in large:
                file.seek(it.nbytes, 1)
            else:
                file.write(np.ascontiguousarray(it).tobytes())
        file.truncate(8 + len(start) + offset)


def opened(path: Path, *extra: str) -> list[float]:
    """Return what a new process measures that opens a trace."""
    out = subprocess.run([sys.executable, "-c", OPEN, str(path), *extra], capture_output=True, text=True, check=True)
    return [float(number) for number in json.loads(out.stdout)]


def print_opening(sizes: list[float], runs: int) -> None:
    """Print what opening costs against the size."""
    names = ("load, ms", "memory, MB", "a row, ms", "a tile of 256 x 256, ms", "memory then, MB")
    print("| size, GB | " + " | ".join(names) + " |\n" + "|---" * (len(names) + 1) + "|")
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "large.attn"
            write_sparse(of_size(size * 1e9), path)
            found = [opened(path) for _ in range(runs)]
            load, grown, row, tile, _, in_all = (statistics.median(it) for it in list(zip(*found, strict=True))[1:])
            numbers = (load * MS, grown / MB, row * MS, tile * MS, in_all / MB)
            print(
                f"| {path.stat().st_size / 1e9:.2f} | " + " | ".join(f"{it:.1f}" for it in numbers) + " |", flush=True
            )


def steps(trace: Trace, n_steps: int, n_products: int) -> tuple[float, float, float]:
    """Append steps as a decoder of 12 layers and 12 heads does.

    Returns:
        Seconds of a step, processor seconds of a step in all threads, seconds of the end.
    """
    rng = np.random.default_rng(0)
    square = rng.normal(size=(64, 64)).astype(np.float32)
    queries, keys = (rng.normal(size=(12, 1, 64)).astype(np.float16) for _ in range(2))
    trace.set_tokens("context", ["a"])
    for layer in range(12):
        trace.add_site(Site(f"layers.{layer}", "decoder", layer, 12, "target", "context"), store="qk")
    started, busy = time.perf_counter(), time.process_time()
    for step in range(n_steps):
        factors = Factors(queries, keys, Visible.all(1, step + 1), 0.1, first_key=step, first_query=step)
        trace.append({f"layers.{i}": factors for i in range(12)}, token="a", candidates=[("a", 0.5)] * 5)
        for _ in range(n_products):  # a model that computes
            np.dot(square, square)
    took, busy, ended = time.perf_counter() - started, time.process_time() - busy, time.perf_counter()
    trace.finish()
    return took / n_steps, busy / n_steps, time.perf_counter() - ended


def print_following(n_steps: int, runs: int) -> None:
    """Print what a step costs with and without a folder that is written meanwhile."""
    print("| followed | step, ms | processor, ms | more | end, ms |\n|---|---|---|---|---|")
    for n_products in (400, 1600):
        found: dict[bool, list[tuple[float, float, float]]] = {False: [], True: []}
        for _ in range(runs):
            for followed, measured in found.items():
                with tempfile.TemporaryDirectory() as folder:
                    trace = Trace()
                    if followed:
                        trace.save(Path(folder) / "run.attn")
                    measured.append(steps(trace, n_steps, n_products))
        plain = statistics.median(busy for _, busy, _ in found[False])
        for followed, measured in found.items():
            step, busy, end = (statistics.median(it) * MS for it in zip(*measured, strict=True))
            more = f"{(busy / plain / MS - 1) * 100:+.1f} %"
            print(f"| {'yes' if followed else 'no'} | {step:.3f} | {busy:.3f} | {more} | {end:.0f} |", flush=True)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=float, nargs="*", default=[0.1, 1.0, 4.0], help="GB (default 0.1 1 4)")
    parser.add_argument("--runs", type=int, default=5, help="of each (default 5)")
    parser.add_argument("--steps", type=int, default=1000, help="of the recordings that are followed (default 1000)")
    options = parser.parse_args()
    print_opening(options.sizes, options.runs)
    print()
    print_following(options.steps, options.runs)


if __name__ == "__main__":
    main()
