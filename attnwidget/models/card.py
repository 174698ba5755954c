"""What a trained model says about itself, and the table of several. Needs no torch."""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Card:
    """What a weights file says about itself.

    Args:
        name: what `pretrained` calls it.
        task: the task it was trained on.
        paper: where the network is from.
        parameters: how many numbers were learnt.
        bytes: size of the file.
        exact_match: share of unseen inputs decoded right as a whole, 0 to 1, measured after training.
        alignment: share of gold-aligned steps whose largest weight is on a gold source token, 0 to 1, likewise; None
            where nothing is known of the gold.
        alignment_loss: weight of the loss that taught the attention its gold alignment; 0 means that it never saw it.
        training_seconds: what the training took on one thread, in seconds of the CPU, its checks left out.
        seed: of the training.
    """

    name: str
    task: str
    paper: str
    parameters: int
    bytes: int
    exact_match: float
    alignment: float | None
    alignment_loss: float
    training_seconds: float
    seed: int


COLUMNS: tuple[tuple[str, Callable[[Card], str]], ...] = (
    ("model", lambda card: card.name),
    ("task", lambda card: card.task),
    ("paper", lambda card: card.paper),
    ("parameters", lambda card: f"{card.parameters:,}"),
    ("bytes", lambda card: f"{card.bytes:,}"),
    ("exact match", lambda card: f"{card.exact_match:.1%}"),
    ("alignment", lambda card: "no gold" if card.alignment is None else f"{card.alignment:.1%}"),
    ("attention", lambda card: f"taught, {card.alignment_loss:g}" if card.alignment_loss else "untaught"),
    ("training, CPU s", lambda card: f"{card.training_seconds:.0f}"),
    ("seed", lambda card: f"{card.seed}"),
)


class Cards(list[Card]):
    """Cards that print as a table: in columns in a terminal, as HTML in a notebook."""

    def rows(self) -> list[list[str]]:
        """Return the cells of the table, the headings first."""
        return [[heading for heading, _ in COLUMNS], *([cell(card) for _, cell in COLUMNS] for card in self)]

    def __repr__(self) -> str:
        rows = self.rows()
        widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
        return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)

    def _repr_html_(self) -> str:
        tags = ["th"] + ["td"] * len(self)
        rows = (
            "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in row)
            for tag, row in zip(tags, self.rows(), strict=True)
        )
        return f"<table>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"
