"""The answer as MLflow shows it: the description of the sweep's own run, in Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sweeps.records.folder import at
from sweeps.report.answer import answer_table
from sweeps.report.blocks import Table
from sweeps.report.cautions import cautions
from sweeps.report.findings import Findings
from sweeps.report.headline import headline, recipe_line

# Characters that MLflow takes for a tag; what follows the answer is cut off first.
LONGEST = 4800
_MARKUP = re.compile(r"([\\`*_\[\]<>|#])")


def described(findings: Findings, how_to_call: str = "") -> str:
    """Return the verdict, the numbers, the caveats, where the report lies, and how to call the model.

    The first line is plain text: it is all that some of MLflow's pages show.

    Args:
        findings: The sweep's.
        how_to_call: Of the model that it ships, in Markdown; empty where it ships none.
    """
    parts = [*_parts(findings), how_to_call, _caveats(findings)]
    parts = [part for part in parts if part]
    # The least important is last.
    while len("\n\n".join(parts)) > LONGEST and len(parts) > 1:
        parts.pop()
    return "\n\n".join(parts)


def _parts(findings: Findings) -> Iterator[str]:
    run = findings.run
    question = run.text("question")
    first, *others = headline(findings)
    yield first
    if question:
        yield f"**{_plain(question)}**"
    yield "\n".join(f"- {_plain(line)}" for line in others)
    yield _markdown(answer_table(findings))
    yield _plain(recipe_line(findings))
    # The tables and the page are among the run's artifacts too.
    storage = run.folder.absolute().parents[1]
    yield (
        "Effects, learning curves and mistakes are in `report.html`, under *Artifacts*, and on the "
        f"machine that ran it in `{run.folder.absolute()}`; `dvt report {run.name}{at(storage)}` "
        "rebuilds it."
    )


def _caveats(findings: Findings) -> str:
    said = cautions(findings)
    if not said:
        return ""
    return "\n".join(["### Caveats", "", *(f"- {_plain(line)}" for line in said)])


def _markdown(table: Table) -> str:
    """Return a table as Markdown."""
    lines = [
        _line([column.title for column in table.columns]),
        _line(["---:" if column.number else "---" for column in table.columns]),
    ]
    for row in table.rows:
        cells = [_plain(cell) for cell in row.cells]
        if row.strong:
            cells[0] = f"**{cells[0]}**"
        lines.append(_line(cells))
    return "\n".join(lines)


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _plain(text: str) -> str:
    """Return a text in which Markdown finds nothing to format."""
    return _MARKUP.sub(r"\\\1", text)
