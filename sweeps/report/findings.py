"""What a sweep comes to: finalists, the champion, intervals, and differences between arms."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import pandas as pd

from sweeps.report import effects
from sweeps.report.finalists import Group, Kind, Metric, champion_of, groups_of, mean, paired
from sweeps.report.runs import Run, number, records
from sweeps.report.suspects import Suspected, suspected
from sweeps.report.variance import MIN_SEEDS, Interval, crossed, over_seeds


@dataclass(frozen=True, kw_only=True, slots=True)
class Findings:
    """All that the page says something about.

    Attributes:
        run: The sweep.
        groups: Recipes that were retrained, ablations and those of earlier bests too.
        champion: The recipe to ship; None while no finalist completed.
        best: By arm, the best recipe of the search, retrained.
        default: By arm, its default recipe, retrained.
        ablations: The champion's.
        seeds: How many seeds all arms have in common with their predictions.
        planned: The planned contrasts of scores on test, as `effects.planned` has them.
        pairs: Each pair of arms by its scores on test, as `effects.pairs` has them; a is the arm
            that did better.
        untested: Names of planned contrasts that cannot be had, since an arm of them has no
            finalist.
        suspected: Images of val and test whose labels are likely wrong.
        problems: A line for each thing that could not be read.
    """

    run: Run
    groups: tuple[Group, ...]
    champion: Group | None
    best: Mapping[str, Group]
    default: Mapping[str, Group]
    ablations: tuple[Group, ...]
    seeds: int
    planned: pd.DataFrame
    pairs: pd.DataFrame
    untested: tuple[str, ...]
    suspected: Suspected
    problems: tuple[str, ...]

    @property
    def scope(self) -> str:
        """Return what intervals of the score are for.

        Macro F1 is no mean over images, so that its intervals can say nothing of other images.
        """
        if self.run.score == "macro_f1":
            return "new seeds on these images"
        return "new seeds and new images"

    @property
    def tested(self) -> bool:
        """Return whether there are seeds enough for intervals and tests."""
        return self.seeds >= MIN_SEEDS


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference between two means, with the ends of its 95% interval: NaN where it has none."""

    value: float
    low: float = math.nan
    high: float = math.nan


def find(run: Run) -> Findings:
    """Work out a sweep's findings. What is missing is left out."""
    # Recipes by what they are to their arm; whatever cannot be read becomes a problem.
    problems = list(run.problems)
    groups = [group for group in groups_of(run, problems) if group.seeds or group.failed]
    champion = champion_of(groups, run.arms)
    best = _by_arm(groups, "best")
    doubted = suspected(run, groups, problems)

    # On test, the best recipes: [seeds, images] by arm, the better arm first in pairs.
    values = paired(best, run.score)
    ranked = dict(sorted(values.items(), key=lambda item: -item[1].mean()))

    # A contrast that lacks an arm is not tested; of one whose arms are not in the sweep, by
    # `--arms`, nothing is said either.
    able: list[dict[str, Any]] = []
    untested: list[str] = []
    for contrast in _sound(run.described.get("contrasts")):
        if _covered(contrast, run.compared, values):
            able.append(contrast)
        elif _covered(contrast, run.compared, run.compared):
            untested.append(contrast["name"])
    return Findings(
        run=run,
        groups=tuple(groups),
        champion=champion,
        best=best,
        default=_by_arm(groups, "default"),
        ablations=_ablations(groups, champion),
        seeds=min(map(len, values.values()), default=0),
        planned=effects.planned(able, values),
        pairs=effects.pairs(ranked),
        untested=tuple(untested),
        suspected=doubted,
        problems=tuple(problems),
    )


def interval(group: Group, metric: Metric) -> Interval | None:
    """Return mean and interval on the test split: for new seeds and new images.

    Where predictions are gone, for new seeds alone; None where nothing was tested.
    """
    images = group.images(metric)
    if images and len(images) == len(group.seeds):
        return crossed(np.stack(list(images.values())))
    known = group.test(metric)
    return over_seeds(known) if known else None


def difference(a: Group, b: Group, metric: Metric) -> Difference | None:
    """Return the metric of a on test minus that of b over their common seeds, paired by image.

    None where they have no seeds with predictions in common.
    """
    # Without a common seed there are no rows to pair.
    values = paired({"a": a, "b": b}, metric)
    if len(values) < 2:
        return None
    row = records(effects.pairs(values))[0]
    return Difference(row["difference"], row["low"], row["high"])


def gap(a: Group, b: Group, metric: Metric) -> Difference:
    """Return `difference`, or where predictions are gone that of the means, without interval."""
    paired_difference = difference(a, b, metric)
    if paired_difference is not None:
        return paired_difference
    return Difference(mean(a.test(metric)) - mean(b.test(metric)))


def _by_arm(groups: Sequence[Group], kind: Kind) -> dict[str, Group]:
    """Return the groups of a kind that have seeds."""
    return {group.arm: group for group in groups if kind in group.kinds and group.seeds}


def _ablations(groups: Sequence[Group], champion: Group | None) -> tuple[Group, ...]:
    if champion is None:
        return ()
    return tuple(g for g in groups if g.without and g.seeds and g.name == champion.name)


def _sound(contrasts: Any) -> list[dict[str, Any]]:
    """Return contrasts that hold what one must."""
    sound: list[dict[str, Any]] = []
    if not isinstance(contrasts, list):
        return sound
    for contrast in contrasts:
        match contrast:
            case {"name": str() as name, "weights": dict() as weights} if _finite(weights):
                sound.append({"name": name, "weights": weights})
    return sound


def _finite(weights: Mapping[str, Any]) -> bool:
    return all(math.isfinite(number(weight)) for weight in weights.values())


def _covered(contrast: Mapping[str, Any], arms: Sequence[str], known: Container[str]) -> bool:
    """Return whether each pattern matches an arm, and all arms that it matches are known.

    With fewer, other arms would be compared.
    """
    for pattern in contrast["weights"]:
        matched = [arm for arm in arms if fnmatchcase(arm, pattern)]
        if not matched or not all(arm in known for arm in matched):
            return False
    return bool(contrast["weights"])
