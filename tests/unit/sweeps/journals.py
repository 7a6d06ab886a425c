"""Sweeps made by hand: lines of a journal as a driver writes them, folders as one leaves them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from sweeps.records.events import (
    DataRecord,
    EpochsReported,
    FinalistsChosen,
    SweepFinished,
    SweepResumed,
    SweepStarted,
    TrialEnded,
    TrialStarted,
    from_json,
    to_json,
)
from sweeps.records.history import History, fold
from sweeps.records.results import Finalist, Outcome, trial_name
from trainables.metrics import EPOCH, SCORE, VAL_ACCURACY
from trainables.recipe import Recipe

Line: TypeAlias = dict[str, Any]

ARMS = ("resnet18/plain", "resnet18/tricks")

HOLD = """
import sys, filelock
with filelock.FileLock(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


def sweep_started(name: str = "one") -> Line:
    """Return what a driver writes when it opens a sweep."""
    data = DataRecord(name="digits", digest="d", source="digits", num_images={"train": 100})
    event = SweepStarted(
        study="depth_vs_tricks",
        sweep_name=name,
        tags={"sweep.preset": "demo"},
        params={"seed": 0},
        dataset=data,
        description="Does depth pay?",
    )
    return to_json(event)


def resumed(trials: int = 0) -> Line:
    return to_json(SweepResumed(changes=(), trials_per_arm=trials))


def chosen(*trial_ids: str) -> Line:
    """Return the choice of these finalists."""
    return to_json(FinalistsChosen(trial_ids=trial_ids))


def started(arm: str, number: int = 0, recipe: Mapping[str, Any] | None = None) -> Line:
    """Return the start of a trial of the search."""
    event = TrialStarted(
        trial_id=trial_name(arm, number),
        arm=arm,
        number=number,
        sample={"stage2_lr": 0.1},
        recipe=recipe or Recipe().as_dict(),
    )
    return to_json(event)


def finalist_started(
    arm: str,
    number: int = 0,
    *,
    seed: int = 0,
    without: str | None = None,
    recipe: Mapping[str, Any] | None = None,
) -> Line:
    """Return the start of a seed of the finalist that has a trial's recipe, or of an ablation."""
    group = trial_name(arm, number)
    if without:
        group += f"/without-{without}"
    event = TrialStarted(
        trial_id=f"{group}/s{seed}",
        arm=arm,
        number=number,
        recipe=recipe or Recipe().as_dict(),
        finalist=Finalist(group, without),
    )
    return to_json(event)


def epochs(trial_id: str, *numbers: int, score: float | None = None) -> Line:
    """Return a report of these epochs; their score is a tenth of their number if none is given."""
    reported = []
    for number in numbers:
        value = number / 10 if score is None else score
        reported.append({EPOCH: number, SCORE: value, VAL_ACCURACY: value})
    return to_json(EpochsReported(trial_id=trial_id, epochs=reported))


def ended(
    trial_id: str, outcome: str = "completed", score: float | None = None, **more: Any
) -> Line:
    event = TrialEnded(trial_id=trial_id, outcome=Outcome(outcome), score=score, **more)
    return to_json(event)


def finished(outcome: str = "completed", *, partial: bool | None = None) -> Line:
    """Return the end of a driver; None is one of an early version, which did not say it."""
    tags = {} if partial is None else {"sweep.partial": str(partial).lower()}
    return to_json(SweepFinished(outcome=Outcome(outcome), tags=tags))


def trial(
    arm: str, number: int, outcome: str = "completed", score: float | None = 0.5
) -> list[Line]:
    """Return the start, one epoch and the end of a trial of the search."""
    name = trial_name(arm, number)
    return [
        started(arm, number),
        epochs(name, 1, score=score),
        ended(name, outcome, score),
    ]


ALL = [
    line
    for at, arm in enumerate(ARMS)
    for number in (0, 1)
    for line in trial(arm, number, score=(at + number) / 4)
]
"""Both trials of both arms, completed, with scores from 0 to 0.5."""


def history_of(lines: Iterable[Line]) -> History:
    """Return what lines come to, once they were written and read."""
    events = [from_json(json.loads(json.dumps(line))) for line in lines]
    return fold(event for event in events if event is not None)


def write_journal(folder: Path, lines: Iterable[Line]) -> Path:
    """Write a sweep's journal."""
    journal = folder / "trials.jsonl"
    journal.write_text("".join(json.dumps({"time": 0, **line}) + "\n" for line in lines))
    return journal


def write_sweep(
    storage: Path, name: str = "one", lines: Sequence[Line] = (), **described: Any
) -> Path:
    """Write a sweep's folder of two arms with two trials each, as a driver leaves it."""
    folder = storage / "sweeps" / name
    folder.mkdir(parents=True)
    values = {
        "study": "depth_vs_tricks",
        "started": "2025-11-22T01:26:00+00:00",
        "arms": ARMS,
        "trials_per_arm": 2,
    }
    (folder / "sweep.json").write_text(json.dumps(values | described))
    (folder / "driver.lock").touch()
    write_journal(folder, [sweep_started(name), *lines])
    deliver(folder)
    return folder


def deliver(folder: Path, *, but: int = 0) -> None:
    """Note that MLflow has all events but the last few."""
    lines = (folder / "trials.jsonl").read_bytes().splitlines(keepends=True)
    offset = sum(map(len, lines[: len(lines) - but]))
    noted = {"uri": "sqlite:///mlflow.db", "offset": offset}
    (folder / "mlflow.offset").write_text(json.dumps(noted))


@contextmanager
def other_driver(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Let another process hold the sweep's lock."""
    command = [sys.executable, "-c", HOLD, str(folder / "driver.lock")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()
