"""What a sweep comes to: its finalists, the champion, intervals, and the differences between arms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import pandas as pd

from sweeps.report import effects
from sweeps.report.finalists import Group, Metric, champion_of, groups_of, paired
from sweeps.report.runs import Run, number, records
from sweeps.report.suspects import Suspected, suspected
from sweeps.report.variance import MIN_SEEDS, Interval, crossed, over_seeds


@dataclass(frozen=True, kw_only=True, slots=True)
class Findings:
    """All that the page says something about.

    Attributes:
        run: The sweep.
        groups: Recipes that were trained again, ablations and those of earlier bests too.
        champion: None while no finalist completed.
        best: By arm, the best recipe of the search, trained again.
        default: By arm, its default recipe, trained again.
        ablations: Of the champion.
        seeds: How many seeds all arms have in common with their predictions.
        planned: The planned contrasts of scores on test, as `effects.planned` has them.
        pairs: Each pair of arms by its scores on test, as `effects.pairs` has them; a is the arm that did better.
        untested: Names of planned contrasts that cannot be had, since an arm of them has no finalist.
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
        """What intervals of the score are for. Macro F1 is no mean over images, so that they can say nothing of other ones."""
        return (
            "new seeds on these images"
            if self.run.score == "macro_f1"
            else "new seeds and new images"
        )

    @property
    def tested(self) -> bool:
        """Whether there are seeds enough for intervals and tests."""
        return self.seeds >= MIN_SEEDS


def find(run: Run) -> Findings:
    """Work out a sweep's findings. What is missing is left out."""
    problems = list(run.problems)
    groups = [group for group in groups_of(run, problems) if group.seeds or group.failed]
    best = {group.arm: group for group in groups if "best" in group.kinds and group.seeds}
    champion = champion_of(groups, run.arms)
    doubted = suspected(run, groups, problems)
    values = paired(best, run.score)
    ranked = dict(sorted(values.items(), key=lambda item: -item[1].mean()))
    contrasts = _sound(run.described.get("contrasts"))
    able = [contrast for contrast in contrasts if _covered(contrast, run.compared, values)]
    return Findings(
        run=run,
        groups=tuple(groups),
        champion=champion,
        best=best,
        default={group.arm: group for group in groups if "default" in group.kinds and group.seeds},
        ablations=tuple(
            g for g in groups if g.without and champion and g.name == champion.name and g.seeds
        ),
        seeds=min((len(array) for array in values.values()), default=0),
        planned=effects.planned(able, values),
        pairs=effects.pairs(ranked),
        untested=tuple(
            contrast["name"]
            for contrast in contrasts
            if contrast not in able and _covered(contrast, run.compared, run.compared)
        ),
        suspected=doubted,
        problems=tuple(problems),
    )


def interval(group: Group, metric: Metric) -> Interval | None:
    """Mean and interval on the test split: new seeds and new images, or where predictions are gone, new seeds alone."""
    images, known = group.images(metric), group.test(metric)
    if images and len(images) == len(group.seeds):
        return crossed(np.stack(list(images.values())))
    return over_seeds(known) if known else None


def difference(a: Group, b: Group, metric: Metric) -> Mapping[str, Any] | None:
    """The metric of a on test minus that of b over their common seeds, as a row of `effects.pairs`; None without any."""
    values = paired({"a": a, "b": b}, metric)
    if len(values) < 2:
        return None
    return records(effects.pairs(values))[0]


def _sound(contrasts: Any) -> list[dict[str, Any]]:
    """Contrasts that hold what one must."""
    sound = []
    for contrast in contrasts if isinstance(contrasts, list) else []:
        match contrast:
            case {"name": str() as name, "weights": dict() as weights} if all(
                number(w) == number(w) for w in weights.values()
            ):
                sound.append({"name": name, "weights": weights})
    return sound


def _covered(contrast: Mapping[str, Any], arms: Sequence[str], known: Any) -> bool:
    """Whether each pattern matches an arm, and all arms that it matches are known: with fewer, other arms would be compared."""
    matched = [
        [arm for arm in arms if fnmatchcase(arm, pattern)] for pattern in contrast["weights"]
    ]
    return bool(matched) and all(
        of_pattern and all(arm in known for arm in of_pattern) for of_pattern in matched
    )
