"""What is kept of the best trial: its checkpoint, its recipe with the command that trains it again, its registered model."""

from __future__ import annotations

import json
import shlex
import shutil
from dataclasses import asdict
from pathlib import Path

from sweeps.runner.champion import register_champion
from sweeps.runner.plan import Materials, Plan
from sweeps.runner.results import Results, TrialRecord, best
from sweeps.runner.tracking import Tracker, TrackingError
from trainables.checkpoint import BEST
from trainables.export import load_classifier


def checkpoint_folder(plan: Plan, trial_id: str) -> Path:
    """A trial's own folder for checkpoints."""
    return plan.folder / "checkpoints" / trial_id.replace("/", "-")


def keep(plan: Plan, materials: Materials, record: TrialRecord) -> dict[str, Path]:
    """Put the best trial's checkpoint and recipe into the sweep's `champion` folder; local files by artifact path."""
    folder = plan.folder / "champion"
    folder.mkdir(exist_ok=True)
    shutil.copyfile(checkpoint_folder(plan, record.trial_id) / BEST, folder / BEST)
    weights = materials.weights[record.recipe.weights, record.recipe.backbone]
    written = {
        "command": f"python -m trainables {shlex.quote(str(folder / 'recipe.json'))}",
        "trial": record.trial_id,
        "score": record.score,
        "recipe": record.recipe.as_dict(),
        "data": {
            "source": str(path.resolve()) if (path := Path(plan.data).expanduser()).exists() else plan.data,
            "digest": materials.data.digest,
            "image_size": plan.image_size,
            "caps": asdict(plan.caps),
            "seed": plan.options.seed,
        },
        "weights_file": str(weights) if weights else None,
        "cache": str(plan.cache),
        "device": plan.slots.device,
        "threads": plan.slots.cpus,
        "compute": materials.compute.as_dict(),
    }
    (folder / "recipe.json").write_text(json.dumps(written, indent=2) + "\n")
    return {"champion/best.pt": folder / BEST, "champion/recipe.json": folder / "recipe.json"}


def drop_others(plan: Plan, results: Results) -> None:
    """Delete the checkpoints of all trials but the best of each arm: 45 MB and more each."""
    kept = {checkpoint_folder(plan, top.trial_id) for arm in results.arms if (top := best(results.records(arm)))}
    for folder in (plan.folder / "checkpoints").glob("*"):
        if folder not in kept:
            shutil.rmtree(folder)


def register(plan: Plan, materials: Materials, tracker: Tracker, record: TrialRecord, *, move_alias: bool) -> str:
    """Export the kept checkpoint and register it; a line for the user. Only a whole sweep moves the alias `champion`."""
    checkpoint = plan.folder / "champion" / BEST
    try:
        made = register_champion(
            tracker,
            name=f"{plan.study.name}-{materials.data.name}",
            classifier=load_classifier(checkpoint),
            checkpoint=checkpoint,
            recipe=record.recipe.as_dict(),
            classes=materials.data.classes,
            move_alias=move_alias,
            description=f"{record.trial_id} of sweep {plan.name}, validation accuracy {record.score:.4f}",
        )
    except TrackingError as error:
        return str(error)
    return f"Champion: {record.trial_id}, {100 * (record.score or 0):.1f}% on val, registered as {made.uri}"
