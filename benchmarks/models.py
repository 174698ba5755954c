"""Measure the shipped models on unseen inputs: python benchmarks/models.py --seeds 7 8 9."""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import torch

from attnwidget import models
from attnwidget.models.training.courses import COURSES

N_INPUTS = 200


def main() -> None:
    """Print one row for each model and seed: what its card says, measured anew, and seconds per input."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[7, 8, 9], help="of the inputs (default 7 8 9)")
    parser.add_argument("--inputs", type=int, default=N_INPUTS, help=f"for each seed (default {N_INPUTS})")
    parser.add_argument("names", nargs="*", help="of models (default: all)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    heading = None
    for card in models.available():
        if options.names and card.name not in options.names:
            continue
        model = models.pretrained(card.name)
        for seed in options.seeds:
            examples = COURSES[card.name].unseen(seed, options.inputs)
            start = time.perf_counter()
            quality = models.measure(model, examples)
            seconds = (time.perf_counter() - start) / quality.n_inputs
            measured = replace(card, exact_match=quality.exact_match, alignment=quality.alignment)
            first, row = models.Cards([measured]).rows()
            if heading is None:
                heading = [*first, "s per input", "inputs", "their seed"]
                print(_line(heading), _line(["---"] * len(heading)), sep="\n")
            print(_line([*row, f"{seconds:.4f}", str(quality.n_inputs), str(seed)]), flush=True)


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
