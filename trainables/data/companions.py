"""Labels of a split whose images lie in one folder, by a table.

Tiny-ImageNet has such a table, `val/val_annotations.txt`.
"""

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
    """Return the images of a folder by class, and the table that says so, in it or beside it.

    None where no table has a label for each image, all of them known classes.
    """
    # Tables name images by their paths, which are those below the folder or below its parent.
    images = list(folder.all_images())
    for place in (folder, beside):
        others = [path.name for path in place.others]
        files = [below(image, place.path) for image in images]
        index = Files(files)
        for name in tables_in(others, [path.name for path in place.images]):
            # By its header, and without one the first two columns.
            for columns in (None, ("1", "2")):
                table = read_table(place.path / name, columns=columns, files=index)
                if by_class := _by_class(table, images, files, classes):
                    return by_class, table.path
    return None


def _by_class(
    table: Table, images: Sequence[Path], files: Sequence[str], classes: Collection[str]
) -> Mapping[str, Sequence[Path]]:
    """Return the images by class, none where the table does not say so."""
    known = {alike(name): name for name in classes}
    if table.problems or not known.keys() >= set(map(alike, table.labels)):
        return {}
    # Each image must have its row.
    matched = match(table, files)
    if matched.problems or len(set(matched.files)) < len(files):
        return {}
    by_class: dict[str, list[Path]] = {}
    for row, file in zip(matched.rows, matched.files, strict=True):
        by_class.setdefault(known[alike(table.labels[row])], []).append(images[file])
    return by_class
