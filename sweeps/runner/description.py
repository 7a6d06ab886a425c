"""The content of `sweep.json`, and the command that continues a sweep."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from typing import Any

from cluster.addresses import without_password
from cluster.session import RESUME
from sweeps.records import folder, manifest
from sweeps.records.deciding_code import code_digest
from sweeps.runner.options import KEPT
from sweeps.runner.plan import Materials, Plan
from sweeps.tracking.chosen import is_own


def describe(plan: Plan, materials: Materials) -> dict[str, Any]:
    """Return plain values of everything that decides what the sweep does."""
    # The score that decides by now, not the one that was asked for.
    options = {name: getattr(plan.options, name) for name in KEPT}
    options["score"] = plan.score
    options["keep"] = plan.options.keeps
    # The storage's own store has no place of its own: the storage may be moved.
    if options["tracking_uri"] and is_own(options["tracking_uri"], plan.storage):
        options["tracking_uri"] = None
    if options["tracking_uri"]:
        options["tracking_uri"] = without_password(options["tracking_uri"])
    return {
        # What was asked.
        "study": plan.study.name,
        "question": plan.study.question,
        "command": manifest.command(),
        "submitted": os.environ.get(RESUME, ""),
        "started": manifest.now(),
        "options": options,
        "preset": plan.preset_name,
        "seed": plan.options.seed,
        "arms": [arm.name for arm in plan.arms],
        "definition": manifest.definition(plan.arms),
        "trials_per_arm": plan.trials_per_arm,
        "ablate": plan.options.ablate,
        "finalist_recipes": plan.finalist_recipes,
        "finalist_seeds": list(plan.finalist_seeds),
        "worth": plan.study.worth,
        "contrasts": [asdict(contrast) for contrast in plan.study.contrasts],
        "published": [asdict(number) for number in plan.study.published],
        "assumptions": list(plan.study.assumptions),
        # What it is made of.
        "data": _data(plan, materials),
        "weights": _weights(materials),
        # What runs it.
        "slots": asdict(plan.slots),
        "compute": materials.compute.as_dict(),
        "code": code_digest(),
        "versions": manifest.versions(),
        "machine": manifest.machine(),
        "resumed": [],
    }


def resume_command(plan: Plan) -> str:
    """Return the command that continues this sweep; that of a job is for where it was submitted."""
    options = plan.options
    flags: list[str] = []
    if options.address != "local":
        flags += ["--address", options.address]
    if options.gpus is not None:
        flags += ["--gpus", str(options.gpus)]
    if options.gpus_per_trial is not None:
        flags += ["--gpus-per-trial", str(options.gpus_per_trial)]
    return folder.resume_command(
        sys.argv[0],
        plan.name,
        plan.storage,
        submitted=os.environ.get(RESUME, ""),
        flags=flags,
    )


def _weights(materials: Materials) -> list[dict[str, Any]]:
    """Return the file and digest of each pair of weights and backbone."""
    described = []
    for (name, backbone), weights in materials.weights.items():
        file = str(weights.path) if weights.path else None
        described.append(
            {"weights": name, "backbone": backbone, "file": file, "digest": weights.digest}
        )
    return described


def _data(plan: Plan, materials: Materials) -> dict[str, Any]:
    """Return the data set: where it came from, how it was read, and what was found in it."""
    data = materials.data
    return {
        "name": data.name,
        "source": plan.data,
        "digest": data.digest,
        "caps": asdict(plan.caps),
        "how": plan.options.how.as_dict(),
        "images": {split: sum(counts.values()) for split, counts in data.counts.items()},
        "counts": data.counts,
        "layout": data.layout,
        "origins": data.origins,
        "passed_over": data.passed_over,
        "notes": list(data.notes),
        "cautions": list(data.cautions),
        "classes": list(data.classes),
        "path": str(data.path),
    }
