"""Planned contrasts, every pair of arms, and the arithmetic of tests."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from sweeps.report.effects import PAIRS, PLANNED, detectable, holm, pairs, planned
from sweeps.report.variance import crossed, over_seeds

P = st.floats(0, 1)
TRICKS = {"name": "tricks", "weights": {"*/tricks": 1, "*/plain": -1}}
DEPTH = {"name": "depth", "weights": {"b50/*": 1, "b18/*": -1}}
ABSENT = {"name": "absent", "weights": {"b18/*": 1, "b99/*": -1}}


def _values(
    seeds: int = 5, images: int = 200, seed: int = 0, tricks: float = 0.0
) -> dict[str, np.ndarray]:
    """Three depths, plain and with tricks, and what the tricks add."""
    rng = np.random.default_rng(seed)
    hard = rng.standard_normal((1, images))
    return {
        f"{depth}/{recipe}": hard
        + (tricks if recipe == "tricks" else 0.0)
        + 0.05 * rng.standard_normal((seeds, 1))
        + 0.3 * rng.standard_normal((seeds, images))
        for depth, recipe in itertools.product(("b18", "b34", "b50"), ("plain", "tricks"))
    }


def test_a_contrast_is_the_crossed_interval_of_the_weighted_sum_with_shared_weights() -> None:
    values = _values(tricks=1.0)
    total = (
        sum(values[f"{depth}/tricks"] - values[f"{depth}/plain"] for depth in ("b18", "b34", "b50"))
        / 3
    )
    expected = crossed(total)
    row = planned([TRICKS], values).iloc[0]
    assert (row["estimate"], row["low"], row["high"]) == pytest.approx(
        (expected.mean, expected.low, expected.high)
    )
    assert row["estimate"] == pytest.approx(1.0, abs=0.1)
    assert row["significant"]
    assert row["p"] == row["p_holm"] < 0.001
    assert (row["name"], row["n"]) == ("tricks", 5)


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
    assert list(rows["p_holm"]) == pytest.approx(holm(list(rows["p"])))


def test_no_contrast_is_an_empty_table_with_its_columns() -> None:
    for rows in (planned([], _values()), planned([ABSENT], _values()), planned([TRICKS], {})):
        assert rows.empty
        assert tuple(rows.columns) == PLANNED


@pytest.mark.parametrize("seeds", [1, 2])
def test_under_three_seeds_a_contrast_is_an_estimate_alone(seeds: int) -> None:
    row = planned([TRICKS], _values(seeds=seeds, tricks=9.0)).iloc[0]
    assert row["estimate"] == pytest.approx(9.0, abs=0.5)
    assert row[["low", "high", "p", "p_holm", "detectable"]].isna().all()
    assert not row["significant"]


def test_arms_that_are_equal_differ_by_exactly_0_with_p_1() -> None:
    """Thirds do not add up to 1 in floating point; what is left must not become a tiny p."""
    one = _values()["b18/plain"]
    row = planned([TRICKS], dict.fromkeys(_values(), one)).iloc[0]
    assert (row["estimate"], row["p"], row["detectable"]) == (0.0, 1.0, 0.0)
    assert not row["significant"]


def test_a_contrasts_detectable_difference_is_at_holms_first_step() -> None:
    values = _values()
    row = planned([TRICKS, DEPTH], values).iloc[1]
    total = np.mean([values[f"b50/{r}"] - values[f"b18/{r}"] for r in ("plain", "tricks")], axis=0)
    strict = crossed(total, 1 - 0.05 / 2)
    assert row["detectable"] == pytest.approx(detectable(strict.se, strict.df, alpha=0.05 / 2))
    assert row["detectable"] > planned([DEPTH], values).iloc[0]["detectable"]


def test_arms_with_other_seeds_are_refused_with_their_shapes() -> None:
    values = {"a": np.ones((3, 4)), "b": np.ones((2, 4))}
    for found in (lambda: planned([TRICKS], values), lambda: pairs(values)):
        with pytest.raises(
            ValueError, match=r"the same seeds and images, but got a \(3, 4\), b \(2, 4\)"
        ):
            found()


@given(st.lists(P, max_size=6), st.floats(0.001, 0.999))
def test_holm_rejects_what_its_definition_rejects(p: list[float], alpha: float) -> None:
    """Holm 1979: go up the ordered p values.

    Stop at the first that is not under alpha / (number left).
    """
    rejected, left = set(), len(p)
    for i in sorted(range(len(p)), key=lambda i: p[i]):
        assume(abs(p[i] * left - alpha) > 1e-9)
        if p[i] * left >= alpha:
            break
        rejected.add(i)
        left -= 1
    assert {i for i, adjusted in enumerate(holm(p)) if adjusted < alpha} == rejected


def test_holm_of_a_worked_case() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_leaves_out_what_was_not_tested() -> None:
    found = holm([0.02, math.nan, 0.03])
    assert found[::2] == pytest.approx([0.04, 0.04])
    assert math.isnan(found[1])


@given(st.lists(P, min_size=1, max_size=8))
def test_holm_is_between_p_and_bonferroni_and_keeps_the_order(p: list[float]) -> None:
    found = holm(p)
    assert all(
        one <= adjusted <= min(1, one * len(p)) + 1e-12
        for one, adjusted in zip(p, found, strict=True)
    )
    assert sorted(range(len(p)), key=lambda i: (p[i], i)) == sorted(
        range(len(p)), key=lambda i: (found[i], p[i], i)
    )


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
