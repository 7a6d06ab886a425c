"""A damaged checkpoint is never taken for a whole one, and costs a run no more than time."""

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from trainables import checkpoint
from trainables.backbones import build
from trainables.feature_store import FeatureStore
from trainables.frozen_features import Shared
from trainables.recipe import Recipe
from trainables.weights import Weights

CLASSES = ("ash", "birch", "cedar")
Damage = Callable[[Path], object]
Run = Callable[..., list[dict[str, Any]]]


def truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def replaced(path: Path) -> None:
    """By a file that is whole by its name, but not torch's."""
    path.unlink()
    path.with_name(f"{path.name[:-11]}{0x3610A686:08x}.pt").write_bytes(b"hello")


def renamed(path: Path) -> None:
    path.rename(path.with_name(f"{path.name[:-11]}00000000.pt"))


def moved(path: Path) -> None:
    path.rename(path.with_name("old.pt"))


DAMAGES: list[Damage] = [truncated, flipped, emptied, replaced, renamed, moved, Path.unlink]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_newest_checkpoint_is_put_aside_and_the_one_before_taken(
    damage: Damage, tmp_path: Path
) -> None:
    for epoch in (1, 2, 3):
        checkpoint.save_last(tmp_path, epoch, _state(epoch))
    damage(_last(tmp_path)[0])
    for _ in range(2):
        _assert_state(checkpoint.load_last(tmp_path), 2)
    damaged = [path for path in tmp_path.iterdir() if path.name.startswith("damaged-last-000003")]
    assert len(damaged) == (damage not in (moved, Path.unlink))
    checkpoint.save_last(tmp_path, 3, _state(3))
    damage(_last(tmp_path)[0])
    _assert_state(checkpoint.load_last(tmp_path), 2)
    assert len(list(tmp_path.glob("damaged-*"))) == len(damaged), "one at most"
    checkpoint.drop_last(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} <= {"old.pt"}


@pytest.mark.parametrize("damage", DAMAGES)
def test_where_both_are_damaged_nothing_is_left_to_continue(damage: Damage, tmp_path: Path) -> None:
    for epoch in (1, 2):
        checkpoint.save_last(tmp_path, epoch, _state(epoch))
    for path in _last(tmp_path):
        damage(path)
    assert checkpoint.load_last(tmp_path) is None
    assert len(list(tmp_path.glob("damaged-*"))) <= 1
    assert not checkpoint.unfinished(tmp_path)


