"""The saved views of an experiment, as MLflow's page reads them."""

from __future__ import annotations

import json
from typing import Any

from search_spaces.depth_vs_tricks import SPACE
from sweeps.records.manifest import definition
from sweeps.tracking.views import FINALISTS, SWEEPS, TRIALS, View, link, views

MANIFEST: dict[str, Any] = {
    "definition": definition(SPACE.grid()),
    "contrasts": [{"name": "depth, linear trend"}],
    "options": {"score": "macro_f1"},
}


def shown(sweep: str = "s1", **changes: Any) -> dict[str, View]:
    return {view.key: view for view in views(sweep, MANIFEST | changes)}


def test_trials_show_their_arm_and_score_first_and_what_varies_after() -> None:
    state = shown()[TRIALS].state
    columns = state["selectedColumns"]
    assert columns[:2] == ["tags.`sweep.arm`", "metrics.`score`"]
    assert "params.`scheduler`" in columns
    assert "params.`image_size`" not in columns
    # After MLflow's own two columns, in this order.
    assert state["columnOrder"][2:] == columns
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`score`", False)
    assert state["searchFilter"] == "tags.`sweep.role` = 'trial' and tags.`sweep.name` = 's1'"


def test_finalists_are_sorted_by_the_test_of_the_score_that_decides_and_grouped_by_arm() -> None:
    state = shown()[FINALISTS].state
    assert state["orderByKey"] == "metrics.`test/macro_f1`"
    assert state["groupBy"]["groupByKeys"] == [{"mode": "tag", "groupByData": "sweep.arm"}]


def test_sweeps_show_their_verdicts() -> None:
    columns = shown()[SWEEPS].state["selectedColumns"]
    assert "tags.`sweep.verdict.depth_ linear trend`" in columns
    assert "metrics.`test/macro_f1`" in columns


def test_charts_are_parallel_coordinates_curves_and_bars_in_one_section() -> None:
    state = shown()[TRIALS].state
    charts = state["compareRunCharts"]
    assert [chart["type"] for chart in charts] == ["PARALLEL", "LINE", "BAR", "LINE"]
    assert charts[0]["selectedMetrics"] == ["score"]
    assert "backbone" in charts[0]["selectedParams"]
    assert charts[1]["metricKey"] == "val/macro_f1"
    (section,) = state["compareRunSections"]
    assert {chart["metricSectionId"] for chart in charts} == {section["uuid"]}
    assert len({chart["uuid"] for chart in charts}) == len(charts)


def test_a_view_is_saved_as_the_page_reads_it_and_fits_a_tag() -> None:
    for view in shown("a" * 100).values():
        saved = json.loads(view.saved(7))
        assert (saved["name"], saved["createdAt"], saved["updatedAt"]) == (view.name, 7, 7)
        assert json.loads(saved["state"]) == view.state
        assert len(view.saved(7)) < 5000  # MLflow's tables hold no more


def test_the_digest_changes_with_what_is_shown_and_with_nothing_else() -> None:
    assert shown()[TRIALS].digest == shown()[TRIALS].digest
    assert shown()[TRIALS].digest != shown("s2")[TRIALS].digest
    assert shown()[SWEEPS].digest == shown("s2")[SWEEPS].digest


def test_a_manifest_of_an_earlier_version_has_views_without_params() -> None:
    earlier = {view.key: view for view in views("s1", {})}
    assert "tags.`sweep.arm`" in earlier[TRIALS].state["selectedColumns"]
    assert not [name for name in earlier[TRIALS].state["selectedColumns"] if "params" in name]


def test_a_link_has_no_search_of_its_own_which_would_win_over_the_view() -> None:
    assert link("http://127.0.0.1:5000/", "3", TRIALS) == (
        "http://127.0.0.1:5000/#/experiments/3/runs"
        "?workflowType=machine_learning&viewStateShareKey=trials"
    )
