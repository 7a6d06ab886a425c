"""A sweep's folder, read into tables.

It may be running, broken off, damaged or of an older version: nothing here raises.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from sweeps.records import folder as folders
from sweeps.records.events import TrialEnded
from sweeps.records.folder import JOURNAL, MANIFEST, UNREADABLE
from sweeps.records.history import History, Trial, salvage
from sweeps.records.manifest import read_manifest, score_of, study_file
from sweeps.records.results import Outcome, seed_number
from sweeps.records.status import status_of
from sweeps.report.columns import COLUMNS, COUNTS, OF_EPOCH, OF_TEST, TEXTS
from trainables.metrics import EPOCH, Score
from trainables.recipe import Recipe

LARGEST = 2**53  # up to which whole numbers are exact; no quantity of a sweep comes near it


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """What is known of one sweep.

    Attributes:
        folder: Its own.
        state: running, finished, failed, interrupted or damaged.
        described: `sweep.json`, or what of it is sound.
        arms: In the study's order.
        tuned: By arm and name, what was searched: `low`, `high` and `log`, or `options`; `when`.
        trials: A row a training run: `COLUMNS`, then the recipe's fields.
        epochs: A row an epoch: `trial_id`, `epoch`, and the metrics by their names.
        history: What its journal tells.
        problems: A line for each thing that could not be read.
    """

    folder: Path
    state: str
    described: Mapping[str, Any]
    arms: tuple[str, ...]
    tuned: Mapping[str, Mapping[str, Mapping[str, Any]]]
    trials: pd.DataFrame
    epochs: pd.DataFrame
    history: History
    problems: tuple[str, ...]

    @property
    def compared(self) -> tuple[str, ...]:
        """The arms that the sweep has now; others, which it no longer has, have trials alone."""
        listed = self.described.get("arms")
        return tuple(arm for arm in self.arms if not isinstance(listed, list) or arm in listed)

    @property
    def name(self) -> str:
        """The sweep's."""
        return self.folder.name

    @property
    def score(self) -> Score:
        """What decides which epoch, trial and recipe is best."""
        return score_of(self.described)

    def part(self, *names: str) -> Mapping[str, Any]:
        """An object within the description; empty where it is not there."""
        found: Any = self.described
        for name in names:
            found = found.get(name) if isinstance(found, Mapping) else None
        return found if isinstance(found, Mapping) else {}

    def text(self, *names: str) -> str:
        """A word or number within the description; empty where it is not there."""
        found = self.part(*names[:-1]).get(names[-1])
        return "" if found is None or isinstance(found, (dict, list)) else str(found)

    def rows(
        self, role: str, arm: str | None = None, outcome: Outcome | None = None
    ) -> pd.DataFrame:
        """Some of the training runs."""
        chosen = self.trials["role"] == role
        if arm is not None:
            chosen &= self.trials["arm"] == arm
        if outcome is not None:
            chosen &= self.trials["outcome"] == outcome.value
        return self.trials[chosen]


def read_run(folder: Path, ended: str = "") -> Run:
    """Read a sweep's folder.

    Args:
        folder: The sweep's.
        ended: How it ended, told by the driver that still holds the sweep's lock: finished, failed
            or interrupted.
    """
    problems: list[str] = []
    described = _described(folder, problems)
    history = _history(folder / JOURNAL, problems)
    trials, epochs = _rows(history)
    named = described.get("arms")
    listed = [arm for arm in named if isinstance(arm, str)] if isinstance(named, list) else []
    arms = tuple(dict.fromkeys([*listed, *(row["arm"] for row in trials)]))
    tuned = {arm: _tuned(described, arm) for arm in arms}
    return Run(
        folder=folder,
        state=ended or status_of(folder).state,
        described=described,
        arms=arms,
        tuned=tuned,
        trials=_frame(trials, arms, tuned),
        epochs=pd.DataFrame(
            epochs,
            columns=list(dict.fromkeys(["trial_id", EPOCH, *(n for row in epochs for n in row)])),
        ),
        history=history,
        problems=tuple(problems),
    )


def resume_command(run: Run) -> str:
    """Return what goes on with the sweep, from where it was started or submitted."""
    storage = run.folder.absolute().parents[1]
    study = study_file(run.described)
    return folders.resume_command(study, run.name, storage, submitted=run.text("submitted"))


def number(value: Any) -> float:
    """A finite number, or NaN where it is none."""
    return float(value) if isinstance(value, (int, float)) and abs(value) < LARGEST else math.nan


