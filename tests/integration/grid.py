"""The grid of MLflow's page, as its document has it."""

from __future__ import annotations

from collections import defaultdict
from html.parser import HTMLParser


def cells(document: str) -> dict[str, list[str]]:
    """Return the texts of a grid's cells, by their column."""
    reader = _Cells()
    reader.feed(document)
    return reader.columns


class _Cells(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.columns: dict[str, list[str]] = defaultdict(list)
        self._column = ""
        self._depth = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if given.get("role") == "gridcell":
            self._column = given.get("col-id") or ""
            self._depth = 0
            self.columns[self._column].append("")
        if self._column and tag == "div":
            self._depth += 1

    def handle_endtag(self, tag: str) -> None:
        if self._column and tag == "div":
            self._depth -= 1
            if not self._depth:
                self._column = ""

    def handle_data(self, data: str) -> None:
        if self._column:
            self.columns[self._column][-1] += data.strip()
