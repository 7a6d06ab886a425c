"""The sentence on the model that is shipped, in each of its forms."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweeps.records.champion import Bounds
from sweeps.report.finalists import Group, Seed, champion_of
from sweeps.report.findings import Findings, gap, interval
from sweeps.report.formats import percent, span
from sweeps.report.shipping import rival, shipped, unshipped

IMAGES = 1000
SMALL, LARGE = 11_000_000, 23_000_000


def seed(at: int, val: float, right: int, template: Seed, **cost: float) -> Seed:
    """Return a seed by its score on val and its number of test images that are right."""
    images = np.arange(IMAGES) < right
    labels = np.zeros(IMAGES, np.int64)
    return replace(
        template,
        index=at,
        score=val,
        accuracy=right / IMAGES,
        balanced_accuracy=right / IMAGES,
        right=images,
        labels=labels,
        said=np.where(images, 0, 1),
        losses=np.zeros(IMAGES),
        parameters=cost.get("parameters", SMALL),
        inference_ms=cost.get("ms", 1.0),
    )


def group(
    found: Findings, name: str, val: Sequence[float], right: Sequence[int], **cost: float
) -> Group:
    """Return a recipe with these scores on val, and these right test images, by seed."""
    template = found.groups[0].seeds[0]
    made = [
        seed(at, one, n, template, **cost)
        for at, (one, n) in enumerate(zip(val, right, strict=True))
    ]
    arm, _, number = name.rpartition("/")
    return replace(
        found.groups[0],
        name=name,
        arm=arm,
        number=int(number),
        kinds=frozenset({"top"}),
        without="",
        seeds=tuple(made),
        failed=(),
    )


def of(found: Findings, *groups: Group, bounds: Bounds | None = None, score: str = "") -> Findings:
    """Return findings of these recipes alone, with their champion."""
    choice = champion_of(groups, found.run.arms, bounds or Bounds())
    run = found.run
    if score:
        options = {**run.part("options"), "score": score}
        run = replace(run, described={**run.described, "options": options})
    return replace(found, run=run, groups=groups, choice=choice)


def sentence(findings: Findings) -> str:
    champion = findings.champion
    assert champion
    return " ".join(shipped(findings, champion))


A, B = "resnet18/plain/003", "resnet50/tricks/001"
VAL = (0.70, 0.71, 0.72)
LOWER = (0.60, 0.62, 0.61)
# 0.01 below with a standard error of 0.0115, which one standard error cannot tell apart.
NEAR = (0.67, 0.72, 0.71)
RIGHT = (700, 720, 710)
FEWER = (600, 615, 611)


def test_a_clear_winner_is_shipped_with_its_lead_and_both_intervals(found: Findings) -> None:
    a, b = group(found, A, VAL, RIGHT), group(found, B, LOWER, FEWER)
    findings = of(found, a, b)
    own, lead = interval(a, "accuracy"), gap(a, b, "accuracy")
    assert own
    assert sentence(findings) == (
        f"Ship {A}: this model classifies 71.0% of the test images correctly. 95% interval "
        f"{span(own.low, own.high)}, 3 seeds; {percent(lead.value)} points "
        f"({span(lead.low, lead.high)}) above the runner-up, {B}."
    )


def test_the_only_recipe_is_shipped_without_a_rival(found: Findings) -> None:
    a = group(found, A, VAL, RIGHT)
    findings = of(found, a)
    own = interval(a, "accuracy")
    assert own
    assert rival(findings, a) is None
    assert sentence(findings) == (
        f"Ship {A}: this model classifies 71.0% of the test images correctly. 95% interval "
        f"{span(own.low, own.high)}, 3 seeds."
    )


def test_where_val_cannot_tell_there_is_no_clear_winner_and_the_smallest_is_shipped(
    found: Findings,
) -> None:
    a = group(found, A, NEAR, RIGHT, parameters=SMALL)
    b = group(found, B, VAL, FEWER, parameters=LARGE)
    own, lead = interval(a, "accuracy"), gap(a, b, "accuracy")
    assert own
    assert sentence(of(found, a, b)) == (
        f"No clear winner. Ship {A}, the smallest of those that val cannot tell apart (11.0 "
        "million parameters): it classifies 71.0% of the test images correctly. 95% interval "
        f"{span(own.low, own.high)}, 3 seeds. Its closest rival is {B}: val cannot tell them "
        f"apart, and on the test images they are {percent(lead.value)} points "
        f"({span(lead.low, lead.high)}) apart."
    )


def test_a_distance_has_no_sign_whoever_is_ahead_on_test(found: Findings) -> None:
    a, b = group(found, A, VAL, FEWER), group(found, B, NEAR, RIGHT)
    lead = gap(b, a, "accuracy")
    assert lead.value > 0
    apart = f"{percent(lead.value)} points ({span(lead.low, lead.high)}) apart."
    assert f"they are {apart}" in sentence(of(found, a, b))


@pytest.mark.parametrize(
    ("costs", "why"),
    [
        (((SMALL, 1.0), (SMALL, 3.0)), ", the best on the validation images: "),
        (((SMALL, 3.0), (SMALL, 1.0)), ", small and fast among those that val cannot tell apart: "),
        (
            ((LARGE, 1.0), (SMALL, 3.0)),
            ", the smallest of those that val cannot tell apart (11.0 million parameters): ",
        ),
        (((SMALL, 3.0), (LARGE, 1.0)), ", the best on the validation images: "),
        (((math.nan, math.nan), (math.nan, math.nan)), ", the best on the validation images: "),
    ],
)
def test_of_those_that_cannot_be_told_apart_it_is_said_why_it_is_this_one(
    found: Findings, costs: Any, why: str
) -> None:
    leader, other = costs
    a = group(found, A, VAL, RIGHT, parameters=leader[0], ms=leader[1])
    b = group(found, B, NEAR, RIGHT, parameters=other[0], ms=other[1])
    findings = of(found, a, b)
    assert findings.champion
    said = sentence(findings)
    assert said.startswith(f"No clear winner. Ship {findings.champion.name}{why}it classifies ")


def test_val_and_test_that_disagree_give_no_clear_winner(found: Findings) -> None:
    a, b = group(found, A, VAL, FEWER), group(found, B, LOWER, RIGHT)
    lead = gap(b, a, "accuracy")
    said = sentence(of(found, a, b))
    assert said.startswith(
        f"No clear winner. Ship {A}, the best on the validation images: it classifies 60.9% of the "
        "test images correctly. "
    )
    assert said.endswith(
        f" Its closest rival is {B}: val prefers {A}, the test images {B} by "
        f"{percent(lead.value)} points ({span(lead.low, lead.high)})."
    )


def test_a_lead_whose_interval_holds_0_is_within_noise(found: Findings) -> None:
    a, b = group(found, A, VAL, (700, 760, 710)), group(found, B, LOWER, (710, 700, 720))
    lead = gap(a, b, "accuracy")
    assert lead.value > 0 > lead.low
    said = sentence(of(found, a, b))
    assert said.startswith(f"No clear winner. Ship {A}, the best on the validation images: ")
    assert said.endswith(
        f" Its closest rival is {B}: the lead is within noise, and on the test images they are "
        f"{percent(lead.value)} points ({span(lead.low, lead.high)}) apart."
    )


def test_under_three_seeds_there_is_a_mean_and_nobody_has_won(found: Findings) -> None:
    a, b = group(found, A, VAL[:2], RIGHT[:2]), group(found, B, LOWER[:2], FEWER[:2])
    said = sentence(of(found, a, b))
    assert said.startswith("No clear winner. ")
    assert "classifies 71.0% of the test images correctly. Mean of 2 seeds." in said
    assert said.endswith("10.2 points apart.")
    assert "interval" not in said
    one = sentence(of(found, group(found, A, VAL[:1], RIGHT[:1])))
    assert one.endswith(" correctly. Mean of 1 seed.")


def test_where_the_rival_was_not_tested_nothing_is_said_of_the_test_images(found: Findings) -> None:
    a, b = group(found, A, VAL, RIGHT), group(found, B, NEAR, FEWER)
    bare = []
    for one in b.seeds:
        empty = one.labels[:0]
        bare.append(
            replace(one, accuracy=math.nan, labels=empty, right=empty.astype(bool), said=empty)
        )
    said = sentence(of(found, a, replace(b, seeds=tuple(bare))))
    assert said.startswith(f"No clear winner. Ship {A}, ")
    assert said.endswith(f" Its closest rival is {B}: val cannot tell them apart.")


def test_another_score_is_named(found: Findings) -> None:
    a, b = group(found, A, VAL, RIGHT), group(found, B, LOWER, FEWER)
    said = sentence(of(found, a, b, score="balanced_accuracy"))
    assert said.startswith(
        f"Ship {A}: this model has a balanced accuracy of 71.0% on the test images. 95% interval "
    )


def test_the_rival_is_the_best_on_val_beside_it_of_those_with_seeds_enough(
    found: Findings,
) -> None:
    a = group(found, A, VAL, RIGHT)
    names = ("resnet34/plain/001", "resnet34/plain/002", "resnet34/plain/003", B)
    third = group(found, names[0], (0.5, 0.5, 0.5), RIGHT)
    second = group(found, names[1], LOWER, FEWER)
    lucky = group(found, names[2], VAL[:2], RIGHT[:2])
    ablation = replace(group(found, names[3], VAL, RIGHT), kinds=frozenset({"ablation"}))
    earlier = replace(group(found, B, VAL, RIGHT), kinds=frozenset({"earlier"}))
    findings = of(found, third, lucky, second, a, ablation, earlier)
    assert findings.champion is a
    assert rival(findings, a) is second


def test_rivals_are_compared_as_if_all_had_had_the_same_seeds(found: Findings) -> None:
    """The third had the easy seeds 2 to 4 alone."""
    easy = np.array([0.0, 0.0, 0.2, 0.2, 0.2])
    a = group(found, A, (0.80 + easy).tolist(), [700] * 5)
    b = group(found, B, (0.70 + easy).tolist(), [600] * 5)
    c = group(found, "resnet34/plain/002", (0.65 + easy).tolist(), [600] * 5)
    c = replace(c, seeds=c.seeds[2:])
    assert c.score > b.score
    assert rival(of(found, a, b, c), a) is b


def test_what_could_not_be_shipped_is_no_rival(found: Findings) -> None:
    a = group(found, A, LOWER, FEWER, parameters=SMALL)
    b = group(found, B, VAL, RIGHT, parameters=LARGE)
    findings = of(found, a, b, bounds=Bounds(mb=50))
    assert findings.champion is a
    assert "No clear winner" not in sentence(findings)


def test_where_the_bounds_leave_nothing_it_says_what_there_is(found: Findings) -> None:
    a = group(found, A, LOWER, FEWER, parameters=SMALL, ms=4.25)
    b = group(found, B, VAL, RIGHT, parameters=LARGE, ms=3.5)
    findings = of(found, a, b, bounds=Bounds(mb=40, ms=1))
    assert findings.champion is None
    assert unshipped(findings) == (
        "No model is shipped: of those that were retrained none is within --max-ms and --max-mb "
        "(the fastest takes 3.50 ms per image, the smallest has 44.0 MB)."
    )


VALS = st.lists(st.integers(50, 90).map(lambda percent: percent / 100), min_size=3, max_size=3)
RIGHTS = st.lists(st.integers(500, 900), min_size=3, max_size=3)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(VALS, VALS, RIGHTS, RIGHTS, st.booleans())
def test_a_winner_is_never_said_of_what_the_test_images_do_not_put_ahead(
    found: Findings,
    first: list[float],
    second: list[float],
    right: list[int],
    other: list[int],
    large: bool,
) -> None:
    a = group(found, A, first, right, parameters=LARGE if large else SMALL)
    b = group(found, B, second, other)
    findings = of(found, a, b)
    champion = findings.champion
    assert champion
    said = sentence(findings)
    lead = gap(champion, b if champion is a else a, "accuracy")
    if said.startswith("Ship "):
        assert lead.low > 0
        assert re.search(r"3 seeds; \d+\.\d points \(\d", said)
    else:
        assert said.startswith(f"No clear winner. Ship {champion.name}")
        assert "−" not in said.partition(" points")[0]
