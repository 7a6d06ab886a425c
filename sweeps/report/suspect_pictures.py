"""Labels that are likely wrong, as the page shows them: the most suspicious images, by name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sweeps.report.blocks import (
    Block,
    Picture,
    Pictures,
    Row,
    Table,
    Text,
    number_columns,
    text_columns,
)
from sweeps.report.decoded import decoded
from sweeps.report.findings import Findings
from sweeps.report.formats import percent
from sweeps.report.mistakes import data_uri, thumbnail
from sweeps.report.runs import Run
from sweeps.report.suspects import SUSPECTS, Suspected, SuspectImage, Tested
from trainables.problems import counted

MOST_PICTURES = 24
SIDE = 48  # pixels of a thumbnail, at most: some 9 kB

_Pixels = dict[tuple[Tested, int | None], NDArray[np.uint8] | None]
"""By split and draw, uint8 [N, S, S, 3]; None where the cache no longer has them."""


def suspect_pictures(findings: Findings) -> Block:
    """Return the images whose labels are most suspicious.

    As a table where the cache no longer has them.
    """
    suspected = findings.suspected
    if not suspected.runs:
        return Text("There are no predictions of finalists, so labels were not checked.")
    if not suspected.images:
        return Text(f"No label of {_checked(suspected)} looks wrong to {_judges(suspected)}.")
    # Pictures, or without any of them a table.
    shown = suspected.images[:MOST_PICTURES]
    pixels = _pixels(findings.run, suspected, shown)
    pictures = []
    for image in shown:
        images = pixels[image.split, image.draw]
        if images is None:
            return _table(shown, f"{_caption(suspected)} {_gone(pixels)}")
        lines = [
            f"given {image.given}, {percent(image.probability_given)}%",
            f"suggested {image.suggested}, {percent(image.probability_suggested)}%",
            image.file,
        ]
        pictures.append(Picture(data_uri(thumbnail(images[image.row], SIDE)), lines))
    return Pictures(pictures, _caption(suspected))


def _pixels(run: Run, suspected: Suspected, shown: Sequence[SuspectImage]) -> _Pixels:
    """Return the splits that hold the images that are shown."""
    pixels: _Pixels = {}
    for image in shown:
        place = (image.split, image.draw)
        if place in pixels:
            continue
        labels = suspected.test
        if image.split == "val":
            labels = suspected.draws[image.draw]
        pixels[place] = decoded(run, image.split, labels, image.draw).images
    return pixels


def _gone(pixels: _Pixels) -> str:
    what = "The decoded images"
    if any(images is not None for images in pixels.values()):
        what = "Some of the decoded images"
    return f"{what} are no longer in the cache, so there are no pictures."


def _caption(suspected: Suspected) -> str:
    number = len(suspected.images)
    first = counted(number, "image")
    if number > MOST_PICTURES:
        first = f"The first {MOST_PICTURES} of {number:,} images"
    return (
        f"{first} of {_checked(suspected)} whose given label looks wrong to {_judges(suspected)}: "
        "the given and the suggested label with their probabilities, and the file, the most "
        "suspicious first (confident learning, Northcutt et al. 2021). Nothing was changed: check "
        f"them yourself. These models agree with {percent(suspected.agreed)}% of all given labels, "
        "and some of these pictures show their own mistakes. Val also chose each run's epoch, so its "
        f"labels are flagged a little too rarely. {_of_draws(suspected)}"
        f"{SUSPECTS} has the whole list."
    )


def _checked(suspected: Suspected) -> str:
    return f"{len(suspected.val):,} val and {counted(len(suspected.test), 'test image')}"


def _of_draws(suspected: Suspected) -> str:
    if set(suspected.draws) == {None}:
        return ""
    return "Each val image is judged by the runs whose seed drew it for val. "


def _judges(suspected: Suspected) -> str:
    return counted(suspected.runs, "finalist run")


def _table(images: Sequence[SuspectImage], caption: str) -> Table:
    columns = [
        *number_columns(["rank"]),
        *text_columns(["file", "given", "suggested"]),
        *number_columns(["given, %", "suggested, %"]),
    ]
    rows = []
    for image in images:
        names = (image.file, image.given, image.suggested)
        shares = (percent(image.probability_given), percent(image.probability_suggested))
        rows.append(Row((str(image.rank), *names, *shares)))
    return Table(columns=columns, rows=rows, caption=caption)
