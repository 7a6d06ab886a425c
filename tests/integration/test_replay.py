"""A resumed sweep hands out what the whole one would have handed out, and ranks as it would."""

from __future__ import annotations

from typing import Any

import pytest
from ray.tune.schedulers import TrialScheduler

from search_spaces.space import Choice, Float, Int, SearchSpace
from sweeps.records import history
from sweeps.records.events import TrialEnded
from sweeps.records.results import Outcome
from sweeps.runner.scheduler import ArmScheduler
from sweeps.runner.searcher import ArmSearcher
from tests.integration.test_scheduler import Trial
from trainables.metrics import EPOCH, SCORE
from trainables.recipe import Recipe

EPOCHS, TRIALS = 4, 12
ARMS = SearchSpace(
    arms={"backbone": ("resnet18", "resnet34")},
    tuned={
        "trainable_layers": Int(low=1, high=4, default=3),
        "stage2_lr": Float(low=1e-5, high=1e-1, log=True, default=1e-3),
        "optimizer": Choice(options=("adamw", "sgd"), default="adamw"),
        "nesterov": Choice(options=(False, True), default=False, when={"optimizer": ("sgd",)}),
    },
    fixed={"epochs": EPOCHS},
).grid()


class Driver:
    """One slot: trials one after another, each with an outcome that its recipe decides.

    Everything is journalled.
    """

    def __init__(self, past: tuple[history.Trial, ...] = ()) -> None:
        self.searcher = ArmSearcher(ARMS, TRIALS, 1, self._config, past=past)
        self.scheduler = ArmScheduler(ARMS, EPOCHS, past)
        self.journal = {trial.trial_id: trial for trial in past}
        self.handed_out = 0

    @staticmethod
    def _config(trial_id: str, arm: Any, number: int, recipe: Recipe) -> dict[str, Any]:
        return {"trial_id": trial_id, "arm": arm.name, "number": number, "recipe": recipe.as_dict()}

    def run(self, *, until: tuple[int, int] | None = None) -> None:
        """Run all trials; or stop in the middle of a trial, after one of its epochs."""
        while True:
            self.handed_out += 1
            ray_id = f"{id(self)}-{self.handed_out}"
            config = self.searcher.suggest(ray_id)
            if config == "FINISHED":
                return
            assert isinstance(config, dict)
            name = config["trial_id"]
            trial = self.journal.setdefault(
                name,
                history.Trial(
                    name, config["arm"], config["number"], config["sample"], config["recipe"]
                ),
            )
            self.scheduler.on_trial_add(
                None, running := Trial(ray_id, {**config, "done": list(trial.epochs)})
            )
            if self._train(ray_id, running, trial, until):
                return

    def _train(
        self, ray_id: str, running: Trial, trial: history.Trial, until: tuple[int, int] | None
    ) -> bool:
        rate, layers = trial.recipe["stage2_lr"], trial.recipe["trainable_layers"]
        for epoch in range(
            max(1, len(trial.epochs)), EPOCHS + 1
        ):  # the last epoch that was done is reported once more
            if rate > 3e-2:
                result = {EPOCH: epoch, SCORE: 0.0, "outcome": "diverged"}
                trial.end = TrialEnded(trial_id=trial.trial_id, outcome=Outcome.DIVERGED)
                self.scheduler.on_trial_complete(None, running, result)
                self.searcher.on_trial_complete(ray_id, result)
                return False
            result = {EPOCH: epoch, SCORE: (layers / 10 + rate * 20) * (1 - 0.5**epoch)}
            if epoch > len(trial.epochs):
                trial.epochs.append(result)
            action = self.scheduler.on_trial_result(None, running, result)
            if (self.handed_out, epoch) == until:
                return True
            if epoch == EPOCHS or action == TrialScheduler.STOP:
                break
            self.searcher.on_trial_result(ray_id, result)
        outcome = Outcome.COMPLETED if epoch == EPOCHS else Outcome.PRUNED
        trial.end = TrialEnded(trial_id=trial.trial_id, outcome=outcome)
        self.scheduler.on_trial_complete(None, running, result)
        self.searcher.on_trial_complete(ray_id, result)
        return False

    def table(self) -> list[tuple[Any, ...]]:
        return [
            (t.trial_id, t.sample, [e[SCORE] for e in t.epochs], t.outcome)
            for t in self.journal.values()
        ]


@pytest.fixture(scope="module")
def whole() -> list[tuple[Any, ...]]:
    driver = Driver()
    driver.run()
    assert {outcome.value for *_, outcome in driver.table()} == {"completed", "pruned", "diverged"}
    return driver.table()


@pytest.mark.parametrize("until", [(1, 1), (1, 4), (2, 2), (7, 1), (9, 3), (13, 4), (24, 2)])
def test_a_search_that_stops_anywhere_goes_on_to_the_same_table(
    until: tuple[int, int], whole: list[tuple[Any, ...]]
) -> None:
    first = Driver()
    first.run(until=until)
    second = Driver(tuple(first.journal.values()))
    second.run()
    assert second.table() == whole


def test_a_search_that_stops_five_times_goes_on_to_the_same_table(
    whole: list[tuple[Any, ...]],
) -> None:
    driver = Driver()
    driver.run(until=(3, 2))
    for until in ((1, 3), (4, 1), (2, 2), (5, 4)):
        driver = Driver(tuple(driver.journal.values()))
        driver.run(until=until)
    driver = Driver(tuple(driver.journal.values()))
    driver.run()
    assert driver.table() == whole


def test_a_search_may_be_extended(whole: list[tuple[Any, ...]]) -> None:
    driver = Driver()
    driver.run()
    longer = ArmSearcher(ARMS, TRIALS + 2, 1, Driver._config, past=tuple(driver.journal.values()))
    names = []
    while isinstance(config := longer.suggest(f"x{len(names)}"), dict):
        names.append(config["trial_id"])
    assert names == [f"{arm.name}/{number:03d}" for number in (TRIALS, TRIALS + 1) for arm in ARMS]
