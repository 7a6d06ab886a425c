"""The saved views of a study's experiment in MLflow: columns, order, filters and charts.

MLflow's page keeps a view as a tag of the experiment, `mlflow.sharedViewState.<key>`; a link opens
it by its key. The names are those of MLflow's own page, of
`experiment-page/models/ExperimentPageUIState.tsx` and `runs-charts/runs-charts.types.ts`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweeps.records.manifest import score_of
from sweeps.records.mlflow_names import verdict
from sweeps.records.variation import varied_fields
from trainables.metrics import TEST_LOSS, TEST_SCORES, VAL_LOSS, VAL_SCORES

# Keys of the views; links have them, so they stay.
SWEEPS = "sweeps"
TRIALS = "trials"
FINALISTS = "finalists"

# Without it MLflow's page is that for GenAI.
_TRAINING = "workflowType=machine_learning"
_MOST_RUNS = 100  # in a chart
# As measured: the page smooths lines by default.
_LINES = {"xAxisKey": "step", "lineSmoothness": 0, "selectedXAxisMetricKey": ""}
# MLflow's own first columns: a run's name, and its place under its parent.
_FIRST_COLUMNS = ("attributes.`Run Name`", "runDateAndNestInfo")
_WIDTHS = {"tags.`sweep.arm`": 150, "tags.`sweep.group`": 150, "tags.`sweep.champion`": 180}


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """A saved view.

    Attributes:
        key: What a link names it by.
        name: What the page names it.
        state: Columns, order, filter and charts, as MLflow's page has them.
    """

    key: str
    name: str
    state: Mapping[str, Any]

    @property
    def tag(self) -> str:
        """The name of the experiment's tag that holds it."""
        return f"mlflow.sharedViewState.{self.key}"

    @property
    def digest(self) -> str:
        """What tells it from another that was written before."""
        return hashlib.sha256(self.saved(0).encode()).hexdigest()[:12]

    def saved(self, time: int) -> str:
        """Return the tag's value, of a view that is written at a time, in ms since 1970."""
        state = json.dumps(self.state, separators=(",", ":"))
        view = {"name": self.name, "createdAt": time, "updatedAt": time, "state": state}
        return json.dumps(view)


def views(sweep: str, manifest: Mapping[str, Any]) -> tuple[View, ...]:
    """Return the views of an experiment in which one sweep is looked at.

    Args:
        sweep: Its name: trials and finalists are shown of one sweep alone.
        manifest: What describes it; one of an earlier version may lack something.
    """
    score = score_of(manifest)
    varied = varied_fields(manifest.get("definition", {}))
    verdicts = [verdict(contrast["name"]) for contrast in manifest.get("contrasts", [])]
    of_test = TEST_SCORES[score]
    of_sweep = f"tags.`sweep.name` = '{sweep}'"
    all_sweeps = _state(
        filter="tags.`sweep.role` = 'sweep'",
        order="attributes.start_time",
        columns=[
            *_metrics("score", of_test),
            *_tags("sweep.champion", *verdicts, "sweep.outcome", "sweep.preset"),
            *_params("data", "trials_per_arm"),
        ],
        charts=[_bars("score"), _bars(of_test)],
    )
    trials = _state(
        filter=f"tags.`sweep.role` = 'trial' and {of_sweep}",
        order="metrics.`score`",
        columns=[
            *_tags("sweep.arm"),
            *_metrics("score"),
            *_tags("sweep.outcome"),
            *_params(*varied),
            *_metrics("best_epoch", "image_passes", "device_seconds"),
        ],
        charts=[
            _parallel(varied, "score"),
            _lines(VAL_SCORES[score]),
            _bars("score"),
            _lines(VAL_LOSS),
        ],
    )
    finalists = _state(
        filter=f"tags.`sweep.role` = 'finalist' and {of_sweep}",
        order=f"metrics.`{of_test}`",
        columns=[
            *_tags("sweep.arm"),
            *_metrics(of_test, "score"),
            *_tags("sweep.group"),
            *_params("seed"),
            *_metrics(TEST_LOSS, "image_passes", "device_seconds"),
        ],
        charts=[
            _bars(of_test),
            _bars("score"),
            _lines(VAL_SCORES[score]),
        ],
        grouped="sweep.arm",
    )
    return (
        View(key=SWEEPS, name="Sweeps", state=all_sweeps),
        View(key=TRIALS, name="Trials, best first", state=trials),
        View(key=FINALISTS, name="Finalists on the test split", state=finalists),
    )


def link(address: str, experiment_id: str, key: str) -> str:
    """Return the address of a view on MLflow's page.

    Args:
        address: The server's.
        experiment_id: The study's experiment.
        key: The view's.
    """
    page = f"{address.rstrip('/')}/#/experiments/{experiment_id}/runs"
    return f"{page}?{_TRAINING}&viewStateShareKey={key}"


def run_link(address: str, experiment_id: str, run_id: str) -> str:
    """Return the address of a run on MLflow's page."""
    return f"{address.rstrip('/')}/#/experiments/{experiment_id}/runs/{run_id}?{_TRAINING}"


def _state(
    *,
    filter: str,
    order: str,
    columns: Sequence[str],
    charts: Sequence[Mapping[str, Any]],
    grouped: str = "",
) -> dict[str, Any]:
    """Return a view's state; what MLflow generates of charts follows ours."""
    section = "sweep"
    group_by = None
    if grouped:
        keys = [{"mode": "tag", "groupByData": grouped}]
        group_by = {"aggregateFunction": "average", "groupByKeys": keys}
    cards = [
        {**card, "uuid": f"sweep-{at}", "metricSectionId": section}
        for at, card in enumerate(charts)
    ]
    return {
        # The search.
        "searchFilter": filter,
        "orderByKey": order,
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "modelVersionFilter": "All Runs",
        "datasetsFilter": [],
        # The table.
        "selectedColumns": list(columns),
        "columnOrder": [*_FIRST_COLUMNS, *columns],
        "columnWidths": {column: _WIDTHS[column] for column in columns if column in _WIDTHS},
        "runsHiddenMode": "SHOW_ALL",
        "groupBy": group_by,
        "useGroupedValuesInCharts": True,
        # The charts. Sections that are in order are sorted by name: ours is to be the first.
        "compareRunCharts": cards,
        "compareRunSections": [
            {"uuid": section, "name": "Sweep", "display": True, "columns": 2},
        ],
        "isAccordionReordered": True,
        "hideEmptyCharts": True,
        "globalLineChartConfig": _LINES,
    }


def _metrics(*names: str) -> list[str]:
    return [f"metrics.`{name}`" for name in names]


def _params(*names: str) -> list[str]:
    return [f"params.`{name}`" for name in names]


def _tags(*names: str) -> list[str]:
    return [f"tags.`{name}`" for name in names]


def _card(kind: str, **more: Any) -> dict[str, Any]:
    """Return a chart; its title is its metric's name."""
    return {
        "type": kind,
        "deleted": False,
        "isGenerated": False,
        "runsCountToCompare": _MOST_RUNS,
        **more,
    }


def _bars(metric: str) -> dict[str, Any]:
    return _card("BAR", metricKey=metric)


def _lines(metric: str) -> dict[str, Any]:
    axes = {"scaleType": "linear", "xAxisScaleType": "linear"}
    return _card("LINE", metricKey=metric, selectedMetricKeys=[metric], **axes, **_LINES)


def _parallel(params: Sequence[str], metric: str) -> dict[str, Any]:
    of_what = {"selectedParams": list(params), "selectedMetrics": [metric]}
    return _card("PARALLEL", showAllRuns=True, **of_what)
