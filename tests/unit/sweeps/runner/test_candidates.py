"""Which recipes are retrained, over which seeds, and what is taken away from the champion."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from search_spaces.depth_vs_tricks import SPACE
from search_spaces.space import SearchSpace
from sweeps.records.design import Design
from sweeps.records.results import Finalist, Outcome, Results, TrialRecord, trial_name
from sweeps.runner.finalists.candidates import (
    Entry,
    Field,
    ablations,
    best_of,
    field_of,
    finalist_seeds,
    seeded,
    sizes,
)
from sweeps.runner.study import PRESETS, Study
from trainables.recipe import NEUTRAL, Recipe

ARMS = SPACE.with_fixed(weights="none", seed=3).matching("resnet18/*")
PLAIN, TRICKS = ARMS
FULL = PRESETS["full"]


def searched(**scores: list[float | None]) -> Results:
    """Trials of each arm with these scores; one without failed."""
    results = Results({arm.name: len(scores[arm.name.partition("/")[2]]) for arm in ARMS})
    for arm in ARMS:
        for number, score in enumerate(scores[arm.name.partition("/")[2]]):
            recipe = replace(arm.default_recipe(), stage2_lr=1e-3 * (number + 1))
            record = results.start(trial_name(arm.name, number), arm.name, number, recipe)
            record.outcome = Outcome.FAILED if score is None else Outcome.COMPLETED
            record.score = score
    return results


@pytest.fixture
def field() -> Field:
    """Three recipes of each arm in the order of their scores, a default among them."""
    results = searched(
        plain=[0.7, 0.5, 0.9, 0.6, 0.2, None], tricks=[0.1, 0.8, None, 0.8, 0.1, 0.2]
    )
    found = field_of(ARMS, results, most=3, seed=3)
    score = {record.trial_id: record.score or 0.0 for record in results.records()}
    best = {}
    for arm, of_arm in found.best.items():
        best[arm] = sorted(of_arm, key=lambda each: (-score[each.finalist.group], each.number))
    return replace(found, best=best)


def test_the_best_of_each_arm_are_compared_of_equal_ones_the_earlier(field: Field) -> None:
    assert field.names == {
        "resnet18/plain": ("resnet18/plain/002", "resnet18/plain/000", "resnet18/plain/003"),
        "resnet18/tricks": ("resnet18/tricks/001", "resnet18/tricks/003", "resnet18/tricks/005"),
    }
    assert [each.recipe.stage2_lr for each in field.best[PLAIN.name]] == [3e-3, 1e-3, 4e-3]
    for arm in ARMS:
        assert field.default[arm.name].finalist == Finalist(f"{arm.name}/000")
    only = field_of(ARMS, searched(plain=[0.7, 0.9, 0.9], tricks=[0.1]), most=1, seed=3)
    assert only.names[PLAIN.name] == ("resnet18/plain/001",)


def test_turns_are_shuffled_in_each_arm_for_itself_and_the_same_each_time() -> None:
    """The best of both arms on the same seed, and the worst of both, would hide their spread."""
    scores: list[float | None] = [0.1, 0.6, 0.7, 0.8, 0.2, 0.3]
    results = searched(plain=scores, tricks=scores)
    orders: dict[str, list[tuple[int, ...]]] = {arm.name: [] for arm in ARMS}
    for seed in range(40):
        found = field_of(ARMS, results, most=3, seed=seed)
        assert field_of(ARMS, results, most=3, seed=seed).names == found.names
        for arm, of_arm in found.best.items():
            numbers = tuple(each.number for each in of_arm)
            assert sorted(numbers) == [1, 2, 3]
            orders[arm].append(numbers)
    assert all(len(set(of_arm)) == 6 for of_arm in orders.values()), "each order comes up"
    assert orders[PLAIN.name] != orders[TRICKS.name]


@pytest.mark.parametrize(
    ("trials", "most", "recipes"),
    [(0, 5, 0), (1, 5, 1), (2, 5, 1), (3, 5, 2), (5, 3, 3), (9, 5, 5), (24, 5, 5), (24, 1, 1)],
)
def test_the_better_half_of_a_search_stands_for_its_arm(
    trials: int, most: int, recipes: int
) -> None:
    assert best_of(trials, most) == recipes
    scores: list[float | None] = [number / 100 for number in range(trials)]
    found = field_of(ARMS, searched(plain=scores, tricks=[None, *scores]), most=most, seed=0)
    for arm, shift in ((PLAIN.name, 0), (TRICKS.name, 1)):
        numbers = sorted(each.number for each in found.best.get(arm, ()))
        assert numbers == list(range(trials - recipes + shift, trials + shift))


def test_each_recipe_is_there_once_though_it_is_one_of_the_best_and_the_default() -> None:
    found = field_of(ARMS, searched(plain=[0.5, 0.7, 0.6], tricks=[0.9, 0.7]), most=1, seed=3)
    assert list(found.all) == ["resnet18/plain/001", "resnet18/tricks/000", "resnet18/plain/000"]
    for group, candidate in found.all.items():
        assert candidate.finalist.group == group


def test_an_arm_whose_default_failed_has_its_best_alone_and_one_without_a_score_nothing() -> None:
    found = field_of(ARMS, searched(plain=[None, 0.2], tricks=[None]), most=3, seed=3)
    assert found.names == {"resnet18/plain": ("resnet18/plain/001",)}
    assert found.default == {}


def test_an_arm_with_nothing_to_tune_has_its_only_recipe_without_a_search() -> None:
    arms = SearchSpace(arms={"stage2_lr": (0.1, 0.2)}, fixed={"weights": "none"}).grid()
    found = field_of(arms, Results({arm.name: 0 for arm in arms}), most=5, seed=3)
    assert found.names == {"0.1": ("0.1/000",), "0.2": ("0.2/000",)}
    assert [each.recipe.stage2_lr for each in found.default.values()] == [0.1, 0.2]
    assert found.design(10, 1.0).recipes == 1


@pytest.mark.parametrize(("seeds", "recipes"), [(0, 1), (1, 1), (2, 2), (3, 3), (10, 3)])
def test_no_more_recipes_take_turns_than_there_are_seeds(
    field: Field, seeds: int, recipes: int
) -> None:
    assert field.design(seeds, worth=1.5) == Design(recipes=recipes, seeds=seeds, worth=0.015)


def test_without_a_trial_that_completed_there_is_nothing_to_train() -> None:
    found = field_of(ARMS, searched(plain=[None], tricks=[None]), most=3, seed=3)
    design = found.design(3, 1.0)
    assert (found.all, design.recipes) == ({}, 1)
    assert found.round(design, found.best, range(3), (7, 8, 9), defaults=3) == {}


def test_in_a_round_each_seed_trains_the_recipe_whose_turn_it_is_and_at_first_the_default(
    field: Field,
) -> None:
    entries = field.round(field.design(6, 1.0), field.best, range(2, 5), range(100, 106), 4)
    assert list(entries) == [
        *("resnet18/plain/003/s2", "resnet18/plain/000/s2"),
        *("resnet18/tricks/005/s2", "resnet18/tricks/000/s2"),
        *("resnet18/plain/002/s3", "resnet18/plain/000/s3"),
        *("resnet18/tricks/001/s3", "resnet18/tricks/000/s3"),
        # Here it is the default's turn.
        *("resnet18/plain/000/s4", "resnet18/tricks/003/s4"),
    ]
    for name, entry in entries.items():
        assert name == f"{entry.candidate.finalist.group}/s{entry.seed}"
        assert entry.candidate.recipe.seed == 100 + entry.seed
        known = field.all[entry.candidate.finalist.group]
        assert replace(entry.candidate.recipe, seed=known.recipe.seed) == known.recipe


@pytest.mark.parametrize("fewer", [1, 2])
def test_an_arm_with_fewer_recipes_begins_again_sooner(field: Field, fewer: int) -> None:
    best = {**field.best, TRICKS.name: field.best[TRICKS.name][:fewer]}
    found = replace(field, best=best, default={})
    entries = found.round(found.design(6, 1.0), [TRICKS.name], range(6), range(6), 6)
    turns = [entry.candidate.number for entry in entries.values()]
    assert turns == {1: [1, 1, 1, 1, 1, 1], 2: [1, 3, 1, 1, 3, 1]}[fewer]


def test_an_arm_that_is_out_trains_nothing(field: Field) -> None:
    entries = field.round(field.design(3, 1.0), [PLAIN.name], range(3), range(3), 3)
    assert {entry.candidate.arm for entry in entries.values()} == {PLAIN.name}


def test_candidates_over_seeds_come_seed_by_seed_each_with_its_own(field: Field) -> None:
    both = [field.all["resnet18/plain/002"], field.all["resnet18/tricks/000"]]
    entries = seeded(both, [1, 0], (7, 8))
    assert [(name, entry.candidate.recipe.seed) for name, entry in entries.items()] == [
        ("resnet18/plain/002/s1", 8),
        ("resnet18/tricks/000/s1", 8),
        ("resnet18/plain/002/s0", 7),
        ("resnet18/tricks/000/s0", 7),
    ]
    assert both[0].recipe.seed == 3, "the candidate itself stays the search's"
    assert seeded(both, [], (7, 8)) == {}
    (entry,) = seeded(both[:1], [0], (7, 8)).values()
    recipe = replace(both[0].recipe, seed=7)
    assert entry == Entry(candidate=replace(both[0], recipe=recipe), seed=0)


def test_each_trick_is_taken_away_in_turn_and_nothing_else_changes() -> None:
    recipe = replace(TRICKS.default_recipe(), label_smoothing=0.1)
    group = trial_name(TRICKS.name, 4)
    found = ablations(TrialRecord(f"{group}/s0", TRICKS.name, 4, recipe, Finalist(group)))
    assert [candidate.finalist.without for candidate in found] == [
        "stage1_epochs", "scheduler", "augmentation", "label_smoothing", "weight_decay",
    ]  # fmt: skip
    for candidate in found:
        values = candidate.recipe.as_dict()
        changed = {name for name in values if values[name] != recipe.as_dict()[name]}
        without = candidate.finalist.without
        assert without
        assert changed == {without}
        assert values[without] == NEUTRAL[without]
        assert candidate.finalist.group == f"{group}/without-{without}"


def test_a_recipe_without_tricks_has_nothing_to_take_away() -> None:
    assert ablations(TrialRecord("a/000/s0", "a", 0, Recipe(**NEUTRAL), Finalist("a/000"))) == ()


@pytest.mark.parametrize("name", NEUTRAL)
def test_a_neutral_value_is_one_that_a_recipe_may_have(name: str) -> None:
    assert Recipe.from_sample({name: NEUTRAL[name]}).as_dict()[name] == NEUTRAL[name]


def test_finalists_have_seeds_of_their_own_and_more_of_them_begin_with_the_same() -> None:
    seeds = finalist_seeds(3, 10)
    assert len({3, *seeds}) == 11
    for fewer, more in pairwise(range(11)):
        assert finalist_seeds(3, more)[:fewer] == finalist_seeds(3, fewer)
    assert not set(seeds) & set(finalist_seeds(4, 10))
    assert replace(Recipe(), seed=seeds[0]).seed == seeds[0], "a recipe may have it"


@pytest.mark.parametrize(
    ("preset", "asked", "expected"),
    [
        ("full", None, (4, 8)),
        ("full", 20, (4, 20)),
        ("full", 1, (4, 1)),
        ("demo", None, (4, 5)),
        ("laptop", 12, (3, 12)),
    ],
)
def test_a_preset_lowers_what_a_study_has_and_the_flag_decides_on_seeds(
    preset: str, asked: int | None, expected: tuple[int, int]
) -> None:
    study = _study(finalist_recipes=4, finalist_seeds=8)
    assert sizes(study, PRESETS[preset], asked) == expected


def test_a_preset_never_raises_what_a_study_has() -> None:
    assert sizes(_study(finalist_recipes=2, finalist_seeds=1), PRESETS["demo"], None) == (2, 1)
    assert sizes(_study(finalist_seeds=0), FULL, None) == (5, 0)


def test_seeds_for_a_study_without_finalists_are_refused_with_the_mend() -> None:
    with pytest.raises(ValueError, match=r"but s has none \(finalist_seeds=0\): leave it out"):
        sizes(_study(finalist_seeds=0), FULL, 3)


def _study(**numbers: int) -> Study:
    return Study(name="s", question="?", space=SPACE, trials_per_arm=1, **numbers)  # type: ignore[arg-type]


def test_as_many_recipes_take_turns_in_each_arm_that_has_several_of_those_that_were_tried() -> None:
    """Stopped trials were tried, too: three of five are the better half, of which two completed."""
    arms = SPACE.with_fixed(weights="none", seed=3).matching("resnet18/*")
    found = Results({arm.name: 5 for arm in arms})
    outcomes = {
        "resnet18/plain": [Outcome.COMPLETED] * 5,
        "resnet18/tricks": [Outcome.COMPLETED] * 2 + [Outcome.PRUNED] * 3,
    }
    for arm in arms:
        for number, outcome in enumerate(outcomes[arm.name]):
            record = found.start(
                trial_name(arm.name, number), arm.name, number, arm.default_recipe()
            )
            record.outcome = outcome
            record.score = 0.5 + number / 10
    field = field_of(arms, found, 5, seed=0)
    assert {arm: len(of_arm) for arm, of_arm in field.best.items()} == dict.fromkeys(outcomes, 2)
    plain = {candidate.number for candidate in field.best["resnet18/plain"]}
    assert plain == {3, 4}, "the best of its search"
