"""A made-up driver of rounds: what it is asked to train is noted, and scores as it is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest

from search_spaces.depth_vs_tricks import SPACE
from sweeps.records.champion import Bounds
from sweeps.records.design import Design
from sweeps.records.results import Outcome, Results, trial_name
from sweeps.runner.finalists import rounds
from sweeps.runner.finalists.candidates import Candidate, field_of
from sweeps.runner.finalists.rounds import finalists
from sweeps.runner.finalists.training import Chosen
from sweeps.runner.study import Contrast
from trainables.metrics import INFERENCE_MS, PARAMETERS

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
            "exact": False,
            "bounds": Bounds(),
            "contrasts": (TRICKS_PAY,),
            **options,
        }
        plan = SimpleNamespace(
            arms=ARMS,
            finalist_recipes=given["recipes"],
            finalist_seeds=tuple(range(100, 100 + given["seeds"])),
            study=SimpleNamespace(worth=1.0, contrasts=given["contrasts"]),
            options=SimpleNamespace(
                seed=0, ablate=given["ablate"], exact=given["exact"], bounds=given["bounds"]
            ),
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


def of_round(*seeds: int, arms: set[str] = BOTH, defaults: int = 3) -> set[str]:
    """Return what a round trains: of each arm the recipe whose turn it is, at first its default."""
    trained = set()
    for arm in arms:
        for seed in seeds:
            trained.add(f"{TURNS[arm][seed % 3]}/s{seed}")
            if seed < defaults:
                trained.add(f"{arm}/000/s{seed}")
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
