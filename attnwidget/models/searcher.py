"""A network that finds a picture for a sentence, with its vocabulary: each word of it looks at what was found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from attnwidget.tasks import Example, search, shapes

from .pictured import Picture
from .retrieval import SCALE, RetrievalNetwork, RetrievalSizes
from .system import DecoderStep, Encoded, System, likeliest

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True, eq=False)
class Found(Picture):
    """A sentence and the picture that was found for it.

    Args:
        tokens: the cells of the picture, row by row.
        values: the picture that matches best, float [1, 3, row, column].
        sentence: word indices, int64 [1, word].
        image: the picture for people, float32 [32, 32, 3].
        grid: 4 rows and 4 columns of cells.
        captions: of all pictures of the gallery, the found one first, then as they match.
        probabilities: of these pictures, float [picture].
    """

    sentence: Tensor
    captions: tuple[tuple[str, ...], ...]
    probabilities: Tensor


class Searcher(System):
    """A trained pair of towers. The weights of its steps are those of each word on the cells of the picture found.

    Args:
        network: its words are those of the shapes' captions, in order.
    """

    kind = "searcher"
    example = search.TYPED

    def __init__(self, network: RetrievalNetwork) -> None:
        super().__init__()
        self.network = network
        self.words = shapes.WORDS

    @torch.no_grad()
    def encode(self, typed: str | Sequence[object] | Example) -> Found:
        """Search a gallery of 50 pictures for a sentence.

        Args:
            typed: a sentence, whose gallery is always the same; or an example of `tasks.search`, with its own gallery.

        Raises:
            TypeError: it is neither.
            ValueError: it is no such sentence.
        """
        if isinstance(typed, str):
            typed = search.read(typed)
        if not isinstance(typed, search.Search):
            raise TypeError(
                f"a {type(typed).__name__} came: expected {search.EXPECTED}, or an example of tasks.search."
            )
        device = self.network.region.weight.device
        images = torch.from_numpy(np.stack([picture.values for picture in typed.gallery if picture.values is not None]))
        images = images.movedim(3, 1).to(device)  # [picture, 3, row, column]
        sentence = torch.tensor([[self.words.index(word) for word in typed.target]], device=device)  # [1, word]
        matches, _ = self.network(self.network.read(sentence), regions=self.network.see(images))  # [1, picture]
        probabilities, order = torch.softmax(SCALE * matches[0], dim=0).sort(descending=True)  # [picture]
        found = typed.gallery[int(order[0])]
        assert found.values is not None
        captions = tuple(typed.gallery[index].target for index in order.tolist())
        return Found(
            shapes.CELLS,
            images[order[:1]],
            found.values,
            (shapes.N_ROWS, shapes.N_COLUMNS),
            sentence,
            captions,
            probabilities,
        )

    def most_steps(self, encoded: Encoded) -> int:
        """Return the number of words in the sentence."""
        assert isinstance(encoded, Found)
        return encoded.sentence.shape[1]

    def decode(self, encoded: Encoded, *, max_steps: int) -> Iterator[DecoderStep]:
        """Yield one step for each word of the sentence; there is no end mark.

        The token is the likeliest word in this place among the captions of the gallery, each as probable as its
        picture: what was found, in words.
        """
        assert isinstance(encoded, Found)
        regions = self.network.see(encoded.values)  # [1, key, d_joint]
        similarities = self.network.attention.similarities(self.network.read(encoded.sentence), regions=regions)
        for place in range(min(max_steps, encoded.sentence.shape[1])):
            _, weights = self.network.attention(similarities[:, place : place + 1], regions=regions)  # [1, 1, key]
            said = torch.tensor([self.words.index(caption[place]) for caption in encoded.captions])  # [picture]
            by_word = torch.zeros(len(self.words)).index_add(0, said, encoded.probabilities.cpu())  # [word]
            candidates = likeliest(by_word, words=self.words)
            yield DecoderStep(candidates[0][0], candidates, weights[0, 0])

    def header(self) -> dict[str, Any]:
        """Return the sizes of the network."""
        return {"sizes": asdict(self.network.sizes)}

    @classmethod
    def from_header(cls, header: dict[str, Any]) -> Self:
        """Return the searcher that wrote this header, with numbers that are still to be loaded."""
        return cls(RetrievalNetwork(RetrievalSizes(**header["sizes"])))
