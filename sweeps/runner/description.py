"""`sweep.json`: what a sweep was asked for and made of, so that it can be resumed, and told apart from every other one."""

from __future__ import annotations

import json
import os
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from cluster.commandline import RESUME
from sweeps.runner.machine import commit, processor
from sweeps.runner.mlflow_store import without_password
from sweeps.runner.plan import Materials, Plan
from sweeps.runner.resume import DESCRIPTION, KEPT, code_digest, definition, versions


def describe(plan: Plan, materials: Materials) -> dict[str, Any]:
    """Plain values of everything that decides what the sweep does."""
    options = {name: getattr(plan.options, name) for name in KEPT} | {"score": plan.score}
    options["tracking_uri"] = (
        without_password(options["tracking_uri"]) if options["tracking_uri"] else None
    )
    return {
        "study": plan.study.name,
        "question": plan.study.question,
        "command": command(),
        "submitted": os.environ.get(RESUME, ""),
        "started": _now(),
        "options": options,
        "preset": plan.preset_name,
        "seed": plan.options.seed,
        "arms": [arm.name for arm in plan.arms],
        "definition": definition(plan.arms),
        "trials_per_arm": plan.trials_per_arm,
        "ablate": plan.options.ablate,
        "finalist_seeds": list(plan.finalist_seeds),
        "contrasts": [asdict(contrast) for contrast in plan.study.contrasts],
        "published": [asdict(number) for number in plan.study.published],
        "assumptions": list(plan.study.assumptions),
        "data": {
            "name": materials.data.name,
            "source": plan.data,
            "digest": materials.data.digest,
            "caps": asdict(plan.caps),
            "how": plan.options.how.as_dict(),
            "images": {
                split: sum(counts.values()) for split, counts in materials.data.counts.items()
            },
            "counts": materials.data.counts,
            "layout": materials.data.layout,
            "origins": materials.data.origins,
            "passed_over": materials.data.passed_over,
            "notes": list(materials.data.notes),
            "cautions": list(materials.data.cautions),
            "classes": list(materials.data.classes),
            "path": str(materials.data.path),
        },
        "weights": [
            {
                "weights": pair[0],
                "backbone": pair[1],
                "file": str(weights.path) if weights.path else None,
                "digest": weights.digest,
            }
            for pair, weights in materials.weights.items()
        ],
        "slots": asdict(plan.slots),
        "compute": materials.compute.as_dict(),
        "code": code_digest(),
        "versions": versions(),
        "machine": machine(),
        "resumed": [],
    }


def resumed(
    before: Mapping[str, Any], now: Mapping[str, Any], changes: Sequence[str]
) -> dict[str, Any]:
    """The description of a sweep that goes on: what it is now, with its first command and what changed when."""
    again = {"at": now["started"], "command": now["command"], "changes": list(changes)}
    return {
        **now,
        "started": before["started"],
        "command": before["command"],
        "resumed": [*before["resumed"], again],
    }


def write(plan: Plan, described: Mapping[str, Any]) -> None:
    """Put it into the sweep's folder, whole or not at all."""
    temporary = plan.folder / f".{DESCRIPTION}.tmp"
    with temporary.open("w") as file:
        file.write(json.dumps(described, indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(plan.folder / DESCRIPTION)


def command() -> str:
    """The command line, without passwords."""
    return " ".join(["python", *(shlex.quote(without_password(word)) for word in sys.argv)])


def resume_command(plan: Plan) -> str:
    """What goes on with this sweep; of a job, where it was submitted."""
    if submitted := os.environ.get(RESUME):
        return submitted
    options = plan.options
    address = None if options.address == "local" else options.address
    flags = (
        ("--address", address),
        ("--gpus", options.gpus),
        ("--gpus-per-trial", options.gpus_per_trial),
    )
    where = "".join(f" {flag} {value}" for flag, value in flags if value is not None)
    storage = (
        ""
        if plan.storage.name == "mlruns" and plan.storage.parent.samefile(".")
        else f" --storage {plan.storage}"
    )
    return f"python {shlex.quote(sys.argv[0])} --resume {plan.name}{where}{storage}"


def machine() -> dict[str, str]:
    """What a figure depends on beside the code: system, Python, processor, commit."""
    return {
        "system": platform.platform(),
        "python": platform.python_version(),
        "processor": processor(),
        "commit": commit() or "none",
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
