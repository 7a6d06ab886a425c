"""Which job server is meant, and which token opens it."""

from __future__ import annotations

import os
import urllib.parse
from pathlib import Path

from cluster.addresses import SERVERS
from cluster.refused import Refused
from cluster.service import state as service
from cluster.service.jobserver import JobServer

_DEFAULT_TOKEN = "~/.ray/auth_token"


def find(address: str | None) -> JobServer:
    """Return the job server at an address, or the one of this user's own service.

    Raises:
        Refused: It is no address, no service is up, or the token cannot be read.
    """
    state = service.load()
    if address is None:
        if state is None:
            raise Refused(
                "no service is up on this machine: start one with `dvt service up`, or name a "
                "cluster's with --address URL."
            )
        address = state.dashboard
    if "://" not in address:
        address = f"http://{address}"
    address = address.rstrip("/")
    _check_address(address)

    # The service's token is for the service alone.
    own = state if state and address == state.dashboard else None
    path = service.token_path() if own else _token_file()
    return JobServer(address=address, token_file=path, state=own, token=_read(path))


def _check_address(address: str) -> None:
    try:
        parts = urllib.parse.urlsplit(address)
        good = parts.scheme in SERVERS and parts.hostname
        plain = not parts.username and not parts.query
    except ValueError:  # such as http://[::1
        good = plain = False
    if not good or not plain:
        raise Refused(
            "--address must be that of a cluster's dashboard, such as http://127.0.0.1:8265, "
            "without a login: a token goes into the file that RAY_AUTH_TOKEN_PATH names."
        )


def _token_file() -> Path | None:
    """Return the file in which Ray would look for it, too."""
    if given := os.environ.get("RAY_AUTH_TOKEN_PATH"):
        return Path(given).expanduser()
    default = Path(_DEFAULT_TOKEN).expanduser()
    return default if default.exists() else None


def _read(path: Path | None) -> str:
    """Return the token in a file, or in the environment where there is none."""
    if path is None:
        return os.environ.get("RAY_AUTH_TOKEN", "").strip()
    try:
        token = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(
            f"the token must be in a file that can be read, but {path} cannot ({error})."
        ) from error
    # Anything else would break the header that it is sent in.
    if not token.isascii() or not token.isprintable():
        raise Refused(
            f"the token must be one line of letters and digits, but {path} holds something else."
        )
    return token
