"""A run's files: `best-*.pt`, what a user ships, and `last-*.pt`, what a dead run continues from.

A name holds the epoch and the CRC-32 of the file's bytes, such as `last-000012-89abcdef.pt`: a
damaged file gives itself away. A file appears whole, by a rename, and older ones go after that. Two
of `last` stay: a damaged one costs the epochs since the other.
"""

from __future__ import annotations

import errno
import os
import re
import zlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, BinaryIO, Literal, Protocol, cast

import torch
from torch import Tensor

from trainables.backbones import build
from trainables.data.augment import MEAN, STD
from trainables.files import crc32_of, leftovers, whole_file
from trainables.network import Network
from trainables.recipe import Recipe, completed

BEST = "best.pt"  # the copy that a user is given

_NAME = re.compile(r"(?:damaged-)?(?:best|last)-(?P<epoch>\d{6})-(?P<crc32>[0-9a-f]{8})\.pt")
_KEPT = {"best": 1, "last": 2}
_LOST = (errno.ENOENT, errno.EIO)  # a file that is gone, a disk that cannot read it


class CheckpointError(ValueError):
    """The checkpoints in a folder are of another run."""


class Stateful(Protocol):
    """A network, or its state at an earlier epoch."""

    def torchvision_state_dict(self) -> dict[str, Tensor]:
        """Return all parameters and buffers under torchvision's names."""


def save_best(
    folder: Path,
    network: Stateful,
    recipe: Recipe,
    classes: Sequence[str],
    *,
    epoch: int,
    score: float,
) -> None:
    """Write `best-*.pt`: a state dict under torchvision's names, recipe, classes and preprocessing.

    All of it is plain values.

    Raises:
        OSError: The disk is full, for one; the best checkpoint before it stays.
    """
    preprocessing = {
        "input": "uint8 RGB [N, H, W, 3]",
        "steps": (
            "centre square, antialiased bilinear resize, divide by 255, subtract mean, "
            "divide by std"
        ),
        "image_size": recipe.image_size,
        "mean": list(MEAN),
        "std": list(STD),
    }
    content = {
        "state_dict": network.torchvision_state_dict(),
        "recipe": recipe.as_dict(),
        "classes": list(classes),
        "preprocessing": preprocessing,
        "epoch": epoch,
        "score": score,
    }
    _write(folder, "best", epoch, content)


def best(folder: Path, *, since: int = 0) -> Path | None:
    """Return the newest whole `best-*.pt`, if it is of epoch `since` or a later one."""
    for path in _files(folder, "best"):
        if _epoch(path) >= since and _is_whole(path):
            return path
    return None


def load_best(path: Path) -> tuple[Network, Recipe, tuple[str, ...]]:
    """Read what `save_best` wrote.

    Returns:
        The network, on the CPU and in eval mode, its recipe and its classes.
    """
    saved = torch.load(path, map_location="cpu", weights_only=True)
    recipe = Recipe.from_sample(saved["recipe"])
    network = build(recipe, len(saved["classes"]))
    network.load_torchvision_state_dict(saved["state_dict"], with_head=True)
    return network.eval(), recipe, tuple(saved["classes"])


def score_of(path: Path) -> float:
    """Return the score on val that the network of a best checkpoint had."""
    saved = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    return float(saved["score"])


def save_last(folder: Path, epoch: int, state: dict[str, Any]) -> None:
    """Write `last-*.pt`: tensors and plain values only. The one before it stays too.

    Args:
        folder: Of the run.
        epoch: That is done.
        state: What to continue from. Its `recipe`, as plain values, and its `weights`, a digest,
            say of which run it is.

    Raises:
        OSError: The disk is full, for one; what was there before stays.
    """
    _write(folder, "last", epoch, state)


def load_last(
    folder: Path, *, recipe: Recipe | None = None, weights_digest: str | None = None
) -> dict[str, Any] | None:
    """Read the last thing that `save_last` wrote, as far as it is whole.

    A damaged file is renamed to `damaged-*`, in place of an earlier one, and the file before it is
    taken.

    Args:
        folder: Of the run.
        recipe: What is going to be trained.
        weights_digest: Of the weights that it starts from, where it is known.

    Returns:
        The state, or None where there is nothing to continue from.

    Raises:
        CheckpointError: The run that is saved there has another recipe, or began with other
            weights.
    """
    for path in _files(folder, "last"):
        state = _read(path)
        if state is not None:
            difference = _difference(state, recipe, weights_digest) if recipe else ""
            if difference:
                raise CheckpointError(
                    f"{path} must be of the run that is to continue, but {difference}: "
                    "continue with what it was made by, or train in another folder."
                )
            return state
        # Put the damaged one aside.
        with suppress(FileNotFoundError):
            aside = path.replace(path.with_name(f"damaged-{path.name}"))
            _unlink(other for other in _files(folder, "damaged-last") if other != aside)
    return None


