"""`data/<name>.html`: what was understood of a data set, with pictures; what a person looks at before spending a night."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from sweeps.report.blocks import (
    Block,
    Column,
    Facts,
    Page,
    Picture,
    Pictures,
    Row,
    Section,
    Table,
    Text,
)
from sweeps.report.data_findings import NEARLY, DataFindings, Spread
from sweeps.report.data_section import FOLDED_FROM
from sweeps.report.formats import MISSING, counted, fixed, listed
from sweeps.report.page import rendered
from trainables.data.copy_examples import CopiedImage, CopiedPicture
from trainables.data.listing import SPLITS
from trainables.data.thumbnails import data_uri
from trainables.data.understood import lines
from trainables.files import write_whole
from trainables.problems import one_line

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
    return write_whole(
        folder / f"{findings.data.name[:80]}.html", rendered(data_page(findings, command))
    )


def data_page(findings: DataFindings, command: str) -> Page:
    """What the page of a data set holds."""
    data = findings.data
    totals = {split: sum(data.counts[split].values()) for split in SPLITS}
    uses = (
        f"{totals['train']:,} to train, {totals['val']:,} to choose among recipes, and {totals['test']:,} to test the best of "
        "them, which no search sees."
    )
    return Page(
        title=f"{data.name}: data",
        question=f"What was understood of {one_line(data.source)}",
        banner=(),
        headline=(
            f"{data.name}: {counted(len(data.classes), 'class')}, {counted(sum(totals.values()), 'image')}.",
            uses,
        ),
        recipe=""
        if findings.cautions
        else "Neither copies nor images that show nothing were found.",
        cautions=[one_line(line) for line in findings.cautions],
        sections=[
            Section("understood", "", [_understood(findings, command)]),
            Section("classes", "Images by class and split", [_classes(findings)]),
            Section("pictures", "A few images of each class", list(_pictures(findings))),
            *(
                [Section("copies", "Copies", list(_copies(findings)))]
                if findings.copies.examples
                else []
            ),
            *(
                [Section("blank", "Images that show nothing", [_blank(findings)])]
                if findings.one_color
                else []
            ),
            Section("sizes", "Sizes", [_sizes(findings)]),
        ],
        footer=f"Data {data.digest}, {findings.side} x {findings.side} px as stored. Train on them with: {command}",
    )


def _understood(findings: DataFindings, command: str) -> Block:
    """The lines of the terminal as terms, notes, and what to type next."""
    facts: list[tuple[str, Sequence[str]]] = []
    for line in lines(findings.data, every_class=True):
        term, _, said = line.partition(": ")
        if term.endswith(" classes") and len(findings.data.classes) > FOLDED_FROM:
            said = "in the table below"
        facts.append((term, [said]))
    if findings.data.notes:
        facts.append(("Notes", [one_line(note) for note in findings.data.notes]))
    return Facts([*facts, ("To train on it", [command])])


def _classes(findings: DataFindings) -> Block:
    """Images by class and split, and how bright they are."""
    counts, classes = findings.data.counts, findings.data.classes
    shown = classes if len(classes) <= ROWS else _largest(findings, ROWS)
    rows = [
        Row(
            (
                one_line(name),
                *(f"{counts[split][name]:,}" for split in SPLITS),
                *_cells(findings.brightness.get(name), 0),
            )
        )
        for name in shown
    ]
    totals = [f"{sum(counts[split].values()):,}" for split in SPLITS]
    caption = "Brightness is the mean of an image's values: 0 is black, 255 white."
    if len(shown) < len(classes):
        caption = f"The {ROWS:,} largest of {len(classes):,} classes. {caption}"
    return Table(
        columns=[
            Column("class", number=False),
            *(Column(split, "images used") for split in SPLITS),
            *(
                Column(name, "brightness of an image")
                for name in ("darkest", "median", "brightest")
            ),
        ],
        rows=[*rows, Row(("all", *totals, "", "", ""), strong=True)],
        caption=caption,
        folded=len(classes) > FOLDED_FROM,
    )


def _pictures(findings: DataFindings) -> Iterator[Block]:
    """`EACH` images of each split of a class, the classes with most images first where there are many."""
    data = findings.data
    shown = data.classes if len(data.classes) <= CLASSES else _largest(findings, CLASSES)
    if len(shown) < len(data.classes):
        yield Text(f"Of {len(data.classes):,} classes, the {len(shown)} with the most images.")
    splits = {split: data.split(split) for split in SPLITS}
    names = {split: data.names(split) for split in SPLITS}
    for name in shown:
        label = data.classes.index(name)
        pictures = [
            Picture(
                data_uri(splits[split].images[row]),
                (split, _short(names[split][row].rpartition("/")[2])),
            )
            for split in SPLITS
            for row in np.flatnonzero(splits[split].labels == label)[:EACH].tolist()
        ]
        numbers = listed([f"{data.counts[split][name]:,} in {split}" for split in SPLITS])
        yield Pictures(pictures, f"Of {numbers}.", one_line(name))


def _copies(findings: DataFindings) -> Iterator[Block]:
    copies = findings.copies
    shown = len(copies.examples)
    rest = (
        f" Here are {shown} of them: across splits first, then those under several classes."
        if shown < copies.groups
        else ""
    )
    pictures = "1 picture is" if copies.groups == 1 else f"{copies.groups:,} pictures are"
    yield Text(f"{pictures} there more than once, {copies.images:,} images in all.{rest}")
    for example in copies.examples:
        kind = "equal to the pixel" if example.equal else "nearly equal"
        title = f"{example.number:,} images, {kind}"
        yield Pictures([_copy(image) for image in example.images], _said_of_copies(example), title)


def _copy(image: CopiedImage) -> Picture:
    place = f"in {image.used}" if image.used else f"left out of {image.given}"
    return Picture(image.picture, (one_line(image.class_name), place, _short(image.name)))


def _said_of_copies(example: CopiedPicture) -> str:
    said = []
    classes = list(dict.fromkeys(one_line(image.class_name) for image in example.images))
    if len(classes) > 1:
        said.append(f"Under {listed(classes)}: at least one label is wrong.")
    parts = [split for split in SPLITS if split in {image.given for image in example.images}]
    if len(parts) > 1:
        said.append(f"Given in {listed(list(parts))}.")
    if len(example.images) < example.number:
        said.append(f"{len(example.images)} of {example.number:,} are shown.")
    return " ".join(said)


def _blank(findings: DataFindings) -> Block:
    shown = findings.one_color[:BLANKS]
    splits = {split: findings.data.split(split).images for split in SPLITS}
    pictures = [
        Picture(
            data_uri(splits[image.split][image.row]),
            (image.kind, f"{image.class_name}, {image.split}", _short(image.name)),
        )
        for image in shown
    ]
    number = len(findings.one_color)
    first = f"The first {len(shown)} of {number:,}" if len(shown) < number else "All"
    return Pictures(pictures, f"{first} whose values are all within {NEARLY} of 255 of each other.")


def _sizes(findings: DataFindings) -> Block:
    names = list(findings.sizes)
    digits = [2 if name == names[-1] else 0 for name in names]
    rows = [
        Row((f"{name}, px" if not digit else name, *_cells(findings.sizes[name], digit)))
        for name, digit in zip(names, digits, strict=True)
    ]
    smallest, longest = findings.smallest, findings.longest
    enlarged = (
        f" {counted(findings.enlarged, 'image')} {'is' if findings.enlarged == 1 else 'are'} smaller and enlarged."
        if findings.enlarged
        else ""
    )
    return Table(
        columns=[
            Column("of an image", number=False),
            *map(Column, ("smallest", "median", "largest")),
        ],
        rows=rows,
        caption=(
            f"The smallest is {one_line(smallest.name)} with {smallest.shorter} x {smallest.longer} px, the least square "
            f"{one_line(longest.name)} with {longest.shorter} x {longest.longer}. Of each, the center square is used, here "
            f"with {findings.side} x {findings.side} px.{enlarged}"
        ),
    )


def _largest(findings: DataFindings, number: int) -> Sequence[str]:
    """The classes with the most images."""
    counts = findings.data.counts
    return sorted(
        findings.data.classes, key=lambda name: -sum(counts[split][name] for split in SPLITS)
    )[:number]


def _cells(spread: Spread | None, digits: int) -> tuple[str, str, str]:
    if spread is None:
        return MISSING, MISSING, MISSING
    return fixed(spread.least, digits), fixed(spread.median, digits), fixed(spread.most, digits)


def _short(name: str) -> str:
    """The end of a name, which tells most."""
    plain = one_line(name)
    return plain if len(plain) <= LONGEST else f"…\N{WORD JOINER}{plain[-LONGEST:]}"
