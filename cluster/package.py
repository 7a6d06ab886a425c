"""The files of the project that are shipped to a cluster: nothing that git ignores.

Equal files give equal archives.
"""

from __future__ import annotations

import subprocess
import zipfile
from collections.abc import Sequence
from pathlib import Path

from cluster.refused import Refused

MOST_BYTES = 50 * 2**20
"""The project has 2 MB. Ray keeps archives in its head's memory, and refuses half a gigabyte."""
_SHOWN = 5
# The earliest time that an archive can hold: what it holds decides its name, not when.
_ANCIENT = (1980, 1, 1, 0, 0, 0)
_SUFFIXES = (".py", ".jinja", ".css")
_LIST_FILES = ["ls-files", "--cached", "--others", "--exclude-standard", "-z"]


def files(root: Path, packages: Sequence[str], without: Sequence[Path] = ()) -> list[Path]:
    """Return the files to ship, relative to the root: those that git tracks or would track.

    Args:
        root: The project's folder.
        packages: Its packages, of which Python's files are shipped where there is no git.
        without: Folders of which nothing is shipped whatever git says, such as a storage.
    """
    names = _of_git(root)
    if names is None:
        names = _of_packages(root, packages)
    # Git may list what has been deleted, and a storage that is not ignored.
    barred = [path.resolve() for path in without]
    shipped = []
    for name in names:
        path = root / name
        if path.is_file() and not any(path.resolve().is_relative_to(bar) for bar in barred):
            shipped.append(Path(name))
    return sorted(shipped)


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
            largest = sorted(sizes, key=sizes.__getitem__, reverse=True)[:_SHOWN]
            listed = ", ".join(f"{name} ({_megabytes(sizes[name])})" for name in largest)
            raise Refused(
                f"what is shipped must have at most {_megabytes(MOST_BYTES)}, but has "
                f"{_megabytes(total)}: name in .gitignore what a sweep does not need, or keep it "
                f"outside of {root}. The largest: {listed}."
            )
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
            for name in names:
                entry = zipfile.ZipInfo(name.as_posix(), _ANCIENT)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = 0o644 << 16  # its permissions, as Unix has them
                packed.writestr(entry, (root / name).read_bytes())
    except OSError as error:
        raise Refused(
            f"each file of the project must be readable, but {error.filename} is not "
            f"({error.strerror})."
        ) from error


def _of_git(root: Path) -> list[str] | None:
    """Return what git tracks or would; None without git, or where the project is no repository."""
    command = ["git", "-C", str(root), *_LIST_FILES]
    try:
        listed = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return [name for name in listed.decode(errors="surrogateescape").split("\0") if name]


def _of_packages(root: Path, packages: Sequence[str]) -> list[str]:
    paths = (path for package in packages for path in (root / package).rglob("*"))
    return [str(path.relative_to(root)) for path in paths if path.suffix in _SUFFIXES]


def _megabytes(size: int) -> str:
    return f"{size / 2**20:.1f} MB"