def unfinished(folder: Path) -> bool:
    """Return whether the folder holds what a run would continue from."""
    return bool(_files(folder, "last"))


def drop_last(folder: Path) -> None:
    """Delete what a run that is over would continue from, and what killed writers have left."""
    _unlink([*_files(folder, "last"), *_files(folder, "damaged-last"), *leftovers(folder)])


def _write(
    folder: Path, kind: Literal["best", "last"], epoch: int, content: dict[str, Any]
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{kind}.pt"
    name = ""
    # A killed writer's file is as large as this one. A writer that lives on loses its own.
    _unlink(leftovers(folder, path.name))
    with whole_file(path, named=lambda: name) as file:
        output = _Output(file)
        torch.save(content, cast(IO[bytes], output))
        output.raise_error()
        name = f"{kind}-{epoch:06d}-{output.crc32:08x}.pt"
    # Only now that it is on the disk may older ones go.
    older = [other for other in _files(folder, kind) if other.name != name]
    _unlink(older[_KEPT[kind] - 1 :])


class _Output:
    """A file and the CRC-32 of what is written to it.

    Errors wait until torch is done: its C++ would turn them into others.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._descriptor = file.fileno()  # past its buffer
        self._error: BaseException | None = None
        self.crc32 = 0

    def write(self, data: bytes | memoryview) -> int:
        # After an error torch is told that all is written, until it is done.
        size = len(data)
        try:
            if self._error is None:
                self.crc32 = zlib.crc32(data, self.crc32)
                while data:
                    data = memoryview(data)[os.write(self._descriptor, data) :]
        except BaseException as error:  # noqa: BLE001  raised again by `raise_error`
            self._error = error
        return size

    def flush(self) -> None:
        """Torch asks for it; nothing is buffered."""

    def raise_error(self) -> None:
        if self._error is not None:
            raise self._error


def _files(folder: Path, kind: str) -> list[Path]:
    """Return a kind's files, newest first."""
    files = [path for path in folder.glob(f"{kind}-*.pt") if _NAME.fullmatch(path.name)]
    return sorted(files, reverse=True)


def _epoch(path: Path) -> int:
    match = _NAME.fullmatch(path.name)
    return int(match["epoch"]) if match else 0


def _is_whole(path: Path) -> bool:
    """Return whether a file's bytes are those that its name tells of."""
    try:
        with path.open("rb") as file:
            crc32 = crc32_of(file)
    except OSError as error:
        if error.errno not in _LOST:
            raise
        return False
    match = _NAME.fullmatch(path.name)
    return match is not None and int(match["crc32"], 16) == crc32


def _read(path: Path) -> dict[str, Any] | None:
    """Read a file; None where it is damaged."""
    if not _is_whole(path):
        return None
    # Whole, but perhaps not torch's.
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except OSError as error:
        if error.errno not in _LOST:
            raise
        return None
    # Strange bytes lead torch's reader to RuntimeError, UnpicklingError, IndexError …
    except Exception:  # noqa: BLE001
        return None
    return state if isinstance(state, dict) else None


def _difference(state: dict[str, Any], recipe: Recipe, weights_digest: str | None) -> str:
    """Say what of a saved state is not as it is to be; empty where all is."""
    saved = state.get("recipe")
    if not isinstance(saved, dict):
        return "it names no recipe"
    saved = completed(saved)
    wanted = recipe.as_dict()
    differences: list[str] = []
    for name in wanted | saved:
        has, wants = saved.get(name), wanted.get(name)
        if has != wants:
            differences.append(f"its {name} is {has!r} and not {wants!r}")
    # Runs of an earlier version may not have known the digest.
    if weights_digest is not None and state.get("weights") not in (None, weights_digest):
        differences.append(
            f"its weights have the digest {state['weights']} and not {weights_digest}"
        )
    return ", ".join(differences)


def _unlink(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
