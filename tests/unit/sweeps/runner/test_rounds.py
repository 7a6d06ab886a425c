"""The order of the finalists: rounds until arms are decided, then the champion's seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.synthetic_sweep import make
from search_spaces.depth_vs_tricks import SPACE
from sweeps.records.champion import Bounds
from sweeps.records.design import Design
from sweeps.records.results import Outcome, Results, trial_name
from sweeps.runner.finalists import rounds
from sweeps.runner.finalists.candidates import Candidate, field_of
from sweeps.runner.finalists.rounds import finalists
from sweeps.runner.finalists.training import Chosen
from sweeps.runner.study import Contrast
from trainables.data.problems import DataError
from trainables.metrics import INFERENCE_MS, PARAMETERS
from trainables.recipe import NEUTRAL

ARMS = SPACE.with_fixed(weights="none").matching("resnet18/*")
PLAIN, TRICKS = (arm.name for arm in ARMS)
BOTH = {PLAIN, TRICKS}
Level = Callable[[str], float]
TRICKS_PAY = Contrast(name="tricks", weights={TRICKS: 1, PLAIN: -1})


@dataclass
class Driver:
    """A sweep whose training is made up, with a note of each call.

    Attributes:
        level: Score of a recipe; a run is off it by `noise`.
        open_after: Arms that are open, by the seeds after which it is asked; others are decided.
        calls: Names of what each call has trained that was not trained before.
        turns: What each call was told of the seeds over which recipes take turns.
        outcome: How calls end, by their number, where it is not as completed.
        starve: From which call on nothing is trained, since the time is over.
        broken: Arms that fail too often: after their first run nothing of them is trained.
    """

    level: Level = lambda group: 0.5
    open_after: Mapping[int, set[str]] = field(default_factory=dict)
    cost: Mapping[str, float] = field(default_factory=dict)
    outcome: Mapping[int, Outcome] = field(default_factory=dict)
    starve: int = 99
    broken: frozenset[str] = frozenset()
    calls: list[list[str]] = field(default_factory=list)
    turns: list[dict[str, int]] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def train(self, run: Any, chosen: Chosen, finals: Results) -> Outcome:
        at = len(self.calls)
        self.turns.append(dict(chosen.turns))
        known = {record.trial_id for record in finals.records()}
        new = {name: entry for name, entry in chosen.entries.items() if name not in known}
        for entry in new.values():
            finals.expect({entry.candidate.arm: 1})
        self.calls.append([])
        for name, entry in new.items():
            of = entry.candidate
            if at >= self.starve or (of.arm in self.broken and finals.records(of.arm)):
                continue
            self.calls[-1].append(name)
            record = finals.start(name, of.arm, of.number, of.recipe, of.finalist)
            record.outcome = Outcome.COMPLETED
            record.score = self.level(of.finalist.group) + noise(of, entry.seed)
            parameters = self.cost.get(of.finalist.group, 1e6)
            record.test = {PARAMETERS: parameters, INFERENCE_MS: 1.0}
        return self.outcome.get(at, Outcome.COMPLETED)

    def undecided(self, run: Any, design: Design, seeds: int) -> set[str]:
        self.asked.append(seeds)
        return set() if seeds >= design.seeds else self.open_after.get(seeds, BOTH)

    def run(self, monkeypatch: pytest.MonkeyPatch, **options: Any) -> tuple[Outcome, Results]:
        given = {
            "seeds": 6,
            "recipes": 3,
            "ablate": False,
            "bounds": Bounds(),
            "contrasts": (TRICKS_PAY,),
            **options,
        }
        plan = SimpleNamespace(
            arms=ARMS,
            finalist_recipes=given["recipes"],
            finalist_seeds=tuple(range(100, 100 + given["seeds"])),
            study=SimpleNamespace(worth=1.0, contrasts=given["contrasts"]),
            options=SimpleNamespace(seed=0, ablate=given["ablate"], bounds=given["bounds"]),
        )
        monkeypatch.setattr(rounds, "train", self.train)
        monkeypatch.setattr(rounds, "_undecided", self.undecided)
        run: Any = SimpleNamespace(
            plan=plan, say=self.said.append, over=lambda: len(self.calls) >= self.starve
        )
        return finalists(run, searched())


def noise(of: Candidate, seed: int) -> float:
    """Return by how much a run is off its recipe: the defaults by most, others by 0 in a round."""
    if of.number == 0:
        return 0.02 * (-1) ** (seed + (of.arm == PLAIN))
    return 0.001 * ((seed + of.number) % 3 - 1)


def searched() -> Results:
    """Six trials of each arm, each better than the one before: 3, 4 and 5 are compared."""
    results = Results(dict.fromkeys((PLAIN, TRICKS), 6))
    for arm in ARMS:
        for number in range(6):
            recipe = replace(arm.default_recipe(), stage2_lr=1e-3 * (number + 1))
            record = results.start(trial_name(arm.name, number), arm.name, number, recipe)
            record.outcome, record.score = Outcome.COMPLETED, number / 10
    return results


# Recipes of each arm in the order of their turns.
TURNS = {arm: names[:3] for arm, names in field_of(ARMS, searched(), 3, seed=0).names.items()}


def of_round(*seeds: int, arms: set[str] = BOTH) -> set[str]:
    """Return what a round trains: of each arm the recipe whose turn it is, and its default."""
    trained = set()
    for arm in arms:
        for seed in seeds:
            trained |= {f"{arm}/000/s{seed}", f"{TURNS[arm][seed % 3]}/s{seed}"}
    return trained


def lacking(group: str, *seeds: int) -> set[str]:
    """Return the seeds of a recipe at which it was not its turn."""
    of_arm = TURNS[group.rpartition("/")[0]]
    return {f"{group}/s{seed}" for seed in seeds if of_arm[seed % 3] != group}


def by_arm(**levels: float) -> Level:
    """Return levels of recipes by the last part of their arm and their number: `plain_5=0.7`."""

    def level(group: str) -> float:
        _, arm, number, *_ = group.split("/")
        return levels.get(f"{arm}_{int(number)}", 0.5)

    return level


# Far apart: four recipes of two arms that could be the best, and all others that could not.
LEVELS = by_arm(plain_5=0.900, tricks_5=0.901, plain_4=0.899, tricks_4=0.898)
CONTENDERS = [f"{arm}/{number:03d}" for arm in (PLAIN, TRICKS) for number in (4, 5)]


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
    assert [len(call) for call in driver.calls[:2]] == [12, 12]
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
    # What was asked of it first is still to do.
    assert finals.left == len(of_round(0, 1, 2, arms={PLAIN})) - 1


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
    assert not driver.calls[ends] if ends < len(driver.calls) else finals.left == 0
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
    run: Any = SimpleNamespace(plan=SimpleNamespace(folder=folder), say=said.append)
    design = Design(recipes=3, seeds=6, worth=0.01)
    live = rounds._undecided(run, design, 3)
    assert said == ["After 3 seeds: tricks: better; depth, linear trend: cannot tell."]
    expected = {
        f"{depth}/{how}" for depth in ("resnet18", "resnet50") for how in ("plain", "tricks")
    }
    assert live == expected
    assert rounds._undecided(run, design, 6) == set(), "the last round was trained"
    assert len(said) == 1
