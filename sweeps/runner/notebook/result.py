"""What a sweep found, for a notebook: its tables, its champion, which classifies, and its report.

All is read from the sweep's folder when it is first asked for; importing this imports nothing large.
"""

from __future__ import annotations

import html
import json
import os
import urllib.parse
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster.refused import Refused
from sweeps.records.folder import BEST, CHAMPION, RECIPE, UNREADABLE
from sweeps.records.status import status_of
from sweeps.runner.notebook.errors import SweepRefused
from trainables.recipe import Recipe

if TYPE_CHECKING:
    import pandas as pd

    from sweeps.predict.model import Model
    from sweeps.report.findings import Findings

_CELL = "<td style='text-align:{align}'>{text}</td>"


class SweepResult:
    """A sweep as its folder tells it.

    Tables are read once; of a sweep that still runs, `open_sweep` reads them again.

    Attributes:
        folder: The sweep's.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def name(self) -> str:
        """The sweep's name."""
        return self.folder.name

    @property
    def status(self) -> str:
        """Its state by now: running, finished, failed, interrupted or damaged.

        One whose time was up before all had run is interrupted too: it can be resumed.
        """
        return status_of(self.folder).state

    @cached_property
    def trials(self) -> pd.DataFrame:
        """A row per trial of the search, with the columns of `results.csv`."""
        return self._rows("trial")

    @cached_property
    def finalists(self) -> pd.DataFrame:
        """A row per retrained run, with the columns of `results.csv`."""
        return self._rows("finalist")

    @cached_property
    def comparisons(self) -> pd.DataFrame:
        """A row per planned comparison, with the columns of `comparisons.csv`."""
        from sweeps.report.results_csv import comparisons_table

        return comparisons_table(self._findings.planned).reset_index(drop=True)

    @cached_property
    def champion(self) -> NotebookChampion | None:
        """The model that is shipped; None where there is none."""
        return _champion(self.folder)

    @property
    def report(self) -> Path:
        """The page, `report.html`; of a sweep that did not come to its end, as it is by now."""
        from sweeps.report.page import PAGE, write

        page = self.folder / PAGE
        if not page.is_file() or self.status != "finished":
            return write(self.folder).page
        return page

    def __repr__(self) -> str:
        return f"<sweep {self.name}, {self.status}>"

    def _repr_html_(self) -> str:
        """Return the verdict, the table of arms and a link to the report, for a notebook's cell."""
        from sweeps.report.cautions import banner
        from sweeps.report.headline import headline

        findings = self._findings
        said = [*banner(findings.run), *headline(findings)]
        lines = [f"<p>{html.escape(line)}</p>" for line in said]
        page = self.report
        place = urllib.parse.quote(os.path.relpath(page))
        link = f"<a href='{place}' target='_blank'>report</a> ({html.escape(str(page))})"
        title = f"<p><b>{html.escape(self.name)}</b>, {self.status}: {link}</p>"
        return "\n".join([title, *lines, _arms(findings)])

    @cached_property
    def _findings(self) -> Findings:
        from sweeps.report.findings import find
        from sweeps.report.runs import read_run

        return find(read_run(self.folder))

    def _rows(self, role: str) -> pd.DataFrame:
        return self._findings.run.rows(role).reset_index(drop=True)


@dataclass(frozen=True)
class NotebookChampion:
    """The model that a sweep ships.

    Attributes:
        trial: The run whose weights they are.
        recipe: What it was trained by.
        score: On val.
        metric: What the score is.
        weights: The checkpoint.
    """

    trial: str
    recipe: Recipe
    score: float
    metric: str
    weights: Path

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self._model.classes

    def predict(self, images: Any) -> pd.DataFrame:
        """Classify images.

        Args:
            images: One or several: paths of files or folders, arrays of uint8 or of fractions in
                0..1, [H, W, 3] or [N, H, W, 3], gray and RGBA ones too, or Pillow's images.

        Returns:
            A row per image, by its path or its place: the class, its probability, and a column for
            each class.

        Raises:
            SweepRefused: One line for each thing that is no image; or the weights are gone.
        """
        import pandas as pd

        from sweeps.predict.given import classify

        model = self._model
        try:
            told = classify(images, model)
        except Refused as error:
            raise SweepRefused(*error.problems) from None
        index = pd.Index([label for label, _ in told], name="image")
        frame = pd.DataFrame(
            [answer for _, answer in told], index=index, columns=list(model.classes)
        )
        predicted = [model.classes[int(answer.argmax())] for _, answer in told]
        frame.insert(0, "predicted", predicted, allow_duplicates=True)
        frame.insert(
            1, "probability", [float(answer.max()) for _, answer in told], allow_duplicates=True
        )
        return frame

    @cached_property
    def _model(self) -> Model:
        from sweeps.predict.model import load_champion

        if not self.weights.is_file():
            raise SweepRefused(
                f"the champion's weights are gone: train it again by {self.weights.parent / RECIPE}."
            )
        try:
            return load_champion(self.weights, self.trial)
        except Refused as error:
            raise SweepRefused(*error.problems) from None


def _champion(folder: Path) -> NotebookChampion | None:
    """Return the champion of a sweep's folder; None where none was kept."""
    try:
        kept = json.loads((folder / CHAMPION / RECIPE).read_text())
        return NotebookChampion(
            trial=str(kept["trial"]),
            recipe=Recipe.from_sample(kept["recipe"]),
            score=float(kept["score"]),
            metric=str(kept.get("metric", "accuracy")),
            weights=folder / CHAMPION / BEST,
        )
    except UNREADABLE:
        return None


def _arms(findings: Findings) -> str:
    """Return the table of arms as the report has it."""
    from sweeps.report.tables import arms_table

    table = arms_table(findings)
    heads = "".join(f"<th>{html.escape(column.title)}</th>" for column in table.columns)
    rows = []
    for row in table.rows:
        cells = []
        for column, text in zip(table.columns, row.cells, strict=True):
            align = "right" if column.number else "left"
            shown = f"<b>{html.escape(text)}</b>" if row.strong else html.escape(text)
            cells.append(_CELL.format(align=align, text=shown))
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
