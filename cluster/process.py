"""What a process passes on to all that it starts: a way past proxies, a home, open files.

Set once, before anything that reads it is imported.
"""

from __future__ import annotations

import os
import resource
import socket
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from cluster.refused import Refused

PROXIES = ("http_proxy", "https_proxy", "all_proxy")
# Names and addresses of this machine. Python's urllib wants brackets around an IPv6 address,
# requests wants none.
LOOPBACK = ("localhost", "127.0.0.1", "127.0.0.0/8", "::1", "[::1]", "0.0.0.0")
MOST_OPEN_FILES = 65536  # that Ray asks for


def past_proxies() -> None:
    """Exempt this machine from proxies, where any is set: its own servers are behind none."""
    if not any(os.environ.get(name) or os.environ.get(name.upper()) for name in PROXIES):
        return
    # Some libraries read one of the two spellings only.
    known = []
    for name in ("no_proxy", "NO_PROXY"):
        known += [part.strip() for part in os.environ.get(name, "").split(",") if part.strip()]
    exempt = ",".join(dict.fromkeys((*known, *LOOPBACK, *_own_names())))
    if "*" in known:
        exempt = "*"
    os.environ |= {"no_proxy": exempt, "NO_PROXY": exempt}


def give_home() -> None:
    """Give a user of whom the system knows nothing, as in many a container, a name and a home."""
    try:
        import pwd

        pwd.getpwuid(os.getuid())
    except (KeyError, ImportError):  # no such user, or a system without users
        names = ("LOGNAME", "USER", "LNAME", "USERNAME")
        if not any(os.environ.get(name) for name in names):
            os.environ["LOGNAME"] = f"user{os.getuid()}"
        if not os.environ.get("HOME"):
            os.environ["HOME"] = str(_own_folder())


def open_many_files() -> None:
    """Raise the number of files that may be open as far as the system lets us, as Ray does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_OPEN_FILES
    if hard != resource.RLIM_INFINITY:
        wanted = min(hard, wanted)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):  # a sandbox may forbid it; the checks say what is left
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def check_temporary_folder() -> None:
    """Check that there is a folder for temporary files, without which torch cannot be imported.

    Raises:
        Refused: There is none.
    """
    try:
        tempfile.gettempdir()
    except FileNotFoundError as error:
        raise Refused(
            "A folder for temporary files must be writable, but none is "
            f"({error.strerror}): set TMPDIR to one that is, with a short path."
        ) from error


def _own_names() -> list[str]:
    """Return this machine's name, and the address at which others see it; no packet is sent."""
    names = [socket.gethostname()]
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # for documentation, RFC 5737: never there
        names.append(probe.getsockname()[0])
    return names


def _own_folder() -> Path:
    """Return a folder for what libraries keep at home; no other user may have put one there."""
    try:
        place = Path(tempfile.gettempdir())
    except FileNotFoundError:  # nowhere can anything be written
        return Path("/")
    folder = place / f"dvt-home-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return Path("/")
    if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022:
        return folder
    return Path(tempfile.mkdtemp(prefix="dvt-home-"))
