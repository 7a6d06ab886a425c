"""Figures hold what was measured.

Where there is nothing to show, a sentence stands in their place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.synthetic_sweep import make
from sweeps.records.palette import PALETTE, color
from sweeps.report import mistakes, plots_finalists, plots_search
from sweeps.report.blocks import Block, Plot, Plots, Text
from sweeps.report.charts import chart
from sweeps.report.figures import (
    SYMBOLS,
    Bar,
    Bars,
    Dots,
    Line,
    label,
    legend,
    symbol,
)
from sweeps.report.findings import Findings, find, interval
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
]


def plots(block: Block) -> list[Plot]:
    assert isinstance(block, Plot | Plots), block
    return [block] if isinstance(block, Plot) else list(block.plots)


def dots(plot: Plot) -> list[Dots]:
    return [mark for mark in plot.figure.marks if isinstance(mark, Dots)]


def lines(plot: Plot) -> list[Line]:
    return [mark for mark in plot.figure.marks if isinstance(mark, Line)]


def bars(plot: Plot) -> list[Bar]:
    return [bar for mark in plot.figure.marks if isinstance(mark, Bars) for bar in mark.bars]


@pytest.mark.parametrize("make_block", OF_RUN, ids=lambda f: f.__name__)
def test_figures_of_the_search_are_drawn_and_say_their_numbers(
    found: Findings, make_block: Callable[[Run], Block]
) -> None:
    for plot in plots(make_block(found.run)):
        assert chart(plot.figure, "it").count("<title>") > 0


@pytest.mark.parametrize("make_block", OF_FOUND, ids=lambda f: f.__name__)
def test_figures_of_the_finalists_are_drawn_and_say_their_numbers(
    found: Findings, make_block: Callable[[Findings], Block]
) -> None:
    for plot in plots(make_block(found)):
        assert chart(plot.figure, "it").count("<title>") > 0


@pytest.mark.parametrize("make_block", OF_RUN, ids=lambda f: f.__name__)
def test_a_search_with_nothing_to_show_is_a_sentence(
    tmp_path: Path, make_block: Callable[[Run], Block]
) -> None:
    assert isinstance(make_block(read_run(tmp_path)), Text)


@pytest.mark.parametrize(
    "make_block", [*OF_FOUND, mistakes.confusion, mistakes.worst], ids=lambda f: f.__name__
)
def test_finalists_with_nothing_to_show_are_a_sentence(
    tmp_path: Path, make_block: Callable[[Findings], Block]
) -> None:
    assert isinstance(make_block(find(read_run(tmp_path))), Text)


def test_isolation_has_a_figure_a_parameter_with_a_log_axis_where_it_was_searched_so(
    found: Findings,
) -> None:
    shown = {plot.title: plot for plot in plots(plots_search.isolation(found.run))}
    assert list(shown)[:2] == ["trainable_layers", "stage2_lr"]
    assert shown["stage2_lr"].figure.x.log
    assert not shown["label_smoothing"].figure.x.log
    assert shown["scheduler"].figure.x.names == ["constant", "step", "cosine"]
    rows = found.run.rows("trial")
    ended = rows[rows["outcome"].isin(["completed", "pruned"])]
    assert sum(len(mark.dots) for mark in dots(shown["stage2_lr"])) == len(ended)


def test_stopped_trials_are_hollow_in_isolation(found: Findings) -> None:
    shown = next(
        plot for plot in plots(plots_search.isolation(found.run)) if plot.title == "stage2_lr"
    )
    drawn = [dot for mark in dots(shown) for dot in mark.dots]
    assert sum(dot.hollow for dot in drawn) == 6
    assert sum(dot.ringed for dot in drawn) == 6, "each arm's default"


def test_parallel_coordinates_go_from_the_low_to_the_high_end_of_each_range(
    found: Findings,
) -> None:
    for plot in plots(plots_search.parallel(found.run)):
        heights = [y for line in lines(plot) for y in line.y if y is not None]
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
    assert sum(bar.end for bar in bars(plot)) == pytest.approx(100, abs=0.1)


def test_each_seed_is_a_point_beside_its_arms_interval(found: Findings) -> None:
    plot = plots(plots_finalists.arms(found))[0]
    drawn = [dot.x for mark in dots(plot) if mark.size == 5 for dot in mark.dots]
    seeds = [seed for group in found.groups if not group.without for seed in group.seeds]
    assert sorted(drawn) == pytest.approx(sorted(100 * seed.accuracy for seed in seeds))
    whiskers = [dot for mark in dots(plot) for dot in mark.dots if dot.between]
    assert len(whiskers) == len([group for group in found.groups if not group.without])


def test_of_recipes_in_turn_each_run_of_the_arm_is_a_point_and_its_interval_is_for_others_too(
    found_in_turn: Findings,
) -> None:
    plot = plots(plots_finalists.arms(found_in_turn))[0]
    assert "for other recipes of such a search, new seeds and new images" in plot.caption
    means = [dot for mark in dots(plot) for dot in mark.dots if dot.between]
    assert len(means) == 12, "each arm, and its default, which is one of its best or is not"
    small = [mark for mark in dots(plot) if mark.size == 5]
    assert [len(mark.dots) for mark in small] == [9] * 12
    for dot, arm in zip(means[::2], found_in_turn.run.arms[::-1], strict=True):
        whole = interval(found_in_turn.arms[arm], "accuracy")
        assert whole
        assert whole.low is not None
        assert whole.high is not None
        assert dot.x == pytest.approx(100 * whole.mean)
        assert dot.between == pytest.approx((100 * whole.low, 100 * whole.high))


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
    ends = [bar.end for bar in bars(plot)]
    assert ends == pytest.approx([100 * value for value in names.values()][::-1])
    assert plot.figure.y.names == list(names)[::-1]
    assert "on 1,500 images" in plot.caption
    assert "With one seed" not in plot.caption
    assert "All seeds trained on the same images" not in plot.caption


def test_parts_that_a_sweep_cannot_tell_have_no_bar_and_that_is_said(tmp_path: Path) -> None:
    made = {"trials": 6, "outcomes": (), "images": 60, "recipes": 3, "seeds": range(3)}
    found = find(read_run(make(tmp_path, arms=("resnet18/plain", "resnet18/tricks"), **made)))
    plot = plots_finalists.components(found)
    assert isinstance(plot, Plot)
    shown = plot.figure.y.names
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
    total = sum(bar.end - bar.start for bar in bars(plot))
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
        ("<b>a</b> & c", "<b>a</b> & c"),
        ("a\nb\t c", "a b c"),
        ("x" * 60, "x" * 39 + "…"),
    ],
)
def test_a_label_is_one_short_line(name: str, shown: str) -> None:
    assert label(name) == shown


@pytest.mark.parametrize("ground", ["#ffffff", "#15171a"])
def test_every_color_stands_out_from_the_light_and_the_dark_page(ground: str) -> None:
    def luminance(shade: str) -> float:
        parts = np.array([int(shade[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    for shade in PALETTE:
        lighter, darker = sorted([luminance(shade), luminance(ground)], reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= 3, shade


def test_arms_are_told_apart_by_symbols_as_well_as_by_colors() -> None:
    names = [f"arm {at}" for at in range(len(PALETTE) * len(SYMBOLS))]
    keys = legend(names)
    assert len({(key.color, key.symbol) for key in keys}) == len(names)
    assert [key.symbol for key in keys[:3]] == ["circle", "square", "diamond"]
    assert (color(1), symbol(1)) == (keys[1].color, keys[1].symbol)
