"""The networks that see, and the agent's, do what the equations of their papers say."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch import Tensor

from attnwidget.models.agent import AgentNetwork, AgentSizes
from attnwidget.models.captioner import CaptionDecoder, CaptionNetwork, CaptionSizes
from attnwidget.models.residual import MaskBranch, ResidualAttention, ResidualAttentionNetwork, ResidualSizes
from attnwidget.models.retrieval import SHARPNESS, RetrievalNetwork, RetrievalSizes, StackedCrossAttention
from attnwidget.models.training import walking
from attnwidget.models.training.course import Recipe
from attnwidget.models.video import VideoNetwork
from attnwidget.models.vit import VisionTransformer, VitSizes
from attnwidget.tasks import grid

pytestmark = pytest.mark.usefixtures("one_thread")

CAPTION = CaptionSizes(n_words=7, n_keys=16, d_key=6, d_model=5, d_align=4, d_embed=3)
VIT = VitSizes(n_classes=5, n_patches=6, patch_px=2, n_layers=2, n_heads=3, d_model=12, d_hidden=7)
AGENT = AgentSizes(n_rows=5, n_columns=5, n_marks=4, n_actions=4, sight=2, d_key=6, d_model=7, d_align=5)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


@torch.no_grad()
def test_a_caption_step_equals_equations_4_to_7() -> None:
    decoder = CaptionDecoder(CAPTION).eval()
    annotations, previous = torch.randn(1, 16, 6), torch.tensor([3])
    memory, state = decoder.begin(annotations)
    torch.testing.assert_close(state, torch.tanh(decoder.initial(annotations.mean(dim=1))))
    logits, new, weights = decoder.step(previous, state=state, memory=memory)
    attention = decoder.attention
    scores = [
        float(attention.score.weight[0] @ torch.tanh(attention.query.weight @ state[0] + attention.key.weight @ a))
        for a in annotations[0]
    ]
    np.testing.assert_allclose(weights[0], softmax(np.array(scores)), atol=1e-6)
    context = sum(float(weight) * a for weight, a in zip(weights[0], annotations[0], strict=True))
    assert isinstance(context, Tensor)
    word = decoder.embedding.weight[3]
    cell = decoder.cell
    inputs = (cell.weight_ih @ torch.cat([word, context]) + cell.bias_ih).chunk(3)
    states = (cell.weight_hh @ state[0] + cell.bias_hh).chunk(3)
    reset, update = (torch.sigmoid(inputs[gate] + states[gate]) for gate in (0, 1))
    expected = (1 - update) * torch.tanh(inputs[2] + reset * states[2]) + update * state[0]
    torch.testing.assert_close(new[0], expected)
    deep = word + decoder.from_state.weight @ expected + decoder.from_context.weight @ context
    torch.testing.assert_close(logits[0], decoder.output.weight @ deep + decoder.output.bias)


@torch.no_grad()
def test_a_key_of_the_captioner_sees_its_cell_and_little_more() -> None:
    network = CaptionNetwork(CAPTION)
    image, other = torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32)
    other[:, :, 4:20, 12:28] = image[:, :, 4:20, 12:28]  # four pixels around cell c2
    same = torch.isclose(network.keys(image), network.keys(other)).all(dim=2)[0]
    assert same.nonzero().flatten().tolist() == [4 + 2]


@torch.no_grad()
def test_keys_of_a_clip_go_frame_by_frame_and_know_the_motion() -> None:
    network = VideoNetwork(CaptionSizes(n_words=7, n_keys=80, d_key=6, d_model=5, d_align=4, d_embed=3))
    clip = torch.rand(1, 5, 3, 32, 32)
    features = torch.stack([network.features(frame)[0] for frame in clip.unbind(dim=1)])  # [frame, d_key, 4, 4]
    local, mix = network.motion[0], network.motion[2]
    frame, row, column = 2, 1, 3
    motion = local.bias.clone()
    for frames in range(3):
        for rows in range(3):
            for columns in range(3):
                x = column + columns - 1
                if x < 4:
                    motion += (
                        local.weight[:, 0, frames, rows, columns] * features[frame + frames - 1, :, row + rows - 1, x]
                    )
    moved = mix.weight[:, :, 0, 0, 0] @ motion.relu() + mix.bias
    key = frame * 16 + row * 4 + column
    expected = features[frame, :, row, column] + moved + network.places[key]
    torch.testing.assert_close(network.keys(clip)[0, key], expected)


@torch.no_grad()
def test_the_vision_transformer_equals_equations_1_to_4() -> None:
    network = VisionTransformer(VIT).eval()
    image = torch.rand(1, 1, 4, 6)
    patches = [image[0, 0, y : y + 2, x : x + 2].flatten() for y in (0, 2) for x in (0, 2, 4)]
    kernel = network.patches.weight.flatten(1)
    tokens = torch.stack([network.class_token, *(kernel @ patch + network.patches.bias for patch in patches)])
    tokens = tokens + network.places
    for layer in network.layers:
        x, attention = layer.norm(tokens), layer.attention
        read, rows = [], []
        for head in range(3):
            part = slice(4 * head, 4 * head + 4)
            q, k, v = (x @ m.weight[part].T for m in (attention.query, attention.key, attention.value))
            weights = torch.tensor(softmax((q @ k.T / 4**0.5).numpy()))
            read.append(weights @ v)
            rows.append(weights[0])
        tokens = tokens + torch.cat(read, dim=1) @ attention.output.weight.T
        tokens = tokens + layer.mlp(tokens)
    logits, weights = network(image)
    torch.testing.assert_close(logits[0], network.output(network.norm(tokens[0])))
    torch.testing.assert_close(weights[0], torch.stack(rows).mean(dim=0))


@torch.no_grad()
def test_a_residual_attention_is_one_plus_mask_times_trunk() -> None:
    module = ResidualAttention(3).eval()
    features = torch.randn(2, 3, 4, 4)
    stressed, mask = module(features)
    np.testing.assert_allclose(stressed, (1 + mask.numpy()) * module.trunk(features).numpy(), atol=1e-6)
    module.mask.score[-1].bias.fill_(-1e4)
    torch.testing.assert_close(module(features)[0], module.trunk(features))


@torch.no_grad()
def test_the_mask_branch_pools_interpolates_and_squashes() -> None:
    branch = MaskBranch(3).eval()
    features = torch.randn(1, 3, 4, 4)
    pooled = features.numpy().reshape(1, 3, 2, 2, 2, 2).max(axis=(3, 5))
    coarse = branch.down[1](torch.tensor(pooled))[0].numpy()  # [channel, 2, 2]
    ramp = np.array([[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])  # halves of a pixel between two centres
    fine = torch.tensor(np.einsum("yi,cij,xj->cyx", ramp, coarse, ramp), dtype=torch.float32)
    expected = 1 / (1 + np.exp(-branch.score(fine.unsqueeze(0)).numpy()))
    np.testing.assert_allclose(branch(features), expected, atol=1e-5)


@torch.no_grad()
def test_the_residual_network_gives_the_mean_mask_of_each_pixel() -> None:
    network = ResidualAttentionNetwork(ResidualSizes(n_classes=5, n_channels=3)).eval()
    images = torch.rand(2, 1, 8, 8)
    logits, weights = network(images)
    mask = network.attention.mask(network.first(images))
    assert logits.shape == (2, 5)
    assert float(weights[1, 8 * 2 + 5]) == pytest.approx(float(mask[1, :, 2, 5].mean()))


@torch.no_grad()
def test_cross_attention_equals_the_paper_written_out() -> None:
    words, regions = (torch.nn.functional.normalize(torch.randn(n, 5), dim=1) for n in (3, 4))
    attention = StackedCrossAttention()
    seen, weights = attention(attention.similarities(words, regions=regions), regions=regions)
    cosines = np.maximum(words.numpy() @ regions.numpy().T, 0)  # [word, key]
    normalized = cosines / np.sqrt((cosines**2).sum(axis=0, keepdims=True)).clip(1e-12)
    for word in range(3):
        row = softmax(SHARPNESS * normalized[word])
        np.testing.assert_allclose(weights[word], row, atol=1e-6)
        np.testing.assert_allclose(seen[word], row @ regions.numpy(), atol=1e-6)


@torch.no_grad()
def test_a_match_is_the_mean_cosine_of_words_and_what_they_saw() -> None:
    network = RetrievalNetwork(RetrievalSizes(n_words=9, n_keys=16, d_embed=3, d_key=4, d_joint=5))
    words, regions = network.read(torch.randint(9, (2, 7))), network.see(torch.rand(3, 3, 32, 32))
    torch.testing.assert_close(regions.norm(dim=2), torch.ones(3, 16))
    matches, weights = network(words, regions=regions)
    assert matches.shape == (2, 3)
    seen = weights[1, 2] @ regions[2]
    cosines = [float(w @ s / (w.norm() * s.norm())) for w, s in zip(words[1], seen, strict=True)]
    assert float(matches[1, 2]) == pytest.approx(sum(cosines) / 7, abs=1e-6)


@torch.no_grad()
def test_the_agent_feels_the_walls_around_it() -> None:
    network = AgentNetwork(AGENT)
    walls = frozenset({6, 13, 24})
    marks = torch.tensor([grid.example(7, 20, walls=walls).values.tolist()])
    view = network.view(marks == grid.WALL, cells=torch.tensor([7])).view(5, 5)
    for row in range(-2, 3):
        for column in range(-2, 3):
            y, x = 1 + row, 2 + column
            blocked = not (0 <= y < 5 and 0 <= x < 5) or 5 * y + x in walls
            assert bool(view[2 + row, 2 + column]) == blocked


@torch.no_grad()
def test_the_agents_weights_are_additive_attention_from_its_own_cell() -> None:
    network = AgentNetwork(AGENT)
    marks = torch.from_numpy(grid.read(grid.TYPED).values).unsqueeze(0)
    cell = int((marks[0] == grid.AGENT).nonzero())
    view = network.view(marks == grid.WALL, cells=torch.tensor([cell]))[0]
    state = torch.tanh(network.state(torch.cat([network.places.weight[cell], view])))
    scores = []
    for place, mark in enumerate(marks[0]):
        key = network.marks.weight[mark] + network.places.weight[place]
        hidden = torch.tanh(network.attention.query(state) + network.attention.key(key))
        scores.append(float(network.attention.score(hidden)))
    np.testing.assert_allclose(network(marks)[2][0], softmax(np.array(scores)), atol=1e-6)


def test_batched_moves_are_those_of_the_task() -> None:
    rng = random.Random(0)
    examples = [grid.draw(rng) for _ in range(40)]
    actions = [rng.randrange(4) for _ in examples]
    marks = torch.tensor(np.stack([example.values for example in examples]))
    moved, arrived = walking.after(marks, torch.tensor(actions))
    for example, action, new, there in zip(examples, actions, moved, arrived, strict=True):
        name = list(grid.ACTIONS)[action]
        assert bool(there) == grid.reaches_goal([name], example=example)
        walls = frozenset(np.flatnonzero(example.values == grid.WALL).tolist())
        cell = int(np.flatnonzero(example.values == grid.AGENT)[0])
        assert (new == grid.AGENT).nonzero().flatten().tolist() == [grid.move(cell, name, walls=walls)]
        assert (new == grid.WALL).nonzero().flatten().tolist() == sorted(walls)


def test_the_loss_of_a_walk_has_the_gradient_of_the_expected_return(monkeypatch: pytest.MonkeyPatch) -> None:
    beside = grid.example(11, 12, walls=frozenset())  # one action to the right
    monkeypatch.setattr(walking, "drawn", lambda rng, *, held_out: beside)
    for name, value in {"MAX_ACTIONS": 1, "ENTROPY_SHARE": 0.0, "VALUE_SHARE": 0.0}.items():
        monkeypatch.setattr(walking, name, value)
    course = walking.Walking("agent", "", Recipe(steps=1, batch=20_000), lambda *counts: AgentNetwork(AGENT))
    system = course.build()
    logits = system.network(torch.from_numpy(beside.values).unsqueeze(0))[0][0]
    right = list(grid.ACTIONS).index("right")
    (expected,) = torch.autograd.grad(-torch.softmax(logits, dim=0)[right], system.network.policy.bias)
    (sampled,) = torch.autograd.grad(course.loss(system, random.Random(0)), system.network.policy.bias)
    torch.testing.assert_close(sampled, expected, atol=0.01, rtol=0)
