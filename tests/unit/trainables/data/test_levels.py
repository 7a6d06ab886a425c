"""What the folders in a folder may be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from trainables.data.levels import without_second_set
from trainables.data.tree import Folder, PassedOver


class Counted(list[Folder]):
    """Folders that count how often all of them are looked at."""

    times = 0

    def __iter__(self) -> Iterator[Folder]:
        self.times += 1
        return super().__iter__()


def folder(path: Path, *inside: Folder, images: int = 1) -> Folder:
    files = tuple(path / f"{number}.jpg" for number in range(images))
    return Folder(path=path, folders=inside, images=files, others=(), marks=())


def test_classes_without_folders_in_them_are_not_compared_with_each_other(tmp_path: Path) -> None:
    children = Counted(folder(tmp_path / f"class_{number}") for number in range(50))
    assert without_second_set(folder(tmp_path, *children), children, PassedOver(), []) is children
    assert children.times <= 2
