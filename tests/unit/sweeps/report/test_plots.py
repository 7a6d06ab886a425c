"""Figures are Plotly's and hold what was measured.

Where there is nothing to show, a sentence stands in their place.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest

from benchmarks.synthetic_sweep import make
from sweeps.report import mistakes, plots_finalists, plots_search
from sweeps.report.blocks import Block, Plot, Plots, Text
from sweeps.report.figures import PALETTE, label
from sweeps.report.findings import Findings, find, interval
from sweeps.report.page import safe_json
from sweeps.report.runs import Run, read_run
from sweeps.report.spread import spread_of

OF_RUN = [
    plots_search.isolation,
    plots_search.parallel,
    plots_search.schedulers,
    plots_search.more_trials,
]
OF_FOUND = [
    plots_finalists.arms,
    plots_finalists.curves,
    plots_finalists.sizes,
    plots_finalists.cost,
    mistakes.confusion,
]


def plots(block: Block) -> list[Plot]:
    assert isinstance(block, Plot | Plots), block
    return [block] if isinstance(block, Plot) else list(block.plots)


@pytest.mark.parametrize("make_block", OF_RUN, ids=lambda f: f.__name__)
def test_figures_of_the_search_are_valid(
    found: Findings, make_block: Callable[[Run], Block]
) -> None:
    for plot in plots(make_block(found.run)):
        go.Figure(json.loads(safe_json(plot.figure)))


@pytest.mark.parametrize("make_block", OF_FOUND, ids=lambda f: f.__name__)
def test_figures_of_the_finalists_are_valid(
    found: Findings, make_block: Callable[[Findings], Block]
) -> None:
    for plot in plots(make_block(found)):
        go.Figure(json.loads(safe_json(plot.figure)))


@pytest.mark.parametrize("make_block", OF_RUN, ids=lambda f: f.__name__)
def test_a_search_with_nothing_to_show_is_a_sentence(
    tmp_path: Path, make_block: Callable[[Run], Block]
) -> None:
    assert isinstance(make_block(read_run(tmp_path)), Text)


@pytest.mark.parametrize("make_block", [*OF_FOUND, mistakes.worst], ids=lambda f: f.__name__)
def test_finalists_with_nothing_to_show_are_a_sentence(
    tmp_path: Path, make_block: Callable[[Findings], Block]
) -> None:
    assert isinstance(make_block(find(read_run(tmp_path))), Text)


def test_isolation_has_a_figure_a_parameter_with_a_log_axis_where_it_was_searched_so(
    found: Findings,
) -> None:
    shown = {plot.title: plot.figure for plot in plots(plots_search.isolation(found.run))}
    assert list(shown)[:2] == ["trainable_layers", "stage2_lr"]
    assert shown["stage2_lr"]["layout"]["xaxis"]["type"] == "log"
    assert shown["label_smoothing"]["layout"]["xaxis"]["type"] == "linear"
    assert shown["scheduler"]["layout"]["xaxis"]["ticktext"] == ["constant", "step", "cosine"]
    rows = found.run.rows("trial")
    ended = rows[rows["outcome"].isin(["completed", "pruned"])]
    assert sum(len(trace["x"]) for trace in shown["stage2_lr"]["data"]) == len(ended)


def test_stopped_trials_are_hollow_in_isolation(found: Findings) -> None:
    shown = next(
        plot for plot in plots(plots_search.isolation(found.run)) if plot.title == "stage2_lr"
    )
    hollow = [
        symbol
        for trace in shown.figure["data"]
        for symbol in trace["marker"]["symbol"]
        if symbol.endswith("-open")
    ]
    assert len(hollow) == 6


def test_parallel_coordinates_go_from_the_low_to_the_high_end_of_each_range(
    found: Findings,
) -> None:
    for plot in plots(plots_search.parallel(found.run)):
        heights = [y for trace in plot.figure["data"] for y in trace["y"] if y is not None]
        assert min(heights) >= 0
        assert max(heights) <= 1
    assert len(plots(plots_search.parallel(found.run))) == 2


def test_what_another_value_switches_off_is_a_gap_in_parallel_coordinates() -> None:
    assert plots_search._height(float("nan"), {"low": 0.0, "high": 1.0, "log": False}) is None
    assert plots_search._height(1e-3, {"low": 1e-5, "high": 1e-1, "log": True}) == pytest.approx(
        0.5
    )
    assert plots_search._height("step", {"options": ["constant", "step", "cosine"]}) == 0.5
    assert plots_search._height(0, {"low": 1e-5, "high": 1e-1, "log": True}) is None


def test_with_too_few_trials_importance_is_a_sentence_that_says_how_many(found: Findings) -> None:
    said = plots_search.importances(found.run)
    assert isinstance(said, Text)
    assert said.text == "Parameter importance needs 50 completed trials per arm (here: 3)."


def test_with_enough_trials_importance_is_a_figure_an_arm(tmp_path: Path) -> None:
    run = read_run(make(tmp_path, trials=60, arms=("resnet18/plain",), seeds=(), epochs=2))
    plot = plots(plots_search.importances(run))[0]
    assert sum(plot.figure["data"][0]["x"]) == pytest.approx(100, abs=0.1)
    go.Figure(json.loads(safe_json(plot.figure)))


def test_each_seed_is_a_point_beside_its_arms_interval(found: Findings) -> None:
    plot = plots(plots_finalists.arms(found))[0]
    drawn = [x for trace in plot.figure["data"] if trace["marker"]["size"] == 5 for x in trace["x"]]
    seeds = [seed for group in found.groups if not group.without for seed in group.seeds]
    assert sorted(drawn) == sorted(round(100 * seed.accuracy, 2) for seed in seeds)
    whiskers = [trace["error_x"] for trace in plot.figure["data"] if "error_x" in trace]
    assert len(whiskers) == len([group for group in found.groups if not group.without])


def test_of_recipes_in_turn_each_run_of_the_arm_is_a_point_and_its_interval_is_for_others_too(
    found_in_turn: Findings,
) -> None:
    plot = plots(plots_finalists.arms(found_in_turn))[0]
    assert "for other recipes of such a search, new seeds and new images" in plot.caption
    means = [trace for trace in plot.figure["data"] if "error_x" in trace]
    assert len(means) == 12, "each arm, and its default, which is one of its best or is not"
    small = [trace for trace in plot.figure["data"] if trace["marker"]["size"] == 5]
    assert [len(trace["x"]) for trace in small] == [9] * 12
    for trace, arm in zip(means[::2], found_in_turn.run.arms[::-1], strict=True):
        whole = interval(found_in_turn.arms[arm], "accuracy")
        assert whole
        assert trace["x"] == [round(100 * whole.mean, 2)]


def test_what_makes_a_score_vary_is_a_bar_a_part_the_first_on_top(found_in_turn: Findings) -> None:
    plot = plots_finalists.components(found_in_turn)
    assert isinstance(plot, Plot)
    parts = spread_of(found_in_turn)
    assert parts
    names = {
        "another recipe of the search": parts.recipes,
        "another seed": parts.seeds,
        "another draw of train and val": parts.draws,
        "other test images": parts.images,
        "the rest": parts.residual,
    }
    (bar,) = plot.figure["data"]
    assert bar["x"] == [round(100 * value, 3) for value in names.values()][::-1]
    assert plot.figure["layout"]["yaxis"]["ticktext"] == list(names)[::-1]
    assert "on 1,500 images" in plot.caption
    assert "With one seed" not in plot.caption
    assert "All seeds trained on the same images" not in plot.caption
    go.Figure(json.loads(safe_json(plot.figure)))


def test_parts_that_a_sweep_cannot_tell_have_no_bar_and_that_is_said(tmp_path: Path) -> None:
    made = {"trials": 6, "outcomes": (), "images": 60, "recipes": 3, "seeds": range(3)}
    found = find(read_run(make(tmp_path, arms=("resnet18/plain", "resnet18/tricks"), **made)))
    plot = plots_finalists.components(found)
    assert isinstance(plot, Plot)
    shown = plot.figure["layout"]["yaxis"]["ticktext"]
    assert "another recipe of the search" not in shown
    assert "With one seed of each recipe, recipes are part of seeds." in plot.caption
    assert "All seeds trained on the same images: what another draw does is not known." in (
        plot.caption
    )


def test_without_two_seeds_there_is_nothing_to_vary(tmp_path: Path) -> None:
    found = find(read_run(make(tmp_path, trials=4, images=40, seeds=(0,))))
    assert plots_finalists.components(found) is None


def test_curves_name_the_overfitting_gap(found: Findings) -> None:
    block = plots_finalists.curves(found)
    assert isinstance(block, Plots)
    names = [seed.trial_id for seed in found.arms["resnet18/plain"].seeds]
    last = found.run.epochs[
        found.run.epochs["trial_id"].isin(names) & (found.run.epochs["epoch"] == 20)
    ]
    gap = 100 * (last["train/accuracy"].mean() - last["val/accuracy"].mean())
    assert f"resnet18/plain {gap:.1f}" in block.caption


def test_cost_adds_up_and_says_what_early_stopping_saved(found: Findings) -> None:
    plot = plots(plots_finalists.cost(found))[0]
    total = sum(x for trace in plot.figure["data"] for x in trace["x"])
    assert total == pytest.approx(found.run.trials["device_seconds"].sum() / 3600, abs=0.01)
    assert "Early stopping saved 84 epochs" in plot.caption


def test_one_epoch_saved_is_counted_as_one(found: Findings) -> None:
    trials = found.run.trials.copy()
    pruned = (trials["outcome"] == "pruned") & (trials["role"] == "trial")
    trials.loc[pruned, "epochs_done"] = trials.loc[pruned, "epochs"].astype(int)
    first = trials.index[pruned][0]
    trials.loc[first, "epochs_done"] -= 1
    block = plots_finalists.cost(replace(found, run=replace(found.run, trials=trials)))
    assert "Early stopping saved 1 epoch;" in plots(block)[0].caption


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("<b>a</b> & c", "&lt;b&gt;a&lt;/b&gt; &amp; c"),
        ("a\nb\t c", "a b c"),
        ("x" * 60, "x" * 39 + "…"),
    ],
)
def test_a_label_is_one_short_line_without_markup(name: str, shown: str) -> None:
    assert label(name) == shown


@pytest.mark.parametrize("ground", ["#ffffff", "#15171a"])
def test_every_color_stands_out_from_the_light_and_the_dark_page(ground: str) -> None:
    def luminance(color: str) -> float:
        parts = np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    for color in PALETTE:
        lighter, darker = sorted([luminance(color), luminance(ground)], reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= 3, color
