"""A sweep's data, as its page describes them. Old sweeps say less."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sweeps.report.blocks import Block, Facts, Row, Table, number_columns, text_columns
from sweeps.report.runs import Run
from trainables.data.listing import SPLITS

FOLDED_FROM = 30  # classes


def data_section(run: Run) -> list[Block]:
    """Return the layout, where splits come from, what was passed over, and images by class.

    Nothing where none of it is known.
    """
    blocks: list[Block] = []
    facts = [(term, lines) for term, lines in _facts(run) if lines]
    if facts:
        blocks.append(Facts(facts))
    table = _counts(run)
    if table:
        blocks.append(table)
    return blocks


def data_cautions(run: Run) -> list[str]:
    """Return what was said of the data before the sweep: copies across splits, dark images."""
    return texts(run.part("data").get("cautions"))


def texts(value: Any) -> list[str]:
    """Return the texts in what should be a list of them."""
    if not isinstance(value, list):
        return []
    return [line for line in value if isinstance(line, str)]


def _facts(run: Run) -> Iterator[tuple[str, list[str]]]:
    origins = run.part("data", "origins")
    known = {split: origins[split] for split in SPLITS if isinstance(origins.get(split), str)}
    yield "Read as", list(filter(None, [run.text("data", "layout")]))
    yield "Splits", _terms(known)
    yield "Passed over", _terms(run.part("data", "passed_over"))
    yield "Notes", texts(run.part("data").get("notes"))


def _terms(values: Mapping[Any, object]) -> list[str]:
    return [f"{name}: {value}" for name, value in values.items()]


def _counts(run: Run) -> Table | None:
    """Return images by class and split, in all in the last row."""
    counts = run.part("data", "counts")
    splits = [split for split in SPLITS if split in counts]
    classes = texts(run.part("data").get("classes"))
    if not splits or not classes:
        return None
    by_split = [run.part("data", "counts", split) for split in splits]
    # A class that a split does not count has 0 images there.
    rows = [Row((name, *_images(by_split, name))) for name in classes]
    totals = [f"{_total(by_class):,}" for by_class in by_split]
    return Table(
        columns=[*text_columns(["class"]), *number_columns(splits)],
        rows=[*rows, Row(("all", *totals), strong=True)],
        title="Images used, by class and split",
        folded=len(classes) > FOLDED_FROM,
    )


def _images(by_split: Sequence[Mapping[str, Any]], name: str) -> list[str]:
    return [f"{by_class.get(name, 0):,}" for by_class in by_split]


def _total(by_class: Mapping[str, Any]) -> int:
    return sum(number for number in by_class.values() if isinstance(number, int))
