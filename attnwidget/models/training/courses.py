"""One course for each model that is shipped: add a line, and it can be trained by its name.

The attention of all but "dates" never saw a gold alignment; that of "dates" was taught a little.
"""

from __future__ import annotations

from attnwidget import tasks
from attnwidget.tasks import clips, shapes

from ..additive import AdditiveNetwork, Sizes
from ..captioner import CaptionNetwork, CaptionSizes
from ..residual import ResidualAttentionNetwork, ResidualSizes
from ..video import VideoNetwork
from ..vit import VisionTransformer, VitSizes
from .classification import Classification
from .course import Course, Recipe
from .description import Description
from .translation import Translation

BAHDANAU = "Bahdanau et al. 2014, arXiv 1409.0473"
XU = "Xu et al. 2015, arXiv 1502.03044"
YAO = "Yao et al. 2015, arXiv 1502.08029"
DOSOVITSKIY = "Dosovitskiy et al. 2020, arXiv 2010.11929"
WANG = "Wang et al. 2017, arXiv 1704.06904"


def additive(n_source: int, n_target: int) -> AdditiveNetwork:
    """Return the additive network of the shipped sizes; dropout makes it read the context."""
    sizes = Sizes(n_source, n_target, d_embed=32, d_encoder=32, d_model=64, d_align=64, d_output=48)
    return AdditiveNetwork(sizes, dropout=0.3)


def captioner(n_words: int, n_keys: int) -> CaptionNetwork:
    """Return the captioner of the shipped sizes; dropout makes it read the context."""
    sizes = CaptionSizes(n_words, n_keys, d_key=32, d_model=48, d_align=16, d_embed=32)
    return CaptionNetwork(sizes, dropout=0.5)


def video(n_words: int, n_keys: int) -> VideoNetwork:
    """Return the captioner of clips of the shipped sizes."""
    sizes = CaptionSizes(n_words, n_keys, d_key=24, d_model=32, d_align=16, d_embed=16)
    return VideoNetwork(sizes, dropout=0.5)


def vit(n_classes: int) -> VisionTransformer:
    """Return the vision transformer of the shipped sizes, for digits in 16 patches of two by two pixels."""
    sizes = VitSizes(n_classes, n_patches=16, patch_px=2, n_layers=2, n_heads=4, d_model=32, d_hidden=64)
    return VisionTransformer(sizes, dropout=0.1)


def residual(n_classes: int) -> ResidualAttentionNetwork:
    """Return the residual attention network of the shipped sizes."""
    return ResidualAttentionNetwork(ResidualSizes(n_classes, n_channels=16))


# Left to itself, "dates" aligns 97 % of the gold steps: a zero that nobody wrote ("march 3" -> 03) is read off any
# neighbour that shows the number to be over.
COURSES: dict[str, Course] = {
    course.name: course
    for course in (
        Translation("reverse", tasks.get("reverse"), BAHDANAU, Recipe(steps=2_000), additive),
        Translation("numbers-de", tasks.get("numbers-de"), BAHDANAU, Recipe(steps=2_000), additive),
        Translation("dates", tasks.get("dates"), BAHDANAU, Recipe(steps=2_500, alignment_loss=0.05), additive),
        Description("captioner", shapes.TASK, XU, Recipe(steps=1_000, batch=64, learning_rate=5e-3), captioner),
        Description(
            "video", clips.TASK, YAO, Recipe(steps=800, batch=32, learning_rate=5e-3, alignment_loss=0.1), video
        ),
        Classification("vit", DOSOVITSKIY, Recipe(steps=1_500, batch=64), vit),
        Classification("residual", WANG, Recipe(steps=400, batch=64), residual),
    )
}
