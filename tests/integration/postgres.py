"""A PostgreSQL of the test's own.

Debian's programs, its own folder and port, a password, nothing that lasts.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psycopg
from psycopg import sql

USER, PASSWORD = "team", "5ecre7"
PATIENCE_S = 60.0


def programs() -> Path | None:
    """Where Debian keeps them, beside each other by version; elsewhere they are on the path."""
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3])
    )
    on_path = shutil.which("postgres")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


def missing() -> str:
    """Why no server can be started here; empty where one can."""
    if programs() is None:
        return "PostgreSQL is not installed: apt-get install postgresql"
    if os.geteuid() == 0 and not _server_user():
        return "PostgreSQL does not run as root, and there is no user postgres"
    return ""


class Postgres:
    """A server that listens on the loopback from `start` to `stop`, as often as wanted."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="dvt-postgres-"))
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = int(probe.getsockname()[1])
        self._password = self._folder / "password"
        self._password.write_text(PASSWORD)
        self._owner: dict[str, int | str] = {}
        if os.geteuid() == 0 and (owner := _server_user()):
            self._owner = {"user": owner.pw_uid, "group": owner.pw_gid}
            for path in (self._folder, self._password):
                os.chown(path, owner.pw_uid, owner.pw_gid)
        self._server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        data = self._folder / "data"
        if not data.exists():
            made = (
                "--username",
                USER,
                "--pwfile",
                str(self._password),
                "--auth",
                "scram-sha-256",
                "--no-sync",
                "--no-locale",
            )
            subprocess.run(
                [_program("initdb"), "-D", data, "-E", "UTF8", *made],
                **self._as_owner(),
                check=True,
            )
        line = [
            _program("postgres"),
            "-D",
            data,
            "-p",
            str(self.port),
            "-h",
            "127.0.0.1",
            "-k",
            "",
            "-c",
            "fsync=off",
        ]
        self._server = subprocess.Popen(line, **self._as_owner())
        deadline = time.monotonic() + PATIENCE_S
        while True:
            with suppress(psycopg.OperationalError), self.connect("postgres"):
                return
            assert self._server.poll() is None, (self._folder / "log.txt").read_text()[-2000:]
            assert time.monotonic() < deadline, "PostgreSQL does not answer"
            time.sleep(0.1)

    def stop(self) -> None:
        if self._server:
            self._server.send_signal(signal.SIGINT)  # its fast way: connections are cut
            self._server.wait(PATIENCE_S)
            self._server = None

    @property
    def runs(self) -> bool:
        return self._server is not None

    def delete(self) -> None:
        self.stop()
        shutil.rmtree(self._folder)

    def connect(self, database: str) -> psycopg.Connection:
        where = {"host": "127.0.0.1", "port": self.port, "dbname": database}
        return psycopg.connect(**where, user=USER, password=PASSWORD, autocommit=True)

    def database(self, name: str) -> str:
        """Make an empty one; its address."""
        with self.connect("postgres") as connection:
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        return f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{name}"

    def password_file(self, path: Path) -> Path:
        """What `PGPASSFILE` names."""
        path.write_text(f"127.0.0.1:{self.port}:*:{USER}:{PASSWORD}\n")
        path.chmod(0o600)
        return path

    def _as_owner(self) -> dict:
        log = (self._folder / "log.txt").open("ab")
        return {
            "cwd": self._folder,
            "stdout": log,
            "stderr": log,
            "stdin": subprocess.DEVNULL,
            **self._owner,
        }


def _program(name: str) -> Path:
    folder = programs()
    assert folder
    return folder / name


def _server_user() -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return None
