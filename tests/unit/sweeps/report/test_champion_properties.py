"""The report's champion is the one that the runner ships, whatever came of the sweep."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from search_spaces.space import Float, SearchSpace, Variant
from sweeps.records.manifest import definition
from sweeps.records.results import Results, TrialRecord, trial_name
from sweeps.report.cautions import cautions
from sweeps.report.finalists import Group, champion_of, groups_of
from sweeps.report.findings import find
from sweeps.report.runs import read_run
from sweeps.runner import finalists as runner
from sweeps.runner.resume import trials_of
from sweeps.runner.search import replay
from trainables.metrics import EPOCH, SCORE, VAL_ACCURACY
from trainables.recipe import Recipe

EPOCHS, RUNNING, WAITING = 2, "running", "waiting"
TUNED = Variant(tuned={"stage2_lr": Float(low=1e-5, high=1e-1, log=True, default=1e-3)})
ARMS = SearchSpace(
    arms={
        "arm": {"zebra": TUNED, "still": Variant(), "ant": TUNED}
    },  # in an order that no sorting by name gives
    fixed={"weights": "none", "epochs": EPOCHS, "label_smoothing": 0.1},
).grid()
NAMES = [arm.name for arm in ARMS]

# How a run ended, and its score: of few values, so that many are equal, and some means of different
# seeds too.
FATE = st.tuples(
    st.sampled_from(
        [*["completed"] * 6, "pruned", "diverged", "failed", "interrupted", RUNNING, WAITING]
    ),
    st.one_of(st.sampled_from([0.5, 0.6, 0.7]), st.floats(0, 1)),
)
SEARCH = st.lists(
    st.tuples(st.sampled_from([arm.name for arm in ARMS if arm.tuned]), FATE),
    min_size=2,
    max_size=6,
)
Fate = tuple[str, float]

# Reading a sweep takes 0.05 s: to shrink a failure to its least form would take minutes.
FEW = settings(derandomize=True, deadline=None, max_examples=25, phases=[Phase.generate])


class Played:
    """A sweep's journal, as the tracker would write it.

    Finalists have the given fates, one after the other.
    """

    def __init__(self, seeds: int, fates: Iterable[Fate]) -> None:
        self.seeds, self._fates = seeds, iter(fates)
        self.groups: tuple[runner.Group, ...] = ()
        self.events: list[dict[str, Any]] = []

    def search(self, trials: Sequence[tuple[str, Fate]]) -> None:
        """Run more trials of these arms."""
        for name, fate in trials:
            number = sum(trial.arm == name for trial in self._past("trial"))
            arm = ARMS[NAMES.index(name)]
            recipe = arm.recipe(arm.sample_with({"stage2_lr": 1e-3 * (number + 1)}))
            self._run(fate, trial_name(name, number), name, number, recipe, role="trial")

    def finalists(self) -> None:
        """Train again what the search has come to."""
        results = Results({arm.name: 99 if arm.tuned else 0 for arm in ARMS})
        replay(results, self._past("trial"))
        self.groups = runner.chosen(ARMS, results)
        self._train()

    def ablations(self) -> None:
        """Train the champion without each of its tricks."""
        if top := self.shipped():
            self.groups += runner.ablations(top[0])
            self._train()

    def shipped(self) -> list[TrialRecord]:
        """The champion's seeds, as the runner has them."""
        finals, wanted = Results(dict.fromkeys(NAMES, 0)), {name for name, _ in self._wanted()}
        replay(finals, tuple(trial for trial in self._past("finalist") if trial.trial_id in wanted))
        return runner.champion(finals)

    def _past(self, role: str) -> tuple[PastTrial, ...]:
        return tuple(trial for trial in trials_of(self.events) if trial.role == role)

    def _wanted(self) -> Iterator[tuple[str, runner.Group]]:
        return (
            (f"{group.name}/s{seed}", replace(group, recipe=replace(group.recipe, seed=seed)))
            for seed in range(self.seeds)
            for group in self.groups
        )

    def _train(self) -> None:
        ended = {trial.trial_id for trial in self._past("finalist") if trial.outcome}
        for name, group in self._wanted():
            if name not in ended:
                fate = next(self._fates, (WAITING, 0.0))
                more = {"group": group.name, "without": group.without}
                self._run(
                    fate, name, group.arm, group.number, group.recipe, role="finalist", **more
                )

    def _run(
        self, fate: Fate, name: str, arm: str, number: int, recipe: Recipe, **more: str
    ) -> None:
        (outcome, score), fields = fate, recipe.as_dict()
        if outcome == WAITING and more["role"] == "finalist":
            return
        told = {
            "event": "trial",
            "trial_id": name,
            "arm": arm,
            "number": number,
            "sample": {},
            "recipe": fields,
            **more,
        }
        # It was killed at its end.
        untold = more["role"] == "trial" and outcome in (RUNNING, "interrupted") and score > 0.5
        done = {"completed": EPOCHS, WAITING: 0}.get(outcome, EPOCHS if untold else EPOCHS - 1)
        epochs = [{EPOCH: epoch, SCORE: score, VAL_ACCURACY: score} for epoch in range(1, done + 1)]
        self.events += [told, {"event": "epochs", "trial_id": name, "epochs": epochs}]
        if outcome not in (RUNNING, WAITING):
            self.events.append(
                {
                    "event": "end",
                    "trial_id": name,
                    "outcome": outcome,
                    "reason": None,
                    "score": score,
                }
            )


