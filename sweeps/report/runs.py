"""A sweep's folder, read into tables. It may be running, broken off, damaged or of an older version: nothing here raises."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from sweeps.commands.list import state_of
from sweeps.records.results import Outcome
from sweeps.records.standing import UNREADABLE, score_of
from sweeps.report.columns import COLUMNS, COUNTS, OF_EPOCH, OF_TEST, TEXTS
from sweeps.runner.resume import DESCRIPTION, JOURNAL
from trainables.metrics import EPOCH, SCORE, Score
from trainables.recipe import Recipe, completed

LARGEST = 2**53  # up to which whole numbers are exact; no quantity of a sweep comes near it


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """What is known of one sweep.

    Attributes:
        folder: Its own.
        state: running, finished, failed, interrupted or damaged.
        described: `sweep.json`, or what of it is sound.
        arms: In the study's order.
        tuned: By arm and name, what was searched: `low`, `high` and `log`, or `options`; and `when`.
        trials: A row a training run: `COLUMNS`, then the recipe's fields.
        epochs: A row an epoch: `trial_id`, `epoch`, and the metrics by their names.
        events: Of the journal, those that are sound.
        problems: A line for each thing that could not be read.
    """

    folder: Path
    state: str
    described: Mapping[str, Any]
    arms: tuple[str, ...]
    tuned: Mapping[str, Mapping[str, Mapping[str, Any]]]
    trials: pd.DataFrame
    epochs: pd.DataFrame
    events: tuple[Mapping[str, Any], ...]
    problems: tuple[str, ...]

    @property
    def compared(self) -> tuple[str, ...]:
        """The arms that the sweep has now; of others, which it no longer has, there are trials alone."""
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
        ended: How it ended, told by the driver that still holds the sweep's lock: finished, failed or interrupted.
    """
    problems: list[str] = []
    described = _described(folder / DESCRIPTION, problems)
    events = _events(folder / JOURNAL, problems)
    trials, epochs = _trials(events)
    named = described.get("arms")
    listed = [arm for arm in named if isinstance(arm, str)] if isinstance(named, list) else []
    arms = tuple(dict.fromkeys([*listed, *(row["arm"] for row in trials)]))
    tuned = {arm: _tuned(described, arm) for arm in arms}
    return Run(
        folder=folder,
        state=ended or state_of(folder).state,
        described=described,
        arms=arms,
        tuned=tuned,
        trials=_frame(trials, arms, tuned),
        epochs=pd.DataFrame(
            epochs,
            columns=list(dict.fromkeys(["trial_id", EPOCH, *(n for row in epochs for n in row)])),
        ),
        events=tuple(events),
        problems=tuple(problems),
    )


def number(value: Any) -> float:
    """A finite number, or NaN where it is none."""
    return float(value) if isinstance(value, (int, float)) and abs(value) < LARGEST else math.nan


