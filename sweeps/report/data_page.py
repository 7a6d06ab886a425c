"""`data/<name>.html`: what was understood of a data set, with pictures.

It is what a person looks at before spending a night on training.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from sweeps.report.blocks import (
    Block,
    Facts,
    Page,
    Picture,
    Pictures,
    Row,
    Section,
    Table,
    Text,
    number_columns,
    text_columns,
)
from sweeps.report.data_findings import NEARLY, DataFindings, Spread
from sweeps.report.data_section import FOLDED_FROM
from sweeps.report.formats import MISSING, fixed, listed
from sweeps.report.page import rendered
from trainables.data.copy_examples import CopiedImage, CopiedPicture
from trainables.data.listing import SPLITS
from trainables.data.thumbnails import data_uri
from trainables.data.understood import lines
from trainables.files import write_whole
from trainables.problems import counted, one_line

CLASSES = 30  # that are shown in pictures
EACH = 3  # pictures of a class in each split: a row of the page
ROWS = 1000  # of the table of classes
BLANKS = 18  # pictures of images that show nothing
LONGEST = 50  # characters of a name below a picture


def write_data_page(findings: DataFindings, command: str, folder: Path) -> Path:
    """Write the page of a data set into a folder, which is made.

    Args:
        findings: What was found in it.
        command: What trains on it as it was read.
        folder: Where the page is written.

    Raises:
        OSError: The folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    page = rendered(data_page(findings, command))
    return write_whole(folder / f"{findings.data.name[:80]}.html", page)


def data_page(findings: DataFindings, command: str) -> Page:
    """Return what the page of a data set holds."""
    data = findings.data
    totals = {split: sum(data.counts[split].values()) for split in SPLITS}
    classes = counted(len(data.classes), "class")
    uses = (
        f"{totals['train']:,} to train, {totals['val']:,} to choose among recipes, and "
        f"{totals['test']:,} to test the best of them, which the search never sees."
    )
    # Where there are cautions, they are the page's first screen.
    faultless = "No copies and no blank images were found."
    return Page(
        title=f"{data.name}: data",
        question=f"What was understood of {one_line(data.source)}",
        banner=(),
        answer=f"{data.name}: {classes}, {counted(sum(totals.values()), 'image')}.",
        lines=(uses,),
        recipe="" if findings.cautions else faultless,
        cautions=list(map(one_line, findings.cautions)),
        sections=list(_sections(findings, command)),
        footer=(
            f"Data {data.digest}, {findings.side} x {findings.side} px as stored. Train on them "
            f"with: {command}"
        ),
    )


def _sections(findings: DataFindings, command: str) -> Iterator[Section]:
    yield Section("understood", "", [_understood(findings, command)])
    yield Section("classes", "Images by class and split", [_classes(findings)])
    yield Section("pictures", "A few images of each class", list(_pictures(findings)))
    if findings.copies.examples:
        yield Section("copies", "Copies", list(_copies(findings)))
    if findings.one_color:
        yield Section("blank", "Blank images", [_blank(findings)])
    yield Section("sizes", "Sizes", [_sizes(findings)])


def _understood(findings: DataFindings, command: str) -> Block:
    """Return the lines of the terminal as terms, notes, and what to type next."""
    facts: list[tuple[str, Sequence[str]]] = []
    for line in lines(findings.data, every_class=True):
        term, _, said = line.partition(": ")
        if term.endswith(" classes") and len(findings.data.classes) > FOLDED_FROM:
            said = "in the table below"
        facts.append((term, [said]))
    if findings.data.notes:
        facts.append(("Notes", list(map(one_line, findings.data.notes))))
    return Facts([*facts, ("To train on it", [command])])


def _classes(findings: DataFindings) -> Block:
    """Return images by class and split, and how bright they are."""
    counts = findings.data.counts
    classes = findings.data.classes
    shown = _largest(findings, ROWS)
    rows = []
    for name in shown:
        images = [f"{counts[split][name]:,}" for split in SPLITS]
        rows.append(Row((one_line(name), *images, *_cells(findings.brightness.get(name), 0))))
    # The last row adds all classes, those that are not shown too.
    totals = [f"{sum(counts[split].values()):,}" for split in SPLITS]
    caption = "Brightness is the mean of an image's values: 0 is black, 255 white."
    if len(shown) < len(classes):
        caption = f"The {ROWS:,} largest of {len(classes):,} classes. {caption}"
    return Table(
        columns=[
            *text_columns(["class"]),
            *number_columns(SPLITS, "images used"),
            *number_columns(("darkest", "median", "brightest"), "brightness of an image"),
        ],
        rows=[*rows, Row(("all", *totals, "", "", ""), strong=True)],
        caption=caption,
        folded=len(classes) > FOLDED_FROM,
    )


