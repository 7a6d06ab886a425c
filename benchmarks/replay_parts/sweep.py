"""A sweep out of a table: the product's searcher, scheduler and order of finalists decide.

Nothing is trained. A recipe that the searcher suggests is the nearest one of its arm in the table
that this sweep has not had; of a seed that finalists train, the table has the run.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
from ray.tune.schedulers import TrialScheduler

from benchmarks.replay_parts.policies import Policy
from benchmarks.replay_parts.space import CONTRASTS, SPACE, place
from benchmarks.replay_parts.table import Table
from search_spaces.space import Arm
from sweeps.records.champion import Bounds, choose
from sweeps.records.design import Design
from sweeps.records.results import Outcome, Results
from sweeps.report import effects
from sweeps.report.findings import undecided
from sweeps.report.verdicts import Kind, judge
from sweeps.runner.finalists.candidates import Field, field_of
from sweeps.runner.finalists.contenders import champion, retrained
from sweeps.runner.finalists.rounds import Order
from sweeps.runner.finalists.training import Chosen
from sweeps.runner.searcher import ArmSearcher
from trainables import image_passes
from trainables.metrics import (
    EPOCH,
    EPOCH_PASSES,
    INFERENCE_MS,
    PARAMETERS,
    SCORE,
    TEST_PASSES,
    VAL_ACCURACY,
)
from trainables.recipe import Recipe
from trainables.stages import Progress, stages

SLOTS = 4
RECIPES = 5  # of an arm, that take turns
WORTH = 1.0  # points


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a sweep came to.

    Attributes:
        passes: Image passes of all that it trained.
        searched: Of them, those of its search.
        champion: Arm and number in the table of the recipe that it ships.
        champions: The same for each arm, had the sweep been of that arm alone.
        estimates: By planned contrast.
        found: By planned contrast, the sign of what was found, 0 for nothing.
        trials: By arm.
    """

    passes: int
    searched: int
    champion: tuple[str, int]
    champions: Mapping[str, int]
    estimates: Mapping[str, float]
    found: Mapping[str, int]
    trials: Mapping[str, int]


class Runs:
    """The runs of a table as one sweep sees them.

    Args:
        table: All runs.
        number: Of the sweep; which seed is the search's, and in which order the others come.
    """

    def __init__(self, table: Table, number: int) -> None:
        order = np.random.default_rng([number, 1]).permutation(table.seeds)
        self.table = table
        self.seeds = [int(seed) for seed in order[1:]]
        self._search = int(order[0])
        self._of_epoch = image_passes.of_epoch(table.images["train"], table.images["val"])
        self.of_test = image_passes.of_test(table.images["val"], table.images["test"])

    def epochs(self, arm: str, recipe: int, seed: int | None = None) -> list[dict[str, Any]]:
        """Return what a run reports, epoch by epoch; None is the search's seed."""
        at = self._search if seed is None else seed
        values = self.table.val[self.table.arms.index(arm), recipe, at]
        plan = stages(self.table.recipes[arm][recipe])
        progress = Progress()
        reports = []
        for epoch, value in enumerate(values, 1):
            if np.isnan(value):
                break
            stage = next(stage for stage in plan if epoch <= stage.last_epoch)
            progress = progress.after(stage, float(value), last_stage=stage is plan[-1])
            report = {EPOCH: epoch, SCORE: progress.score, VAL_ACCURACY: float(value)}
            reports.append({**report, EPOCH_PASSES: self._of_epoch})
        return reports

    def right(self, arm: str, recipe: int, seed: int) -> np.ndarray:
        """Return whether a run's best checkpoint is right, by test image."""
        right: np.ndarray = self.table.right[self.table.arms.index(arm), recipe, seed]
        return right.astype(float)


def arms_of(table: Table) -> tuple[Arm, ...]:
    """Return the arms of a table's runs."""
    known = table.recipes[table.arms[0]][0]
    return SPACE.with_fixed(
        image_size=known.image_size, batch_size=known.batch_size, weights=known.weights
    ).grid()


@dataclass
class _Running:
    """Of Ray's trial what a scheduler reads, and what it has left to report."""

    trial_id: str
    config: dict[str, Any]
    left: list[dict[str, Any]] = field(default_factory=list)


