"""Builders of folders from a few words.

A path with {braces,of,names} goes to a number of pictures, a text or bytes.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.data_zoo.case import Make
from tests.data_zoo.pictures import SIDE, picture, save


@dataclass(frozen=True, kw_only=True)
class Pics:
    """Some pictures of a folder.

    Attributes:
        count: How many.
        name: Their names, the number in braces; the suffix says the format.
        start: The first number.
        like: The folder whose pictures these are too, else they are like no others.
        side: Pixels.
    """

    count: int
    name: str = "{:03}.jpg"
    start: int = 0
    like: str = ""
    side: int = SIDE


Content = int | Pics | str | bytes


def folder(tree: Mapping[str, Content], *steps: Callable[[Path], None], data: str = "") -> Make:
    """A builder of `set/` with a tree and some last steps; --data is `set` or a folder below it."""

    def make(place: Path) -> str:
        root = place / "set"
        root.mkdir()
        fill(root, tree)
        for step in steps:
            step(root)
        return str(root / data)

    return make


def fill(root: Path, tree: Mapping[str, Content]) -> None:
    """Write a tree: a number or `Pics` fills a folder, a text or bytes are a file."""
    for pattern, content in tree.items():
        for name in expanded(pattern):
            path = root / name
            if isinstance(content, int | Pics):
                _pictures(path, name, Pics(count=content) if isinstance(content, int) else content)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content.encode() if isinstance(content, str) else content)


def expanded(pattern: str) -> Iterator[str]:
    """The names that a pattern with {a,b} is short for."""
    found = re.search(r"\{([^{}]*,[^{}]*)\}", pattern)
    if found is None:
        yield pattern
        return
    for choice in found[1].split(","):
        yield from expanded(pattern[: found.start()] + choice + pattern[found.end() :])


def copied(source: str, target: str) -> Callable[[Path], None]:
    """A step that copies a file or a folder, into itself too, links as they are."""

    def step(root: Path) -> None:
        aside = root.parent / "aside"
        if (root / source).is_dir():
            shutil.copytree(root / source, aside, symlinks=True)
        else:
            shutil.copyfile(root / source, aside)
        (root / target).parent.mkdir(parents=True, exist_ok=True)
        aside.rename(root / target)

    return step


def moved(source: str, target: str) -> Callable[[Path], None]:
    """A step that renames."""

    def step(root: Path) -> None:
        (root / target).parent.mkdir(parents=True, exist_ok=True)
        (root / source).rename(root / target)

    return step


def linked(name: str, target: str) -> Callable[[Path], None]:
    """A step that makes a symbolic link, its target as written."""

    def step(root: Path) -> None:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(target)

    return step


def mode(name: str, bits: int) -> Callable[[Path], None]:
    """A step that changes permissions."""

    def step(root: Path) -> None:
        (root / name).chmod(bits)

    return step


def _pictures(path: Path, name: str, pics: Pics) -> None:
    path.mkdir(parents=True, exist_ok=True)
    for number in range(pics.start, pics.start + pics.count):
        save(path / pics.name.format(number), picture(pics.like or name, number, pics.side))