def named(sweep: Played, folder: Path) -> Group | None:
    """The champion, as the report has it."""
    described = {
        "arms": NAMES,
        "definition": definition(ARMS),
        "finalist_seeds": list(range(sweep.seeds)),
    }
    (folder / "sweep.json").write_text(json.dumps(described))
    (folder / "trials.jsonl").write_text(
        "".join(json.dumps(event) + "\n" for event in sweep.events)
    )
    return champion_of(groups_of(read_run(folder), []))


def assert_same(sweep: Played, folder: Path) -> None:
    shipped, shown = sweep.shipped(), named(sweep, folder)
    assert (shown.name if shown else None) == (shipped[0].group if shipped else None)
    if shown:
        assert sorted(seed.trial_id for seed in shown.seeds) == sorted(
            record.trial_id for record in shipped
        )
        assert shown.score == runner.mean_score(shipped)
        assert max(seed.score for seed in shown.seeds) == shipped[0].score


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sweep")


@FEW
@given(
    search=SEARCH,
    seeds=st.integers(1, 3),
    fates=st.lists(FATE, min_size=24, max_size=24),
    extended=SEARCH,
)
def test_the_report_names_the_champion_that_the_runner_ships(
    folder: Path,
    search: list[tuple[str, Fate]],
    seeds: int,
    fates: list[Fate],
    extended: list[tuple[str, Fate]],
) -> None:
    sweep = Played(seeds, fates)
    for trials in (search, extended):
        sweep.search(trials)
        sweep.finalists()
        assert_same(sweep, folder)
    sweep.ablations()
    assert_same(sweep, folder)


@settings(FEW, max_examples=40)
@given(
    searched=st.lists(st.sampled_from([0.5, 0.6]), min_size=2, max_size=4),
    order=st.lists(st.permutations([0.1, 0.2, 0.3, 0.7]), min_size=5, max_size=5),
    worse=st.lists(st.booleans(), min_size=5, max_size=5),
)
def test_where_means_are_equal_both_name_the_first_arm_and_trial(
    folder: Path, searched: list[float], order: list[list[float]], worse: list[bool]
) -> None:
    sweep = Played(
        4,
        [("completed", order[at][seed] - 0.05 * worse[at]) for seed in range(4) for at in range(5)],
    )
    sweep.search([(name, ("completed", score)) for score in searched for name in ("ant", "zebra")])
    sweep.finalists()
    assert_same(sweep, folder)


def test_seeds_that_are_no_longer_asked_for_do_not_count(folder: Path) -> None:
    sweep = Played(3, [])
    sweep.search([("ant", ("completed", 0.5)), ("zebra", ("completed", 0.5))])
    sweep._fates = iter([("completed", 0.6)] * 9)
    sweep.finalists()
    sweep.seeds, sweep._fates = 2, iter([("completed", 0.9)] * 2)
    sweep.search([("ant", ("completed", 0.8))])
    sweep.finalists()
    assert sweep.shipped()[0].group == "ant/001"
    assert_same(sweep, folder)


def test_an_arm_that_the_study_no_longer_has_is_no_champion(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = Played(2, [("completed", score) for score in (0.5, 0.9, 0.6)] * 2)
    sweep.search([("ant", ("completed", 0.5)), ("zebra", ("completed", 0.5))])
    sweep.finalists()
    gone = sweep.shipped()[0].arm
    left = tuple(arm for arm in ARMS if arm.name != gone)
    monkeypatch.setitem(globals(), "ARMS", left)
    monkeypatch.setitem(globals(), "NAMES", [arm.name for arm in left])
    sweep.finalists()
    assert sweep.shipped()[0].arm != gone
    assert_same(sweep, folder)
    missed = [line for line in cautions(find(read_run(folder))) if "has no finalist" in line]
    assert not [line for line in missed if gone in line], (
        "nobody misses what is no longer asked for"
    )


def test_a_finalist_whose_recipe_was_changed_is_what_came_of_the_new_one(folder: Path) -> None:
    recipe, name = ARMS[1].recipe({}), "still/000/s0"
    sweep = Played(1, [])
    for rate, score in ((1e-3, 0.9), (1e-2, 0.7)):
        more = {"group": "still/000", "without": ""}
        sweep._run(
            ("completed", score),
            name,
            "still",
            0,
            replace(recipe, stage2_lr=rate),
            role="finalist",
            **more,
        )
    (past,) = sweep._past("finalist")
    assert (
        past.recipe["stage2_lr"],
        [epoch[SCORE] for epoch in past.epochs],
        past.end["score"],
    ) == (1e-2, [0.7, 0.7], 0.7)
    shown = named(sweep, folder)
    assert shown
    assert (shown.recipe["stage2_lr"], shown.score) == (1e-2, 0.7)
