"""The order of the finalists: rounds until arms are decided, then the champion's seeds."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.synthetic_sweep import make
from sweeps.records.champion import Bounds
from sweeps.records.design import Design
from sweeps.records.results import Outcome, Results
from sweeps.runner.finalists import rounds
from sweeps.runner.finalists.training import Chosen
from sweeps.runner.study import Contrast
from tests.unit.sweeps.runner.made_up_rounds import (
    ARMS,
    BOTH,
    CONTENDERS,
    LEVELS,
    PLAIN,
    TRICKS,
    TRICKS_PAY,
    TURNS,
    Driver,
    by_arm,
    lacking,
    of_round,
)
from trainables.data.problems import DataError
from trainables.recipe import NEUTRAL


def test_open_arms_get_a_round_after_the_other_and_no_look_is_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    driver = Driver(level=LEVELS)
    ended, finals = driver.run(monkeypatch, seeds=9)
    assert ended is Outcome.COMPLETED
    assert finals.left == 0
    assert driver.asked == [3, 6, 9]
    for at, start in enumerate((0, 3, 6)):
        assert set(driver.calls[at]) == of_round(start, start + 1, start + 2)


def test_a_seed_is_trained_in_all_arms_before_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time may run out: what is there then can be paired."""
    driver = Driver(level=LEVELS)
    driver.run(monkeypatch)
    seeds = [name.rpartition("/s")[2] for name in driver.calls[0]]
    assert seeds == sorted(seeds)
    assert driver.calls[0][:4] == [
        *(f"{TURNS[PLAIN][0]}/s0", f"{PLAIN}/000/s0"),
        *(f"{TURNS[TRICKS][0]}/s0", f"{TRICKS}/000/s0"),
    ]


def test_an_arm_that_is_decided_gets_no_more_seeds_and_never_comes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    driver = Driver(level=LEVELS, open_after={3: {TRICKS}, 6: BOTH})
    driver.run(monkeypatch, seeds=9)
    assert set(driver.calls[1]) == of_round(3, 4, 5, arms={TRICKS})
    assert set(driver.calls[2]) == of_round(6, 7, 8, arms={TRICKS})
    # The seeds that its contenders get later are not its turns.
    assert driver.turns[-1] == {PLAIN: 3, TRICKS: 9}


@pytest.mark.parametrize("contrasts", [(TRICKS_PAY,), ()])
def test_the_full_plan_trains_all_arms_over_all_seeds_and_nobody_looks(
    monkeypatch: pytest.MonkeyPatch, contrasts: tuple[Contrast, ...]
) -> None:
    driver = Driver(level=LEVELS, open_after={3: set()})
    ended, _ = driver.run(monkeypatch, seeds=9, exact=True, contrasts=contrasts)
    assert ended is Outcome.COMPLETED
    assert driver.asked == []
    for at, start in enumerate((0, 3, 6)):
        assert set(driver.calls[at]) == of_round(start, start + 1, start + 2, defaults=9)


def test_where_all_is_decided_no_round_follows_and_contenders_get_those_seeds_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    driver = Driver(level=LEVELS, open_after={3: set()})
    ended, finals = driver.run(monkeypatch, seeds=9)
    assert driver.asked == [3]
    first, *again = driver.calls
    assert set(first) == of_round(0, 1, 2)
    assert len(again) == 1
    assert set(again[0]) == set().union(*(lacking(group, 0, 1, 2) for group in CONTENDERS))
    assert (ended, finals.left) == (Outcome.COMPLETED, 0)


