"""What the search itself says of an arm: what more trials bring, which parameters matter, which ranges were too narrow."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
import pandas as pd

from sweeps.records.results import Outcome
from trainables.recipe import Recipe

MIN_TRIALS = 50
"""PED-ANOVA compares the best tenth with all; its authors ask for 5 trials or more in that tenth."""
EDGE = 0.05


def expected_best(scores: Sequence[float]) -> list[float]:
    """Expected highest score of k of these n trials, drawn without replacement, for k = 1..n; 1 is the mean, n the best.

    The unbiased estimator of the best of k random trials (Tang et al. 2020, "Showing Your Work Doesn't Always Work"); that
    of Dodge et al. (2019, "Show Your Work"), which draws with replacement, is too low. Only of trials that are drawn at random
    does it foretell a search of k trials: see `History.start_up_trials`.
    """
    falling, n = sorted(scores, reverse=True), len(scores)
    expected = []
    for k in range(1, n + 1):
        # The i-th highest (i = 0..n-k) is the highest of k with the chance C(n-1-i, k-1) / C(n, k).
        chance, total = k / n, 0.0
        for i, score in enumerate(falling[: n - k + 1]):
            total += chance * score
            chance *= (n - k - i) / max(n - 1 - i, 1)
        expected.append(total)
    return expected


def importance(
    trials: pd.DataFrame, tuned: Mapping[str, Mapping[str, Any]]
) -> dict[str, float] | None:
    """Which of an arm's tuned parameters decide whether a trial is among the best tenth: shares of 1, the highest first.

    PED-ANOVA (Watanabe, Bansal and Hutter 2023, arXiv 2304.10255) as Optuna has it. A parameter with a condition counts
    only in trials in which the condition holds (conditional PED-ANOVA, arXiv 2601.20800): there its value decides, and that
    it holds at all is to the account of the parameter that it depends on. Shares are of the trials that the search tried,
    so they blur where it kept to a part of a range. All 0 where nothing separates the best tenth, as with equal scores.

    Args:
        trials: Of one arm: `outcome`, `score` and the recipe's fields. Trials that did not complete, and those with a value
            outside its range, as after a range was changed, are left out.
        tuned: By name, as in a sweep's definition: `low`, `high`, `log`, or `options`; and `when`.

    Returns:
        None with fewer than MIN_TRIALS such trials: too few.
    """
    ranges = {name: _distribution(dim) for name, dim in tuned.items()}
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize")
    for row in trials[trials["outcome"] == Outcome.COMPLETED.value].to_dict("records"):
        params = {name: _plain(row[name]) for name in _active(row, tuned)}
        score = float(row["score"])
        if math.isfinite(score) and all(
            _holds(ranges[name], value) for name, value in params.items()
        ):
            active = {name: ranges[name] for name in params}
            study.add_trial(
                optuna.trial.create_trial(params=params, distributions=active, value=score)
            )
    if len(study.get_trials(deepcopy=False)) < MIN_TRIALS:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # a condition that held in one trial: it counts for nothing, as it should
        shares = optuna.importance.PedAnovaImportanceEvaluator().evaluate(study)
    total = sum(shares.values())
    return {name: share / total if total > 0 else 0.0 for name, share in shares.items()}


def edges(recipe: Mapping[str, Any], tuned: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A line for each tuned number whose best value lies at an end of its range, where the best may lie beyond.

    At an end is, of a whole number, the end itself; of a real one, within 5% of the range on its own scale, log or not. An
    end at which the recipe's own rules end too, as 0 does for `label_smoothing`, says nothing: it cannot be widened.

    Args:
        recipe: The arm's best recipe, whole.
        tuned: By name, as in `importance`. Those whose condition does not hold in this recipe are passed over.
    """
    plain = {name: _plain(value) for name, value in recipe.items()}
    readable = _allowed(plain)  # not where it is another version's: then every end counts
    lines = []
    for name in _active(plain, tuned):
        dim = tuned[name]
        if "options" in dim or dim["low"] == dim["high"]:
            continue
        for end, way, beyond in (
            ("low", "downwards", _beyond(dim, -1)),
            ("high", "upwards", _beyond(dim, 1)),
        ):
            if _at(plain[name], dim, end) and (_allowed({**plain, name: beyond}) or not readable):
                shown = f"{plain[name]:.3g}" if isinstance(plain[name], float) else str(plain[name])
                lines.append(
                    f"the best value should lie inside its range, but {name} = {shown} is at the {end} end of "
                    f"{dim['low']:g} to {dim['high']:g}: widen it {way}."
                )
    return lines


def _active(row: Mapping[Any, Any], tuned: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Names whose condition holds; where one depends on another tuned name, that one's must hold too."""
    names: list[str] = []
    for name, dim in tuned.items():
        when = dim.get("when") or {}
        if all(
            (other not in tuned or other in names) and _plain(row[other]) in values
            for other, values in when.items()
        ):
            names.append(name)
    return names


def _distribution(dim: Mapping[str, Any]) -> optuna.distributions.BaseDistribution:
    if "options" in dim:
        return optuna.distributions.CategoricalDistribution(tuple(dim["options"]))
    if isinstance(dim["low"], int):
        return optuna.distributions.IntDistribution(dim["low"], dim["high"], log=dim["log"])
    return optuna.distributions.FloatDistribution(dim["low"], dim["high"], log=dim["log"])


def _holds(distribution: optuna.distributions.BaseDistribution, value: Any) -> bool:
    match distribution:
        case optuna.distributions.CategoricalDistribution():
            return value in distribution.choices
        case optuna.distributions.IntDistribution() | optuna.distributions.FloatDistribution():
            return bool(distribution.low <= value <= distribution.high)
    raise AssertionError(distribution)


def _plain(value: Any) -> Any:
    """A number of NumPy's, as a table holds it, as Python's."""
    item = getattr(value, "item", None)
    return item() if callable(item) else value


def _at(value: float, dim: Mapping[str, Any], end: str) -> bool:
    if isinstance(dim["low"], int):
        return bool(value == dim[end])
    scale = math.log if dim["log"] else float
    return abs(scale(value) - scale(dim[end])) <= EDGE * (scale(dim["high"]) - scale(dim["low"]))


def _beyond(dim: Mapping[str, Any], way: int) -> float:
    """A value that a wider range would hold."""
    end = dim["high"] if way > 0 else dim["low"]
    if isinstance(dim["low"], int):
        return int(end + way)
    return float(end * 10**way if dim["log"] else end + way * EDGE * (dim["high"] - dim["low"]))


def _allowed(recipe: Mapping[str, Any]) -> bool:
    """Whether the recipe's own rules allow these values."""
    try:
        Recipe.from_sample(
            {name: value for name, value in recipe.items() if name in Recipe.field_names()}
        )
    except ValueError:
        return False
    return True
