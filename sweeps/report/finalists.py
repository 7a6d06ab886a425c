"""Recipes that were trained again over seeds: which they are, and what each seed came to on the test split, image by image."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from statistics import fmean
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sweeps.records.folder import predictions as predictions_file
from sweeps.records.results import Outcome, best, champion, trial_name
from sweeps.report.columns import COLUMNS, OF_EPOCH
from sweeps.report.runs import Run, number, records, whole_numbers
from sweeps.report.strata import balanced

Metric = Literal["accuracy", "balanced_accuracy", "macro_f1", "loss"]
Split = Literal["val", "test"]
Predicted = tuple[NDArray[np.float32], NDArray[np.int64]]
Kind = Literal["best", "default", "ablation", "earlier"]

LARGEST_LOSS = 103.3  # -log of the smallest float32: a probability that became 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Seed:
    """One training run of a finalist that completed.

    Attributes:
        trial_id: Its name.
        seed: Of the recipe.
        score: On the validation split.
        val: The metrics of the validation split at the epoch of the score, by `trainables.recipe`'s names.
        accuracy: On the test split; NaN where it is not known, as are the following.
        balanced_accuracy: On the test split.
        macro_f1: On the test split.
        loss: Log loss on the test split.
        parameters: Of the network.
        inference_ms: Milliseconds an image.
        right: bool [N], whether each test image was recognised; empty where predictions are gone.
        losses: float64 [N], each image's log loss.
        said: int64 [N], the classes predicted.
        labels: int64 [N], the true classes.
    """

    trial_id: str
    seed: int
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

    def test(self, metric: Metric) -> float:
        """Return a metric's value on the test split."""
        return float(getattr(self, metric))


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """A recipe that was trained again.

    Attributes:
        name: The trial whose recipe it is, or of an ablation that of the champion.
        arm: Its arm.
        kinds: What it is to its arm: the best of the search, the default, both, an ablation, or an earlier best.
        without: Of an ablation, what is left out.
        recipe: Its fields.
        seeds: Those that completed, in the order of the sweep's.
        number: Of the trial that had the recipe.
        failed: Names of those that ended otherwise.
    """

    name: str
    arm: str
    kinds: frozenset[Kind]
    without: str
    recipe: Mapping[str, Any]
    seeds: tuple[Seed, ...]
    number: int = 0
    failed: tuple[str, ...]

    @property
    def scores(self) -> tuple[float, ...]:
        """The score of each seed that completed, on the validation split."""
        return tuple(seed.score for seed in self.seeds)

    @property
    def score(self) -> float:
        """Mean over seeds on the validation split."""
        return mean([seed.score for seed in self.seeds])

    def test(self, metric: Metric) -> list[float]:
        """Of each seed, on the test split."""
        return [value for seed in self.seeds if (value := seed.test(metric)) == value]

    def images(self, metric: Metric) -> dict[int, NDArray[np.float64]]:
        """By seed, each test image's value; a seed's mean over them is its score.

        Of accuracy 1 where it was recognised, of balanced accuracy what `strata.balanced` makes of that, of log loss its own.
        Macro F1 is no mean over images: each has its seed's, so that intervals are those over seeds alone.
        """
        kept = [seed for seed in self.seeds if len(seed.labels)]
        match metric:
            case "accuracy":
                return {seed.seed: seed.right.astype(float) for seed in kept}
            case "balanced_accuracy":
                return {seed.seed: balanced(seed.right, seed.labels) for seed in kept}
            case "macro_f1":
                return {seed.seed: np.full(len(seed.labels), seed.macro_f1) for seed in kept}
            case "loss":
                return {seed.seed: seed.losses for seed in kept}


def mean(values: Sequence[float]) -> float:
    """Of numbers that are known; NaN where there are none."""
    known = [value for value in values if value == value]
    return fmean(known) if known else float("nan")


def best_trial(run: Run, arm: str) -> str:
    """Return the name of the arm's best trial of the search; empty where none completed."""
    top = best(trial for trial in run.history.of("trial") if trial.arm == arm)
    if top:
        return top.trial_id
    return "" if run.tuned.get(arm) else trial_name(arm, 0)


def groups_of(run: Run, problems: list[str]) -> list[Group]:
    """All recipes that were trained again, by arm; lines are added to `problems` for predictions that cannot be used.

    Seeds that the sweep no longer asks for are left out. Of arms that it no longer has, nothing is best or default.
    """
    finalists = run.rows("finalist")
    best_names = {arm: best_trial(run, arm) for arm in run.compared}
    groups: list[Group] = []
    order = {seed: at for at, seed in enumerate(whole_numbers(run.described.get("finalist_seeds")))}
    finalists = finalists[finalists["seed"].isin(list(order))] if order else finalists
    for (without, arm, name), rows in finalists.groupby(["without", "arm", "group"], sort=False):
        ended = rows[rows["outcome"] == Outcome.COMPLETED.value]
        seeds = [_seed(run, row, problems) for row in records(ended)]
        seeds.sort(key=lambda seed: (order.get(seed.seed, len(order)), seed.seed))
        kinds: set[Kind] = {"best"} if name == best_names.get(str(arm)) else set()
        kinds |= {"default"} if arm in best_names and name == trial_name(str(arm), 0) else set()
        fields = records(rows.drop(columns="seed"))[0]
        failed = rows[rows["outcome"].isin([Outcome.FAILED.value, Outcome.DIVERGED.value])][
            "trial_id"
        ]
        groups.append(
            Group(
                name=str(name),
                arm=str(arm),
                kinds=frozenset({"ablation"} if without else kinds or {"earlier"}),
                without=str(without),
                number=int(rows["number"].iloc[0]),
                recipe={field: value for field, value in fields.items() if field not in COLUMNS},
                seeds=tuple(seeds),
                failed=tuple(failed),
            )
        )
    return _same_images(groups, problems)


