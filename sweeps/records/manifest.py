"""`sweep.json`: what a sweep was asked for and is made of, so that it can be resumed."""

from __future__ import annotations

import json
import os
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cluster.addresses import without_secrets
from search_spaces.space import Arm
from sweeps.records.champion import Bounds
from sweeps.records.deciding_code import code_change
from sweeps.records.fields import number
from sweeps.records.folder import MANIFEST
from trainables.files import write_whole
from trainables.metrics import VAL_SCORES, Score

ROOT = Path(__file__).parents[2]
NO_SWEEP = f"{MANIFEST} must describe a sweep, but does not"
LIBRARIES = ("torch", "torchvision", "ray", "optuna", "mlflow")
CALLED = "DVT_CALLED"
"""In the environment of a sweep that a notebook started: the call, without a password."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Described:
    """The sweep that a manifest asks for.

    Attributes:
        study: Its study's name.
        study_file: Path of the study, as it was started.
        submitted: The command that continues it, where it was submitted to a cluster; else empty.
        arms: Names of its arms.
        searched: Names of those that have something to tune.
        trials_per_arm: As it was described.
        started: When it was first started.
        metric: What its score is.
    """

    study: str
    study_file: str
    submitted: str
    arms: tuple[str, ...]
    searched: tuple[str, ...]
    trials_per_arm: int
    started: datetime
    metric: Score


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the content of a sweep's manifest.

    Raises:
        OSError: There is none, or it cannot be read.
        ValueError: It is damaged.
    """
    content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        # The file's type is wrong, not the caller's.
        raise ValueError(NO_SWEEP)  # noqa: TRY004
    return content


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write the manifest into the sweep's folder, whole or not at all.

    Raises:
        OSError: It cannot be written.
    """
    write_whole(folder / MANIFEST, json.dumps(manifest, indent=2) + "\n")


def described(folder: Path) -> Described:
    """Return the sweep that the manifest in a folder asks for.

    Raises:
        OSError, ValueError, LookupError, TypeError, AttributeError: There is no sound manifest.
    """
    manifest = read_manifest(folder)

    # Arms and trials, as far as they can be wrong without raising below.
    arms = tuple(manifest["arms"])
    trials = manifest["trials_per_arm"]
    if not arms or not all(isinstance(arm, str) for arm in arms):
        raise ValueError(NO_SWEEP)
    if type(trials) is not int or not isinstance(manifest["study"], str):
        raise ValueError(NO_SWEEP)

    # Manifests of earlier versions have no definition: all arms were tuned.
    searched = arms
    if "definition" in manifest:
        searched = tuple(arm for arm in arms if manifest["definition"][arm]["tuned"])
    started = datetime.fromisoformat(manifest["started"])
    if not started.tzinfo:
        started = started.replace(tzinfo=UTC)
    return Described(
        study=manifest["study"],
        study_file=study_file(manifest),
        submitted=str(manifest.get("submitted") or ""),
        arms=arms,
        searched=searched,
        trials_per_arm=trials,
        started=started,
        metric=score_of(manifest),
    )


def study_file(manifest: Mapping[str, Any]) -> str:
    """Return the path of the study that made a sweep.

    It is as the sweep was started, or where that is not known, as the project has it.
    """
    try:
        words = shlex.split(str(manifest.get("command") or ""))
    except ValueError:
        words = []
    if len(words) > 1 and words[0] == "python" and words[1].endswith(".py"):
        return words[1]
    return f"sweeps/{manifest.get('study')}.py"


def score_of(manifest: Mapping[str, Any]) -> Score:
    """Return the score that decides in a sweep; in earlier versions, which name none, accuracy."""
    options = manifest.get("options")
    if isinstance(options, Mapping):
        for score in VAL_SCORES:
            if score == options.get("score"):
                return score
    return "accuracy"


def resumed(
    before: Mapping[str, Any], now: Mapping[str, Any], changed: Sequence[str]
) -> dict[str, Any]:
    """Return the manifest of a sweep that is resumed.

    It is as the sweep is now, with its first command, and with a list of what changed when.
    """
    # A new command each time; the first stays where readers of every version look for it.
    again = {"at": now["started"], "command": now["command"], "changes": list(changed)}
    first = {"started": before["started"], "command": before["command"]}
    return {**now, **first, "resumed": [*before["resumed"], again]}


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return a line for each thing that is no longer what it was when the sweep began."""
    lines = []

    # What is trained, on what, and from which weights.
    for arm in sorted(before["definition"].keys() | now["definition"].keys()):
        old = before["definition"].get(arm)
        new = now["definition"].get(arm)
        if old != new:
            lines.append(f"arm {arm}: {_difference(old, new)}")
    old_data = before["data"]["digest"]
    new_data = now["data"]["digest"]
    if old_data != new_data:
        lines.append(f"data {now['data']['source']}: digest {old_data} is now {new_data}")
    digests = {(old["weights"], old["backbone"]): old["digest"] for old in before["weights"]}
    for new in now["weights"]:
        digest = digests.get((new["weights"], new["backbone"]))
        if digest not in (None, new["digest"]):
            what = f"weights {new['weights']} of {new['backbone']}"
            lines.append(f"{what}: digest {digest} is now {new['digest']}")

    # What is asked of the results. More seeds may be, fewer or others may not.
    for name in ("contrasts", "finalist_recipes", "finalist_seeds", "worth"):
        if name in before and before[name] != now[name] and not _extends(before[name], now[name]):
            old_text = json.dumps(before[name])
            lines.append(f"{name.replace('_', ' ')}: {old_text} is now {json.dumps(now[name])}")

    # What runs it.
    if before["code"] != now["code"]:
        lines.append(code_change(str(before["code"]), str(now["code"])))
    for name, old in before["versions"].items():
        if now["versions"].get(name) != old:
            lines.append(f"{name}: {old} is now {now['versions'].get(name)}")
    return lines


