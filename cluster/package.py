"""What of the project is shipped to a cluster: its files, but nothing that git ignores; equal files give equal archives."""

from __future__ import annotations

import subprocess
import zipfile
from collections.abc import Sequence
from pathlib import Path

from cluster.refused import Refused

MOST_BYTES = 50 * 2**20
"""The project has 2 MB. Ray keeps archives in the memory of its head, and refuses half a gigabyte."""
_SHOWN = 5
_ANCIENT = (
    1980,
    1,
    1,
    0,
    0,
    0,
)  # the earliest time of an archive: what it holds decides its name, not when


def files(root: Path, packages: Sequence[str], without: Sequence[Path] = ()) -> list[Path]:
    """The files to ship, relative to the root: those that git tracks or would; where there is no git, its packages' Python.

    Args:
        root: The project's folder.
        packages: Its packages, of which Python's files are shipped where there is no git.
        without: Folders of which nothing is shipped whatever git says, such as a storage.
    """
    names = _of_git(root)
    if names is None:
        found = [
            path
            for package in packages
            for path in (root / package).rglob("*")
            if path.suffix in (".py", ".jinja")
        ]
    else:
        found = [root / name for name in names]
    barred = [path.resolve() for path in without]
    kept = [
        path
        for path in found
        if path.is_file() and not any(path.resolve().is_relative_to(bar) for bar in barred)
    ]
    return sorted(path.relative_to(root) for path in kept)


def pack(root: Path, names: Sequence[Path], archive: Path) -> None:
    """Write files into an archive.

    Args:
        root: The project's folder.
        names: As `files` gave them.
        archive: The file to write.

    Raises:
        Refused: They are too big, or one cannot be read.
    """
    try:
        sizes = {name: (root / name).stat().st_size for name in names}
        if (total := sum(sizes.values())) > MOST_BYTES:
            largest = sorted(sizes, key=lambda name: sizes[name], reverse=True)[:_SHOWN]
            listed = ", ".join(f"{name} ({_megabytes(sizes[name])})" for name in largest)
            raise Refused(
                f"what is shipped must have at most {_megabytes(MOST_BYTES)}, but has {_megabytes(total)}: name in .gitignore "
                f"what a sweep does not need, or keep it outside of {root}. The largest: {listed}."
            )
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
            for name in names:
                entry = zipfile.ZipInfo(name.as_posix(), _ANCIENT)
                entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
                packed.writestr(entry, (root / name).read_bytes())
    except OSError as error:
        raise Refused(
            f"each file of the project must be readable, but {error.filename} is not ({error.strerror})."
        ) from error


def _of_git(root: Path) -> list[str] | None:
    """None where git is not installed, or the project is no repository."""
    command = [
        "git",
        "-C",
        str(root),
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
        "-z",
    ]
    try:
        listed = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return [name for name in listed.decode(errors="surrogateescape").split("\0") if name]


def _megabytes(size: int) -> str:
    return f"{size / 2**20:.1f} MB"
