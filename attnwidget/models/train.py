"""Make the shipped weights again from nothing: python -m attnwidget.models.train NAME.

The attention of "reverse" and "numbers-de" never saw a gold alignment; that of "dates" was taught a little, by
`alignment_loss`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm  # type: ignore[import-untyped]

from attnwidget import tasks

from .additive import BOUNDARY, AdditiveNetwork, Sizes
from .catalogue import SUFFIX, TABLE_HEADING, Card
from .files import load, save
from .quality import measure
from .translator import Translator

PAPER = "Bahdanau et al. 2014, arXiv 1409.0473"
TINY = 1e-8


@dataclass(frozen=True)
class Recipe:
    """How one model is trained.

    Args:
        steps: batches.
        batch: examples per batch.
        learning_rate: Adam's, at its highest: it rises over the first `WARM_UP` steps and falls linearly to 0.
        dropout: share of the decoder state hidden from the output layer, so that the context must be read.
        alignment_loss: weight of `alignment_loss` beside the loss on words; 0 leaves the attention to itself.
    """

    steps: int
    batch: int = 128
    learning_rate: float = 3e-3
    dropout: float = 0.3
    alignment_loss: float = 0.0


# Left to itself, "dates" aligns 97 % of the gold steps: a zero that nobody wrote ("march 3" -> 03) is read off any
# neighbour that shows the number to be over.
RECIPES = {
    "reverse": Recipe(steps=2_000),
    "numbers-de": Recipe(steps=2_000),
    "dates": Recipe(steps=2_500, alignment_loss=0.05),
}
WARM_UP = 100
MAX_GRADIENT_NORM = 1.0
STEPS_BETWEEN_CHECKS = 250
N_CHECK = 100
N_TEST = 500
CHECK_SEED, TEST_SEED = 1, 2
MAX_DRAWS_PER_UNSEEN = 200
IGNORED = -100


@dataclass(frozen=True)
class Batch:
    """Examples as indices.

    Args:
        source: int64 [batch, key].
        lengths: int64 [batch].
        previous: int64 [batch, query], `BOUNDARY` first.
        target: int64 [batch, query], `BOUNDARY` last, `IGNORED` after it.
        gold: bool [batch, query, key].
    """

    source: Tensor
    lengths: Tensor
    previous: Tensor
    target: Tensor
    gold: Tensor


def unseen(name: str, *, seed: int, count: int) -> list[tasks.Example]:
    """Return different examples that training never saw: as many as asked for, or fewer where the task has no more.

    `tasks.held_out` says how they are kept apart.
    """
    found: dict[tuple[str, ...], tasks.Example] = {}
    for example in islice(tasks.get(name).examples(seed), MAX_DRAWS_PER_UNSEEN * count):
        if tasks.held_out(example):
            found.setdefault(example.source, example)
        if len(found) == count:
            break
    return list(found.values())


def collate(examples: Sequence[tasks.Example], *, source_words: Sequence[str], target_words: Sequence[str]) -> Batch:
    """Return the examples as one padded batch; vocabularies as in `Translator`, the end mark at target index 0."""
    source_index = {word: index for index, word in enumerate(source_words)}
    target_index = {word: index for index, word in enumerate(target_words)}
    n_keys = max(len(example.source) for example in examples)
    n_queries = max(len(example.target) for example in examples) + 1
    source = torch.zeros(len(examples), n_keys, dtype=torch.int64)
    previous = torch.full((len(examples), n_queries), BOUNDARY)
    target = torch.full((len(examples), n_queries), IGNORED)
    gold = torch.zeros(len(examples), n_queries, n_keys, dtype=torch.bool)
    for row, example in enumerate(examples):
        source[row, : len(example.source)] = torch.tensor([source_index[word] for word in example.source])
        words = torch.tensor([target_index[word] for word in example.target])
        previous[row, 1 : len(words) + 1] = words
        target[row, : len(words)] = words
        target[row, len(words)] = BOUNDARY
        for query, keys in enumerate(example.alignment):
            gold[row, query, list(keys or ())] = True
    lengths = torch.tensor([len(example.source) for example in examples])
    return Batch(source, lengths, previous, target, gold)


def alignment_loss(weights: Tensor, *, gold: Tensor) -> Tensor:
    """Return the mean of -log(weight on the gold source words) over the steps that have any.

    Args:
        weights: float [batch, query, key].
        gold: bool [batch, query, key]; a row without any true entry is left out.

    Returns:
        float, nats.

    Source: Mi et al. 2016, arXiv 1608.00112, section 3: their cross-entropy, the same where a step has one gold word.
    """
    on_gold = (weights * gold).sum(dim=2)  # [batch, query]
    return -torch.log(on_gold[gold.any(dim=2)] + TINY).mean()


def train(name: str, *, seed: int, recipe: Recipe) -> Translator:
    """Train a model on a task's generator, in one thread, the same each time; shows a progress bar on stderr."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    task = tasks.get(name)
    sizes = Sizes(
        n_source=len(task.source_words), n_target=len(task.target_words) + 1,
        d_embed=32, d_encoder=32, d_model=64, d_align=64, d_output=48,
    )  # fmt: skip
    network = AdditiveNetwork(sizes, dropout=recipe.dropout)
    translator = Translator(
        network, source_words=task.source_words, target_words=task.target_words,
        longest_source=0, longest_target=0, tokenizer=task.tokenize,
    )  # fmt: skip
    optimizer = torch.optim.Adam(network.parameters(), lr=recipe.learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / WARM_UP, 1 - step / recipe.steps)
    )
    examples = (example for example in task.examples(seed) if not tasks.held_out(example))
    checks = unseen(name, seed=CHECK_SEED, count=N_CHECK)
    with tqdm(_batches(examples, recipe), total=recipe.steps, desc=name, unit="step") as bar:
        for step, drawn in enumerate(bar, start=1):
            translator.longest_source = max(translator.longest_source, *(len(example.source) for example in drawn))
            translator.longest_target = max(translator.longest_target, *(len(example.target) for example in drawn))
            batch = collate(drawn, source_words=task.source_words, target_words=translator.target_words)
            logits, weights = network(batch.source, lengths=batch.lengths, previous=batch.previous)
            loss = nn.functional.cross_entropy(logits.flatten(0, 1), batch.target.flatten(), ignore_index=IGNORED)
            if recipe.alignment_loss:
                loss = loss + recipe.alignment_loss * alignment_loss(weights, gold=batch.gold)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(network.parameters(), MAX_GRADIENT_NORM)
            optimizer.step()
            schedule.step()
            if step % STEPS_BETWEEN_CHECKS == 0:
                quality = measure(translator, checks)
                bar.set_postfix(
                    loss=f"{loss.item():.4f}", exact=f"{quality.exact_match:.3f}", alignment=f"{quality.alignment:.3f}"
                )
    return translator


