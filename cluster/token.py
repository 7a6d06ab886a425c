"""The token of a sweep's own Ray, in a file that only its user can read.

It does not outlive its process for long.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "dvt-token-"  # of folders below the system's for temporary files
_NAME = "token"


@contextmanager
def token_file() -> Iterator[Path]:
    """Lend a file with a new token for the time of a `with` block.

    A process holds a lock on its folder, and the system lets go of it when the process ends,
    however it ends: so what killed processes of this user have left is known, and deleted.
    """
    _delete_abandoned(Path(tempfile.gettempdir()))
    folder, held = _folder()
    try:
        path = folder / _NAME
        path.touch(mode=0o600)
        path.write_text(secrets.token_hex(32))
        yield path
    finally:
        _delete(folder)
        os.close(held)


def has_token() -> bool:
    """Return whether Ray would find a token, in one of the places where it looks."""
    if os.environ.get("RAY_AUTH_TOKEN"):
        return True
    named = os.environ.get("RAY_AUTH_TOKEN_PATH")
    path = Path(named) if named else Path(os.environ.get("HOME", "/"), ".ray", "auth_token")
    with suppress(OSError, ValueError):
        return bool(path.read_text().strip())
    return False


def _folder() -> tuple[Path, int]:
    """Return a new folder, and the descriptor that holds its lock."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        try:
            held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            # Another process took it for abandoned, in the moment before it was locked.
            continue
        # Where folders cannot be locked, nobody can take this one for abandoned either.
        with suppress(OSError):
            fcntl.flock(held, fcntl.LOCK_EX)
        if folder.exists():
            return folder, held
        os.close(held)


def _delete_abandoned(place: Path) -> None:
    for folder in place.glob(f"{PREFIX}*"):
        with suppress(OSError):  # another user's, or one that is going just now
            looked_at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                # The lock is free only where the process that held it has ended.
                if os.fstat(looked_at).st_uid == os.geteuid():
                    fcntl.flock(looked_at, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    _delete(folder)
            finally:
                os.close(looked_at)


def _delete(folder: Path) -> None:
    """Delete the token and its folder; a folder that holds anything else stays."""
    with suppress(OSError):
        (folder / _NAME).unlink(missing_ok=True)
        folder.rmdir()
