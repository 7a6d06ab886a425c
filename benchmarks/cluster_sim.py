"""How do slots and lost nodes change the time to an answer, and when is the driver too slow?

Simulated trials, real decisions.

    python benchmarks/cluster_sim.py [--json] [--slots 1 2 4 8 16 32 64] [--losses 0 0.25]
                                     [--epoch-seconds 5] [--journal FILE]

A discrete-event simulation of `sweeps/depth_vs_tricks.py`: its space, its searcher and its
scheduler decide as they would, and the CPU seconds of their calls are measured; nothing is trained,
and Ray is not started. Epochs last as the table below or a sweep's journal says. A trial waits
while the driver takes its report, and there is one driver: `--report-ms` and `--trial-ms` are what
`benchmarks/scale.py` measures of all its threads. A node of 4 slots is lost at random and replaced;
its trials go back to their last report. After the search the finalists run. Same seed, same table,
but for the two columns in measured ms.

used: of the slots' time, what trained epochs that count. repeated: what trained epochs that were
lost. random: suggestions for an arm that had too few ended trials for TPE, so that they were drawn
at random. driver: of one core.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import json
import math
import random
import statistics
import sys
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

sys.path.insert(0, str(Path(__file__).parents[1]))

from ray.tune.schedulers import TrialScheduler

from search_spaces.depth_vs_tricks import SPACE
from sweeps.records.history import read_history
from sweeps.records.results import STARTUP_TRIALS
from sweeps.runner.scheduler import ArmScheduler
from sweeps.runner.searcher import ArmSearcher
from sweeps.runner.speed import REPORT_EVERY
from trainables.metrics import EPOCH, SCORE

NODE = 4  # slots
# An epoch's length by backbone: operations of a forward pass, 1.814, 3.664 and 4.089 billion by
# torchvision's `ResNet18_Weights.IMAGENET1K_V1.meta["_ops"]` and the others. `benchmarks/store.py`
# took 1.43 s for the last, 0.61 for the first.
RELATIVE = {"resnet18": 1.0, "resnet34": 2.02, "resnet50": 2.25}
SPREAD = 0.2  # of the logarithm of a trial's epochs: stages, layers and views differ

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Case:
    slots: int
    losses: float = 0.0  # nodes lost, per node and hour
    trials: int = 24  # an arm
    finalist_seeds: int = 10
    epochs: int = 20
    seconds: dict[str, float] = field(
        default_factory=lambda: {name: 5.0 * part for name, part in RELATIVE.items()}
    )
    report_every: float = REPORT_EVERY
    report_ms: float = 2.0
    trial_ms: float = 43.0
    start_seconds: float = 1.1  # a trial's, `benchmarks/overhead.py`
    replace_seconds: float = 300.0  # until a lost node has a successor
    seed: int = 0


@dataclass(eq=False)
class Trial:
    """Of Ray's trial what a scheduler reads, and how far it is."""

    trial_id: str
    config: dict[str, Any]
    epochs: int
    epoch_seconds: float
    scores: list[float]
    search: bool
    done: int = 0  # epochs that a checkpoint holds


