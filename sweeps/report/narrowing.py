"""What would decide an open comparison: more seeds, more test images, or neither.

The parts of its variance say so: that of seeds falls with their number, that of images with theirs,
and that of recipes with neither, since more seeds train the same recipes again. Whether a number
suffices is asked for the difference as it is now, at the level that the look would have.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from sweeps.records.design import Design
from sweeps.report.variance import Errors, Part, errors
from sweeps.report.verdicts import Compared, level_of

MOST = 32
"""Times as many seeds or images as there are, beyond which they are no advice."""


UNTOLD = "seeds or recipes"


@dataclass(frozen=True, kw_only=True, slots=True)
class Narrowing:
    """From what the standard error of a comparison comes, and what would make it decisive.

    Attributes:
        of_seeds: Standard error from seeds and draws, in the unit of the score; NaN under 3 seeds,
            as are the next two.
        of_recipes: From the recipes that the search found.
        of_images: From the test images.
        more_seeds: How many would decide it; NaN where none would.
        more_images: How many would; NaN where none would.
        binds: The largest of the three: seeds, recipes or images; `UNTOLD` where one seed of each
            recipe leaves open whether seeds or recipes; empty under 3 seeds.
    """

    of_seeds: float = math.nan
    of_recipes: float = math.nan
    of_images: float = math.nan
    more_seeds: float = math.nan
    more_images: float = math.nan
    binds: str = ""


def narrow(compared: Compared, design: Design, open_ones: int) -> Narrowing:
    """Return what would narrow a comparison.

    Args:
        compared: Its values.
        design: Of the sweep.
        open_ones: Comparisons that share the level of the next look.
    """
    error = errors(compared.values, compared.recipes(design), design.luck)
    if error is None:
        return Narrowing()
    mean = float(compared.values.mean())
    seeds, images = compared.values.shape
    parts = {
        "seeds": error.seeds.variance,
        "recipes": error.recipes.variance,
        "images": error.images.variance,
    }
    shares = max(1, open_ones)

    # The next number of seeds, in whole rounds, and the next number of images that decides it.
    more_seeds = math.nan
    recipes = set(compared.recipes(design))
    # With one seed of each recipe, more seeds may lower all of it or nothing.
    untold = error.nested and len(recipes) == seeds
    for number in _rounds(seeds, design):
        if untold:
            break
        level = level_of(number, design) / shares
        if decides(with_seeds(error, seeds, number), mean, design.worth, level):
            more_seeds = float(number - seeds)
            break
    more_images = math.nan
    level = level_of(seeds, design) / shares
    for number in _numbers(images):
        if decides(with_images(error, images, number), mean, design.worth, level):
            more_images = float(number - images)
            break
    binds = max(parts, key=lambda name: parts[name])
    if untold and binds == "seeds":
        binds = UNTOLD
    return Narrowing(
        of_seeds=math.sqrt(error.seeds.variance),
        of_recipes=math.sqrt(error.recipes.variance),
        of_images=math.sqrt(error.images.variance),
        more_seeds=more_seeds,
        more_images=more_images,
        binds=binds,
    )


def decides(error: Errors, mean: float, worth: float, level: float) -> bool:
    """Return whether a look at this level would find a difference, or that none matters."""
    if error.se == 0.0:
        return True
    differs = abs(mean) > error.quantile(level / 2) * error.se
    alike = worth - abs(mean) > error.quantile(level) * error.se
    return differs or alike


def _rounds(seeds: int, design: Design) -> Iterator[int]:
    """Yield numbers of seeds at the ends of rounds to come."""
    first = (seeds // design.round + 1) * design.round
    yield from range(first, MOST * seeds + 1, design.round)


def _numbers(images: int) -> Iterator[int]:
    """Yield numbers of images, each a tenth more than the one before."""
    number = images
    while number < MOST * images:
        number = math.ceil(1.1 * number)
        yield number


def with_seeds(error: Errors, seeds: int, number: int) -> Errors:
    """Return the errors with another number of seeds of the same recipes."""
    more = 0 if error.nested else number - seeds
    return replace(
        error,
        seeds=Part(error.seeds.variance * seeds / number, error.seeds.df + more),
        residual=error.residual * seeds / number,
    )


def with_images(error: Errors, images: int, number: int) -> Errors:
    """Return the errors with another number of test images."""
    more = number - images
    left = error.residual * images / number
    return replace(
        error,
        seeds=replace(error.seeds, variance=error.seeds.variance - error.residual + left),
        images=Part(error.images.variance * images / number, error.images.df + more),
        residual=left,
    )
