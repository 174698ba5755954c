"""Write and read a translator: float16 numbers in safetensors, vocabularies and sizes as JSON in its header."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from .additive import AdditiveNetwork, Sizes
from .catalogue import HEADER, Card, read_header
from .translator import Translator


def save(translator: Translator, path: Path, *, card: Card) -> None:
    """Write the weights, rounded to float16; the header holds all that `load` needs, and the card."""
    header = {
        "card": {key: value for key, value in asdict(card).items() if key != "bytes"},
        "sizes": asdict(translator.network.sizes),
        "source_words": translator.source_words,
        "target_words": translator.target_words[1:],
        "longest_source": translator.longest_source,
        "longest_target": translator.longest_target,
    }
    tensors = {name: tensor.to(torch.float16) for name, tensor in translator.network.state_dict().items()}
    save_file(tensors, path, metadata={HEADER: json.dumps(header, ensure_ascii=False)})


def load(path: Path, *, tokenizer: Callable[[str], list[str]]) -> Translator:
    """Read a translator, to run in float32, in evaluation mode.

    Raises:
        ValueError: the file was not written by `save`.
    """
    header = read_header(path)
    network = AdditiveNetwork(Sizes(**header["sizes"]))
    network.load_state_dict(load_file(path))
    translator = Translator(
        network,
        source_words=header["source_words"],
        target_words=header["target_words"],
        longest_source=header["longest_source"],
        longest_target=header["longest_target"],
        tokenizer=tokenizer,
    )
    return translator.eval()