def records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a table, by the names of its columns."""
    return [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]


def whole_numbers(values: Any) -> list[int]:
    """The whole numbers in what should be a list of them."""
    return [value for value in values if type(value) is int] if isinstance(values, list) else []


def _described(path: Path, problems: list[str]) -> dict[str, Any]:
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
    except UNREADABLE as error:
        problems.append(
            f"{path.name} cannot be read ({' '.join(str(error).split()) or type(error).__name__})."
        )
        return {}
    return described if isinstance(described, dict) else {}


def _events(path: Path, problems: list[str]) -> list[dict[str, Any]]:
    """Events that hold what an event of their kind must; a last line that is being written does not count as damaged."""
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except OSError as error:
        problems.append(f"{path.name} cannot be read ({error.strerror}).")
        return []
    events = [event for line in lines if (event := _event(line))]
    damaged = len(lines) - len(events) - bool(lines and not lines[-1].endswith(b"\n"))
    if damaged > 0:
        problems.append(
            f"{damaged} of {len(lines)} lines of {path.name} could not be understood and are left out."
        )
    return events


def _event(line: bytes) -> dict[str, Any] | None:
    try:
        event: dict[str, Any] = json.loads(line)
        match event:
            case {
                "event": "trial",
                "trial_id": str(),
                "arm": str(),
                "number": int() as at,
                "recipe": dict(),
            } if 0 <= at < LARGEST:
                return {**event, "role": "finalist" if event.get("role") == "finalist" else "trial"}
            case {"event": "epochs", "trial_id": str(), "epochs": list()}:
                return event
            case {"event": "end", "trial_id": str(), "outcome": str()}:
                return event
            case {"event": str() as kind} if kind not in ("trial", "epochs", "end"):
                return event
    except (ValueError, RecursionError):
        pass
    return None


def _trials(
    events: Iterable[Mapping[str, Any]],
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of training runs and of epochs; of a run that was resumed each epoch once, and its last end."""
    rows: dict[str, dict[str, Any]] = {}
    epochs: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        trial_id = str(event.get("trial_id"))
        if event["event"] == "trial":
            row = _started(event)
            known = rows.setdefault(trial_id, row)
            changed = any(
                known.get(name) != row[name] for name in completed(event["recipe"]) if name in row
            )
            if (
                event["role"] == "finalist" and changed
            ):  # as `sweeps.runner.resume.trials_of` has it
                rows[trial_id] = row
                epochs.pop(trial_id, None)
        elif trial_id not in rows:
            continue
        elif event["event"] == "epochs":
            done = epochs.setdefault(trial_id, [])
            for epoch in event["epochs"]:
                if isinstance(epoch, dict) and number(epoch.get(EPOCH)) > (
                    done[-1][EPOCH] if done else 0
                ):
                    metrics = {
                        name: number(value)
                        for name, value in epoch.items()
                        if isinstance(name, str)
                    }
                    done.append({"trial_id": trial_id, **metrics, EPOCH: int(epoch[EPOCH])})
        elif event["event"] == "end":
            rows[trial_id] |= _ended(event)
    for trial_id, row in rows.items():
        _complete(row, epochs.get(trial_id, []))
    return list(rows.values()), [epoch for done in epochs.values() for epoch in done]


def _started(event: Mapping[str, Any]) -> dict[str, Any]:
    without = event["without"] if isinstance(event.get("without"), str) else ""
    group = event["group"] if isinstance(event.get("group"), str) else ""
    if (
        event["role"] == "finalist"
    ):  # an ablation's is that of the recipe from which something was taken
        group = (group or str(event["trial_id"]).rpartition("/")[0]).removesuffix(
            f"/without-{without}"
        )
    row = {
        "trial_id": event["trial_id"],
        "role": event["role"],
        "arm": event["arm"],
        "number": event["number"],
        "group": group,
    }
    recipe = {
        name: value
        for name, value in completed(event["recipe"]).items()
        if _plain(value) and name not in COLUMNS
    }
    return {**row, "without": without, "outcome": "", "reason": "", **recipe}


def _plain(value: Any) -> bool:
    """Whether it is what a recipe's field can hold: a text, or a finite number."""
    return isinstance(value, str) or number(value) == number(value)


def _ended(event: Mapping[str, Any]) -> dict[str, Any]:
    test = event["test"] if isinstance(event.get("test"), dict) else {}
    return {
        "outcome": event["outcome"],
        "reason": event["reason"] if isinstance(event.get("reason"), str) else "",
        **{
            name: number(event.get(name))
            for name in ("score", "best_epoch", "wall_seconds", "device_seconds")
        },
        **{column: number(test.get(name)) for column, name in OF_TEST.items()},
    }


def _complete(row: dict[str, Any], epochs: Sequence[Mapping[str, Any]]) -> None:
    """What the epochs say of a run: how many, and its score where no end was written, or only that it was interrupted."""
    row["epochs_done"] = epochs[-1][EPOCH] if epochs else 0
    if epochs and math.isnan(number(row.get("score"))):
        row["score"] = number(epochs[-1].get(SCORE))
    best = next((epoch for epoch in epochs if epoch[EPOCH] == row.get("best_epoch")), {})
    row |= {column: number(best.get(name)) for column, name in OF_EPOCH.items()}
    if row["outcome"] in ("", Outcome.INTERRUPTED.value) and row["role"] == "trial" and epochs:
        asked = number(row.get("epochs"))
        row["outcome"] = Outcome.COMPLETED.value if row["epochs_done"] >= asked else row["outcome"]


def _frame(
    rows: Sequence[Mapping[str, Any]],
    arms: Sequence[str],
    tuned: Mapping[str, Mapping[str, Mapping[str, Any]]],
) -> pd.DataFrame:
    """In the order search, finalists, ablations; by arm, number and seed. What was searched as a number is one, or NaN."""
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
