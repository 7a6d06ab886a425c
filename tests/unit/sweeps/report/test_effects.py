"""Planned contrasts, every pair of arms, and the smallest difference that would be found."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sweeps.records.design import Design
from sweeps.report import effects
from sweeps.report.effects import PAIRS, PLANNED, Values, detectable
from sweeps.report.narrowing import narrow
from sweeps.report.variance import crossed, over_seeds
from sweeps.report.verdicts import Compared, Kind, judge, level_of

TRICKS = {"name": "tricks", "weights": {"*/tricks": 1, "*/plain": -1}}
DEPTH = {"name": "depth", "weights": {"b50/*": 1, "b18/*": -1}}
ABSENT = {"name": "absent", "weights": {"b18/*": 1, "b99/*": -1}}


def _values(
    seeds: int = 5, images: int = 200, seed: int = 0, tricks: float = 0.0
) -> dict[str, np.ndarray]:
    """Three depths, plain and with tricks, [seeds, images], and what the tricks add."""
    rng = np.random.default_rng(seed)
    hard = rng.standard_normal((1, images))
    return {
        f"{depth}/{recipe}": hard
        + (tricks if recipe == "tricks" else 0.0)
        + 0.05 * rng.standard_normal((seeds, 1))
        + 0.3 * rng.standard_normal((seeds, images))
        for depth, recipe in itertools.product(("b18", "b34", "b50"), ("plain", "tricks"))
    }


def numbered(values: Mapping[str, np.ndarray]) -> Values:
    """Return [seeds, images] by arm as rows by the number of their seed."""
    return {arm: dict(enumerate(rows)) for arm, rows in values.items()}


def design(recipes: int = 1, seeds: int = 5, **more: Any) -> Design:
    return Design(**{"recipes": recipes, "seeds": seeds, "worth": 0.01, **more})


def planned(contrasts: list[dict[str, Any]], values: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Return what all seeds say, of one recipe each."""
    seeds = max(map(len, values.values()), default=0)
    return effects.planned(contrasts, numbered(values), design(seeds=seeds), seeds)


def pairs(values: Mapping[str, np.ndarray]) -> pd.DataFrame:
    return effects.pairs(numbered(values), design())


def test_a_contrast_is_the_crossed_interval_of_the_weighted_sum_with_shared_weights() -> None:
    values = _values(tricks=1.0)
    depths = ("b18", "b34", "b50")
    total = sum(values[f"{depth}/tricks"] - values[f"{depth}/plain"] for depth in depths) / 3
    expected = crossed(total)
    row = planned([TRICKS], values).iloc[0]
    assert (row["estimate"], row["low"], row["high"]) == pytest.approx(
        (expected.mean, expected.low, expected.high)
    )
    assert row["estimate"] == pytest.approx(1.0, abs=0.1)
    assert (row["name"], row["n"]) == ("tricks", 5)


def test_its_verdict_is_that_of_the_looks_with_its_p_and_the_seeds_that_decided() -> None:
    values = _values(seeds=7, tricks=1.0)
    rows = planned([TRICKS, DEPTH], values)
    total = {}
    for name, weights in (("tricks", TRICKS["weights"]), ("depth", DEPTH["weights"])):
        total[name] = effects._weighted(weights, numbered(values))
    expected = judge(total, design(seeds=7), 7)
    for row in rows.itertuples():
        found = expected[row.name]
        assert (row.verdict, row.p_holm) == (found.kind.value, found.p)
        assert row.decided == (0 if found.kind is Kind.OPEN else found.seeds)
    assert list(rows["verdict"]) == ["better", "cannot tell"]
    assert list(rows["decided"]) == [3, 0], "the first look finds it"


@pytest.mark.parametrize(("reached", "verdict"), [(2, "cannot tell"), (3, "better")])
def test_without_its_look_there_is_an_interval_and_no_verdict(reached: int, verdict: str) -> None:
    values = numbered(_values(tricks=1.0))
    row = effects.planned([TRICKS], values, design(), reached).iloc[0]
    assert row["verdict"] == verdict
    assert (row["n"], math.isnan(row["p_holm"])) == (5, reached < 3)
    assert row["low"] > 0