def _batches(examples: Iterator[tasks.Example], recipe: Recipe) -> Iterator[list[tasks.Example]]:
    for _ in range(recipe.steps):
        yield list(islice(examples, recipe.batch))


def finish(translator: Translator, path: Path, *, name: str, recipe: Recipe) -> Card:
    """Write the weights rounded to float16, measure what was written on unseen inputs, and return its card."""
    card = Card(
        name=name,
        task=name,
        paper=PAPER,
        parameters=sum(tensor.numel() for tensor in translator.parameters()),
        bytes=0,
        exact_match=0.0,
        alignment=0.0,
        alignment_loss=recipe.alignment_loss,
    )
    save(translator, path, card=card)
    quality = measure(load(path, tokenizer=translator.tokenize), unseen(name, seed=TEST_SEED, count=N_TEST))
    card = replace(card, exact_match=quality.exact_match, alignment=quality.alignment)
    save(translator, path, card=card)
    return replace(card, bytes=path.stat().st_size)


def main() -> None:
    """Train the named model, write its weights and print its row of the table."""
    parser = argparse.ArgumentParser(
        prog="python -m attnwidget.models.train", description="Make shipped weights again from nothing."
    )
    parser.add_argument("name", choices=sorted(RECIPES))
    parser.add_argument("--seed", type=int, default=0, help="of the first weights and of the examples (default 0)")
    parser.add_argument("--steps", type=int, help="batches; by default as many as the shipped weights had")
    parser.add_argument("--out", type=Path, default=Path(), help="folder to write NAME.safetensors to (default: here)")
    options = parser.parse_args()
    recipe = RECIPES[options.name]
    if options.steps is not None:
        if options.steps < 1:
            parser.error(f"--steps is {options.steps}: expected 1 or more")
        recipe = replace(recipe, steps=options.steps)
    options.out.mkdir(parents=True, exist_ok=True)
    translator = train(options.name, seed=options.seed, recipe=recipe)
    card = finish(translator, options.out / f"{options.name}{SUFFIX}", name=options.name, recipe=recipe)
    tqdm.write(f"{TABLE_HEADING}\n{card.row()}")


if __name__ == "__main__":
    main()
