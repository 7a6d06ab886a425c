"""What a sweep's data were understood to be, as its page says it. Old sweeps say less."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sweeps.report.blocks import Block, Column, Facts, Row, Table
from sweeps.report.runs import Run
from trainables.data.listing import SPLITS

FOLDED_FROM = 30  # classes


def data_section(run: Run) -> list[Block]:
    """The layout, where splits come from, what was passed over, and images by class and split; nothing where none is known."""
    facts = [(term, lines) for term, lines in _facts(run) if lines]
    table = _counts(run)
    return [*([Facts(facts)] if facts else []), *([table] if table else [])]


def data_cautions(run: Run) -> list[str]:
    """What was said of the data before the sweep: copies across splits, contradicting labels, dark images."""
    return _lines(run.part("data").get("cautions"))


def _facts(run: Run) -> list[tuple[str, list[str]]]:
    origins, passed = run.part("data", "origins"), run.part("data", "passed_over")
    return [
        ("Read as", [text] if (text := run.text("data", "layout")) else []),
        (
            "Splits",
            [
                f"{split}: {origins[split]}"
                for split in SPLITS
                if isinstance(origins.get(split), str)
            ],
        ),
        ("Passed over", [f"{reason}: {number}" for reason, number in passed.items()]),
        ("Notes", _lines(run.part("data").get("notes"))),
    ]


def _counts(run: Run) -> Table | None:
    counts = run.part("data", "counts")
    by_split: dict[str, Mapping[str, Any]] = {
        split: run.part("data", "counts", split) for split in SPLITS if split in counts
    }
    classes = _lines(run.part("data").get("classes"))
    if not by_split or not classes:
        return None
    rows = [
        Row((name, *(f"{by_class.get(name, 0):,}" for by_class in by_split.values())))
        for name in classes
    ]
    totals = [
        f"{sum(v for v in by_class.values() if isinstance(v, int)):,}"
        for by_class in by_split.values()
    ]
    return Table(
        columns=[Column("class", number=False), *map(Column, by_split)],
        rows=[*rows, Row(("all", *totals), strong=True)],
        title="Images used, by class and split",
        folded=len(classes) > FOLDED_FROM,
    )


def _lines(value: Any) -> list[str]:
    return [line for line in value if isinstance(line, str)] if isinstance(value, list) else []