def test_recipes_that_take_turns_are_a_part_of_the_error() -> None:
    values = _values(seeds=6)
    rng = np.random.default_rng(1)
    luck = rng.standard_normal(3)[np.arange(6) % 3, None]
    values["b50/plain"] = values["b50/plain"] + luck
    nested = effects.planned([DEPTH], numbered(values), design(3, 6), 6).iloc[0]
    plain = effects.planned([DEPTH], numbered(values), design(1, 6), 6).iloc[0]
    total = np.mean([values[f"b50/{r}"] - values[f"b18/{r}"] for r in ("plain", "tricks")], axis=0)
    expected = crossed(total, recipes=[0, 1, 2, 0, 1, 2])
    assert (nested["low"], nested["high"]) == pytest.approx((expected.low, expected.high))
    assert nested["estimate"] == plain["estimate"]
    assert nested["high"] - nested["low"] > 1.5 * (plain["high"] - plain["low"])
    # The best of many searched have the luck of their search in common too.
    lucky = effects.planned([DEPTH], numbered(values), design(3, 6, searched=20), 6).iloc[0]
    assert lucky["high"] - lucky["low"] > 1.1 * (nested["high"] - nested["low"])
    both = effects.pairs(numbered(values), design(3, 6, searched=20))
    apart = values["b18/plain"] - values["b50/plain"]
    row = both[(both["a"] == "b18/plain") & (both["b"] == "b50/plain")].iloc[0]
    luck_of_search = design(3, 6, searched=20).luck
    expected = crossed(apart, recipes=[0, 1, 2, 0, 1, 2], luck=luck_of_search)
    assert (row["low"], row["high"]) == pytest.approx((expected.low, expected.high))


def test_a_contrast_is_over_the_seeds_that_all_its_arms_have_by_their_numbers() -> None:
    values = numbered(_values(seeds=8, tricks=0.5))
    kept = {arm: dict(rows) for arm, rows in values.items()}
    del kept["b50/plain"][1], kept["b34/plain"][4], kept["b18/tricks"][7]
    rows = effects.planned([TRICKS, DEPTH], kept, design(2, 8), 8).set_index("name")
    assert rows["n"].tolist() == [5, 6], "the second has no say of b34"
    had = [0, 2, 3, 4, 5, 6]
    arrays = {arm: np.stack([of_arm[seed] for seed in had]) for arm, of_arm in values.items()}
    total = np.mean([arrays[f"b50/{r}"] - arrays[f"b18/{r}"] for r in ("plain", "tricks")], axis=0)
    expected = crossed(total, recipes=[0, 0, 1, 0, 1, 0])
    assert rows.loc["depth", "low"] == pytest.approx(expected.low)


def test_arms_whose_weights_cancel_have_no_say_nor_have_their_seeds() -> None:
    values = numbered(_values(seeds=6))
    cancels = {
        "name": "x",
        "weights": {"b18/plain": 1, "b50/plain": -1, "b34/*": 1, "b34/p*": -0.5},
    }
    cancels["weights"] |= {"b34/t*": -0.5}
    fewer = {arm: dict(rows) for arm, rows in values.items()}
    for arm in ("b34/plain", "b34/tricks"):
        fewer[arm] = {0: values[arm][0]}
    plain = {"name": "x", "weights": {"b18/plain": 1, "b50/plain": -1}}
    found = effects.planned([cancels], fewer, design(1, 6), 6)
    assert found.equals(effects.planned([plain], values, design(1, 6), 6))


def test_what_the_arms_share_cancels() -> None:
    """The images are hard for all arms alike.

    The error of one arm's mean is many times that of the contrast.
    """
    values = _values(images=50)
    row = planned([DEPTH], values).iloc[0]
    alone = crossed(values["b50/plain"])
    assert row["high"] - row["low"] < (alone.high - alone.low) / 2
    moved = {arm: array + np.linspace(0, 100, 50) for arm, array in values.items()}
    assert planned([DEPTH], moved).iloc[0]["low"] == pytest.approx(row["low"])


def test_a_contrast_that_lacks_an_arm_is_left_out_and_does_not_count_in_holm() -> None:
    rows = planned([ABSENT, TRICKS, DEPTH], _values())
    assert list(rows["name"]) == ["tricks", "depth"]
    assert rows.equals(planned([TRICKS, DEPTH], _values()))


def test_no_contrast_is_an_empty_table_with_its_columns() -> None:
    disjoint = {arm: {at: row} for at, (arm, (row, *_)) in enumerate(_values().items())}
    nothing = effects.planned([TRICKS], disjoint, design(), 5)
    for rows in (planned([], _values()), planned([ABSENT], _values()), planned([TRICKS], {})):
        assert rows.empty
        assert tuple(rows.columns) == PLANNED
    assert nothing.empty


