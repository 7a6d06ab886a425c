"""Recipes that were retrained over seeds: which they are, and each seed's results on test."""

from __future__ import annotations

import itertools
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sweeps.records.champion import Bounds, Choice, Cost, choose
from sweeps.records.results import Outcome, trial_name
from sweeps.report.columns import COLUMNS, OF_EPOCH
from sweeps.report.runs import Run, number, records, whole_numbers
from sweeps.report.strata import balanced
from sweeps.report.turns import in_turn
from trainables.problems import reason

Metric = Literal["accuracy", "balanced_accuracy", "macro_f1", "loss"]
Split = Literal["val", "test"]
Predicted = tuple[NDArray[np.float32], NDArray[np.int64]]
Rows = dict[int, NDArray[np.float64]]
"""By the number of a seed, each test image's value [N]."""
Kind = Literal["top", "default", "ablation", "earlier", "arm"]

LARGEST_LOSS = 103.3  # -log of the smallest float32: a probability that became 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Seed:
    """One training run of a finalist that completed.

    Attributes:
        trial_id: Its name.
        seed: The recipe's.
        index: The seed's number in the sweep, from 0.
        score: On the validation split.
        val: The metrics of the validation split at the epoch of the score, by
            `trainables.metrics`' names.
        accuracy: On the test split; NaN where it is not known, as are the following.
        balanced_accuracy: On the test split.
        macro_f1: On the test split.
        loss: Log loss on the test split.
        parameters: Numbers in the network.
        inference_ms: Milliseconds per image.
        right: bool [N], whether each test image was recognized; empty where predictions are gone.
        losses: float64 [N], each image's log loss.
        said: int64 [N], the classes predicted.
        labels: int64 [N], the true classes.
        sure: float64 [N], the probability that each predicted class was given.
    """

    trial_id: str
    seed: int
    index: int
    score: float
    val: Mapping[str, float]
    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    loss: float
    parameters: float
    inference_ms: float
    right: NDArray[np.bool_] = field(repr=False)
    losses: NDArray[np.float64] = field(repr=False)
    said: NDArray[np.int64] = field(repr=False)
    labels: NDArray[np.int64] = field(repr=False)
    sure: NDArray[np.float64] = field(repr=False)

    @property
    def group(self) -> str:
        """Return the name of the trial whose recipe it has."""
        return self.trial_id.rpartition("/")[0]

    def test(self, metric: Metric) -> float:
        """Return a metric's value on the test split."""
        return float(getattr(self, metric))


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """A recipe that was retrained; or an arm, several of whose recipes take turns over the seeds.

    Attributes:
        name: The trial whose recipe it is; an ablation has that of the champion, an arm its own.
        arm: Its arm.
        kinds: What it is to its arm: one of the best of the search, the default, both, an ablation,
            an earlier one of these; or the arm itself.
        without: What an ablation leaves out.
        recipe: Its fields; an arm's are those of the best recipe of its search.
        seeds: Those that completed, in the order of the sweep's.
        number: Of the trial that had the recipe.
        failed: Names of those that ended otherwise.
        turn: How many recipes take turns: seed q trains number q modulo this.
        luck: Of their search: `Design.luck`.
    """

    name: str
    arm: str
    kinds: frozenset[Kind]
    without: str
    recipe: Mapping[str, Any]
    seeds: tuple[Seed, ...]
    number: int = 0
    failed: tuple[str, ...]
    turn: int = 1
    luck: float = 1.0

    @property
    def by_seed(self) -> dict[int, float]:
        """The score of each seed that completed, on the validation split."""
        return {seed.index: seed.score for seed in self.seeds if seed.score == seed.score}

    @property
    def cost(self) -> Cost:
        """What its network costs to use."""
        return Cost(
            mean([seed.parameters for seed in self.seeds]),
            mean([seed.inference_ms for seed in self.seeds]),
        )

    @property
    def score(self) -> float:
        """Return the mean over seeds on the validation split."""
        return mean([seed.score for seed in self.seeds])

    @property
    def predicted(self) -> list[Seed]:
        """Return the seeds whose predictions are there."""
        return [seed for seed in self.seeds if len(seed.labels)]

    def test(self, metric: Metric) -> list[float]:
        """Return each seed's value on the test split, where it is known."""
        return _known([seed.test(metric) for seed in self.seeds])

    def images(self, metric: Metric) -> dict[int, NDArray[np.float64]]:
        """Return, by the seed's number, each test image's value [N]; their mean is its score.

        Accuracy: 1 where the image was recognized. Balanced accuracy: what `strata.balanced` makes
        of that. Log loss: its own. Macro F1 is no mean over images: each has its seed's, so that
        intervals are those over seeds alone.
        """
        return {seed.index: _of_images(seed, metric) for seed in self.predicted}