class Search:
    """The search of a sweep.

    Attributes:
        results: What came of each trial.
        recorded: By trial, the number in the table of the recipe that stood for it.
    """

    def __init__(
        self, arms: Sequence[Arm], runs: Runs, policy: Policy, trials: int, number: int
    ) -> None:
        self.results = Results({arm.name: trials for arm in arms})
        self.recorded: dict[str, int] = {}
        self._runs = runs
        self._arms = {arm.name: arm for arm in arms}
        table = runs.table
        self._places = {
            arm.name: np.stack([place(arm, sample) for sample in table.samples[arm.name]])
            for arm in arms
        }
        self._free = {arm.name: np.ones(len(table.samples[arm.name]), bool) for arm in arms}
        self._searcher = ArmSearcher(arms, trials, number, self._config)
        self._scheduler = policy.scheduler(arms, table.epochs)

    def run(self) -> None:
        """Let all trials run, on a few slots that take an epoch each in turn."""
        queue: list[tuple[int, int, _Running]] = []
        started = 0
        now = 0
        more = True
        while True:
            while more and len(queue) < SLOTS:
                trial = self._next(f"{started}")
                more = trial is not None
                if trial:
                    started += 1
                    heapq.heappush(queue, (now + 1, started, trial))
            if not queue:
                return
            now, order, trial = heapq.heappop(queue)
            if not self._over(trial):
                heapq.heappush(queue, (now + 1, order, trial))

    def _config(self, trial_id: str, arm: Arm, number: int, recipe: Recipe) -> dict[str, Any]:
        return {"trial_id": trial_id, "arm": arm.name, "number": number, "recipe": recipe}

    def _next(self, ray_id: str) -> _Running | None:
        """Return the trial that starts next; None where the search has no more."""
        config = self._searcher.suggest(ray_id)
        if not isinstance(config, dict):
            return None
        arm = config["arm"]
        recorded = self._nearest(arm, config)
        self.recorded[config["trial_id"]] = recorded
        recipe = self._runs.table.recipes[arm][recorded]
        self.results.start(config["trial_id"], arm, config["number"], recipe)
        trial = _Running(ray_id, config, self._runs.epochs(arm, recorded))
        if self._scheduler:
            self._scheduler.on_trial_add(None, trial)  # type: ignore[arg-type]
        return trial

    def _nearest(self, arm: str, config: Mapping[str, Any]) -> int:
        """Return the nearest recipe that is left; the default's is the default."""
        free = self._free[arm]
        at = 0
        if config["number"]:
            wanted = place(self._arms[arm], config["sample"])
            away = ((self._places[arm] - wanted) ** 2).sum(axis=1)
            at = int(np.where(free, away, np.inf).argmin())
        free[at] = False
        return at

    def _over(self, trial: _Running) -> bool:
        """Let a trial report an epoch; return whether it is over then."""
        record = self.results[trial.config["trial_id"]]
        # A run that diverged has no more to say, and did not come to its end.
        if not trial.left:
            ending = {EPOCH: record.epoch + 1, SCORE: 0.0, "outcome": Outcome.DIVERGED.value}
            self._end(trial, ending, Outcome.DIVERGED)
            return True
        report = trial.left.pop(0)
        self.results.report(record.trial_id, report)
        stops = False
        if self._scheduler:
            said = self._scheduler.on_trial_result(None, trial, report)  # type: ignore[arg-type]
            stops = said == TrialScheduler.STOP
        if record.epoch == record.recipe.epochs:
            self._end(trial, report, Outcome.COMPLETED)
            return True
        if stops:
            self._end(trial, report, Outcome.PRUNED)
            return True
        self._searcher.on_trial_result(trial.trial_id, report)
        return False

    def _end(self, trial: _Running, report: dict[str, Any], outcome: Outcome) -> None:
        """Tell searcher and scheduler of an end, as Tune does."""
        self.results[trial.config["trial_id"]].outcome = outcome
        if self._scheduler:
            self._scheduler.on_trial_complete(None, trial, report)  # type: ignore[arg-type]
        self._searcher.on_trial_complete(trial.trial_id, report)