def test_contenders_get_the_seeds_that_they_lack_round_by_round_and_no_others_get_any(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    driver = Driver(level=LEVELS)
    driver.run(monkeypatch)
    assert len(driver.calls) == 4
    for call, seeds in zip(driver.calls[2:], ((0, 1, 2), (3, 4, 5)), strict=True):
        assert set(call) == set().union(*(lacking(group, *seeds) for group in CONTENDERS))
    everything = [name for call in driver.calls for name in call]
    assert len(everything) == len(set(everything))


def test_a_recipe_that_falls_back_contends_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three that looked alike, one had luck in the seeds that it was chosen by."""
    lucky = f"{PLAIN}/004"
    driver = Driver(level=by_arm(plain_5=0.9, tricks_5=0.9, plain_4=0.9))
    train = driver.train

    def unlucky(run: Any, chosen: Chosen, finals: Results) -> Outcome:
        known = {record.trial_id for record in finals.records()}
        outcome = train(run, chosen, finals)
        # In its turn it scored as well; in all the seeds that it gets as a contender it does not.
        for record in finals.records():
            mine = record.finalist and record.finalist.group == lucky
            if mine and record.trial_id not in known and len(driver.calls) > 2:
                record.score = 0.6
        return outcome

    monkeypatch.setattr(driver, "train", unlucky)
    driver.run(monkeypatch)
    best = (f"{PLAIN}/005", f"{TRICKS}/005")
    expected = set().union(*(lacking(group, 0, 1, 2) for group in (lucky, *best)))
    assert set(driver.calls[2]) == expected
    assert set(driver.calls[3]) == set().union(*(lacking(group, 3, 4, 5) for group in best))


def test_a_single_contender_gets_one_round_so_that_its_mean_is_of_as_many_as_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    driver = Driver(level=by_arm(plain_5=0.9))
    _, finals = driver.run(monkeypatch, seeds=9)
    only = f"{PLAIN}/005"
    assert [set(call) for call in driver.calls[3:]] == [lacking(only, 0, 1, 2)]
    had = {f"{only}/s{seed}" for seed in range(9)} - lacking(only, *range(3, 9))
    assert {record.trial_id for record in finals.records(PLAIN) if record.number == 5} == had


def test_what_costs_too_much_gets_no_seeds_beyond_those_of_its_arm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cost = {f"{PLAIN}/005": 50e6, f"{TRICKS}/005": 50e6}
    driver = Driver(level=LEVELS, cost=cost)
    driver.run(monkeypatch, bounds=Bounds(mb=100))
    small = (f"{PLAIN}/004", f"{TRICKS}/004")
    assert set(driver.calls[2]) == set().union(*(lacking(group, 0, 1, 2) for group in small))
    assert not [name for call in driver.calls[2:] for name in call if "/005/" in name]


def test_with_one_recipe_each_contenders_lack_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver(level=LEVELS)
    driver.run(monkeypatch, recipes=1)
    assert [len(call) for call in driver.calls[:2]] == [12, 6]
    assert not any(driver.calls[2:])


@pytest.mark.parametrize("starve", range(5))
def test_once_the_time_is_over_nothing_more_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, starve: int
) -> None:
    driver = Driver(level=LEVELS, starve=starve)
    ended, finals = driver.run(monkeypatch, ablate=True)
    assert len(driver.calls) == starve + 1
    assert ended is Outcome.COMPLETED
    assert finals.left > 0


def test_an_arm_that_failed_too_often_is_left_alone_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    driver = Driver(level=by_arm(tricks_5=0.9, tricks_4=0.9), broken=frozenset({PLAIN}))
    ended, finals = driver.run(monkeypatch)
    assert ended is Outcome.COMPLETED
    assert set(driver.calls[0]) == {f"{TURNS[PLAIN][0]}/s0"} | of_round(0, 1, 2, arms={TRICKS})
    assert set(driver.calls[1]) == of_round(3, 4, 5, arms={TRICKS})
    best = (f"{TRICKS}/004", f"{TRICKS}/005")
    assert set(driver.calls[2]) == set().union(*(lacking(group, 0, 1, 2) for group in best))
    # What was asked of it first is still to do; with so few runs, its one recipe might be as good.
    asked = of_round(0, 1, 2, arms={PLAIN}) | {f"{TURNS[PLAIN][0]}/s{seed}" for seed in range(3)}
    assert finals.left == len(asked) - 1


@pytest.mark.parametrize("outcome", [Outcome.INTERRUPTED, Outcome.FAILED])
@pytest.mark.parametrize("at", range(5))
def test_whoever_interrupts_or_a_ray_that_fails_ends_it_there(
    monkeypatch: pytest.MonkeyPatch, outcome: Outcome, at: int
) -> None:
    driver = Driver(level=LEVELS, outcome={at: outcome})
    ended, _ = driver.run(monkeypatch, ablate=True)
    assert ended is outcome
    assert len(driver.calls) == at + 1


def test_a_draw_that_cannot_be_had_ends_it_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver()

    def train(*given: Any) -> Outcome:
        raise DataError(["class 'a' has no images.", "class 'b' has no images."])

    monkeypatch.setattr(driver, "train", train)
    ended, finals = driver.run(monkeypatch)
    assert ended is Outcome.FAILED
    assert finals.total == 0
    assert driver.said == [
        "The sweep stopped: class 'a' has no images.",
        "The sweep stopped: class 'b' has no images.",
    ]


@pytest.mark.parametrize(("open_after", "most"), [({}, 6), ({3: set[str]()}, 3)])
def test_the_champion_is_ablated_over_the_seeds_that_it_had(
    monkeypatch: pytest.MonkeyPatch, open_after: Mapping[int, set[str]], most: int
) -> None:
    driver = Driver(level=by_arm(tricks_5=0.9), open_after=open_after)
    driver.run(monkeypatch, ablate=True)
    recipe = next(arm for arm in ARMS if arm.name == TRICKS).default_recipe().as_dict()
    tricks = [name for name, neutral in NEUTRAL.items() if recipe[name] != neutral]
    expected = []
    # The first round's, and those at which it was its turn.
    lacks = lacking(f"{TRICKS}/005", *range(3, most))
    for seed in range(most):
        if f"{TRICKS}/005/s{seed}" in lacks:
            continue
        expected += [f"{TRICKS}/005/without-{name}/s{seed}" for name in tricks]
    assert tricks
    assert driver.calls[-1] == expected
    assert driver.said == []


def test_a_champion_without_tricks_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "ablations", lambda record: ())
    driver = Driver(level=by_arm(plain_5=0.9))
    ended, _ = driver.run(monkeypatch, ablate=True)
    assert ended is Outcome.COMPLETED
    assert driver.said == [f"--ablate: {PLAIN}/005 has no trick that could be taken away."]


def test_where_no_arms_are_compared_seeds_are_the_champions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    driver = Driver(level=LEVELS, open_after={3: set()})
    driver.run(monkeypatch, seeds=9, contrasts=())
    assert driver.asked == [3]
    for call, start in zip(driver.calls[1:], (0, 3, 6), strict=True):
        seeds = (start, start + 1, start + 2)
        had = {name for seed in seeds if seed < 3 for name in of_round(seed)}
        wanted = {f"{group}/s{seed}" for group in CONTENDERS for seed in seeds}
        assert set(call) == wanted - had


@pytest.mark.parametrize("ends", range(1, 5))
def test_a_sweep_whose_time_ends_between_two_calls_is_not_whole(
    monkeypatch: pytest.MonkeyPatch, ends: int
) -> None:
    """All that was begun has ended; what would have come next is planned, and left to do."""
    driver = Driver(level=LEVELS, starve=ends)
    _, finals = driver.run(monkeypatch)
    assert driver.calls[ends:] == [[]] * (ends < 4)
    assert (finals.left > 0) == (ends < 4)


def test_without_seeds_nothing_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver()
    ended, finals = driver.run(monkeypatch, seeds=0, ablate=True)
    assert (ended, finals.total, driver.calls, driver.asked) == (Outcome.COMPLETED, 0, [], [])


def test_it_is_the_same_each_time_and_more_seeds_go_on_where_fewer_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, again, longer = Driver(level=LEVELS), Driver(level=LEVELS), Driver(level=LEVELS)
    first.run(monkeypatch)
    again.run(monkeypatch)
    assert again.calls == first.calls
    longer.run(monkeypatch, seeds=9)
    assert longer.calls[:2] == first.calls[:2]
    everything = {name for call in longer.calls for name in call}
    assert {name for call in first.calls for name in call} <= everything


def test_after_a_round_the_driver_says_what_is_known_and_goes_on_with_what_is_open(
    tmp_path: Path,
) -> None:
    """Six arms: tricks bring some points, and depth, of which two are compared, nothing."""
    made: dict[str, Any] = {"trials": 12, "outcomes": (), "images": 600, "run": 0.001}
    made |= {"recipes": 3, "draws": True, "ablations": False, "finish": None}
    folder = make(tmp_path, seeds=range(40, 46), **made)
    said: list[str] = []
    run: Any = SimpleNamespace(
        plan=SimpleNamespace(folder=folder), say=said.append, doing=lambda what: nullcontext()
    )
    design = Design(recipes=3, seeds=6, worth=0.01)
    live = rounds._undecided(run, design, 3)
    assert said == ["After 3 seeds: tricks: better; depth, linear trend: cannot tell."]
    expected = {
        f"{depth}/{how}" for depth in ("resnet18", "resnet50") for how in ("plain", "tricks")
    }
    assert live == expected
    assert rounds._undecided(run, design, 6) == set(), "the last round was trained"
    assert len(said) == 1