def _pictures(findings: DataFindings) -> Iterator[Block]:
    """Yield `EACH` images of each split of a class.

    Where there are many classes, those with the most images.
    """
    data = findings.data
    shown = _largest(findings, CLASSES)
    if len(shown) < len(data.classes):
        yield Text(f"Of {len(data.classes):,} classes, the {len(shown)} with the most images.")
    # Read once for all classes: a memory map, and a list that is parsed.
    splits = {split: data.split(split) for split in SPLITS}
    names = {split: data.names(split) for split in SPLITS}
    for name in shown:
        label = data.classes.index(name)
        pictures = []
        for split in SPLITS:
            of_class = np.flatnonzero(splits[split].labels == label)
            for row in of_class[:EACH].tolist():
                file = names[split][row].rpartition("/")[2]
                picture = data_uri(splits[split].images[row])
                pictures.append(Picture(picture, (split, _short(file))))
        numbers = listed([f"{data.counts[split][name]:,} in {split}" for split in SPLITS])
        yield Pictures(pictures, f"Of {numbers}.", one_line(name))


def _copies(findings: DataFindings) -> Iterator[Block]:
    copies = findings.copies
    shown = len(copies.examples)
    occur = "occurs" if copies.groups == 1 else "occur"
    said = (
        f"{counted(copies.groups, 'picture')} {occur} more than once, {copies.images:,} images in "
        "all."
    )
    if shown < copies.groups:
        said += f" Here are {shown} of them: across splits first, then those under several classes."
    yield Text(said)
    for example in copies.examples:
        kind = "equal to the pixel" if example.equal else "nearly equal"
        title = f"{counted(example.number, 'image')}, {kind}"
        yield Pictures(list(map(_copy, example.images)), _said_of_copies(example), title)


def _copy(image: CopiedImage) -> Picture:
    place = f"left out of {image.given}"
    if image.used:
        place = f"in {image.used}"
    return Picture(image.picture, (one_line(image.class_name), place, _short(image.name)))


def _said_of_copies(example: CopiedPicture) -> str:
    said = []
    classes = list(dict.fromkeys(image.class_name for image in example.images))
    if len(classes) > 1:
        names = listed(list(map(one_line, classes)))
        said.append(f"Under {names}: at least one label is wrong.")
    parts = sorted({image.given for image in example.images}, key=SPLITS.index)
    if len(parts) > 1:
        said.append(f"Given in {listed(list(parts))}.")
    if len(example.images) < example.number:
        said.append(f"{len(example.images)} of {example.number:,} are shown.")
    return " ".join(said)


def _blank(findings: DataFindings) -> Block:
    shown = findings.one_color[:BLANKS]
    pictures = []
    for image in shown:
        pixels = findings.data.split(image.split).images[image.row]  # uint8 [S, S, 3]
        said = (image.kind, f"{image.class_name}, {image.split}", _short(image.name))
        pictures.append(Picture(data_uri(pixels), said))
    number = len(findings.one_color)
    first = "All"
    if len(shown) < number:
        first = f"The first {len(shown)} of {number:,}"
    return Pictures(pictures, f"{first} whose values are all within {NEARLY} of 255 of each other.")


def _sizes(findings: DataFindings) -> Block:
    """Return the sizes in pixels, and last their ratio, which has decimals."""
    *sides, ratio = findings.sizes
    rows = [Row((f"{name}, px", *_cells(findings.sizes[name], 0))) for name in sides]
    rows.append(Row((ratio, *_cells(findings.sizes[ratio], 2))))
    # The caption names the images at both ends.
    smallest = findings.smallest
    longest = findings.longest
    enlarged = ""
    if findings.enlarged:
        verb = "is" if findings.enlarged == 1 else "are"
        enlarged = f" {counted(findings.enlarged, 'image')} {verb} smaller and enlarged."
    return Table(
        columns=[
            *text_columns(["of an image"]),
            *number_columns(("smallest", "median", "largest")),
        ],
        rows=rows,
        caption=(
            f"The smallest is {one_line(smallest.name)} with {smallest.shorter} x "
            f"{smallest.longer} px, the most elongated {one_line(longest.name)} with "
            f"{longest.shorter} x {longest.longer}. Of each, the center square is used, here with "
            f"{findings.side} x {findings.side} px.{enlarged}"
        ),
    )


def _largest(findings: DataFindings, number: int) -> Sequence[str]:
    """Return the classes with the most images; all, in their own order, where they are few."""
    counts = findings.data.counts
    if len(findings.data.classes) <= number:
        return findings.data.classes

    def fewer(name: str) -> int:
        return -sum(counts[split][name] for split in SPLITS)

    return sorted(findings.data.classes, key=fewer)[:number]


def _cells(spread: Spread | None, digits: int) -> tuple[str, str, str]:
    if spread is None:
        return MISSING, MISSING, MISSING
    return fixed(spread.least, digits), fixed(spread.median, digits), fixed(spread.most, digits)


def _short(name: str) -> str:
    """Return the end of a name, which tells most."""
    plain = one_line(name)
    return plain if len(plain) <= LONGEST else f"…\N{WORD JOINER}{plain[-LONGEST:]}"