def _extends(before: Any, now: Any) -> bool:
    """Return whether a list of seeds goes on where the earlier one ended."""
    if not isinstance(before, list) or not isinstance(now, list):
        return False
    return all(isinstance(seed, int) for seed in now) and list(now)[: len(before)] == list(before)


def bounds_of(manifest: Mapping[str, Any]) -> Bounds:
    """Return what a sweep's champion may cost; earlier versions know no bound."""
    options = manifest.get("options")
    bounds: dict[str, float | None] = {}
    for name in ("max_ms", "max_mb"):
        value = options.get(name) if isinstance(options, Mapping) else None
        bounds[name] = number(value)
    return Bounds(ms=bounds["max_ms"], mb=bounds["max_mb"])


def definition(arms: Sequence[Arm]) -> dict[str, Any]:
    """Return the fixed and tuned values of each arm, plain, so that they can be compared later."""
    by_arm = {}
    for arm in arms:
        tuned = {name: asdict(dim) for name, dim in arm.tuned.items()}
        by_arm[arm.name] = {"fixed": dict(arm.fixed), "tuned": tuned}
    # As they will be read: lists for tuples.
    plain: dict[str, Any] = json.loads(json.dumps(by_arm))
    return plain


def versions() -> dict[str, str]:
    """Return the versions of this project and of the libraries that a result depends on."""
    return {name: version(name) for name in ("depth-vs-tricks", *LIBRARIES)}


def machine() -> dict[str, str]:
    """Return what numbers depend on besides the libraries: system, Python, processor, commit."""
    return {
        "system": platform.platform(),
        "python": platform.python_version(),
        "processor": processor(),
        "commit": commit() or "none",
    }


def command() -> str:
    """Return this process's command line, without passwords; in a notebook, the call."""
    called = os.environ.get(CALLED)
    if called:
        return called
    words = [shlex.quote(word) for word in without_secrets(sys.argv)]
    return " ".join(["python", *words])


def now() -> str:
    """Return the time in UTC, to the second, as the manifest has it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def commit(root: Path = ROOT) -> str:
    """Return the commit of this project's code, and whether it was changed since.

    The text is empty where there is no commit.
    """
    if not (root / ".git").exists():
        return ""
    try:
        head = _git(root, "rev-parse", "--short=12", "HEAD")
        changed = _git(root, "status", "--porcelain")
    # There is no git, or it does not trust the folder.
    except (OSError, subprocess.SubprocessError):
        return ""
    if changed:
        return f"{head}, with changes"
    return head


def processor() -> str:
    """Return the processor's model, where the system tells it."""
    try:
        cpuinfo = Path("/proc/cpuinfo").read_text()
    except OSError:
        cpuinfo = ""
    models = re.findall(r"^model name\s*:\s*(.*)", cpuinfo, re.MULTILINE)
    if models:
        return f"{models[0]}, {len(models)} CPUs"
    return platform.processor() or platform.machine()


def _difference(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> str:
    """Return how an arm's definition has changed, in words."""
    if old is None:
        return "is new"
    if new is None:
        return "is gone"
    parts = []
    for role in ("fixed", "tuned"):
        for name in sorted(old[role].keys() | new[role].keys()):
            before = old[role].get(name)
            after = new[role].get(name)
            if before != after:
                parts.append(f"{role} {name} {json.dumps(before)} is now {json.dumps(after)}")
    return "; ".join(parts)


def _git(root: Path, *words: str) -> str:
    """Return what a git command prints."""
    command = ["git", "-C", str(root), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    return done.stdout.strip()
