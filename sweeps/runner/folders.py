"""Folders of a command: the one in which it is given, and the one for what can be made again."""

from __future__ import annotations

import os
from pathlib import Path

from cluster.refused import Refused


def working_folder() -> str:
    """Return the working folder's path.

    Raises:
        Refused: It was deleted, or its files are not ours to reach: libraries fall over both.
    """
    try:
        folder = str(Path.cwd())
    except FileNotFoundError as error:
        raise Refused(
            "The working folder must exist, but it was deleted: change to another one."
        ) from error
    if not os.access(folder, os.X_OK):
        raise Refused(
            f"The working folder must be one that can be entered, but {folder!r} cannot "
            "(Permission denied): change to another one."
        )
    return folder


def check_working_folder() -> None:
    """Refuse a working folder in which no sweep can run.

    Ray cannot tell its workers a name that is not UTF-8.
    """
    folder = working_folder()
    try:
        folder.encode()
    except UnicodeEncodeError as error:
        raise Refused(
            f"The working folder must have a name in UTF-8, but it is {folder!r}: "
            "start in another one."
        ) from error


def cache_folder(storage: Path) -> Path:
    """Return the folder for what can be made again: `DVT_CACHE_DIR`, or one in the storage.

    Raises:
        Refused: The variable names the home of an unknown user.
    """
    try:
        return Path(os.environ.get("DVT_CACHE_DIR") or storage / "cache").expanduser().absolute()
    except RuntimeError as error:
        raise Refused(
            f"DVT_CACHE_DIR must be a folder, but is {os.environ['DVT_CACHE_DIR']!r} ({error})."
        ) from error
