"""Windows of an image: what is recorded is the image's own matrix, and an edit reaches the window."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers as tf
from architectures import built, inputs, sharpened
from torch import Tensor, nn

import attnwidget as aw

BEYOND = "ignore:Windows reach over the edge:UserWarning"


def recorded(model: nn.Module, *given: Tensor, **options: object) -> aw.Trace:
    with torch.no_grad(), aw.record(model, **options) as trace:  # type: ignore[arg-type]
        model(*given)
    return trace


def swin(window: int) -> nn.Module:
    torch.manual_seed(0)
    config = tf.SwinConfig(image_size=16, patch_size=2, embed_dim=16, depths=[2], num_heads=[2], window_size=window)
    return sharpened(tf.SwinModel(config))


def test_one_image_needs_no_example() -> None:
    torch.manual_seed(0)
    model, image = built("Swin"), inputs("image")["pixel_values"]
    one = recorded(model, image[:1])
    for example in (0, 1):
        several = recorded(model, image, example=example)
        same = [np.allclose(one.weights(site), several.weights(site), atol=1e-6) for site in one.sites]
        assert all(same) == (example == 0)


@pytest.mark.filterwarnings(BEYOND)
@pytest.mark.parametrize("window", [3, 4, 5])
def test_a_patch_attends_within_its_window_only(window: int) -> None:
    """Patches of a plain and of a rolled image, whose window is told by where they stand."""
    plain, rolled = recorded(swin(window), inputs("image")["pixel_values"], example=1).sites
    trace = recorded(swin(window), inputs("image")["pixel_values"], example=1)
    edge, padded = 8, -(-8 // window) * window
    rows, columns = np.divmod(np.arange(edge * edge), edge)
    for site, shift in ((plain, 0), (rolled, window // 2)):
        row, column = ((it - shift) % padded // window for it in (rows, columns))
        together = (row[:, None] == row) & (column[:, None] == column)
        weights = trace.weights(site)
        assert not weights[:, ~together].any()
        assert (weights[:, together] > 0).mean() > 0.3
        if padded == edge:
            np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-5)


@pytest.mark.filterwarnings(BEYOND)
@pytest.mark.parametrize("window", [3, 4])
def test_an_edit_of_a_patch_reaches_its_window(window: int) -> None:
    model, image = swin(window), inputs("image")["pixel_values"][:1]
    outputs: list[Tensor] = []
    model.encoder.layers[0].blocks[1].attention.register_forward_hook(lambda *it: outputs.append(it[2][0]))
    before = recorded(model, image)
    site = before.sites[1]
    after = recorded(model, image, edits=[aw.Edit("ablate", site=site, head=1, query=10)])
    changed = np.abs(before.weights(site) - after.weights(site)).sum(-1) > 0  # [head, query]
    assert np.argwhere(changed).tolist() == [[1, 10]]
    moved = (outputs[0] - outputs[1]).abs().amax(-1) > 1e-4  # [window, place]
    assert int(moved.sum()) == 1


class Cuts(nn.Module):
    """Cuts without saying where."""

    def __init__(self) -> None:
        super().__init__()
        self.window_size = 2

    def forward(self, x: Tensor) -> Tensor:
        windows = x.reshape(-1, 4, x.shape[-1])
        return torch.softmax(windows @ windows.mT, dim=-1) @ windows


class Model(nn.Module):
    main_input_name = "pixel_values"

    def __init__(self) -> None:
        super().__init__()
        self.cuts = Cuts()

    def forward(self, pixel_values: Tensor) -> Tensor:
        return torch.as_tensor(self.cuts(pixel_values))


@pytest.mark.parametrize("example", [0, 1])
def test_windows_that_nobody_places_are_heads(example: int) -> None:
    x = torch.randn(2, 12, 5)
    with pytest.warns(UserWarning, match="Cuts attends in 3 windows an image, which are shown as heads"):
        trace = recorded(Model(), x, example=example)
    windows = x[example].view(3, 4, 5)
    np.testing.assert_allclose(trace.weights(), (windows @ windows.mT).softmax(-1), atol=1e-6)
