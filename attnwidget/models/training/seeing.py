"""The courses of the systems that see and of the one that walks."""

from __future__ import annotations

from attnwidget.tasks import clips, shapes

from ..agent import AgentNetwork, AgentSizes
from ..captioner import CaptionNetwork, CaptionSizes
from ..residual import ResidualAttentionNetwork, ResidualSizes
from ..retrieval import RetrievalNetwork, RetrievalSizes
from ..video import VideoNetwork
from ..vit import VisionTransformer, VitSizes
from .classification import Classification
from .course import Course, Recipe
from .description import Description
from .searching import Searching
from .walking import Walking

XU = "Xu et al. 2015, arXiv 1502.03044"
YAO = "Yao et al. 2015, arXiv 1502.08029"
DOSOVITSKIY = "Dosovitskiy et al. 2020, arXiv 2010.11929"
WANG = "Wang et al. 2017, arXiv 1704.06904"
LEE = "Lee et al. 2018, arXiv 1803.08024"
MOTT = "Mott et al. 2019, arXiv 1906.02500"


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
    return ResidualAttentionNetwork(ResidualSizes(n_classes, n_channels=12))


def retrieval(n_words: int, n_keys: int) -> RetrievalNetwork:
    """Return the two towers of the shipped sizes."""
    return RetrievalNetwork(RetrievalSizes(n_words, n_keys, d_embed=16, d_key=24, d_joint=24))


def agent(n_rows: int, n_columns: int, n_marks: int, n_actions: int) -> AgentNetwork:
    """Return the agent of the shipped sizes."""
    return AgentNetwork(AgentSizes(n_rows, n_columns, n_marks, n_actions, sight=3, d_key=16, d_model=64, d_align=16))


# Left to itself, "video" aligns 92 % of the gold steps: a cell next to the way knows of the motion, too.
SEEING: tuple[Course, ...] = (
    Description("captioner", shapes.TASK, XU, Recipe(steps=1_000, batch=64, learning_rate=5e-3), captioner),
    Description("video", clips.TASK, YAO, Recipe(steps=800, batch=32, learning_rate=5e-3, alignment_loss=0.1), video),
    Classification("vit", DOSOVITSKIY, Recipe(steps=2_000, batch=64), vit),
    Classification("residual", WANG, Recipe(steps=600, batch=64), residual),
    Searching(
        "retrieval", LEE, Recipe(steps=400, batch=48, learning_rate=5e-3, warm_up=50, check_every=100), retrieval
    ),
    Walking("agent", MOTT, Recipe(steps=1_000, batch=128, learning_rate=8e-3, warm_up=20), agent),
)