def mean(values: Sequence[float]) -> float:
    """Return the mean of those numbers that are known; NaN where there are none."""
    known = _known(values)
    return fmean(known) if known else float("nan")


def groups_of(run: Run, problems: list[str]) -> list[Group]:
    """Return all recipes that were retrained, by arm.

    Seeds that the sweep no longer asks for are left out. Of arms that it no longer has, nothing is
    best or default.

    Args:
        run: The sweep.
        problems: Gets a line for each file of predictions that cannot be used.
    """
    finalists = run.rows("finalist")
    # The sweep's own seeds, in its order; an old description may not have them.
    asked = whole_numbers(run.described.get("finalist_seeds"))
    if asked:
        finalists = finalists[finalists["seed"].isin(asked)]
    # After more trials other recipes may have had the turns: those of the last run count.
    if run.history.recipes:
        finalists = finalists[finalists["trial_id"].isin(run.history.wanted)]
    known = asked or sorted(set(whole_numbers(finalists["seed"].dropna().astype(int).tolist())))
    order = {seed: at for at, seed in enumerate(known)}
    tops = {arm: in_turn(run, arm) for arm in run.compared}

    # A group per arm, recipe and what is left out of it.
    groups: list[Group] = []
    for (without, arm, name), rows in finalists.groupby(["without", "arm", "group"], sort=False):
        # Seeds in the sweep's order; those that it no longer asks for last.
        ended = rows[rows["outcome"] == Outcome.COMPLETED.value]
        seeds = [_seed(run, row, order, problems) for row in records(ended)]
        seeds.sort(key=lambda seed: seed.index)
        # What did not complete is named; what still runs is not.
        lost = rows["outcome"].isin([Outcome.FAILED.value, Outcome.DIVERGED.value])
        fields = records(rows.drop(columns="seed"))[0]
        group = Group(
            name=str(name),
            arm=str(arm),
            kinds=_kinds(str(arm), str(name), str(without), tops),
            without=str(without),
            number=int(rows["number"].iloc[0]),
            recipe={field: value for field, value in fields.items() if field not in COLUMNS},
            seeds=tuple(seeds),
            failed=tuple(rows[lost]["trial_id"]),
        )
        groups.append(group)
    return _same_images(groups, problems)


def champion_of(
    groups: Sequence[Group], arms: Sequence[str], bounds: Bounds
) -> Choice[Group] | None:
    """Return the champion among the recipes that the sweep retrained for itself."""
    able = [group for group in groups if group.kinds & {"top", "default"}]
    return choose(able, arms, bounds)


def paired(groups: Mapping[str, Group], metric: Metric) -> dict[str, Rows]:
    """Return what is known of each group by seed, the same seeds for all.

    Groups without predictions are left out; nothing is left where they share no seed.
    """
    images: dict[str, dict[int, NDArray[np.float64]]] = {}
    for name, group in groups.items():
        values = group.images(metric)
        if values:
            images[name] = values
    # Seeds that one of them lacks are left out of all.
    common = _common_seeds(list(images.values()))
    if not common:
        return {}
    return {name: {at: values[at] for at in common} for name, values in images.items()}


def predictions(
    run: Run, trial_id: str, splits: Sequence[Split], problems: list[str]
) -> list[Predicted] | None:
    """Return log-probabilities [N, classes] of each split's images and their classes [N].

    None, and a line in `problems`, where the file is gone or odd.
    """
    path = run.folder / "predictions" / f"{trial_id.replace('/', '-')}.npz"
    try:
        predicted = _read_predictions(path, splits)
    except FileNotFoundError:
        problems.append(f"predictions/{path.name} is not there.")
        return None
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile) as error:
        problems.append(f"predictions/{path.name} cannot be read ({reason(error)}).")
        return None
    if not all(_fit(told, labels) for told, labels in predicted):
        problems.append(
            f"predictions/{path.name} does not hold log-probabilities with a class for each image."
        )
        return None
    return predicted


def _known(values: Sequence[float]) -> list[float]:
    return [value for value in values if value == value]