def records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a table, by the names of its columns."""
    return [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]


def whole_numbers(values: Any) -> list[int]:
    """The whole numbers in what should be a list of them."""
    return [value for value in values if type(value) is int] if isinstance(values, list) else []


def _described(folder: Path, problems: list[str]) -> dict[str, Any]:
    try:
        return read_manifest(folder)
    except UNREADABLE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        problems.append(f"{MANIFEST} cannot be read ({reason}).")
        return {}


def _history(path: Path, problems: list[str]) -> History:
    """Return what can be understood of the journal."""
    try:
        history = salvage(path)
    except OSError as error:
        problems.append(f"{path.name} cannot be read ({error.strerror}).")
        return History()
    if history.left_out:
        problems.append(
            f"{history.left_out} of {history.lines} lines of {path.name} could not be understood "
            "and are left out."
        )
    return history


def _rows(history: History) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return a row for each training run, and one for each of its epochs."""
    rows = []
    epochs = []
    for trial in history.trials.values():
        rows.append(_row(trial, history))
        for epoch in trial.epochs:
            metrics = {name: number(value) for name, value in epoch.items()}
            epochs.append({"trial_id": trial.trial_id, **metrics, EPOCH: int(epoch[EPOCH])})
    return rows, epochs


def _row(trial: Trial, history: History) -> dict[str, Any]:
    """Return what `results.csv` says of a training run."""
    end = trial.end
    seed = seed_number(trial.trial_id) if trial.finalist else None
    draw = history.draws.get(str(seed), {})
    outcome = trial.outcome or (end.outcome if end else "")
    row: dict[str, Any] = {
        "trial_id": trial.trial_id,
        "role": trial.role,
        "arm": trial.arm,
        "number": trial.number,
        "group": _group(trial),
        "without": (trial.finalist.without if trial.finalist else None) or "",
        "seed_number": math.nan if seed is None else seed,
        "draw": str(draw.get("digest") or ""),
        "outcome": str(outcome),
        "reason": end.reason if end else "",
    }
    for name, value in trial.recipe.items():
        if _plain(value) and name not in COLUMNS:
            row[name] = value

    # What its end says, and its epochs where none was written.
    for name in TrialEnded.numbers:
        row[name] = number(getattr(end, name, None))
    row["score"] = number(trial.score)
    row["epochs_done"] = trial.epoch
    best = next((epoch for epoch in trial.epochs if epoch[EPOCH] == row["best_epoch"]), {})
    for column, name in OF_EPOCH.items():
        row[column] = number(best.get(name))
    tested = end.test if end else {}
    for column, name in OF_TEST.items():
        row[column] = number(tested.get(name))
    return row


def _group(trial: Trial) -> str:
    """Return the trial whose recipe a finalist has, or from whose recipe an ablation took something."""
    if trial.finalist is None:
        return ""
    return trial.finalist.group.removesuffix(f"/without-{trial.finalist.without}")


def _plain(value: Any) -> bool:
    """Return whether it is what a recipe's field can hold: a text, or a finite number."""
    return isinstance(value, str) or number(value) == number(value)


def _frame(
    rows: Sequence[Mapping[str, Any]],
    arms: Sequence[str],
    tuned: Mapping[str, Mapping[str, Mapping[str, Any]]],
) -> pd.DataFrame:
    """Return the table in the order search, finalists, ablations; by arm, number and seed.

    What was searched as a number is one, or NaN.
    """
    ordered = sorted(
        rows,
        key=lambda row: (
            row["role"] != "trial",
            row["without"],
            arms.index(row["arm"]),
            row["number"],
        ),
    )
    searched = [name for dims in tuned.values() for name in dims]
    fields = dict.fromkeys(
        [*COLUMNS, *Recipe.field_names(), *(name for row in rows for name in row), *searched]
    )
    frame = pd.DataFrame(ordered, columns=list(fields))
    for name in COLUMNS:
        if name in COUNTS:
            frame[name] = pd.to_numeric(frame[name], errors="coerce").round().astype("Int64")
        elif name in TEXTS:
            frame[name] = frame[name].astype(object)
        else:
            frame[name] = frame[name].astype(float)
    for arm, dims in tuned.items():
        of_arm = frame["arm"] == arm
        for name in (
            name
            for name, dim in dims.items()
            if "options" not in dim and frame[name].dtype == object
        ):
            frame.loc[of_arm, name] = pd.to_numeric(frame.loc[of_arm, name], errors="coerce")
    return frame


def _tuned(described: Mapping[str, Any], arm: str) -> dict[str, dict[str, Any]]:
    definition = described.get("definition")
    of_arm = definition.get(arm) if isinstance(definition, dict) else None
    tuned = of_arm.get("tuned") if isinstance(of_arm, dict) else None
    return dict(_sound(tuned)) if isinstance(tuned, dict) else {}


def _sound(tuned: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Dimensions that hold what one must."""
    for name, dim in tuned.items():
        when = dim.get("when") if isinstance(dim, dict) else None
        conditions = (
            when
            if isinstance(when, dict) and all(isinstance(values, list) for values in when.values())
            else {}
        )
        known = {
            "when": {
                other: values
                for other, values in conditions.items()
                if other in (*Recipe.field_names(), *tuned)
            }
        }
        match dim:
            case {"options": [_, *_] as options} if all(map(_plain, options)):
                yield name, {"options": options, **known}
            case {"low": low, "high": high} if number(low) <= number(high) and (
                number(low) > 0 or not dim.get("log")
            ):
                kind = int if type(low) is type(high) is int else float
                yield (
                    name,
                    {"low": kind(low), "high": kind(high), "log": bool(dim.get("log")), **known},
                )
