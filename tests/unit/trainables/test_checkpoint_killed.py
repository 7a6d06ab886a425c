"""A process may be killed, or find the disk full, at any moment: a whole checkpoint is left."""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch

from trainables import checkpoint
from trainables.backbones import build
from trainables.recipe import Recipe

CLASSES = ("ash", "birch", "cedar")


class Killed(BaseException):
    """The process ends: nothing that it would still do is done."""


@pytest.fixture
def kill_at(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], list[str]]]:
    """Kill at the n-th operation on files; return what was done.

    It dies before the operation or, in case of a write, half-way through it.
    """
    with monkeypatch.context() as patch:

        def arm(number: int) -> list[str]:
            done: list[str] = []
            writes = count(1)

            def deadly(name: str, operation: Callable[..., Any]) -> Callable[..., Any]:
                def call(*args: Any, **kwargs: Any) -> Any:
                    if "killed" in done:
                        raise Killed
                    if name == "write" and (written := next(writes)) & (
                        written - 1
                    ):  # of hundreds the 1st, 2nd, 4th, 8th, …
                        return operation(*args)
                    if len(done) == number:
                        if name == "write":
                            operation(args[0], args[1][: len(args[1]) // 2])
                        done.append("killed")
                        raise Killed
                    done.append(name)
                    return operation(*args, **kwargs)

                return call

            patch.undo()
            patch.setattr(os, "write", deadly("write", os.write))
            patch.setattr(os, "fsync", deadly("fsync", os.fsync))
            patch.setattr(os, "replace", deadly("replace", os.replace))
            patch.setattr(Path, "unlink", deadly("unlink", Path.unlink))
            return done

        arm.disarm = patch.undo  # type: ignore[attr-defined]
        yield arm


def test_a_process_may_be_killed_at_any_moment_of_a_save(
    tiny: Recipe, tmp_path: Path, kill_at: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    networks = {epoch: build(tiny, 3) for epoch in (1, 2, 3, 4)}
    for epoch, network in networks.items():
        torch.nn.init.constant_(next(network.parameters()), epoch)
    number = 0
    while True:
        folder = tmp_path / str(number)
        for epoch in (1, 2, 3):
            _save(folder, networks[epoch], tiny, epoch)
        done = kill_at(number)
        try:
            _save(folder, networks[4], tiny, 4)
        except Killed:
            pass
        else:
            break
        finally:
            kill_at.disarm()
        last = checkpoint.load_last(folder)
        assert last
        _assert_state(last, 4 if "replace" in done and done.count("replace") == 2 else 3)
        found = checkpoint.best(folder, since=last["progress"][0])
        assert found, "the best checkpoint is never older than the one to continue from"
        kept, *_ = checkpoint.load_best(found)
        assert next(kept.parameters()).flatten()[0] == (4 if "replace" in done else 3)
        assert not list(folder.glob("damaged-*"))
        _save(folder, networks[4], tiny, 4)
        names = sorted(path.name.rpartition("-")[0] for path in folder.iterdir())
        assert names == ["best-000004", "last-000003", "last-000004"], (
            "what a crash leaves goes with the next save"
        )
        number += 1
    assert set(done) == {"write", "fsync", "replace", "unlink"}
    assert number >= 19


def test_a_process_may_be_killed_while_it_puts_a_damaged_checkpoint_aside(
    tmp_path: Path, kill_at: Any
) -> None:
    number = 0
    while True:
        folder = tmp_path / str(number)
        for epoch in (1, 2):
            checkpoint.save_last(folder, epoch, _state(epoch))
        max(folder.glob("last-*.pt")).write_bytes(b"")
        (folder / "damaged-last-000001-00000000.pt").touch()
        kill_at(number)
        try:
            checkpoint.load_last(folder)
        except Killed:
            pass
        else:
            break
        finally:
            kill_at.disarm()
        _assert_state(checkpoint.load_last(folder), 1)
        number += 1
    assert number == 2


# No room


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("room", [0, 1000, 20_000])
@pytest.mark.parametrize("where", ["write", "fsync"])
def test_a_full_disk_is_an_error_and_leaves_what_was_there(
    where: str,
    room: int,
    number: int,
    tiny: Recipe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = build(tiny, 3)
    for epoch in (1, 2):
        _save(tmp_path, network, tiny, epoch)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    left, write = [room], os.write

    def short(descriptor: int, data: memoryview) -> int:
        if not left[0]:
            raise OSError(number, "No space left on device")
        written = write(descriptor, data[: left[0]])
        left[0] -= written
        return written

    def full(descriptor: int) -> None:
        raise OSError(number, "No space left on device")

    for save in (
        lambda: checkpoint.save_best(tmp_path, network, tiny, CLASSES, epoch=3, score=0.5),
        lambda: checkpoint.save_last(tmp_path, 3, {"tensor": torch.zeros(40_000)}),
    ):
        with monkeypatch.context() as patch:
            left[0] = room
            patch.setattr(os, *(("write", short) if where == "write" else ("fsync", full)))
            with pytest.raises(OSError, match="No space left on device") as caught:
                save()
        assert caught.value.errno == number
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    _assert_state(checkpoint.load_last(tmp_path), 2)


def test_a_folder_that_cannot_be_synced_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync

    def files_alone(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", files_alone)
    checkpoint.save_last(tmp_path, 1, _state(1))
    _assert_state(checkpoint.load_last(tmp_path), 1)


def _save(folder: Path, network: Any, recipe: Recipe, epoch: int) -> None:
    checkpoint.save_best(folder, network, recipe, CLASSES, epoch=epoch, score=0.5)
    checkpoint.save_last(folder, epoch, _state(epoch))


def _state(epoch: int) -> dict[str, Any]:
    return {"progress": [epoch], "tensor": torch.full((3,), float(epoch))}


def _assert_state(state: dict[str, Any] | None, epoch: int) -> None:
    assert state
    assert state["progress"] == [epoch]
    assert torch.equal(state["tensor"], torch.full((3,), float(epoch)))