@pytest.mark.parametrize("damage", [truncated, flipped, emptied, renamed, moved, Path.unlink])
def test_a_damaged_best_checkpoint_is_none(damage: Damage, tiny: Recipe, tmp_path: Path) -> None:
    checkpoint.save_best(tmp_path, build(tiny, 3), tiny, CLASSES, epoch=1, score=0.5)
    path = checkpoint.best(tmp_path)
    assert path
    damage(path)
    assert checkpoint.best(tmp_path) is None


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOENT])
def test_what_the_disk_cannot_read_is_damaged_and_what_this_process_cannot_is_not(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for epoch in (1, 2):
        checkpoint.save_last(tmp_path, epoch, _state(epoch))
    load = torch.load

    def failing(errors: list[BaseException]) -> Callable[..., Any]:
        def read(*args: Any, **kwargs: Any) -> Any:
            if errors:
                raise errors.pop()
            return load(*args, **kwargs)

        return read

    for error in (OSError(errno.EMFILE, "Too many open files"), MemoryError()):
        monkeypatch.setattr(torch, "load", failing([error]))
        with pytest.raises(type(error)):
            checkpoint.load_last(tmp_path)
        assert len(_last(tmp_path)) == 2
    monkeypatch.setattr(torch, "load", failing([OSError(number, "gone")]))
    _assert_state(checkpoint.load_last(tmp_path), 1)


# A run that continues


RECIPE = {"epochs": 4, "stage1_epochs": 1, "augmentation": "crop_flip", "scheduler": "cosine"}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_run_whose_newest_checkpoint_is_damaged_repeats_an_epoch_bit_for_bit(
    damage: Damage, tiny: Recipe, run: Run, tmp_path: Path
) -> None:
    recipe = replace(tiny, **RECIPE)
    whole = run(recipe, checkpoints=tmp_path / "whole")
    run(recipe, checkpoints=tmp_path / "hurt", stop_after=3)
    damage(_last(tmp_path / "hurt")[0])
    assert run(recipe, checkpoints=tmp_path / "hurt") == whole[1:]
    _assert_same(tmp_path)


@pytest.mark.parametrize("damage", [flipped, Path.unlink])
def test_a_run_whose_checkpoints_are_both_damaged_begins_anew(
    damage: Damage, tiny: Recipe, run: Run, tmp_path: Path
) -> None:
    recipe = replace(tiny, **RECIPE)
    whole = run(recipe, checkpoints=tmp_path / "whole")
    run(recipe, checkpoints=tmp_path / "hurt", stop_after=3)
    for path in _last(tmp_path / "hurt"):
        damage(path)
    assert run(recipe, checkpoints=tmp_path / "hurt") == whole
    _assert_same(tmp_path)


@pytest.mark.parametrize("damage", [flipped, Path.unlink])
@pytest.mark.parametrize("earlier", [False, True])
def test_a_run_whose_best_checkpoint_is_damaged_begins_anew_so_that_its_score_is_a_files(
    earlier: bool, damage: Damage, tiny: Recipe, run: Run, tmp_path: Path
) -> None:
    recipe = replace(tiny, **RECIPE)
    whole = run(recipe, checkpoints=tmp_path / "whole")
    run(recipe, checkpoints=tmp_path / "hurt")
    path = checkpoint.best(tmp_path / "hurt")
    assert path
    damage(path)
    if earlier:  # a crash left the one before
        checkpoint.save_best(
            tmp_path / "before", build(recipe, 3), recipe, CLASSES, epoch=1, score=0.5
        )
        found = checkpoint.best(tmp_path / "before")
        assert found
        found.replace(tmp_path / "hurt" / found.name)
    assert run(recipe, checkpoints=tmp_path / "hurt") == whole
    _assert_same(tmp_path)


@pytest.mark.parametrize("sharing", [True, False])
def test_a_run_of_another_recipe_or_from_other_weights_is_refused_and_left_as_it_is(
    sharing: bool, tiny: Recipe, run: Run, tmp_path: Path
) -> None:
    store = FeatureStore(tmp_path / "prefix", sweep="first")
    options: dict[str, Any] = {"checkpoints": tmp_path / "run"}
    if sharing:
        options["shared"] = Shared(store=store, cuts=())
    torch.save(build(tiny, 3).torchvision_state_dict(), tmp_path / "tiny.pt")
    weights = Weights.of(tmp_path / "tiny.pt")
    run(tiny, weights=weights, stop_after=2, **options)
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    with pytest.raises(checkpoint.CheckpointError, match=r"its seed is 0 and not 1"):
        run(replace(tiny, seed=1), weights=weights, **options)
    with pytest.raises(checkpoint.CheckpointError, match=f"{weights.digest} and not none"):
        run(tiny, **options)
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before


def _assert_same(folder: Path) -> None:
    """The whole run and the one that was hurt have left the same."""
    for kind in ("best", "last"):
        ours, theirs = (
            torch.load(max((folder / name).glob(f"{kind}-*.pt"))) for name in ("hurt", "whole")
        )
        assert [path.name[:11] for path in sorted((folder / "hurt").glob(f"{kind}-*.pt"))] == [
            path.name[:11] for path in sorted((folder / "whole").glob(f"{kind}-*.pt"))
        ]
        assert all(
            torch.equal(value, ours["state_dict"][key])
            for key, value in theirs["state_dict"].items()
        )


def _state(epoch: int) -> dict[str, Any]:
    return {"progress": [epoch], "tensor": torch.full((3,), float(epoch))}


def _assert_state(state: dict[str, Any] | None, epoch: int) -> None:
    assert state
    assert state["progress"] == [epoch]
    assert torch.equal(state["tensor"], torch.full((3,), float(epoch)))


def _last(folder: Path) -> list[Path]:
    """Newest first."""
    return sorted(folder.glob("last-*.pt"), reverse=True)