class Simulation:
    """Slots, one driver, and what is lost; times in seconds since the start."""

    def __init__(self, case: Case) -> None:
        self.case, self.random = case, random.Random(f"{case.seed}/nodes")
        self.arms = SPACE.with_fixed(epochs=case.epochs, weights="none", seed=case.seed).grid()
        self.searcher = ArmSearcher(self.arms, case.trials, case.seed, self._config)
        self.scheduler = ArmScheduler(self.arms, case.epochs)
        self.events: list[tuple[float, int, Callable[[float], None]]] = []
        self.order = itertools.count()
        self.idle = list(range(case.slots - 1, -1, -1))
        self.running: dict[
            int, tuple[Trial, float, object]
        ] = {}  # by slot: when its work began, and a mark of this run of it
        self.waiting: deque[Trial] = deque()  # lost ones: Tune starts them first
        self.finals: deque[Trial] | None = None  # None: the search goes on
        self.best: dict[str, tuple[float, int]] = {}
        self.free = self.driver = self.measured = self.useful = self.repeated = 0.0
        self.suggests: list[float] = []
        self.ended: Counter[str] = Counter()  # trials by arm
        self.reports = self.starts = self.lost = self.blind = 0

    def run(self) -> dict[str, Any]:
        for node in range(math.ceil(self.case.slots / NODE)):
            self._plan_loss(node, now := 0.0)
        self._fill(now)
        while self.running or self.waiting:
            now, _, event = heapq.heappop(self.events)
            event(now)
        wall, case = max(now, self.free), self.case
        return {
            "slots": case.slots,
            "losses_per_node_hour": case.losses,
            "answer_s": round(wall, 1),
            "used": round(self.useful / (case.slots * wall), 4),
            "repeated": round(self.repeated / (case.slots * wall), 4),
            "random": round(self.blind / len(self.suggests), 4),
            "nodes_lost": self.lost,
            "starts": self.starts,
            "reports": self.reports,
            "driver_share": round(self.driver / wall, 5),
            "measured_ms_per_report": round(
                1e3 * (self.measured - sum(self.suggests)) / self.reports, 3
            ),
            "measured_ms_per_suggest": round(1e3 * statistics.fmean(self.suggests), 3),
            "measured_share": round(self.measured / wall, 6),
        }

    def _fill(self, now: float) -> None:
        """Start what there is on the slots that are idle."""
        while self.idle and (trial := self._next()):
            slot, mark = self.idle.pop(), object()
            self.starts += 1
            begun = self._drive(now, self.case.trial_ms) + self.case.start_seconds
            self.running[slot] = trial, begun, mark
            self._plan_report(slot, trial, begun, mark)

    def _next(self) -> Trial | None:
        if self.waiting:
            return self.waiting.popleft()
        if self.finals is None:
            before = self.measured
            config = self._timed(self.searcher.suggest, f"{self.starts}")
            if isinstance(config, dict):
                self.suggests.append(self.measured - before)
                self.blind += self.ended[config["arm"]] < STARTUP_TRIALS
                trial = self._trial(f"{self.starts}", config, config["trial_id"], search=True)
                self._timed(self.scheduler.on_trial_add, None, trial)
                return trial
            if self.running:  # the finalists are chosen when the search is over
                return None
            self.finals = deque(self._finalists())
        return self.finals.popleft() if self.finals else None

    def _plan_report(self, slot: int, trial: Trial, begun: float, mark: object) -> None:
        several = max(1, math.ceil(self.case.report_every / trial.epoch_seconds))
        epochs = min(several, trial.epochs - trial.done)
        self._at(
            begun + epochs * trial.epoch_seconds,
            lambda now: self._report(slot, trial, epochs, now, mark),
        )

    def _report(self, slot: int, trial: Trial, epochs: int, now: float, mark: object) -> None:
        if self.running.get(slot, (None, 0.0, None))[2] is not mark:  # its node was lost meanwhile
            return
        self.reports += 1
        self.useful += epochs * trial.epoch_seconds
        first, trial.done = trial.done + 1, trial.done + epochs
        taken = self._drive(now, self.case.report_ms)  # the trial waits so long
        if self._ends(
            trial,
            [
                {EPOCH: epoch, SCORE: trial.scores[epoch - 1]}
                for epoch in range(first, trial.done + 1)
            ],
        ):
            del self.running[slot]
            self.idle.append(slot)
            self._fill(taken)
        else:
            self.running[slot] = trial, taken, mark
            self._plan_report(slot, trial, taken, mark)

    def _ends(self, trial: Trial, history: list[dict[str, Any]]) -> bool:
        """What Tune asks of scheduler and searcher at a report; whether the trial is over."""
        over = trial.done == trial.epochs
        if not trial.search:
            return over
        result = {**history[-1], "history": history}
        stop = (
            self._timed(self.scheduler.on_trial_result, None, trial, result) == TrialScheduler.STOP
        )
        if not (over or stop):
            self._timed(self.searcher.on_trial_result, trial.trial_id, result)
            return False
        self._timed(self.scheduler.on_trial_complete, None, trial, result)
        self._timed(self.searcher.on_trial_complete, trial.trial_id, result)
        arm, number = trial.config["arm"], trial.config["number"]
        self.ended[arm] += 1
        if over:
            self.best[arm] = max(self.best.get(arm, (0.0, 0)), (result[SCORE], number))
        return True

    def _plan_loss(self, node: int, now: float) -> None:
        if self.case.losses:
            self._at(
                now + self.random.expovariate(self.case.losses / 3600),
                lambda lost: self._lose(node, lost),
            )

    def _lose(self, node: int, now: float) -> None:
        self.lost += 1
        gone = range(node * NODE, min(node * NODE + NODE, self.case.slots))
        self.idle = [slot for slot in self.idle if slot not in gone]
        for slot in gone:
            if found := self.running.pop(slot, None):
                trial, begun, _ = found
                self.repeated += max(0.0, now - begun)
                self.waiting.append(trial)
        self._at(now + self.case.replace_seconds, lambda back: self._return(node, list(gone), back))
        self._fill(now)

    def _return(self, node: int, slots: list[int], now: float) -> None:
        self.idle += slots
        self._plan_loss(node, now)
        self._fill(now)

    def _finalists(self) -> list[Trial]:
        """The best and the default recipe of each arm, over the seeds."""
        picked = {
            (arm.name, number)
            for arm in self.arms
            for number in {0, self.best.get(arm.name, (0.0, 0))[1]}
        }
        return [
            self._trial(
                f"f{arm}/{number}/{seed}",
                {"arm": arm, "number": number},
                f"{arm}/{number}/{seed}",
                search=False,
            )
            for arm, number in sorted(picked)
            for seed in range(self.case.finalist_seeds)
        ]

    def _trial(self, ray_id: str, config: dict[str, Any], name: str, *, search: bool) -> Trial:
        draw, case = random.Random(f"{self.case.seed}/{name}"), self.case
        seconds = case.seconds[config["arm"].partition("/")[0]] * math.exp(draw.gauss(0, SPREAD))
        top, scores = draw.uniform(0.5, 0.95), [0.0]
        for epoch in range(1, case.epochs + 1):
            scores.append(max(scores[-1], top * (1 - math.exp(-epoch / 3)) + draw.gauss(0, 0.01)))
        return Trial(ray_id, config, case.epochs, seconds, scores[1:], search)

    @staticmethod
    def _config(trial_id: str, arm: Any, number: int, recipe: Any) -> dict[str, Any]:
        return {"trial_id": trial_id, "arm": arm.name, "number": number}

    def _drive(self, now: float, milliseconds: float) -> float:
        """The one driver does this after all that came before; when it is done."""
        self.free = max(now, self.free) + milliseconds / 1e3
        self.driver += milliseconds / 1e3
        return self.free

    def _timed(self, call: Callable[..., T], *arguments: Any) -> T:
        started = time.thread_time()
        try:
            return call(*arguments)
        finally:
            self.measured += time.thread_time() - started

    def _at(self, when: float, event: Callable[[float], None]) -> None:
        heapq.heappush(self.events, (when, next(self.order), event))


