"""Copies among decoded images: the same pixels, or one picture after small edits or mirrored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from trainables.data.alignment import one_picture
from trainables.data.listing import Rows
from trainables.data.look_alikes import look_alikes, reach
from trainables.data.prints import Colors, Floats, Greys, Prints, one_thread

__all__ = ["Copies", "Prints", "copies", "groups"]

Flags = npt.NDArray[np.bool_]

FLAT = 4.0  # standard deviation of a thumbnail, of 255, below which an image has exact copies only
CHANGE = 0.05  # 1 - cosine that a near copy may differ by
COLOR_CHANGE = 24.0  # distance of mean chroma, of 255
GREY = 3.0  # mean chroma below which an image is greyscale, which a copy may have been turned into
CHUNK = 4096  # pairs that are verified at a time, 100 MB


@dataclass(frozen=True, slots=True)
class Copies:
    """Pairs of images that are copies, sorted, no pair twice.

    Attributes:
        pairs: int64 [P, 2], the smaller number first. Of images with the same pixels, each is
            paired with the next one, and near copies of them are named for the first.
        exact: bool [P], whether the pixels are the same.
        mirrored: bool [P], whether one is the other's mirror image.
    """

    pairs: Rows
    exact: Flags
    mirrored: Flags


def copies(prints: Prints) -> Copies:
    """Find the copies among images of one side, by their prints."""
    same, first = _same(prints.exact)
    with one_thread():
        near, mirrored = _near(prints, first)
    # Images with the same pixels and near copies, sorted by the pair.
    pairs = np.concatenate([same, near])
    exact = np.arange(len(pairs)) < len(same)
    mirrored = np.concatenate([np.zeros(len(same), bool), mirrored])
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    return Copies(pairs[order], exact[order], mirrored[order])


def groups(pairs: Rows, number: int) -> Rows:
    """Number the groups of images that pairs connect, in any number of steps: int64 [number]."""
    ones = np.ones(len(pairs), np.int8)
    graph = coo_array((ones, (pairs[:, 0], pairs[:, 1])), shape=(number, number))
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)


def _same(exact: npt.NDArray[np.uint64]) -> tuple[Rows, Rows]:
    """Return chains of images with the same pixels, [P, 2], and the first of each, ascending."""
    order = np.lexsort((exact[:, 1], exact[:, 0]))  # stable
    again = (exact[order[1:]] == exact[order[:-1]]).all(1)
    chains = np.stack([order[:-1][again], order[1:][again]], 1)
    later = np.concatenate([np.zeros(min(1, len(order)), bool), again])
    return chains, np.sort(order[~later])


def _near(prints: Prints, rows: Rows) -> tuple[Rows, Flags]:
    """Return the near copies among some rows: pairs, [P, 2], and which are mirrored, [P]."""
    rows = rows[_contrast(prints.greys)[rows] >= FLAT]
    candidates = look_alikes(prints.greys[rows])
    pairs = rows[candidates.pairs]
    mirrored = candidates.mirrored
    bounds = CHANGE * reach(candidates.others)

    # Candidates are compared as pictures, some at a time.
    verified = np.zeros(len(pairs), bool)
    for start in range(0, len(pairs), CHUNK):
        part = slice(start, start + CHUNK)
        verified[part] = _verified(prints, pairs[part], mirrored[part], bounds[part])
    pairs = pairs[verified]
    mirrored = mirrored[verified]

    # No pair twice: upright goes before mirrored.
    once = np.unique(pairs, axis=0, return_index=True)[1]
    return pairs[once], mirrored[once]


def _contrast(greys: Greys) -> Floats:
    """Return the standard deviation of each thumbnail, of 255, [N]."""
    deviations = np.empty(len(greys), np.float32)
    for start in range(0, len(greys), CHUNK):
        part = slice(start, start + CHUNK)
        deviations[part] = greys[part].astype(np.float32).std((1, 2))
    return deviations


def _verified(prints: Prints, pairs: Rows, mirrored: Flags, bounds: Floats) -> Flags:
    """Return which pairs, [P, 2], are copies by their colors and their shapes, [P]."""
    ones, others = pairs.T
    greys = prints.greys[ones].astype(np.float32)
    colors = prints.colors[ones]
    greys[mirrored] = greys[mirrored, :, ::-1]
    colors[mirrored] = colors[mirrored, :, ::-1]

    # Colors first: they are cheaper to compare.
    near = _colors_agree(colors, prints.colors[others])
    rest = np.flatnonzero(near)
    second = prints.greys[others[rest]].astype(np.float32)
    near[rest] = one_picture(greys[rest], second, bounds[rest])
    return near


def _colors_agree(ones: Colors, others: Colors) -> Flags:
    """Return which pairs are near in color, or of which one may have lost its own, [P]."""
    distance = _saturation(ones.astype(np.float32) - others)
    palest = np.minimum(_saturation(ones), _saturation(others))
    return np.asarray((distance <= COLOR_CHANGE) | (palest < GREY))


def _saturation(chroma: npt.NDArray[Any]) -> Floats:
    """Return the mean distance from grey, of 255, [P]."""
    saturation: Floats = np.linalg.norm(chroma.astype(np.float32), axis=3).mean((1, 2))
    return saturation
