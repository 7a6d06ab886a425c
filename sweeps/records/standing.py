"""What a sweep's files say of how it stands, whatever they hold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sweeps.records.journal import events_from
from sweeps.runner.resume import DESCRIPTION, JOURNAL
from trainables.metrics import VAL_SCORES, Score
from trainables.recipe import completed

OFFSET = "mlflow.offset"  # how far MLflow has the journal
UNREADABLE = (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError)


def described(folder: Path) -> dict[str, Any]:
    """What `sweep.json` says; `searched` is the number of arms that have something to tune."""
    found = json.loads((folder / DESCRIPTION).read_text())
    arms, trials, started = (
        tuple(found["arms"]),
        found["trials_per_arm"],
        datetime.fromisoformat(found["started"]),
    )
    if not (
        arms
        and all(isinstance(arm, str) for arm in arms)
        and type(trials) is int
        and isinstance(found["study"], str)
    ):
        raise ValueError(f"{DESCRIPTION} is no sweep's")
    searched = (
        sum(bool(found["definition"][arm]["tuned"]) for arm in arms)
        if "definition" in found
        else len(arms)
    )
    started = started if started.tzinfo else started.replace(tzinfo=UTC)
    about = {
        "study": found["study"],
        "submitted": str(found.get("submitted") or ""),
        "metric": score_of(found),
    }
    return about | {
        "arms": arms,
        "trials_per_arm": trials,
        "started": started,
        "searched": searched,
    }


def score_of(described: Mapping[str, Any]) -> Score:
    """What decides in a sweep; accuracy, as in earlier versions, where its description names nothing else."""
    options = described.get("options")
    named = options.get("score") if isinstance(options, Mapping) else None
    return next((score for score in VAL_SCORES if score == named), "accuracy")


def journalled(folder: Path, searched: int, trials: int) -> dict[str, Any]:
    """What the journal says, and the champion's file.

    Args:
        folder: The sweep's.
        searched: Number of arms that have something to tune.
        trials: Number of trials in each of them, as the sweep was described.
    """
    late, last, anew = 0, "", True
    finals: set[str] = set()  # that were ever wanted
    wanted: set[str] = set()  # by the last run
    ends: dict[str, Mapping[str, Any]] = {}
    recipes: dict[str, Any] = {}
    delivered = _delivered(folder)
    for event, after in events_from(folder / JOURNAL, 0):
        late += after > delivered
        match event["event"]:
            case "resumed":
                trials, last, anew = max(trials, int(event.get("trials_per_arm") or 0)), "", True
            case "finalists":
                wanted, anew = (set() if anew else wanted) | set(event["trial_ids"]), False
                finals |= wanted
            case "finish":
                partial = event.get("tags", {}).get("sweep.partial") == "true"
                last = (
                    "interrupted"
                    if partial and event["outcome"] == "completed"
                    else event["outcome"]
                )
            case "trial":
                name, recipe = str(event.get("trial_id")), completed(event.get("recipe") or {})
                if (
                    recipes.setdefault(name, recipe) != recipe and event.get("role") == "finalist"
                ):  # it is trained anew
                    ends.pop(name, None)
                    recipes[name] = recipe
            case "end":
                ends[event["trial_id"]] = event
    ended = {name: end for name, end in ends.items() if end["outcome"] != "interrupted"}
    scores = [
        float(end["score"])
        for end in ended.values()
        if end["outcome"] == "completed" and end.get("score") is not None
    ]
    found = {
        "state": {"completed": "finished", "failed": "failed"}.get(last, "interrupted"),
        "trials_per_arm": trials,
        "done": len(ended),
        "left": max(0, searched * trials - len(ended.keys() - finals)) + len(wanted - ended.keys()),
        "score": max(scores, default=None),
        "undelivered": late,
    }
    return found | (champion_of(folder) or {})


def champion_of(folder: Path) -> dict[str, Any] | None:
    """Trial and score of the champion; None where none was kept, or its file is damaged."""
    try:
        kept = json.loads((folder / "champion" / "recipe.json").read_text())
        return {"champion": str(kept["trial"]), "score": float(kept["score"])}
    except UNREADABLE:
        return None


def _delivered(folder: Path) -> int:
    try:
        return int(json.loads((folder / OFFSET).read_text())["offset"])
    except UNREADABLE:
        return 0
