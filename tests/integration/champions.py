"""Champions of sweeps that never ran, told to a real MLflow."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mlflow import MlflowClient

from sweeps.records.events import ChampionKept, DataRecord, SweepFinished, SweepStarted
from sweeps.records.journal import Journal
from sweeps.records.results import Outcome
from sweeps.tracking.registry import RegisteredModel, register_champion
from sweeps.tracking.tracker import Tracker
from trainables.backbones import build
from trainables.checkpoint import best, save_best
from trainables.recipe import Recipe

CLASSES = ("bee", "cat", "dog")
RECIPE = Recipe(weights="none", image_size=32)
NAME = "depth_vs_tricks-digits-demo"
# Of the test split of all predictions here.
LABELS = (0, 0, 0, 0, 1, 1, 2, 2)


def saved_checkpoint(folder: Path) -> Path:
    """Save an untrained network as a sweep keeps its champion."""
    save_best(folder, build(RECIPE, len(CLASSES)), RECIPE, CLASSES, epoch=1, score=0.5)
    path = best(folder)
    assert path
    return path.replace(folder / "best.pt")


def saved_predictions(path: Path, predicted: Sequence[int]) -> Path:
    """Write these classes as a finalist writes what it predicts for the test images."""
    path.parent.mkdir(parents=True, exist_ok=True)
    certain = np.log(np.eye(len(CLASSES), dtype=np.float32)[list(predicted)] * 0.9 + 0.05)
    np.savez_compressed(path, test=certain, test_labels=np.array(LABELS))
    return path


def start(uri: str, storage: Path, sweep_name: str) -> Tracker:
    """Tell a sweep's start."""
    folder = storage / "sweeps" / sweep_name
    folder.mkdir(parents=True, exist_ok=True)
    tracker = Tracker(uri, storage, Journal(folder / "trials.jsonl"))
    data = DataRecord(name="digits", digest="0" * 16, source="sklearn", num_images={"train": 10})
    tracker.tell(
        SweepStarted(
            study="depth_vs_tricks",
            sweep_name=sweep_name,
            tags={},
            params={},
            dataset=data,
            description="Does depth pay?",
        )
    )
    return tracker


def register(
    uri: str, storage: Path, checkpoint: Path, *, sweep_name: str, **fields: Any
) -> RegisteredModel:
    """Register the champion of a new sweep; `fields` are its event's."""
    tracker = start(uri, storage, sweep_name)
    try:
        assert tracker.flush()
        return told(uri, checkpoint, sweep_name=sweep_name, **fields)
    finally:
        tracker.tell(SweepFinished(outcome=Outcome.COMPLETED))
        assert tracker.close() is None


def told(uri: str, checkpoint: Path, *, sweep_name: str, **fields: Any) -> RegisteredModel:
    """Tell the champion of a sweep that MLflow knows, for the first time or again."""
    champion = kept(checkpoint, **({"time": told_at(sweep_name)} | fields))
    return register_champion(uri, run_of(uri, sweep_name), champion, {"sweep.name": sweep_name})


def kept(checkpoint: Path, **fields: Any) -> ChampionKept:
    """Return a champion's event."""
    common = {
        "name": NAME,
        "checkpoint": str(checkpoint),
        "recipe": RECIPE.as_dict(),
        "classes": CLASSES,
        "move_alias": True,
        "description": "**81.4%**",
    }
    return ChampionKept(**(common | fields))


def run_of(uri: str, sweep_name: str) -> str:
    """Return MLflow's id of a sweep's run."""
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("depth_vs_tricks")
    which = f"tags.`sweep.name` = '{sweep_name}'"
    (run,) = client.search_runs([experiment.experiment_id], which)
    return run.info.run_id


def told_at(sweep_name: str) -> int:
    """Return the moment at which a sweep told its champion: one of its own for each."""
    return zlib.crc32(sweep_name.encode())
