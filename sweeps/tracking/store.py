"""Where MLflow keeps its records: checked and made ready before the first trial."""

from __future__ import annotations

import logging
import os
import re
import shlex
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

from filelock import FileLock

from cluster.addresses import SERVER_DATABASES, without_passwords
from cluster.addresses import SERVERS as SERVERS
from cluster.addresses import is_masked as is_masked
from cluster.addresses import without_password as without_password
from cluster.service import database
from cluster.service.mlflow_login import let_in
from sweeps.records.folder import check_locks
from sweeps.tracking import servers
from sweeps.tracking.chosen import DATABASE, given_by, mend, own_store, sqlite_path, sqlite_uri
from sweeps.tracking.moved import ARTIFACTS, bring_home

# A login that must be renewed, a server or a proxy that is busy.
_PASSING_STATUS = (401, 403, 407, 408, 429, 499)
_PASSING = re.compile(
    r"InterfaceError|QueuePool|rolled back|lost connection|connection.*closed|is locked",
    re.IGNORECASE,
)
_MAX_REASON = 300  # characters
_LOCK_SECONDS = 120  # making the tables takes 5
_LOCK_KEY = 0x647674  # "dvt", among the locks that programs may agree on in a PostgreSQL database


class TrackingError(ValueError):
    """The MLflow store cannot be used; one line that says what to do."""


def prepare_store(
    tracking_uri: str | None, storage: Path, say: Callable[[str], None] | None = None
) -> str:
    """Check that MLflow's store can be used and make its tables.

    This comes before any trial runs: processes that open a database without tables at the same time
    break each other.

    Args:
        tracking_uri: As the user gave it; None is an SQLite file in `storage`.
        storage: The sweeps' folder, `mlruns` by default.
        say: Shows a line for each place from which the storage was moved or copied.

    Returns:
        The URI to use from now on; the path of an SQLite file is absolute in it.

    Raises:
        TrackingError: A store of files, a string that is no URI, a server or a database that does
            not answer.
    """
    _silence()
    uri = tracking_uri or own_store(storage)
    check_uri(uri)

    # Tables are made of a database; a server has its own.
    scheme, _, rest = uri.partition("://")
    if scheme.startswith("sqlite"):
        path = sqlite_path(uri).absolute()
        _, question, options = rest.partition("?")
        uri = sqlite_uri(path, scheme, question + options)
        for before in _make_sqlite(uri, path, storage.absolute()):
            if say:
                say(
                    f"This storage was {before} before: MLflow now finds its artifacts in {storage}."
                )
    elif scheme not in SERVERS:
        _open_database(uri)
    return uri


def check_uri(uri: str) -> None:
    """Check what can be checked of a store without making anything.

    Only for a server this takes MLflow, whose import takes seconds.

    Raises:
        TrackingError: A store of files, a string that is no URI, a server that does not answer
            within 3 s or lets us not in, an SQLite file that cannot be written.
    """
    scheme, _, rest = uri.partition("://")
    dialect = scheme.split("+")[0]
    if scheme in SERVERS and rest:
        let_in(uri)
        problem = servers.problem(uri)
        if problem:
            raise TrackingError(problem)
    elif dialect == "sqlite" and rest.strip("/") not in ("", ":memory:"):
        _check_sqlite(sqlite_path(uri).absolute())
    elif dialect not in SERVER_DATABASES or not rest:
        raise TrackingError(
            f"{given_by(uri)} must name a database or a server, "
            f"but got {without_password(uri)!r} (MLflow no longer writes to a folder of files): "
            "give sqlite:////absolute/path/mlflow.db, postgresql://…, mysql://…, mssql://…, "
            f"http://host:port; {mend(uri)}"
        )


def artifact_location(uri: str, storage: Path, study: str) -> str | None:
    """Return where a new experiment keeps its artifacts; None where a server decides that."""
    if uri.partition("://")[0] in SERVERS:
        return None
    return (storage.absolute() / ARTIFACTS / study).as_uri()


def one_line(error: BaseException) -> str:
    """Return the line of an error's message that says what went wrong, without a password."""
    line = type(error).__name__
    for stripped in map(str.strip, str(error).splitlines()):
        # SQLAlchemy has a preamble.
        if stripped and not stripped.startswith("(raised as a result of"):
            line = stripped
            break
    if line.startswith("API request to "):
        # Out of a sentence of 400 characters.
        cause = re.search(r"\[Errno -?\d+\] ([^'\")]+)|(Read timed out)", line)
        if cause:
            return cause[1] or cause[2]
    return without_passwords(line)[:_MAX_REASON]


