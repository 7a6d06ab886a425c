"""Names and paths in a sweep's folder, the sweeps of a storage, their locks and commands."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shlex
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

MANIFEST = "sweep.json"
JOURNAL = "trials.jsonl"
LOCK = "driver.lock"

# How far MLflow has the journal, and who is telling it.
OFFSET = "mlflow.offset"
DELIVERY_LOCK = "mlflow.lock"

# The champion's folder, and what is in it.
CHAMPION = "champion"
RECIPE = "recipe.json"
BEST = "best.pt"

CHECKPOINTS = "checkpoints"

# The storage that is used where no other is asked for.
STORAGE = "mlruns"

# What `flock` says where a file system has no locks, as some network mounts have none.
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP)

# How a notebook's call begins, where a shell has a command.
_CALL = "run_sweep("

# What reading a file that may hold anything can raise.
UNREADABLE = (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError)


@dataclass(frozen=True, slots=True)
class Kept:
    """The trial that was kept as the champion, and its score."""

    trial: str
    score: float


def sweeps_folder(storage: Path) -> Path:
    """Return the folder that holds a storage's sweeps."""
    return storage / "sweeps"


def sweep_folder(storage: Path, name: str) -> Path:
    """Return a sweep's own folder."""
    return sweeps_folder(storage) / name


def known_sweeps(storage: Path) -> list[str]:
    """Return the names of the sweeps in a storage, sorted: folders with a manifest or a journal."""
    names: set[str] = set()
    for file in (MANIFEST, JOURNAL):
        for path in sweeps_folder(storage).glob(f"*/{file}"):
            names.add(path.parent.name)
    return sorted(name for name in names if not name.startswith("."))


def file_name(trial_id: str) -> str:
    """Return a trial's name as a file or folder can have it."""
    return trial_id.replace("/", "-")


def checkpoints(folder: Path, trial_id: str) -> Path:
    """Return a trial's own folder for checkpoints."""
    return folder / CHECKPOINTS / file_name(trial_id)


def predictions(folder: Path, trial_id: str) -> Path:
    """Return the file with what a finalist predicts for each image of val and test."""
    return folder / "predictions" / f"{file_name(trial_id)}.npz"


def kept_champion(folder: Path) -> Kept | None:
    """Return the champion's trial and score; None where none was kept, or its file is damaged."""
    try:
        kept = json.loads((folder / CHAMPION / RECIPE).read_text())
        return Kept(str(kept["trial"]), float(kept["score"]))
    except UNREADABLE:
        return None


def check_locks(folder: Path, flag: str) -> None:
    """Check that files can be made and locked in a folder, and leave nothing behind.

    Args:
        folder: One that exists.
        flag: What names another one, for the error.

    Raises:
        OSError: No file can be made there.
        ValueError: The file system has no locks.
    """
    with tempfile.TemporaryFile(dir=folder) as file:
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            raise ValueError(
                f"{flag} must be on a file system that has locks, but that of {folder} has none "
                f"({error.strerror}): mount it with locks, or choose another place."
            ) from error


@contextmanager
def claimed(folder: Path, *, shared: bool = False, make: bool = False) -> Iterator[bool]:
    """Hold the lock of a sweep's driver for the time of a `with` block.

    The block gets False where a driver, or another process, has it. The lock is `flock`'s, as
    filelock takes it on POSIX: a dead process does not hold it.

    Args:
        folder: The sweep's folder.
        shared: Only look: several processes may at once.
        make: Make the lock's file where there is none, as a driver does.

    Raises:
        OSError: The file cannot be opened; or a driver asks, and the file system has no locks.
    """
    flags = os.O_RDWR
    kind = fcntl.LOCK_EX
    if shared:
        flags = os.O_RDONLY
        kind = fcntl.LOCK_SH
    if make:
        flags |= os.O_CREAT
    try:
        file = os.open(folder / LOCK, flags | os.O_CLOEXEC, 0o644)
    except FileNotFoundError:
        yield True
        return
    # The block runs with the lock held, or without it where another process has it.
    try:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
            free = True
        except OSError as error:
            if make and error.errno in NO_LOCKS:
                raise
            # Another process has it. Where there are no locks, no driver can have begun.
            free = error.errno in NO_LOCKS
        yield free
    finally:
        os.close(file)


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of all files below a folder; files that disappear are 0.

    A file that has several names there counts once.
    """
    sizes = {}
    for found in _files(path):
        sizes[found.st_dev, found.st_ino] = found.st_size
    return sum(sizes.values())


def freed_by(paths: Iterable[Path]) -> int:
    """Return the bytes that removing files and folders frees.

    A file that has another name elsewhere stays: MLflow's store may hold the champion's weights.
    """
    sizes = {}
    names: Counter[tuple[int, int]] = Counter()
    for path in paths:
        for found in _files(path):
            key = (found.st_dev, found.st_ino)
            names[key] += 1
            if names[key] >= found.st_nlink:
                sizes[key] = found.st_size
    return sum(sizes.values())


def _files(path: Path) -> Iterator[os.stat_result]:
    """Yield what the system knows of a file, or of each file below a folder."""
    if path.is_symlink() or not path.is_dir():
        with suppress(OSError):
            yield path.lstat()
        return
    for place, _, names in os.walk(path):
        for name in names:
            with suppress(OSError):
                # A Path for each file takes long.
                yield os.lstat(os.path.join(place, name))  # noqa: PTH118


def resume_command(
    study: str, name: str, storage: Path, *, submitted: str = "", flags: Sequence[str] = ()
) -> str:
    """Return the command that continues a sweep, as a shell takes it.

    Args:
        study: Path of the study's file.
        name: The sweep's name.
        storage: Where it is; the default one of the working folder needs no flag.
        submitted: The command that continues a sweep that was submitted to a cluster, as its
            submission gave it.
        flags: More flags with their values.
    """
    if submitted:
        return submitted
    words = ["python", study, "--resume", name, *flags]
    if not _is_default(storage):
        words += ["--storage", str(storage)]
    return shlex.join(words)


def resume_call(name: str, storage: Path) -> str:
    """Return what continues a sweep in the notebook that it was started from."""
    words = [f"resume={name!r}"]
    if not _is_default(storage):
        words.append(f"storage={str(storage)!r}")
    return f"{_CALL}STUDY, {', '.join(words)})"


def is_call(command: str) -> bool:
    """Return whether what continues a sweep is a notebook's call, and no command."""
    return command.startswith(_CALL)


def with_seeds(command: str, seeds: int) -> str:
    """Return what continues a sweep, a command or a notebook's call, asking for so many seeds."""
    if is_call(command):
        return f"{command.removesuffix(')')}, seeds={seeds})"
    return f"{command} --seeds {seeds}"


def at(storage: Path) -> str:
    """Return the flag that names a storage, with a space before it; empty for the default one."""
    if _is_default(storage):
        return ""
    return f" --storage {shlex.quote(str(storage))}"


def _is_default(storage: Path) -> bool:
    """Return whether a storage is the one that commands use in this working folder."""
    try:
        return storage.absolute() == Path.cwd() / STORAGE
    # The working folder was deleted meanwhile.
    except FileNotFoundError:
        return False
