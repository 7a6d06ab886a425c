"""Hold a finished sweep's journal, MLflow and the recipes against each other.

    python benchmarks/audit.py FOLDER TRACKING_URI

Prints what is lost, repeated or duplicated; `lost` is the sum. Exit status 1 if there is anything.
"""

from __future__ import annotations

import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeAlias

sys.path.insert(0, str(Path(__file__).parents[1]))

from sweeps.records.events import (
    EpochsReported,
    Event,
    FinalistsChosen,
    TrialEnded,
    TrialStarted,
    from_json,
)
from sweeps.records.folder import JOURNAL, MANIFEST
from sweeps.records.history import History, Trial
from sweeps.records.journal import read
from sweeps.records.results import Outcome
from sweeps.tracking.environment import prepare_process
from trainables.metrics import EPOCH, VAL_ACCURACY

Problems: TypeAlias = dict[str, list[str]]
"""Examples by the kind of loss."""
OF_TRIALS = (TrialStarted, EpochsReported, TrialEnded)


def audit(folder: Path, tracking_uri: str) -> dict[str, Any]:
    """Counts by kind of loss, with examples.

    Args:
        folder: The sweep's folder.
        tracking_uri: Where MLflow has it.
    """
    problems: Problems = defaultdict(list)
    manifest = json.loads((folder / MANIFEST).read_text())
    events = list(filter(None, map(from_json, read(folder / JOURNAL))))
    history = in_journal(events, problems)
    chosen = [event.trial_ids for event in events if isinstance(event, FinalistsChosen)]
    finalists = {name for names in chosen for name in names}
    outcomes = {
        name: trial.outcome
        for name, trial in history.trials.items()
        if trial.told and trial.outcome
    }

    # What was asked for.
    searched = {
        f"{arm}/{number:03d}"
        for arm in manifest["arms"]
        for number in range(manifest["trials_per_arm"])
    }
    wanted = searched | finalists
    problems["trials lost"] += sorted(wanted - outcomes.keys())
    failed = [name for name, outcome in outcomes.items() if outcome is Outcome.FAILED]
    problems["failed trials"] += sorted(failed)

    # What MLflow has.
    runs = in_mlflow(manifest["study"], folder.name, tracking_uri)
    problems["trials not in MLflow"] += sorted(wanted - runs.keys())
    for trial_id, found in sorted(runs.items()):
        if len(found) > 1:
            problems["duplicate runs"].append(trial_id)
        for steps, said in found:
            compare(trial_id, history.trials.get(trial_id), steps, said, problems)

    counts = {kind: len(found) for kind, found in problems.items()}
    ended: dict[bool, Counter[str]] = {False: Counter(), True: Counter()}  # by "a finalist"
    for name, outcome in outcomes.items():
        ended[name in finalists][outcome.value] += 1
    return {
        "trials": len(wanted - finalists),
        "ended": dict(ended[False]),
        "finalists": dict(ended[True]),
        "epochs": sum(len(trial.epochs) for trial in history.trials.values()),
        "lost": sum(counts.values()),
        **counts,
        "examples": {kind: found[:5] for kind, found in problems.items() if found},
    }


def in_journal(events: Iterable[Event], problems: Problems) -> History:
    """Return the history, and note what it does not show: the fold takes each epoch once."""
    history = History()
    reported: dict[str, list[int]] = defaultdict(list)
    for event in events:
        before = history.trials.get(event.trial_id) if isinstance(event, OF_TRIALS) else None
        history.apply(event)
        match event:
            case TrialStarted() if history.trials[event.trial_id] is not before:
                reported.pop(event.trial_id, None)  # new, or a finalist whose recipe was changed
            case TrialStarted() | EpochsReported() if before and before.told:
                problems["finished trials run again"].append(event.trial_id)
            case TrialEnded() if before and before.finalist:
                if event.outcome is Outcome.COMPLETED and not event.test:
                    problems["finalists without a test"].append(event.trial_id)
        if isinstance(event, EpochsReported):
            reported[event.trial_id] += [int(epoch[EPOCH]) for epoch in event.epochs]

    for trial_id, numbers in reported.items():
        if numbers != list(range(1, len(numbers) + 1)):
            problems["epochs missing or repeated in the journal"].append(trial_id)
    for trial_id, trial in history.trials.items():
        completed = trial.told and trial.outcome is Outcome.COMPLETED
        if completed and len(reported[trial_id]) != trial.recipe["epochs"]:
            problems["completed trials that are too short"].append(trial_id)
    return history


def compare(
    trial_id: str, trial: Trial | None, steps: list[int], outcome: str, problems: Problems
) -> None:
    """Hold a run in MLflow against the journal's trial."""
    counted = Counter(steps)
    expected = {int(epoch[EPOCH]) for epoch in trial.epochs} if trial else set()
    repeated = [epoch for epoch, times in counted.items() if times > 1]
    for kind, epochs in (
        ("epochs missing in MLflow", sorted(expected - counted.keys())),
        ("epochs repeated in MLflow", repeated),
        ("epochs only in MLflow", sorted(counted.keys() - expected)),
    ):
        problems[kind] += [f"{trial_id} {epoch}" for epoch in epochs]
    told = trial.outcome if trial and trial.told else None
    if outcome != told:
        problems["outcomes that differ"].append(f"{trial_id}: {outcome} instead of {told}")


def in_mlflow(study: str, sweep: str, tracking_uri: str) -> dict[str, list[tuple[list[int], str]]]:
    """Steps and outcome of each trial's runs."""
    prepare_process()
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri)
    experiment = client.get_experiment_by_name(study)
    found: dict[str, list[tuple[list[int], str]]] = defaultdict(list)
    if experiment is None:
        return found
    where = f"tags.`sweep.name` = '{sweep}' and tags.`sweep.role` != 'sweep'"
    token = None
    while token != "":
        page = client.search_runs([experiment.experiment_id], where, page_token=token)
        for run in page:
            points = client.get_metric_history(run.info.run_id, VAL_ACCURACY)
            outcome = run.data.tags.get("sweep.outcome", "")
            found[run.data.tags["sweep.trial_id"]].append(([p.step for p in points], outcome))
        token = page.token or ""
    return found


if __name__ == "__main__":
    result = audit(Path(sys.argv[1]), sys.argv[2])
    print(json.dumps(result, indent=2))
    sys.exit(1 if result["lost"] else 0)