def is_refusal(error: Exception) -> bool:
    """Return whether MLflow, asked the same again later, would fail the same.

    It would not where it is down, busy, locked or full.
    """
    from mlflow.exceptions import MlflowException  # here, since MLflow takes two seconds to import
    from sqlalchemy.exc import SQLAlchemyError

    if isinstance(error, MlflowException):
        status = int(error.get_http_status_code())  # type: ignore[no-untyped-call]
        gone = error.error_code == "ENDPOINT_NOT_FOUND"  # what answers is not MLflow: a proxy
        passing = status in _PASSING_STATUS or gone or _PASSING.search(str(error))
        return status == HTTPStatus.NOT_IMPLEMENTED or (400 <= status < 500 and not passing)

    # The upload of an artifact.
    response = getattr(error, "response", None)
    if response is not None:
        status = int(getattr(response, "status_code", 0))
        return 400 <= status < 500 and status not in _PASSING_STATUS

    # Files, databases, sockets and libraries may be there next time, but no file comes back by
    # itself.
    if isinstance(error, FileNotFoundError):
        return True
    return not isinstance(error, OSError | SQLAlchemyError | MemoryError | ImportError)


def _check_sqlite(path: Path) -> None:
    try:
        folder = next(parent for parent in path.parents if parent.exists())
        check_locks(folder, "MLflow's database")
        if path.is_dir():
            raise TrackingError(
                f"MLflow's database must be a file, but {path} is a folder: "
                f"give a file in it, {path}/mlflow.db."
            )
        if path.exists() and not os.access(path, os.W_OK):
            raise TrackingError(
                f"MLflow's database must be writable, but {path} is not: "
                "change its permissions or give another."
            )
    except TrackingError:
        raise
    except ValueError as error:
        raise TrackingError(str(error)) from error
    except OSError as error:
        raise _no_folder(path, error) from error


def _make_sqlite(uri: str, path: Path, storage: Path) -> list[Path]:
    """Make the tables, and return from where the storage was moved or copied, if it was."""
    _check_sqlite(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            _open_database(uri)
            # A database that lies elsewhere may be that of several storages.
            own = path.name == DATABASE and path.parent.resolve() == storage.resolve()
            if own and not path.is_symlink():
                return bring_home(path, storage)
            return []
    except sqlite3.Error as error:
        raise TrackingError(
            f"MLflow's database must be writable, but {path} is not ({one_line(error)}): "
            "change its permissions or give another --storage."
        ) from error
    except OSError as error:
        raise _no_folder(path, error) from error


def _no_folder(path: Path, error: OSError) -> TrackingError:
    return TrackingError(
        "MLflow's database must be in a folder that can be written, "
        f"but {path.parent} cannot ({error.strerror}): give another --storage or --tracking-uri."
    )


def _open_database(uri: str) -> None:
    from alembic.util.exc import CommandError  # here, since MLflow takes two seconds to import
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    shown = without_password(uri)
    closed = database.problem(uri, given_by(uri))
    if closed:
        raise TrackingError(f"MLflow's database {shown} {closed}")
    try:
        with _alone(uri):
            # This makes the tables where there are none.
            MlflowClient(uri).search_experiments(max_results=1)
    except (MlflowException, SQLAlchemyError, CommandError) as error:
        reason = one_line(error)
        if _is_newer(reason):
            raise TrackingError(
                f"MLflow's database must have this MLflow's tables, but {shown} was written by a "
                "newer one: pip install -U mlflow, or give another --tracking-uri."
            ) from error
        if "out-of-date database schema" in reason:
            raise TrackingError(
                "MLflow's database must have this MLflow's tables, "
                f"but {shown} has another version's: "
                f"back it up, then run `mlflow db upgrade {shlex.quote(shown)}`."
            ) from error
        raise TrackingError(
            f"MLflow's database must open, but {shown} does not ({reason}): {mend(uri)}"
        ) from error


def _is_newer(said: str) -> bool:
    """Return whether MLflow speaks of a version of the tables that it does not know at all."""
    from mlflow.store import db_migrations

    found = re.search(r"found version (\w+)", said)
    if found is None:
        return "locate revision" in said
    known = Path(db_migrations.__path__[0], "versions")
    return not any(known.glob(f"{found[1]}*.py"))


@contextmanager
def _alone(uri: str) -> Iterator[None]:
    """Keep other sweeps from making the tables meanwhile, which MLflow does not.

    The end of the transaction gives the lock back.
    """
    if not uri.startswith("postgresql"):
        yield  # SQLite has a lock of its own, in `_make_sqlite`
        return
    from sqlalchemy import NullPool, create_engine, text

    with create_engine(uri, poolclass=NullPool).connect() as connection:
        connection.execute(text(f"set local lock_timeout = '{_LOCK_SECONDS}s'"))
        connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
        yield


def _silence() -> None:
    """Keep MLflow's log lines off the terminal: what fails is reported once, by the tracker."""
    for name, level in (
        ("mlflow", logging.WARNING),  # "Creating initial MLflow database tables..."
        ("mlflow.store.db.utils", logging.CRITICAL),  # a traceback for each failed write
        ("mlflow.utils.git_utils", logging.ERROR),  # git is not installed
        ("alembic", logging.WARNING),
        ("urllib3.connectionpool", logging.ERROR),  # a line for each retry
    ):
        logging.getLogger(name).setLevel(level)
