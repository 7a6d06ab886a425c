"""Hold a finished sweep's journal, MLflow and the recipes against each other.

    python benchmarks/audit.py FOLDER TRACKING_URI

Prints what is lost, repeated or duplicated; `lost` is the sum. Exit status 1 if there is anything.
"""

from __future__ import annotations

import json
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any


def audit(folder: Path, tracking_uri: str) -> dict[str, Any]:
    """Counts by kind of loss, with examples.

    Args:
        folder: The sweep's folder.
        tracking_uri: Where MLflow has it.
    """
    description = json.loads((folder / "sweep.json").read_text())
    events = [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]
    wanted = {
        f"{arm}/{number:03d}"
        for arm in description["arms"]
        for number in range(description["trials_per_arm"])
    }
    chosen = [event for event in events if event["event"] == "finalists"]
    finalists = {trial_id for event in chosen for trial_id in event["trial_ids"]}
    wanted |= finalists
    problems: dict[str, list[str]] = defaultdict(list)
    epochs, outcomes = in_journal(events, problems)
    problems["trials lost"] += sorted(wanted - outcomes.keys())
    runs = in_mlflow(description["study"], folder.name, tracking_uri)
    problems["trials not in MLflow"] += sorted(wanted - runs.keys())
    for trial_id, found in sorted(runs.items()):
        if len(found) > 1:
            problems["duplicate runs"].append(trial_id)
        for steps, outcome in found:
            counted = Counter(steps)
            expected = set(epochs.get(trial_id, ()))
            problems["epochs missing in MLflow"] += [
                f"{trial_id} {epoch}" for epoch in sorted(expected - counted.keys())
            ]
            problems["epochs repeated in MLflow"] += [
                f"{trial_id} {epoch}" for epoch, times in counted.items() if times > 1
            ]
            problems["epochs only in MLflow"] += [
                f"{trial_id} {epoch}" for epoch in sorted(counted.keys() - expected)
            ]
            if outcome != outcomes.get(trial_id):
                problems["outcomes that differ"].append(
                    f"{trial_id}: {outcome} instead of {outcomes.get(trial_id)}"
                )
    counts = {kind: len(found) for kind, found in problems.items()}
    return {
        "trials": len(wanted - finalists),
        "ended": dict(
            Counter(outcome for name, outcome in outcomes.items() if name not in finalists)
        ),
        "finalists": dict(
            Counter(outcome for name, outcome in outcomes.items() if name in finalists)
        ),
        "epochs": sum(map(len, epochs.values())),
        "lost": sum(counts.values()),
        **counts,
        "examples": {kind: found[:5] for kind, found in problems.items() if found},
    }


def in_journal(
    events: list[dict[str, Any]], problems: dict[str, list[str]]
) -> tuple[dict[str, list[int]], dict[str, str]]:
    """Epochs and outcome of each trial."""
    epochs: dict[str, list[int]] = defaultdict(list)
    outcomes: dict[str, str] = {}
    length: dict[str, int] = {}
    finalists: set[str] = set()
    for event in events:
        trial_id = event.get("trial_id", "")
        if event["event"] in ("trial", "epochs") and trial_id in outcomes:
            problems["finished trials run again"].append(trial_id)
        if event["event"] == "trial":
            length[trial_id] = event["recipe"]["epochs"]
            finalists |= {trial_id} if event.get("role") == "finalist" else set()
        elif event["event"] == "epochs":
            epochs[trial_id] += [int(epoch["epoch"]) for epoch in event["epochs"]]
        elif event["event"] == "end" and event["outcome"] != "interrupted":
            if trial_id in finalists and event["outcome"] == "completed" and not event.get("test"):
                problems["finalists without a test"].append(trial_id)
            outcomes[trial_id] = event["outcome"]
    for trial_id, numbers in epochs.items():
        if numbers != list(range(1, len(numbers) + 1)):
            problems["epochs missing or repeated in the journal"].append(trial_id)
        if outcomes.get(trial_id) == "completed" and len(numbers) != length[trial_id]:
            problems["completed trials that are too short"].append(trial_id)
    problems["failed trials"] += sorted(
        trial_id for trial_id, outcome in outcomes.items() if outcome == "failed"
    )
    return epochs, outcomes


def in_mlflow(study: str, sweep: str, tracking_uri: str) -> dict[str, list[tuple[list[int], str]]]:
    """Steps and outcome of each trial's runs."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri)
    experiment = client.get_experiment_by_name(study)
    found: dict[str, list[tuple[list[int], str]]] = defaultdict(list)
    if experiment is None:
        return found
    where, token = f"tags.`sweep.name` = '{sweep}' and tags.`sweep.role` != 'sweep'", None
    while True:
        page = client.search_runs([experiment.experiment_id], where, page_token=token)
        for run in page:
            steps = [
                point.step for point in client.get_metric_history(run.info.run_id, "val/accuracy")
            ]
            found[run.data.tags["sweep.trial_id"]].append(
                (steps, run.data.tags.get("sweep.outcome", ""))
            )
        if not (token := page.token):
            return found


if __name__ == "__main__":
    result = audit(Path(sys.argv[1]), sys.argv[2])
    print(json.dumps(result, indent=2))
    sys.exit(1 if result["lost"] else 0)
