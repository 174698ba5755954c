"""A clip in words: the captioner, with attention over space and time at once."""

from __future__ import annotations

from torch import Tensor, nn

from .captioner import CaptionNetwork, CaptionSizes


class VideoNetwork(CaptionNetwork):
    """The captioner's CNN on each frame, one convolution over space and time, and the captioner's decoder.

    The convolution sees a cell and its neighbours in this frame, the one before and the one after, so that a key can
    know where its shape came from and goes to. One softmax weighs all places of all frames.

    Differs from the paper: its decoder weighs whole frames, and its 3-D CNN sees motion at a finer grain; here each
    key is one cell of one frame, as in the soft attention of the captioner.

    Source: Yao et al. 2015, arXiv 1502.08029: motion from a 3-D CNN, section 3.1; attention over time, section 3.2.
    """

    def __init__(self, sizes: CaptionSizes, *, dropout: float = 0.0) -> None:
        super().__init__(sizes, dropout=dropout)
        self.motion = nn.Sequential(
            nn.Conv3d(sizes.d_key, sizes.d_key, kernel_size=3, padding=1, groups=sizes.d_key), nn.ReLU(),
            nn.Conv3d(sizes.d_key, sizes.d_key, kernel_size=1),
        )  # fmt: skip

    def keys(self, images: Tensor) -> Tensor:
        """Return the annotations, float [batch, key, d_key], of clips, float [batch, frame, 3, y, x].

        Keys go frame by frame, and row by row in each.
        """
        features: Tensor = self.features(images.flatten(0, 1))  # [batch * frame, d_key, row, column]
        frames = features.view(*images.shape[:2], *features.shape[1:]).transpose(
            1, 2
        )  # [batch, d_key, frame, row, column]
        moving: Tensor = frames + self.motion(frames)  # [batch, d_key, frame, row, column]
        return moving.flatten(2).mT + self.places  # [batch, key, d_key]