class Finals:
    """The finalists of a sweep."""

    def __init__(self, search: Search, runs: Runs, arms: Sequence[Arm], number: int) -> None:
        most = min(RECIPES, len(runs.seeds))
        self.field: Field = field_of(arms, search.results, most, number)
        trials = max(search.results.planned.values())
        design = self.field.design(len(runs.seeds), WORTH)
        self.design: Design = replace(design, searched=trials)
        self.results = Results(dict.fromkeys(search.results.planned, 0))
        self._recorded = search.recorded
        self._runs = runs
        self._turns: dict[str, int] = {}

    def train(self, chosen: Chosen, results: Results) -> Outcome:
        """Enter the runs that are chosen, as far as they are new."""
        self._turns |= chosen.turns
        known = {record.trial_id for record in results.records()}
        for name, entry in chosen.entries.items():
            if name in known:
                continue
            of = entry.candidate
            results.expect({of.arm: 1})
            record = results.start(name, of.arm, of.number, of.recipe, of.finalist)
            for report in self._runs.epochs(of.arm, self._of(of.finalist.group), entry.seed):
                results.report(name, report)
            whole = record.epoch == record.recipe.epochs
            record.outcome = Outcome.COMPLETED if whole else Outcome.DIVERGED
            if whole:
                tested = {PARAMETERS: 0.0, INFERENCE_MS: 1.0}
                record.test = {**tested, TEST_PASSES: float(self._runs.of_test)}
        return Outcome.COMPLETED

    def values(self) -> dict[str, dict[int, np.ndarray]]:
        """Return by arm and seed what its recipe whose turn it was says of each test image."""
        ended = {
            record.trial_id
            for record in self.results.records()
            if record.outcome is Outcome.COMPLETED
        }
        values: dict[str, dict[int, np.ndarray]] = {}
        for arm, until in self._turns.items():
            groups = self.field.names[arm]
            for number in range(until):
                group = groups[self.design.turn(number, len(groups))]
                if f"{group}/s{number}" in ended:
                    seed = self._runs.seeds[number]
                    right = self._runs.right(arm, self._of(group), seed)
                    values.setdefault(arm, {})[number] = right
        return values

    def look(self, design: Design, seeds: int) -> set[str]:
        """Return the arms that more seeds may tell apart, as a sweep does after a round."""
        if seeds >= design.seeds:
            return set()
        values = self.values()
        planned = effects.planned(_contrasts(), values, self.design, seeds)
        found: Any = SimpleNamespace(planned=planned, arms=values)
        return undecided(found, _contrasts())

    def _of(self, group: str) -> int:
        return self._recorded[group]


def replay(table: Table, policy: Policy, trials: int, number: int) -> Answer:
    """Run a sweep with a policy."""
    runs = Runs(table, number)
    arms = arms_of(table)
    search = Search(arms, runs, policy, trials, number)
    search.run()

    # Finalists.
    finals = Finals(search, runs, arms, number)
    order = Order(
        field=finals.field,
        design=finals.design,
        seeds=runs.seeds,
        defaults=finals.design.default_seeds if policy.few_defaults else finals.design.seeds,
        compared=True,
        bounds=Bounds(),
        ablate=False,
        train=finals.train,
        look=finals.look if policy.looks else None,
        say=lambda line: None,
    )
    for _ in order.steps(finals.results):
        pass

    # The answer.
    choice = champion(finals.results, Bounds())
    assert choice is not None
    of_arms = {}
    for arm in table.arms:
        own = [recipe for recipe in retrained(finals.results) if recipe.arm == arm]
        best = choose(own, [arm], Bounds())
        if best:
            of_arms[arm] = search.recorded[best.champion.group]
    values = finals.values()
    compared = effects.compared(_contrasts(), values)
    verdicts = judge(compared, finals.design, finals.design.seeds)
    signs = {Kind.BETTER: 1, Kind.WORSE: -1}
    searched = sum(record.image_passes for record in search.results.records())
    return Answer(
        passes=searched + sum(record.image_passes for record in finals.results.records()),
        searched=searched,
        champion=(choice.champion.arm, search.recorded[choice.champion.group]),
        champions=of_arms,
        estimates={name: float(one.values.mean()) for name, one in compared.items()},
        found={name: signs.get(verdict.kind, 0) for name, verdict in verdicts.items()},
        trials={arm: len(search.results.records(arm)) for arm in table.arms},
    )


def _contrasts() -> list[dict[str, Any]]:
    return [asdict(contrast) for contrast in CONTRASTS]