def recorded(journal: Path) -> dict[str, float]:
    """Median seconds of an epoch by backbone, as a sweep recorded them."""
    found: dict[str, list[float]] = {}
    for trial in read_history(journal).trials.values():
        found.setdefault(trial.recipe["backbone"], []).extend(
            epoch["epoch_seconds"] for epoch in trial.epochs
        )
    seconds = {backbone: statistics.median(epochs) for backbone, epochs in found.items() if epochs}
    if missing := RELATIVE.keys() - seconds.keys():
        sys.exit(
            "error: --journal must have epochs of every backbone of the study, but lacks "
            f"{', '.join(sorted(missing))}."
        )
    return seconds


def table(rows: list[dict[str, Any]]) -> str:
    """Hours, percent and milliseconds under their names."""
    base = rows[0]["answer_s"] * rows[0]["slots"]
    lines = [
        "slots  losses  answer h  speed-up  used %  repeated %  random %  driver %  report ms  "
        "suggest ms"
    ]
    for row in rows:
        shares = [100 * row[name] for name in ("used", "repeated", "random", "driver_share")]
        ms = [row["measured_ms_per_report"], row["measured_ms_per_suggest"]]
        values = [
            row["slots"],
            row["losses_per_node_hour"],
            row["answer_s"] / 3600,
            base / row["answer_s"],
            *shares,
            *ms,
        ]
        lines.append(
            "{:5d} {:7g} {:9.2f} {:9.1f} {:7.1f} {:11.2f} {:9.0f} {:9.2f} {:10.2f} {:11.2f}".format(
                *values
            )
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--slots", nargs="+", type=int, default=[1, 2, 4, 8, 16, 32, 64])
    parser.add_argument(
        "--losses", nargs="+", type=float, default=[0.0, 0.25], help="nodes lost, per node and hour"
    )
    parser.add_argument("--epoch-seconds", type=float, default=5.0, help="of ResNet-18")
    parser.add_argument(
        "--journal", type=Path, help="a sweep's trials.jsonl, whose recorded epochs count instead"
    )
    parser.add_argument("--trials", type=int, default=24, help="an arm")
    parser.add_argument("--finalist-seeds", type=int, default=10)
    parser.add_argument("--report-ms", type=float, default=2.0, help="CPU of the driver")
    parser.add_argument("--trial-ms", type=float, default=43.0, help="CPU of the driver")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    own = {name: options.epoch_seconds * part for name, part in RELATIVE.items()}
    seconds = recorded(options.journal) if options.journal else own
    given = {
        name: getattr(options, name)
        for name in ("trials", "finalist_seeds", "report_ms", "trial_ms", "seed")
    }
    rows = [
        Simulation(Case(slots=slots, losses=losses, seconds=seconds, **given)).run()
        for slots in options.slots
        for losses in options.losses
    ]
    print(json.dumps({"seconds": seconds, **given, "rows": rows}) if options.json else table(rows))


if __name__ == "__main__":
    main()
