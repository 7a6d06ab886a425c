"""`report.html`: one file that holds all it needs, figures too, and needs no network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import jinja2

from sweeps.report import (
    answer,
    calibration,
    classes,
    mistakes,
    plots_finalists,
    plots_search,
    tables,
)
from sweeps.report.blocks import Block, Column, Facts, Page, Plot, Plots, Section, Text
from sweeps.report.cautions import banner, cautions
from sweeps.report.charts import CROWDED, chart, definitions, key
from sweeps.report.data_section import data_section
from sweeps.report.findings import Findings, find
from sweeps.report.glossary import glossary
from sweeps.report.headline import equal_trials, headline, mean_overstatement, recipe_line
from sweeps.report.provenance import assumptions, provenance
from sweeps.report.results_csv import write_comparisons, write_results
from sweeps.report.runs import Run, number, read_run
from sweeps.report.suspect_pictures import suspect_pictures
from sweeps.report.suspects import write_suspects
from trainables.files import write_whole
from trainables.problems import counted

PAGE = "report.html"
TEMPLATE = "page.html.jinja"
STYLE = "page.css"
FEW_TRIALS = 10  # per arm: under that, little can be read from the search
STATES = {"completed": "finished"}  # of a driver's outcome; the others have the same name


@dataclass(frozen=True, slots=True)
class Report:
    """What was written, and what it says: three tables and `report.html`."""

    results: Path
    comparisons: Path
    suspects: Path
    page: Path
    findings: Findings


def write(folder: Path, ended: str = "", reload_s: int = 0) -> Report:
    """Build `results.csv`, `comparisons.csv`, `suspects.csv` and `report.html` from its records.

    What is missing is left out.

    Args:
        folder: The sweep's, in whatever state; they are written into it.
        ended: The outcome, where the driver that still holds the sweep's lock tells it: completed,
            interrupted or failed.
        reload_s: After how many seconds a browser loads the page again; 0 is never.

    Raises:
        OSError: The folder cannot be written.
    """
    run = read_run(folder, STATES.get(ended, ended))
    results = write_results(run)
    findings = find(run)
    comparisons = write_comparisons(run, findings.planned)
    suspects = write_suspects(folder, findings.suspected.images)
    page = write_whole(folder / PAGE, rendered(sweep_page(findings, reload_s)))
    return Report(results, comparisons, suspects, page, findings)


def sweep_page(findings: Findings, reload_s: int = 0) -> Page:
    """Return what the report of a sweep holds."""
    run = findings.run
    verdict, *lines = headline(findings)
    return Page(
        title=f"{run.text('study') or run.name}: {run.name}",
        question=run.text("question") or run.name,
        answer=verdict,
        banner=banner(run),
        lines=lines,
        recipe=recipe_line(findings),
        cautions=cautions(findings),
        sections=list(_sections(findings)),
        footer=f"Sweep {run.name}. Rebuild this page with: dvt report {run.name}",
        reload_s=reload_s,
    )


def rendered(page: Page) -> str:
    """Return the page as HTML, which needs no script and no other file."""
    folder = Path(__file__).parent
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        trim_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    template = environment.get_template(TEMPLATE)
    blocks = [block for section in page.sections for block in section.blocks]
    return template.render(
        page=page,
        style=(folder / STYLE).read_text(),
        heads=_heads,
        crowded=CROWDED,
        figures=any(isinstance(block, Plot | Plots) for block in blocks),
        shapes=definitions(),
        chart=chart,
        symbol=key,
    )


def _sections(findings: Findings) -> Iterator[Section]:
    run = findings.run
    yield Section("answer", "", answer.blocks(findings))
    pictures = answer.ordinary(findings)
    if pictures:
        yield Section(
            "pictures", "Test images and worst mistakes", [pictures, mistakes.worst(findings)]
        )
    effects = list(_effects(findings))
    if effects:
        yield Section("effects", "What made the difference", effects)
    # Whether the search of the arms was even, and how lucky.
    notes = " ".join(filter(None, [equal_trials(run), mean_overstatement(findings)]))
    yield Section("arms", "The arms in detail", [tables.arms_table(findings), Text(notes)])
    yield from _finalists(findings, pictured=pictures is not None)
    # Of the search, each figure or the sentence why there is none.
    search = (
        plots_search.isolation,
        plots_search.parallel,
        plots_search.schedulers,
        plots_search.more_trials,
        plots_search.importances,
    )
    yield Section("search", "The search", [block(run) for block in search], _folded(run))
    data = data_section(run)
    if data:
        yield Section("data", "The data", data)
    yield Section("cost", "What it cost", [plots_finalists.cost(findings)])
    yield Section("how", "Reproduce this", [provenance(findings)])
    yield Section("words", "Words on this page", [Facts(list(glossary()))])


def _folded(run: Run) -> str:
    """Return what unfolds the search, where it is too short to be read much from."""
    described = number(run.described.get("trials_per_arm"))
    if described != described:
        return ""
    trials = run.history.trials_per_arm(int(described))
    if trials >= FEW_TRIALS:
        return ""
    return f"Show the search ({counted(trials, 'trial')} per arm: too few to read much from)"


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


def _finalists(findings: Findings, *, pictured: bool) -> Iterator[Section]:
    if findings.champion is None:
        text = Text("No finalist has completed yet.")
        yield Section("finalists", "Finalists", [text])
        return
    figures = [plots_finalists.curves(findings), plots_finalists.sizes(findings)]
    yield Section("finalists", "Finalists", figures)
    # What it gets wrong: by class, which classes, and which images.
    wrong = [
        classes.classes_table(findings),
        mistakes.confusion(findings),
        mistakes.confused_pairs(findings),
        None if pictured else mistakes.worst(findings),
    ]
    known = [block for block in wrong if block]
    yield Section("mistakes", "What the champion gets wrong", known)
    yield Section("sure", "How sure it is", calibration.blocks(findings))
    yield Section("suspects", "Suspected wrong labels", [suspect_pictures(findings)])


def _heads(columns: Sequence[Column]) -> list[tuple[str, int]]:
    """Return groups of columns that stand beside each other, with their number."""
    groups = groupby(columns, key=lambda column: column.group)
    return [(group, len(list(some))) for group, some in groups]
