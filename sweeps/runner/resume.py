"""What an earlier run of a sweep left: its options, its trials, and whether what it was made of is still the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from search_spaces.space import Arm
from sweeps.records.journal import JournalError, read
from sweeps.records.results import Outcome
from sweeps.runner.options import READING_FLAGS, Options, Refused
from sweeps.tracking.store import is_masked
from trainables.metrics import EPOCH
from trainables.problems import unknown_name
from trainables.recipe import completed

DESCRIPTION, JOURNAL, LOCK = "sweep.json", "trials.jsonl", "driver.lock"
LIBRARIES = ("torch", "torchvision", "ray", "optuna", "mlflow")
KEPT = ("arms", "data", *READING_FLAGS, "weights", "preset", "score", "seed", "tracking_uri")
"""Options that a sweep keeps from its first command on."""


@dataclass(slots=True)
class PastTrial:
    """A trial as the journal has it; `end` is empty while it is left to do."""

    trial_id: str
    arm: str
    number: int
    sample: dict[str, Any]
    recipe: dict[str, Any]
    epochs: list[dict[str, Any]] = field(default_factory=list)
    end: dict[str, Any] = field(default_factory=dict)
    role: str = "trial"
    group: str = ""
    without: str = ""

    @property
    def outcome(self) -> Outcome | None:
        """How it ended; None where it is left to do. With all its epochs it is completed, whether that was written or not.

        A finalist is not completed before the test split has answered.
        """
        outcome = Outcome(self.end["outcome"]) if self.end else None
        if outcome not in (None, Outcome.INTERRUPTED):
            return outcome
        if self.role != "trial":
            return None
        return (
            Outcome.COMPLETED
            if self.epochs and self.epochs[-1][EPOCH] >= self.recipe["epochs"]
            else None
        )

    @property
    def told(self) -> bool:
        """Whether its end is in the journal."""
        return bool(self.end) and self.end["outcome"] != Outcome.INTERRUPTED.value


@dataclass(frozen=True, slots=True)
class Past:
    """An earlier run: its description, its trials in the order in which they were handed out, and whether all is done."""

    folder: Path
    description: Mapping[str, Any]
    trials: tuple[PastTrial, ...]
    finished: bool

    def of(self, role: str) -> tuple[PastTrial, ...]:
        """The trials of the search, or the finalists."""
        return tuple(trial for trial in self.trials if trial.role == role)


def past(storage: Path, name: str, study: str) -> Past:
    """Read what `--resume NAME` goes on with.

    Raises:
        Refused: There is no such sweep, it is another study's, or its files are damaged.
    """
    folder = storage / "sweeps" / name
    try:
        description = json.loads((folder / DESCRIPTION).read_text())
        events = (
            read(folder / JOURNAL) if (folder / JOURNAL).exists() else []
        )  # killed before its first event
        found = description["study"]
        trials = trials_of(events)
    except FileNotFoundError as error:
        known = sorted(path.parent.name for path in (storage / "sweeps").glob(f"*/{DESCRIPTION}"))
        problem = (
            unknown_name(name, known, f"sweep in {storage}")
            if known
            else f"--resume {name!r}: {storage} holds no sweep."
        )
        raise Refused(problem) from error
    except (OSError, ValueError, LookupError, TypeError) as error:
        reason = (
            str(error)
            if isinstance(error, JournalError)
            else f"it cannot be read ({type(error).__name__}: {error})"
        )
        raise Refused(f"--resume {name!r}: {folder} must hold a sweep, but {reason}") from error
    if found != study:
        raise Refused(
            f"--resume {name!r} is a sweep of {found}, not of {study}: run python sweeps/{found}.py."
        )
    ends = [event for event in events if event["event"] in ("finish", "resumed")]
    last = ends[-1] if ends else {}
    finished = (
        last.get("outcome") == Outcome.COMPLETED.value
        and last.get("tags", {}).get("sweep.partial") == "false"
    )
    return Past(folder, description, trials, finished)


def trials_of(events: Iterable[Mapping[str, Any]]) -> tuple[PastTrial, ...]:
    """Trials with their epochs, each epoch once, in the order in which they were first handed out."""
    found: dict[str, PastTrial] = {}
    for event in events:
        match event["event"]:
            case "trial":
                fields = {
                    name: event[name] for name in ("trial_id", "arm", "number", "sample", "recipe")
                }
                fields |= {
                    name: event[name] for name in ("role", "group", "without") if name in event
                }
                fields["recipe"] = completed(event["recipe"])
                trial = PastTrial(**fields)
                known = found.setdefault(event["trial_id"], trial)
                if (
                    trial.role == "finalist" and known.recipe != trial.recipe
                ):  # the study has changed, and that was accepted
                    found[event["trial_id"]] = trial
            case "epochs":
                trial = found[event["trial_id"]]
                done = trial.epochs[-1][EPOCH] if trial.epochs else 0
                trial.epochs += [epoch for epoch in event["epochs"] if epoch[EPOCH] > done]
            case "end":
                found[event["trial_id"]].end = dict(event)
    return tuple(found.values())


def restored(options: Options, earlier: Past) -> Options:
    """The options of `--resume`, with those of the sweep's first command where a sweep keeps them.

    Raises:
        Refused: Fewer trials than the sweep has, or a tracking URI whose password is not stored.
    """
    kept = {
        "score": "accuracy",
        **earlier.description["options"],
    }  # which decided in sweeps that name none
    trials, problems = int(earlier.description["trials_per_arm"]), []
    if options.trials is not None and options.trials < trials:
        problems.append(
            f"--trials must be at least the {trials} that the sweep has, but got {options.trials}: leave it out."
        )
    if options.tracking_uri is None and is_masked(kept["tracking_uri"] or ""):
        problems.append(
            f"--tracking-uri must be given again, since its password is not stored: {kept['tracking_uri']}."
        )
    if problems:
        raise Refused(*problems)
    if options.tracking_uri is not None:
        kept["tracking_uri"] = options.tracking_uri
    if kept.get("columns"):  # a list in the file
        kept["columns"] = tuple(kept["columns"])
    ablate = options.ablate or earlier.description.get("ablate", False)
    return replace(
        options,
        **kept,
        trials=max(trials, options.trials or 0),
        ablate=ablate,
        name=earlier.folder.name,
    )


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """A line for each thing that is no longer what it was when the sweep began."""
    lines = []
    for arm in sorted(before["definition"].keys() | now["definition"].keys()):
        old, new = before["definition"].get(arm), now["definition"].get(arm)
        if old != new:
            lines.append(f"arm {arm}: {_difference(old, new)}")
    if before["data"]["digest"] != now["data"]["digest"]:
        lines.append(
            f"data {now['data']['source']}: digest {before['data']['digest']} is now {now['data']['digest']}"
        )
    old_weights = {(w["weights"], w["backbone"]): w["digest"] for w in before["weights"]}
    for w in now["weights"]:
        old = old_weights.get((w["weights"], w["backbone"]))
        if old not in (None, w["digest"]):
            lines.append(
                f"weights {w['weights']} of {w['backbone']}: digest {old} is now {w['digest']}"
            )
    planned = (
        name
        for name in ("contrasts", "finalist_seeds")
        if name in before and before[name] != now[name]
    )
    lines += [
        f"{name.replace('_', ' ')}: {json.dumps(before[name])} is now {json.dumps(now[name])}"
        for name in planned
    ]
    if before["code"] != now["code"]:
        lines.append(f"code of this project: {before['code']} is now {now['code']}")
    for name, old in before["versions"].items():
        if now["versions"].get(name) != old:
            lines.append(f"{name}: {old} is now {now['versions'].get(name)}")
    return lines


def definition(arms: Sequence[Arm]) -> dict[str, Any]:
    """What a study says of each arm, as plain values that can be compared later."""
    found = {
        arm.name: {
            "fixed": dict(arm.fixed),
            "tuned": {n: asdict(dim) for n, dim in arm.tuned.items()},
        }
        for arm in arms
    }
    plain: dict[str, Any] = json.loads(json.dumps(found))  # as it will be read
    return plain


def code_digest() -> str:
    """Sixteen hex digits over the source of all that decides a trial's numbers and the search."""
    root, digest = Path(__file__).parents[2], hashlib.sha256()
    for package in ("trainables", "search_spaces", "sweeps/runner"):
        for path in sorted((root / package).rglob("*.py")):
            digest.update(f"{path.relative_to(root)}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def versions() -> dict[str, str]:
    """Of this project and the libraries that a result depends on."""
    return {name: version(name) for name in ("depth-vs-tricks", *LIBRARIES)}


def _difference(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> str:
    if old is None or new is None:
        return "is new" if old is None else "is gone"
    parts = []
    for role in ("fixed", "tuned"):
        for name in sorted(old[role].keys() | new[role].keys()):
            before, after = old[role].get(name), new[role].get(name)
            if before != after:
                parts.append(f"{role} {name} {json.dumps(before)} is now {json.dumps(after)}")
    return "; ".join(parts)
