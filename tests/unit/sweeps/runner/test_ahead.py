"""What may follow is bounded by what can: from one round with all decided to all seeds for all."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from sweeps.records.design import Design
from sweeps.runner.course import Ahead
from sweeps.runner.finalists import ahead
from tests.unit.sweeps.runner.made_up_rounds import ARMS, LEVELS, PLAIN, TRICKS_PAY, Driver, by_arm
from trainables.recipe import NEUTRAL


def _plan(
    *,
    seeds: int = 6,
    ablate: bool = False,
    tuned: bool = True,
    trials: int = 6,
    contrasts: tuple[Any, ...] = (TRICKS_PAY,),
    exact: bool = False,
) -> Any:
    arms = ARMS if tuned else [SimpleNamespace(name=arm.name, tuned={}) for arm in ARMS]
    return SimpleNamespace(
        arms=arms,
        trials_per_arm=trials,
        finalist_recipes=3,
        finalist_seeds=tuple(range(seeds)),
        study=SimpleNamespace(worth=1.0, contrasts=contrasts),
        options=SimpleNamespace(ablate=ablate, exact=exact),
    )


@pytest.mark.parametrize("open_after", [{}, {3: set[str]()}, {3: {PLAIN}}])
@pytest.mark.parametrize("level", [LEVELS, by_arm(plain_5=0.9)])
@pytest.mark.parametrize("seeds", [3, 6, 9])
@pytest.mark.parametrize("contrasts", [(TRICKS_PAY,), ()])
@pytest.mark.parametrize("exact", [False, True])
def test_what_came_was_never_less_or_more_than_what_was_said(
    monkeypatch: pytest.MonkeyPatch,
    open_after: dict[int, set[str]],
    level: Any,
    seeds: int,
    contrasts: tuple[Any, ...],
    exact: bool,
) -> None:
    if not contrasts:
        # Nothing is open after the first round.
        open_after = {3: set()}
    driver = Driver(level=level, open_after=open_after)
    said: list[Ahead] = []
    train = driver.train

    def noted(run: Any, chosen: Any, finals: Any) -> Any:
        said.append(chosen.ahead)
        return train(run, chosen, finals)

    monkeypatch.setattr(driver, "train", noted)
    driver.run(monkeypatch, seeds=seeds, contrasts=contrasts, exact=exact)
    runs = [len(call) for call in driver.calls]
    before = ahead.of_search(_plan(seeds=seeds, contrasts=contrasts, exact=exact))
    assert before.least <= sum(runs) <= before.most
    for number, each in enumerate(said, 1):
        assert each.least <= sum(runs[number:]) <= each.most


def test_without_seeds_nothing_follows_and_ablations_are_more() -> None:
    assert ahead.of_search(_plan(seeds=0)) == Ahead()
    plain = ahead.of_search(_plan())
    ablated = ahead.of_search(_plan(ablate=True))
    assert ablated.least == plain.least
    assert ablated.most == plain.most + 6 * len(NEUTRAL)


def test_an_arm_with_nothing_to_tune_has_one_run_for_each_seed() -> None:
    assert ahead.of_search(_plan(tuned=False)) == Ahead(least=2 * 3, most=2 * 6)


def test_what_follows_is_said_in_words() -> None:
    assert ahead.before_search(_plan()) == (
        "next: the search, 2 arms x 6 trials",
        "then: the 3 best recipes in turn and the default of each arm, with up to 6 new seeds, "
        "on the test split",
    )
    assert ahead.before_search(_plan(tuned=False)) == (
        "next: the recipe of each arm, with up to 6 new seeds, on the test split",
        "then: the report",
    )
    assert ahead.after_search(_plan(seeds=0)) == ("next: the report",)
    assert "with 6 new seeds, on" in ahead.after_search(_plan(exact=True))[0]
    assert ahead.after_search(_plan(trials=1, seeds=1))[0] == (
        "next: the best recipe and the default of each arm, with up to 1 new seed, "
        "on the test split"
    )
    design = Design(recipes=3, seeds=6, worth=0.01)
    assert ahead.round_in_words(design, range(3), compared=True) == (
        "round 1 of up to 2",
        (
            "next: a look at the comparisons; arms that are still open get round 2",
            "then: more seeds for the likely champions, then the report",
        ),
    )
    assert ahead.round_in_words(design, range(3, 6), compared=True)[0] == "round 2 of 2"
    assert ahead.round_in_words(design, range(3), compared=False, exact=True) == (
        "round 1 of 2",
        ("next: round 2 of 2", "then: more seeds for the likely champions, then the report"),
    )
    only = ahead.round_in_words(design, range(3), compared=False)
    assert only == ("first seeds", ("next: more seeds for the likely champions, then the report",))
    assert ahead.later_in_words(ablate=False) == ("likely champions", ("next: the report",))
    ablated = "next: the champion without each of its tricks"
    assert ahead.later_in_words(ablate=True) == ("likely champions", (ablated,))
