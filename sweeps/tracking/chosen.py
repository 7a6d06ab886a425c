"""Which MLflow is meant: the flag's, the environment's, or the storage's own; and what is not used.

MLflow's own variables are honored where they name a store, and named where a sweep does not follow
them: its experiment is its study's.
"""

from __future__ import annotations

import os
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

from cluster.addresses import is_masked, without_password

VARIABLE = "MLFLOW_TRACKING_URI"
# Of a storage, where no other store is asked for.
DATABASE = "mlflow.db"
FLAG = "--tracking-uri"
# What would send runs elsewhere, if MLflow's fluent API made them.
_IGNORED = ("MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID", "MLFLOW_RUN_ID")


def own_store(storage: Path) -> str:
    """Return the URI of a storage's own database."""
    return sqlite_uri(storage.absolute() / DATABASE)


def sqlite_uri(path: Path, scheme: str = "sqlite", options: str = "") -> str:
    """Return the URI of an SQLite file; what would end or change its path there is quoted."""
    quoted = str(path).replace("%", "%25").replace("?", "%3F")
    # Of a plain scheme, MLflow makes the folder that the URI seems to name.
    if scheme == "sqlite" and quoted != str(path):
        scheme = "sqlite+pysqlite"
    return f"{scheme}:///{quoted}{options}"


def sqlite_path(uri: str) -> Path:
    """Return the file that an SQLite URI names, as SQLAlchemy reads it, without its options."""
    return Path(urllib.parse.unquote(uri.partition(":///")[2].partition("?")[0]))


def named_store(storage: Path) -> str | None:
    """Return the store that the environment names; None where it is the storage's own, or none."""
    named = os.environ.get(VARIABLE, "").strip()
    if not named or is_own(named, storage):
        return None
    return named


def with_login(uri: str | None) -> str | None:
    """Return a stored address with the password that was taken from it, if the environment has it.

    A masked one comes back as it is.
    """
    named = os.environ.get(VARIABLE, "").strip()
    if uri and is_masked(uri) and without_password(named) == uri:
        return named
    return uri


def given_by(uri: str | None) -> str:
    """Return what gave a store its address: the flag, or the variable."""
    if uri and uri == os.environ.get(VARIABLE, "").strip():
        return VARIABLE
    return FLAG


def mend(uri: str | None) -> str:
    """Return what to do about a store's address that is no good: the end of a line."""
    if given_by(uri) == VARIABLE:
        return f"correct {VARIABLE}, or unset it."
    return f"correct {FLAG}, or leave it out."


def notes(study: str, uri: str | None, storage: Path) -> Iterator[str]:
    """Yield a line for each of MLflow's variables that decides something, or would elsewhere.

    Args:
        study: Its name, which is its experiment's.
        uri: The store that is used; None is the storage's own.
        storage: The sweeps' folder.
    """
    # The store: the one that is used, or another one that is not.
    named = named_store(storage)
    if named and named == uri:
        yield f"MLflow: {without_password(named)}, by {VARIABLE}."
    elif named:
        used = without_password(uri) if uri else f"mlflow.db in {storage}"
        yield (
            f"MLflow: {used}, not {without_password(named)}, which {VARIABLE} names: "
            f"{FLAG} changes that."
        )

    # Where a sweep's runs are is decided by its study.
    for name in _IGNORED:
        value = os.environ.get(name, "")
        if value and value != study:
            yield f"{name}={value} is not used: the experiment is the study's, {study}."
    registry = os.environ.get("MLFLOW_REGISTRY_URI", "")
    if registry and registry != uri and not is_own(registry, storage):
        shown = without_password(registry)
        yield f"MLFLOW_REGISTRY_URI={shown} is not used: models are registered beside the runs."


def is_own(uri: str, storage: Path) -> bool:
    """Return whether a URI is that of the storage's own database, relative ones from here."""
    if uri.partition(":///")[0] not in ("sqlite", "sqlite+pysqlite"):
        return False
    return sqlite_path(uri).absolute() == storage.absolute() / DATABASE
