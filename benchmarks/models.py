"""Measure the shipped models on unseen inputs: python benchmarks/models.py --seed 7."""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import torch

from attnwidget import models
from attnwidget.models.catalogue import TABLE_HEADING
from attnwidget.models.train import unseen

N_INPUTS = 500


def main() -> None:
    """Print one row for each model: parameters, bytes, exact match, alignment, seconds per input, seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=7, help="of the inputs (default 7)")
    seed: int = parser.parse_args().seed
    torch.set_num_threads(1)
    heading, rule = TABLE_HEADING.splitlines()
    print(f"{heading} s per input | inputs | seed |\n{rule}---|---|---|")
    for card in models.available():
        model = models.pretrained(card.name)
        examples = unseen(card.task, seed=seed, count=N_INPUTS)
        start = time.perf_counter()
        quality = models.measure(model, examples)
        seconds = (time.perf_counter() - start) / quality.n_inputs
        measured = replace(card, exact_match=quality.exact_match, alignment=quality.alignment)
        print(f"{measured.row()} {seconds:.4f} | {quality.n_inputs} | {seed} |")


if __name__ == "__main__":
    main()