@pytest.mark.parametrize("seeds", [1, 2])
def test_under_three_seeds_a_contrast_is_an_estimate_alone(seeds: int) -> None:
    row = planned([TRICKS], _values(seeds=seeds, tricks=9.0)).iloc[0]
    assert row["estimate"] == pytest.approx(9.0, abs=0.5)
    unknown = ["low", "high", "p_holm", "detectable", "of_seeds", "of_recipes", "of_images"]
    assert row[[*unknown, "more_seeds", "more_images"]].isna().all()
    assert (row["verdict"], row["decided"], row["binds"]) == ("cannot tell", 0, "")


def test_arms_that_are_equal_differ_by_exactly_0_and_that_does_not_matter() -> None:
    """Thirds do not add up to 1 in floating point; what is left must not become a tiny p."""
    one = _values()["b18/plain"]
    row = planned([TRICKS], dict.fromkeys(_values(), one)).iloc[0]
    assert (row["estimate"], row["p_holm"], row["detectable"]) == (0.0, 1.0, 0.0)
    assert row["verdict"] == Kind.SAME.value


def test_a_contrasts_detectable_difference_is_at_holms_first_step() -> None:
    values = _values()
    row = planned([TRICKS, DEPTH], values).iloc[1]
    total = np.mean([values[f"b50/{r}"] - values[f"b18/{r}"] for r in ("plain", "tricks")], axis=0)
    alpha = level_of(len(total), design(seeds=len(total))) / 2
    strict = crossed(total, 1 - alpha)
    assert row["detectable"] == pytest.approx(detectable(strict.se, strict.df, alpha=alpha))
    assert row["detectable"] > planned([DEPTH], values).iloc[0]["detectable"]


def test_what_would_narrow_a_contrast_is_at_the_level_that_the_open_ones_share() -> None:
    values = _values(tricks=0.0)
    total = np.mean([values[f"b50/{r}"] - values[f"b18/{r}"] for r in ("plain", "tricks")], axis=0)
    compared = Compared(np.arange(5), np.round(total, effects.DECIMALS))
    for contrasts, shares in (([DEPTH], 1), ([DEPTH, TRICKS], 2)):
        rows = planned(contrasts, values)
        assert set(rows["verdict"]) == {"cannot tell"}
        found = narrow(compared, design(), shares)
        assert rows.iloc[0]["more_seeds"] == pytest.approx(found.more_seeds, nan_ok=True)
        assert rows.iloc[0]["more_images"] == pytest.approx(found.more_images, nan_ok=True)
        assert rows.iloc[0]["of_seeds"] == pytest.approx(found.of_seeds)
        assert rows.iloc[0]["binds"] == found.binds


def test_arms_with_other_images_are_refused_with_their_numbers() -> None:
    values = {"a": {0: np.ones(4)}, "b": {0: np.ones(5)}}
    for found in (
        lambda: effects.planned([TRICKS], values, design(), 5),
        lambda: effects.pairs(values, design()),
    ):
        with pytest.raises(ValueError, match="must have the same images, but got a 4, b 5: take"):
            found()


def test_a_paired_t_test_finds_half_a_standard_deviation_with_34_pairs_and_not_with_33() -> None:
    """The textbook's sample size for d = 0.5, two-sided 0.05, power 0.8."""
    assert detectable(1 / math.sqrt(34), 33) < 0.5 < detectable(1 / math.sqrt(33), 32)


@pytest.mark.parametrize(("df", "alpha"), [(2, 0.05), (2.5, 0.05 / 3), (9, 0.05), (999, 0.01)])
def test_the_detectable_difference_is_found_in_80_percent_of_cases(df: float, alpha: float) -> None:
    rng, se, draws = np.random.default_rng(0), 0.7, 200_000
    errors = se * np.sqrt(rng.chisquare(df, draws) / df)
    t = (detectable(se, df, alpha) + se * rng.standard_normal(draws)) / errors
    assert np.mean(np.abs(t) > stats.t.ppf(1 - alpha / 2, df)) == pytest.approx(0.8, abs=0.004)


