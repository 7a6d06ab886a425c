"""Labels of a split whose images lie in one folder, by a table: Tiny-ImageNet's `val/val_annotations.txt`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from trainables.data.class_names import alike
from trainables.data.listing import below
from trainables.data.table_choice import tables_in
from trainables.data.table_files import match
from trainables.data.table_ids import Files
from trainables.data.tables import Table, read_table
from trainables.data.tree import Folder


def labelled_by_table(
    folder: Folder, classes: Collection[str], beside: Folder
) -> tuple[Mapping[str, Sequence[Path]], Path] | None:
    """The images of a folder by class, and the table that says so, which is in it or beside it.

    None where no table has a label for each image, all of them known classes.
    """
    images = list(folder.all_images())
    for place in (folder, beside):
        tables = tables_in(
            [path.name for path in place.others], [path.name for path in place.images]
        )
        files = [below(image, place.path) for image in images]
        index = Files(files)
        for name in tables:
            for columns in (None, ("1", "2")):  # without a header, the first two
                table = read_table(place.path / name, columns=columns, files=index)
                if by_class := _by_class(table, images, files, classes):
                    return by_class, table.path
    return None


def _by_class(
    table: Table, images: Sequence[Path], files: Sequence[str], classes: Collection[str]
) -> Mapping[str, Sequence[Path]]:
    """Images by class; empty where the table does not say so."""
    known = {alike(name): name for name in classes}
    if table.problems or not {alike(label) for label in table.labels} <= known.keys():
        return {}
    matched = match(table, files)
    if matched.problems or len(set(matched.files)) < len(files):
        return {}
    by_class: dict[str, list[Path]] = {}
    for row, file in zip(matched.rows, matched.files, strict=True):
        by_class.setdefault(known[alike(table.labels[row])], []).append(images[file])
    return by_class
