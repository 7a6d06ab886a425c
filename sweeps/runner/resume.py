"""An earlier run of a sweep: its options, its history, and the lock of who continues it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cluster.addresses import is_masked
from cluster.refused import Refused
from sweeps.records.events import EventError
from sweeps.records.folder import JOURNAL, claimed, sweep_folder
from sweeps.records.history import History, read_history
from sweeps.records.journal import JournalError
from sweeps.records.manifest import bounds_of, read_manifest
from sweeps.runner.options import CHANGEABLE, KEPT, Options
from sweeps.tracking.chosen import with_login


@dataclass(frozen=True, slots=True)
class Past:
    """An earlier run of a sweep.

    Attributes:
        folder: The sweep's.
        manifest: What its `sweep.json` says.
        history: What its journal tells.
    """

    folder: Path
    manifest: Mapping[str, Any]
    history: History


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a sweep's lock as its one driver during a `with` block; a dead process does not hold it.

    Raises:
        Refused: Another process runs the sweep, or its folder cannot be written to or locked.
    """
    with ExitStack() as stack:
        try:
            free = stack.enter_context(claimed(folder, make=True))
        except OSError as error:
            raise Refused(
                f"{folder} must be a folder that can be written to and locked, but cannot "
                f"({error.strerror}): change its permissions, or choose another --storage."
            ) from error
        if not free:
            raise Refused(
                f"{folder.name} is being run by another process: wait for it, or stop it first."
            )
        yield


def past(storage: Path, name: str, study: str) -> Past:
    """Read what `--resume NAME` continues. Hold the sweep before, so that nobody changes it.

    Raises:
        Refused: It is another study's, or its files are damaged.
    """
    folder = sweep_folder(storage, name)
    try:
        manifest = read_manifest(folder)
        of_study = manifest["study"]
        journal = folder / JOURNAL
        # A driver may have been killed before its first event.
        history = read_history(journal) if journal.exists() else History()
    except (OSError, ValueError, LookupError, TypeError) as error:
        reason = f"it cannot be read ({type(error).__name__}: {error})"
        if isinstance(error, JournalError | EventError):
            reason = str(error)
        raise Refused(f"--resume {name!r}: {folder} must hold a sweep, but {reason}") from error
    if of_study != study:
        raise Refused(
            f"--resume {name!r} is a sweep of {of_study}, not of {study}: "
            f"run python sweeps/{of_study}.py."
        )
    return Past(folder, manifest, history)


def restored(options: Options, earlier: Past) -> Options:
    """Return the options of `--resume`, with those of the first command where a sweep keeps them.

    Raises:
        Refused: Fewer trials or seeds than the sweep has, or a tracking URI whose password is not
            stored.
    """
    # Sweeps of earlier versions name no score: accuracy decided.
    # Their finalists trained on the search's images, and the best weights of each stayed.
    before = {"score": "accuracy", "draws": "fixed", "keep": "best"}
    kept = {**before, **earlier.manifest["options"]}
    kept["tracking_uri"] = with_login(kept["tracking_uri"])
    trials = int(earlier.manifest["trials_per_arm"])
    # What is given must fit what the sweep has.
    problems = []
    if options.trials is not None and options.trials < trials:
        problems.append(
            f"--trials must be at least the {trials} that the sweep has, but got {options.trials}: "
            "leave it out."
        )
    seeds = len(earlier.manifest["finalist_seeds"])
    if options.seeds is not None and options.seeds < seeds:
        problems.append(
            f"--seeds must be at least the {seeds} that the sweep has, but got {options.seeds}: "
            "leave it out."
        )
    if options.tracking_uri is None and is_masked(kept["tracking_uri"] or ""):
        problems.append(
            "--tracking-uri must be given again, since its password is not stored: "
            f"{kept['tracking_uri']}."
        )
    if problems:
        raise Refused(*problems)

    # What may change, and a tuple, which is a list in the file.
    for name in CHANGEABLE:
        if getattr(options, name) is not None:
            kept[name] = getattr(options, name)
    if kept.get("columns"):
        kept["columns"] = tuple(kept["columns"])
    known = {name: value for name, value in kept.items() if name in KEPT}
    return replace(
        options,
        **known,
        trials=max(trials, options.trials or 0),
        seeds=max(seeds, options.seeds or 0) or None,
        ablate=options.ablate or earlier.manifest.get("ablate", False),
        name=earlier.folder.name,
    )


def finished(options: Options, earlier: Past) -> bool:
    """Return whether a sweep has all that is asked of it now."""
    more_trials = (options.trials or 0) > earlier.manifest["trials_per_arm"]
    more_seeds = (options.seeds or 0) > len(earlier.manifest["finalist_seeds"])
    ablations = options.ablate and not earlier.manifest.get("ablate", False)
    other_bounds = options.bounds != bounds_of(earlier.manifest)
    if other_bounds:
        return False
    return earlier.history.complete and not (more_trials or more_seeds or ablations)