def champion_of(groups: Sequence[Group], arms: Sequence[str]) -> Group | None:
    """Return the champion among the best and the default recipes of the arms."""
    able = [group for group in groups if group.kinds & {"best", "default"}]
    return champion([group for group in able if group.score == group.score], arms)


def paired(groups: Mapping[str, Group], metric: Metric) -> dict[str, NDArray[np.float64]]:
    """Arrays [seeds, images] by the given names, the same seeds in the same rows; groups without predictions are left out."""
    images = {name: values for name, group in groups.items() if (values := group.images(metric))}
    common = reduce(
        lambda kept, new: [seed for seed in kept if seed in new], images.values(), _seeds(images)
    )
    return (
        {name: np.stack([values[seed] for seed in common]) for name, values in images.items()}
        if common
        else {}
    )


def predictions(
    run: Run, trial_id: str, splits: Sequence[Split], problems: list[str]
) -> list[Predicted] | None:
    """Log-probabilities [N, classes] of each split's images and their classes [N]; None where the file is gone or odd."""
    path = predictions_file(run.folder, trial_id)
    try:
        with np.load(path, allow_pickle=False) as file:
            predicted = [
                (np.asarray(file[split], np.float32), np.asarray(file[f"{split}_labels"], np.int64))
                for split in splits
            ]
        if all(_fit(told, labels) for told, labels in predicted):
            return predicted
        problems.append(
            f"predictions/{path.name} does not hold log-probabilities with a class for each image."
        )
    except FileNotFoundError:
        problems.append(f"predictions/{path.name} is not there.")
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile) as error:
        problems.append(
            f"predictions/{path.name} cannot be read ({' '.join(str(error).split()) or type(error).__name__})."
        )
    return None


def _fit(told: NDArray[np.float32], labels: NDArray[np.int64]) -> bool:
    shapes = told.ndim == 2 and labels.shape == told.shape[:1] and len(labels) > 0
    return (
        shapes and not np.isnan(told).any() and labels.min() >= 0 and labels.max() < told.shape[1]
    )


def _seeds(images: Mapping[str, Mapping[int, Any]]) -> list[int]:
    return list(next(iter(images.values()), {}))


def _seed(run: Run, row: Mapping[str, Any], problems: list[str]) -> Seed:
    predicted = predictions(run, row["trial_id"], ["test"], problems)
    test, labels = (
        predicted[0] if predicted else (np.zeros((0, 0), np.float32), np.zeros(0, np.int64))
    )
    own = test[np.arange(len(labels)), labels] if len(labels) else np.zeros(0, np.float32)
    said = test.argmax(axis=1) if len(labels) else np.zeros(0, np.int64)
    seed = number(row["seed"])
    return Seed(
        trial_id=row["trial_id"],
        seed=int(seed) if seed == seed else -1,
        score=row["score"],
        val={metric: row[column] for column, metric in OF_EPOCH.items()},
        accuracy=row["test_accuracy"],
        balanced_accuracy=row["test_balanced_accuracy"],
        macro_f1=row["test_macro_f1"],
        loss=row["test_loss"],
        parameters=float("nan") if row["parameters"] is None else number(float(row["parameters"])),
        inference_ms=row["inference_ms"],
        right=said == labels,
        losses=np.minimum(-own.astype(np.float64), LARGEST_LOSS),
        said=said.astype(np.int64),
        labels=labels,
    )


def _same_images(groups: Sequence[Group], problems: list[str]) -> list[Group]:
    """All of them, or those that were tested on the same images as the first; of the others the predictions are dropped."""
    first = next(
        (seed.labels for group in groups for seed in group.seeds if len(seed.labels)),
        np.zeros(0, np.int64),
    )
    empty = np.zeros(0, np.int64)
    kept = []
    for group in groups:
        seeds = []
        for tested in group.seeds:
            seed = tested
            same = not len(seed.labels) or np.array_equal(seed.labels, first)
            if not same:
                problems.append(
                    f"{seed.trial_id} was tested on other images than {groups[0].name}: it is not paired with it."
                )
                seed = replace(
                    seed,
                    right=empty.astype(bool),
                    losses=empty.astype(float),
                    said=empty,
                    labels=empty,
                )
            seeds.append(seed)
        kept.append(replace(group, seeds=tuple(seeds)))
    return kept
