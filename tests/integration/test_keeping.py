"""Weights that a whole sweep has let go are there again where another run becomes its champion."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.integration.conftest import Ran, run

pytestmark = pytest.mark.timeout(600)

SMALL = ("--preset", "demo", "--arms", "resnet18/plain", "--trials", "1", "--seeds", "1")


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory, cache: str) -> Ran:
    folder = tmp_path_factory.mktemp("kept")
    done = run(folder, *SMALL, "--name", "one", DVT_CACHE_DIR=cache)
    assert done.code == 0, done.err
    return done


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    saved = torch.load(folder / "champion" / "best.pt", weights_only=True)
    state: dict[str, torch.Tensor] = saved["state_dict"]
    return state


def test_a_champion_without_weights_is_trained_again_to_the_same_network(
    swept: Ran, cache: str
) -> None:
    folder = swept.cwd / "mlruns/sweeps/one"
    before = weights_of(folder)
    results = (folder / "results.csv").read_text()
    # As where the bounds now leave another champion than the one that was kept.
    (folder / "champion" / "best.pt").unlink()
    again = run(swept.cwd, "--resume", "one", "--max-mb", "500", DVT_CACHE_DIR=cache)
    assert again.code == 0, again.err
    assert "training it once more" in again.out
    after = weights_of(folder)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert (folder / "results.csv").read_text() == results
    assert "Registered" in again.out
    assert [path.name for path in folder.rglob("*.pt")] == ["best.pt"]


def test_more_seeds_extend_a_sweep_whose_other_weights_are_gone(swept: Ran, cache: str) -> None:
    folder = swept.cwd / "mlruns/sweeps/one"
    again = run(swept.cwd, "--resume", "one", "--seeds", "2", "--keep", "best", DVT_CACHE_DIR=cache)
    assert again.code == 0, again.err
    assert weights_of(folder)
    assert "Kept: the best weights of each arm and finalist, " in again.out