def _read_predictions(path: Path, splits: Sequence[Split]) -> list[Predicted]:
    predicted = []
    with np.load(path, allow_pickle=False) as file:
        for split in splits:
            told = np.asarray(file[split], np.float32)
            predicted.append((told, np.asarray(file[f"{split}_labels"], np.int64)))
    return predicted


def _fit(told: NDArray[np.float32], labels: NDArray[np.int64]) -> bool:
    """Return whether these are log-probabilities [N, classes], N > 0, with classes [N]."""
    if told.ndim != 2 or labels.shape != told.shape[:1] or not len(labels):
        return False
    known = labels.min() >= 0 and labels.max() < told.shape[1]
    return bool(known and not np.isnan(told).any())


def _kinds(arm: str, name: str, without: str, tops: Mapping[str, Sequence[str]]) -> frozenset[Kind]:
    """Return what a recipe is to its arm; of arms that the sweep no longer has, an earlier one."""
    if without:
        return frozenset({"ablation"})
    kinds: set[Kind] = set()
    if name in tops.get(arm, ()):
        kinds.add("top")
    if arm in tops and name == trial_name(arm, 0):
        kinds.add("default")
    return frozenset(kinds or {"earlier"})


def _of_images(seed: Seed, metric: Metric) -> NDArray[np.float64]:
    """Return each test image's value [N]."""
    match metric:
        case "accuracy":
            return seed.right.astype(float)
        case "balanced_accuracy":
            return balanced(seed.right, seed.labels)
        case "macro_f1":
            return np.full(len(seed.labels), seed.macro_f1)
        case "loss":
            return seed.losses


def _common_seeds(images: Sequence[Mapping[int, Any]]) -> list[int]:
    """Return the seeds that all have, in the order of the first."""
    if not images:
        return []
    common = set(images[0]).intersection(*images)
    return [seed for seed in images[0] if seed in common]


def _seed(run: Run, row: Mapping[str, Any], order: Mapping[int, int], problems: list[str]) -> Seed:
    """Return a row of the journal with its predictions; those are empty where they are gone."""
    # Arrays of no images, so that all below works on them.
    test: NDArray[np.float32] = np.zeros((0, 1), np.float32)
    labels: NDArray[np.int64] = np.zeros(0, np.int64)
    predicted = predictions(run, row["trial_id"], ["test"], problems)
    if predicted:
        ((test, labels),) = predicted
    own = test[np.arange(len(labels)), labels]  # [N], of the true class
    said = test.argmax(axis=1)
    # Numbers of an old journal may be missing; -1 is no recipe's seed.
    seed = -1
    if number(row["seed"]) == number(row["seed"]):
        seed = int(row["seed"])
    parameters = number(row["parameters"])
    return Seed(
        trial_id=row["trial_id"],
        seed=seed,
        index=order.get(seed, -1),
        score=row["score"],
        val={metric: row[column] for column, metric in OF_EPOCH.items()},
        accuracy=row["test_accuracy"],
        balanced_accuracy=row["test_balanced_accuracy"],
        macro_f1=row["test_macro_f1"],
        loss=row["test_loss"],
        parameters=parameters,
        inference_ms=row["inference_ms"],
        right=said == labels,
        losses=np.minimum(-own.astype(np.float64), LARGEST_LOSS),
        said=said.astype(np.int64),
        labels=labels,
        sure=np.exp(test.max(axis=1).astype(np.float64)),
    )


def _same_images(groups: Sequence[Group], problems: list[str]) -> list[Group]:
    """Return all groups; of seeds tested on other images than the first, without predictions."""
    tested = itertools.chain.from_iterable(group.predicted for group in groups)
    first = next(tested, None)
    if first is None:
        return list(groups)
    kept = []
    for group in groups:
        seeds = list(group.seeds)
        for at, seed in enumerate(seeds):
            if not len(seed.labels) or np.array_equal(seed.labels, first.labels):
                continue
            problems.append(
                f"{seed.trial_id} was tested on other images than {groups[0].name}: it is not "
                "paired with it."
            )
            seeds[at] = _unpredicted(seed)
        kept.append(replace(group, seeds=tuple(seeds)))
    return kept


def _unpredicted(seed: Seed) -> Seed:
    empty = np.zeros(0, np.int64)
    right = empty.astype(bool)
    none = empty.astype(float)
    return replace(seed, right=right, losses=none, said=empty, labels=empty, sure=none)
