"""Pictures for MLflow: the champion's worst mistakes, and some training images of each class."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from sweeps.report.blocks import Pictures
from sweeps.report.decoded import named_classes
from sweeps.report.findings import Findings
from sweeps.report.mistakes import thumbnail, worst
from sweeps.report.runs import Run
from trainables.data import dataset
from trainables.data.listing import Images
from trainables.data.sheets import Cell, sheet_png
from trainables.data.thumbnails import thumbnail_png
from trainables.files import whole_file

# Among the artifacts of the sweep's run, and in the sweep's folder.
MISTAKES = "pictures/worst_mistakes.png"
EXAMPLES = "pictures/examples.png"
IN_A_ROW = 8
MOST_CLASSES = 24


def write_sheets(findings: Findings, folder: Path) -> dict[str, Path]:
    """Write the sheets that there is something for.

    Args:
        findings: The sweep's.
        folder: The sweep's.

    Returns:
        The files by their path among the artifacts of the sweep's run.

    Raises:
        OSError: They cannot be written.
    """
    sheets = {MISTAKES: _mistakes(findings), EXAMPLES: _examples(findings.run)}
    written = {}
    for path, rows in sheets.items():
        if rows:
            (folder / path).parent.mkdir(exist_ok=True)
            with whole_file(folder / path) as file:
                file.write(sheet_png(rows))
            written[path] = folder / path
    return written


def _mistakes(findings: Findings) -> Sequence[Sequence[Cell]]:
    """Return the worst mistakes, as the page has them; none where there is nothing to show."""
    block = worst(findings)
    if not isinstance(block, Pictures):
        return ()
    cells = []
    for picture in block.pictures:
        content = base64.b64decode(picture.uri.partition(",")[2])
        cells.append(Cell(content, picture.lines))
    return [cells[at : at + IN_A_ROW] for at in range(0, len(cells), IN_A_ROW)]


def _examples(run: Run) -> Sequence[Sequence[Cell]]:
    """Return a row of training images per class; none where the cache no longer has them."""
    try:
        train = dataset.read(Path(run.text("data", "path"))).split("train")
    except (dataset.DataError, OSError, ValueError):
        return ()
    names = named_classes(run, int(train.labels.max()) + 1)
    rows = []
    for number, name in list(enumerate(names))[:MOST_CLASSES]:
        chosen = np.flatnonzero(train.labels == number)[:IN_A_ROW]
        rows.append(list(_cells(train.images[chosen], name)))
    return [row for row in rows if row]


def _cells(images: Images, name: str) -> Iterator[Cell]:
    for image in images:
        yield Cell(thumbnail_png(thumbnail(image)), [name])
