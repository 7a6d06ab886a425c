"""The flags beside `--data`, for data that can be read in more than one way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

LAYOUTS = ("auto", "classes", "leaves", "splits", "class-first", "table")
"""Values of `--layout`.

auto: recognize the layout, or refuse · classes: each folder in PATH is a class · leaves: each
folder that directly holds images is a class, those of one name together · splits: PATH holds train/
and its companions · class-first: each class folder holds train/ and its companions · table: a table
gives the classes.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadOptions:
    """The flags' values.

    Attributes:
        layout: One of `LAYOUTS`.
        columns: The names of a table's columns of images and of labels.
        group: Which images belong together and must not be parted by a split, such as those of one
            patient: a column of the table, or a regular expression on the path below the data
            folder, whose first group or whole match names the group.
        keep_copies: Leave copies of validation and test images in the training split.
    """

    layout: str = "auto"
    columns: tuple[str, str] | None = None
    group: str | None = None
    keep_copies: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for a JSON file."""
        values = asdict(self)
        if self.columns:
            values["columns"] = list(self.columns)
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Invert `as_dict`; what an older file lacks has its default."""
        columns = values.get("columns")
        return cls(**{**values, "columns": tuple(columns) if columns else None})
