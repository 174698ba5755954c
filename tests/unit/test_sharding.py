"""Sharded models: two processes that hold one model together record all of its heads."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from decoders import built, inputs
from torch import distributed as dist
from torch import nn

import attnwidget as aw

SCRIPT = Path(__file__).with_name("sharded.py")
CHECKS = re.findall(r"^@check\ndef (\w+)", SCRIPT.read_text("utf-8"), re.MULTILINE)
SECONDS = 150
ALONE = {"WORLD_SIZE": "", "RANK": "", "OMP_NUM_THREADS": "1", "TRANSFORMERS_VERBOSITY": "error"}

gloo = pytest.mark.skipif(not dist.is_available() or not dist.is_gloo_available(), reason="torch has no gloo")


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Run all checks once; return where each rank says how it went, and what was printed."""
    folder = tmp_path_factory.mktemp("ranks")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", SCRIPT, folder]
    paths = os.pathsep.join([str(SCRIPT.parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {
        name: it for name, it in (os.environ | ALONE | {"PYTHONPATH": paths, "TMPDIR": str(folder)}).items() if it
    }
    with (folder / "printed").open("w") as printed:
        process = subprocess.Popen(
            command, env=environment, stdout=printed, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return folder, (folder / "printed").read_text("utf-8", "replace")[-3000:]


@gloo
@pytest.mark.slow
@pytest.mark.parametrize("name", CHECKS)
def test_ranks(name: str, ran: tuple[Path, str]) -> None:
    folder, printed = ran
    said = {rank: folder / f"{name}.{rank}" for rank in range(2)}
    assert all(it.exists() for it in said.values()), f"{name} did not come to its end.\n{printed}"
    faults = {rank: it.read_text("utf-8") for rank, it in said.items()}
    assert not any(faults.values()), "\n".join(f"rank {rank}: {fault}" for rank, fault in faults.items())


def moving_weights(module: nn.Module, folder: Path, number: int) -> None:
    """Keep the weights of a module in a file, and bring them only while it runs, as accelerate does."""
    names = [name for name, _ in module.named_parameters(recurse=False)]
    path, forward = folder / f"{number}.npz", module.forward
    np.savez(path, **{name: getattr(module, name).detach().numpy() for name in names})

    def put(value: Callable[[str], torch.Tensor]) -> None:
        for name in names:
            setattr(module, name, nn.Parameter(value(name), requires_grad=False))

    def moved(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        with np.load(path) as kept:
            put(lambda name: torch.from_numpy(kept[name]))
        result = forward(*args, **kwargs)
        put(lambda name: getattr(module, name).to("meta"))
        return result

    put(lambda name: getattr(module, name).to("meta"))
    module.forward = moved  # type: ignore[method-assign]


@pytest.mark.parametrize("name", ["GPT-2", "Llama", "BART"])
def test_weights_that_move_in_and_out_record_as_before(name: str, tmp_path: Path) -> None:
    traces = []
    for offloaded in (False, True):
        model = built(name)
        if offloaded:
            for number, module in enumerate(model.modules()):
                if any(True for _ in module.parameters(recurse=False)):
                    moving_weights(module, tmp_path, number)
        with torch.no_grad():
            traces.append(aw.generate(model, inputs(name), max_new_tokens=4, do_sample=False, progress=False))
    expected, trace = traces
    assert trace.tokens == expected.tokens
    for site in expected.sites:
        np.testing.assert_array_equal(trace.weights(site.name), expected.weights(site))