def test_pairs_holds_each_pair_once_with_both_intervals() -> None:
    values = _values(tricks=0.2)
    rows = pairs(values)
    assert tuple(rows.columns) == PAIRS
    assert [(row.a, row.b) for row in rows.itertuples()] == list(itertools.combinations(values, 2))
    row = rows[(rows.a == "b18/plain") & (rows.b == "b50/tricks")].iloc[0]
    difference = values["b18/plain"] - values["b50/tricks"]
    both, seeds = crossed(difference), over_seeds(difference.mean(axis=1).tolist())
    assert (row.difference, row.low, row.high) == pytest.approx((both.mean, both.low, both.high))
    assert (row.seeds_low, row.seeds_high) == pytest.approx((seeds.low, seeds.high))
    assert row.detectable == pytest.approx(detectable(both.se, both.df))
    assert row.n == 5


@given(st.lists(st.integers(-1, 1), min_size=3, max_size=12))
def test_superiority_is_the_share_of_wins_with_scipys_exact_interval(signs: list[int]) -> None:
    b = np.zeros((len(signs), 4))
    row = pairs({"a": b + np.array(signs)[:, None], "b": b}).iloc[0]
    wins = signs.count(1) + signs.count(0) / 2
    assert (row.wins, row.superiority) == pytest.approx((wins, wins / len(signs)))
    assert 0 <= row.superiority_low <= row.superiority <= row.superiority_high <= 1
    if wins == int(wins):
        exact = stats.binomtest(int(wins), len(signs)).proportion_ci(method="exact")
        assert (row.superiority_low, row.superiority_high) == pytest.approx((exact.low, exact.high))


def test_swapping_two_arms_mirrors_the_row() -> None:
    values = _values(seeds=4)
    one, other = (
        pairs({arm: values[f"{arm}/plain"] for arm in arms}).iloc[0]
        for arms in (("b18", "b50"), ("b50", "b18"))
    )
    for name, mirror in (
        ("difference", -other.difference),
        ("low", -other.high),
        ("seeds_low", -other.seeds_high),
    ):
        assert one[name] == pytest.approx(mirror)
    assert one.superiority_low == pytest.approx(1 - other.superiority_high)
    assert one.wins == 4 - other.wins


def test_a_pair_is_over_the_seeds_of_both_and_not_there_where_they_share_none() -> None:
    values = numbered(_values(seeds=6))
    three = {
        "a": {seed: values["b18/plain"][seed] for seed in (0, 1, 2, 4)},
        "b": {seed: values["b50/plain"][seed] for seed in (0, 2, 4, 5)},
        "c": {3: values["b34/plain"][3]},
    }
    (row,) = effects.pairs(three, design()).itertuples()
    gaps = [three["a"][seed] - three["b"][seed] for seed in (0, 2, 4)]
    assert (row.a, row.b, row.n) == ("a", "b", 3)
    assert row.difference == pytest.approx(np.mean(gaps))
    assert row.low == pytest.approx(crossed(np.stack(gaps)).low)


def test_intervals_of_pairs_hold_for_other_recipes_and_seeds() -> None:
    """Over 800 sweeps of ten seeds, two of each recipe."""
    rng = np.random.default_rng(0)
    made = design(5, 10)
    held = 0
    for _ in range(800):
        arms = {}
        for arm, number in (("a", 5), ("b", 5)):
            own = rng.standard_normal(number)
            rows = [own[made.turn(seed, number)] for seed in range(10)]
            rows += 0.3 * rng.standard_normal(10)
            arms[arm] = {seed: row + 0.1 * rng.standard_normal(4) for seed, row in enumerate(rows)}
        (row,) = effects.pairs(arms, made).itertuples()
        held += row.low <= 0.0 <= row.high
    assert 0.92 <= held / 800 <= 0.98


def test_names_of_arms_are_no_patterns_in_pairs() -> None:
    values = _values()
    odd = {"x[1]": values["b18/plain"], "x*": values["b50/plain"], "x1": values["b34/plain"]}
    rows = pairs(odd)
    assert [(row.a, row.b) for row in rows.itertuples()] == list(itertools.combinations(odd, 2))
    for row in rows.itertuples():
        assert row.difference == pytest.approx((odd[row.a] - odd[row.b]).mean())


def test_under_three_seeds_pairs_are_differences_without_intervals() -> None:
    row = pairs(dict(itertools.islice(_values(seeds=2).items(), 2))).iloc[0]
    ends = [
        "low",
        "high",
        "seeds_low",
        "seeds_high",
        "superiority_low",
        "superiority_high",
        "detectable",
    ]
    assert row[ends].isna().all()
    assert not math.isnan(row.difference)


def test_one_arm_has_no_pairs() -> None:
    assert pairs({"a": np.ones((3, 4))}).equals(pd.DataFrame(columns=list(PAIRS)))
