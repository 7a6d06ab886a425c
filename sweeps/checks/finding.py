"""What checks look at, and what they find."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """What a sweep would use of this machine.

    Attributes:
        address: Of Ray: `local`, `auto` or `HOST:PORT`.
        storage: Where results go.
        cache: Where that goes which can be made again.
        study: Name of the study; empty where none is known.
        resumed: Name of the sweep that is continued.
        own_store: Whether MLflow's database is the storage's own.
    """

    address: str
    storage: Path
    cache: Path
    study: str = ""
    resumed: str | None = None
    own_store: bool = True


@dataclass(frozen=True, slots=True)
class Finding:
    """The finding of a check, and what to do where it is bad.

    A message that says so itself needs no mend.
    """

    state: Literal["ok", "warning", "failed"]
    found: str
    mend: str = ""

    @property
    def line(self) -> str:
        """The finding and its mend in one line."""
        if self.mend:
            return f"{self.found}: {self.mend}"
        return self.found


def either(good: bool, found: str, mend: str) -> Finding:
    """Return the finding of a check that is good or bad."""
    if good:
        return Finding("ok", found)
    return Finding("failed", found, mend)
