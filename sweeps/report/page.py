"""`report.html`: one file that holds all it needs, figures too, and needs no network."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import jinja2
from plotly.offline import get_plotlyjs

from sweeps.report import classes, mistakes, plots_finalists, plots_search, tables
from sweeps.report.blocks import Block, Column, Page, Plot, Plots, Section, Text
from sweeps.report.cautions import banner, cautions
from sweeps.report.data_section import data_section
from sweeps.report.findings import Findings, find
from sweeps.report.headline import equal_trials, headline, mean_overstatement, recipe_line
from sweeps.report.provenance import assumptions, provenance
from sweeps.report.results_csv import write_comparisons, write_results
from sweeps.report.runs import read_run
from sweeps.report.suspect_pictures import suspect_pictures
from sweeps.report.suspects import write_suspects
from trainables.files import write_whole

PAGE = "report.html"
TEMPLATE = "page.html.jinja"
STATES = {"completed": "finished"}  # of a driver's outcome; the others have the same name


@dataclass(frozen=True, slots=True)
class Report:
    """What was written, and what it says: three tables and `report.html`."""

    results: Path
    comparisons: Path
    suspects: Path
    page: Path
    findings: Findings


def write(folder: Path, ended: str = "") -> Report:
    """Build `results.csv`, `comparisons.csv`, `suspects.csv` and `report.html` from its records.

    What is missing is left out.

    Args:
        folder: The sweep's, in whatever state; they are written into it.
        ended: The outcome, where the driver that still holds the sweep's lock tells it: completed,
            interrupted or failed.

    Raises:
        OSError: The folder cannot be written.
    """
    run = read_run(folder, STATES.get(ended, ended))
    results = write_results(run)
    findings = find(run)
    comparisons = write_comparisons(run, findings.planned)
    suspects = write_suspects(folder, findings.suspected.images)
    page = write_whole(folder / PAGE, rendered(sweep_page(findings)))
    return Report(results, comparisons, suspects, page, findings)


def sweep_page(findings: Findings) -> Page:
    """Return what the report of a sweep holds."""
    run = findings.run
    return Page(
        title=f"{run.text('study') or run.name}: {run.name}",
        question=run.text("question") or run.name,
        banner=banner(run),
        headline=headline(findings),
        recipe=recipe_line(findings),
        cautions=cautions(findings),
        sections=list(_sections(findings)),
        footer=f"Sweep {run.name}. Rebuild this page with: dvt report {run.name}",
    )


def rendered(page: Page) -> str:
    """Return the page as HTML."""
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined
    )
    figures = {plot.name: plot.figure for plot in _plots(page)}
    plotly = get_plotlyjs() if figures else ""
    # Either would end the script element, or hide its end.
    if "</script" in plotly or "<!--" in plotly:
        plotly = plotly.replace("</script", "<\\/script").replace("<!--", "<\\!--")
    template = environment.get_template(TEMPLATE)
    return template.render(page=page, heads=_heads, figures=safe_json(figures), plotly=plotly)


def safe_json(value: Any) -> str:
    """Return JSON that can stand in a script element.

    Without `<`, `>` and `&`, and null for what is no finite number.
    """
    text = json.dumps(_finite(value), separators=(",", ":"), allow_nan=False, default=_plain)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _sections(findings: Findings) -> Iterator[Section]:
    run = findings.run
    # The first screen: arms, and whether their search was even and how lucky.
    notes = " ".join(filter(None, [equal_trials(run), mean_overstatement(findings)]))
    yield Section("arms", "", [tables.arms_table(findings), Text(notes)])
    effects = list(_effects(findings))
    if effects:
        yield Section("effects", "Effects", effects)
    yield from _finalists(findings)
    # Of the search, each figure or the sentence why there is none.
    search = (
        plots_search.isolation,
        plots_search.parallel,
        plots_search.schedulers,
        plots_search.more_trials,
        plots_search.importances,
    )
    yield Section("search", "The search", [block(run) for block in search])
    data = data_section(run)
    if data:
        yield Section("data", "The data", data)
    yield Section("cost", "What it cost", [plots_finalists.cost(findings)])
    yield Section("how", "Reproduce this", [provenance(findings)])


def _effects(findings: Findings) -> Iterator[Block]:
    """Yield what there is to say of the differences between recipes."""
    figure = None
    if findings.groups:
        figure = plots_finalists.arms(findings)
    blocks = (
        tables.contrasts_table(findings),
        tables.narrowing_table(findings),
        figure,
        tables.pairs_table(findings),
        tables.defaults_table(findings),
        tables.ablations_table(findings),
        tables.losses_table(findings),
        plots_finalists.components(findings),
        tables.published_table(findings),
        assumptions(findings.run),
    )
    for block in blocks:
        if block is not None:
            yield block


def _finalists(findings: Findings) -> Iterator[Section]:
    if findings.champion is None:
        text = Text("There is no champion, so nothing is said of its mistakes.")
        yield Section("finalists", "Finalists", [text])
        return
    figures = [plots_finalists.curves(findings), plots_finalists.sizes(findings)]
    yield Section("finalists", "Finalists", figures)
    # What it gets wrong: by class, which classes, and which images.
    wrong: list[Block] = [*classes.blocks(findings), mistakes.confusion(findings)]
    pairs = mistakes.confused_pairs(findings)
    if pairs:
        wrong.append(pairs)
    wrong.append(mistakes.worst(findings))
    yield Section("mistakes", "What the champion gets wrong", wrong)
    yield Section("suspects", "Suspected wrong labels", [suspect_pictures(findings)])


def _plots(page: Page) -> Iterator[Plot]:
    for section in page.sections:
        for block in section.blocks:
            if isinstance(block, Plot):
                yield block
            elif isinstance(block, Plots):
                yield from block.plots


def _heads(columns: Sequence[Column]) -> list[tuple[str, int]]:
    """Return groups of columns that stand beside each other, with their number."""
    groups = groupby(columns, key=lambda column: column.group)
    return [(group, len(list(some))) for group, some in groups]


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple, range)):
        return list(map(_finite, value))
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _plain(value: Any) -> Any:
    """Return NumPy's numbers as Python's."""
    return value.item()
