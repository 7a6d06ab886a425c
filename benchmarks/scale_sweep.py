"""A sweep whose trials only report, under a real Tuner: a case of `scale.py`.

It says as JSON what the sweep cost the driver.

python benchmarks/scale_sweep.py '{"trials": 48, "slots": 4, "reports": 5, "profile": null}'
"""

from __future__ import annotations

import cProfile
import json
import math
import os
import pstats
import random
import resource
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from contextlib import suppress
from functools import wraps
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from cluster.session import environment, session
from search_spaces.depth_vs_tricks import SPACE
from search_spaces.space import Arm
from trainables.metrics import SCORE
from trainables.recipe import Recipe

PARTS = {
    "ArmSearcher": ("suggest", "on_trial_result", "on_trial_complete"),
    "ArmScheduler": ("on_trial_add", "on_trial_result", "on_trial_complete"),
    "RecordCallback": ("on_trial_start", "on_trial_result", "on_trial_complete"),
}
SAME = {
    "weights": None,
    "device": "cpu",
    "threads": 1,
    "done": [],
    "finalist": None,
}
"""What the configs of all trials have in common."""
# Of an epoch's metrics.
STEADY = {
    "lr": 1e-3,
    "stage": 2,
    "epoch_seconds": 1.0,
    "images_per_second": 1e3,
}
SECONDS: dict[str, float] = defaultdict(float)
CALLS: Counter[str] = Counter()


def metrics(seed: str, epochs: int) -> list[dict[str, float]]:
    """Reports as a fine-tuning makes them, without any training."""
    draw = random.Random(seed)
    top, score, rows = draw.uniform(0.5, 0.95), 0.0, []
    for epoch in range(1, epochs + 1):
        right = top * (1 - math.exp(-epoch)) + draw.gauss(0, 0.01)
        score = max(score, right)
        row = {
            "val/accuracy": right,
            "val/loss": 2 - right,
            "train/accuracy": right,
            "train/loss": 2 - right,
        }
        rows.append({"epoch": epoch, "score": score, **row, **STEADY})
    return rows


def only_report(config: dict[str, Any]) -> None:
    """The trainable; its worker imports neither torch nor this project."""
    from ray import tune

    for row in metrics(config["trial_id"], config["recipe"]["epochs"]):
        tune.report({"epoch": row["epoch"], "score": row["score"], "history": [row]})


def timed(kind: type) -> type:
    """The class with the CPU seconds and calls of its methods counted."""

    def count(method: Any, name: str) -> Any:
        @wraps(method)
        def wrapper(*args: Any, **options: Any) -> Any:
            started = time.thread_time()
            try:
                return method(*args, **options)
            finally:
                SECONDS[name] += time.thread_time() - started
                CALLS[name] += 1

        return wrapper

    names = PARTS[kind.__name__]
    return type(
        kind.__name__,
        (kind,),
        {name: count(getattr(kind, name), f"{kind.__name__}.{name}") for name in names},
    )


def rss_mib() -> float:
    try:
        return (
            int(Path("/proc/self/statm").read_text().split()[1])
            * os.sysconf("SC_PAGE_SIZE")
            / 2**20
        )
    except OSError:  # no Linux: the peak, KiB or on a Mac bytes
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
            2**20 if sys.platform == "darwin" else 2**10
        )


def clocks() -> dict[str, float]:
    """Return seconds of the wall and of CPU.

    CPU seconds are this process's, this thread's and, where the system says, those of MLflow's
    thread.
    """
    found = {
        "wall_s": time.perf_counter(),
        "driver_cpu_s": time.process_time(),
        "main_thread_cpu_s": time.thread_time(),
    }
    ids = [thread.native_id for thread in threading.enumerate() if thread.name.startswith("MLflow")]
    with suppress(OSError):
        nanoseconds = [
            int(Path(f"/proc/self/task/{tid}/schedstat").read_text().split()[0]) for tid in ids
        ]
        found["mlflow_thread_cpu_s"] = sum(nanoseconds) / 1e9
    return found


def one_case(
    trials: int, slots: int, reports: int, folder: Path, profile: str | None
) -> dict[str, Any]:
    """Run a sweep of trials that only report.

    Everything is imported and started before the clock runs.
    """
    from ray import tune
    from ray.tune.execution import class_cache

    from cluster.resources import Slots
    from sweeps.records.events import DataRecord, SweepFinished, SweepStarted
    from sweeps.records.history import read_history
    from sweeps.records.journal import Journal
    from sweeps.records.results import Outcome, Results
    from sweeps.runner.callbacks import (
        CheckpointCleaner,
        FailureBudget,
        RecordCallback,
        Watchdog,
    )
    from sweeps.runner.capacity import Capacity
    from sweeps.runner.scheduler import ArmScheduler
    from sweeps.runner.searcher import ArmSearcher
    from sweeps.tracking.store import prepare_store
    from sweeps.tracking.tracker import Tracker

    class_cache.DEFAULT_ENV_VARS.clear()  # as sweeps/runner/trials.py does
    arms = SPACE.with_fixed(epochs=reports, weights="none", seed=0).grid()
    per_arm = max(1, round(trials / len(arms)))
    profiler = cProfile.Profile(time.thread_time)  # waiting is not what is looked for
    if profile == "mlflow":
        run = threading.Thread.run
        threading.Thread.run = lambda self: (
            profiler.runcall(run, self) if self.name.startswith("MLflow") else run(self)
        )  # type: ignore[method-assign]
    results = Results({arm.name: per_arm for arm in arms})
    (folder / "sweeps" / "scale").mkdir(parents=True)
    journal = Journal(folder / "sweeps" / "scale" / "trials.jsonl")
    tracker = Tracker(prepare_store(None, folder), folder, journal)
    tracker.tell(
        SweepStarted(
            study="scale",
            sweep_name="scale",
            tags={},
            params={},
            description="What does a trial cost the driver?",
            dataset=DataRecord(
                name="none", digest="0" * 16, source="none", num_images={"train": 0}
            ),
        )
    )
    tracker.flush()

    def config(trial_id: str, arm: Arm, number: int, recipe: Recipe) -> dict[str, Any]:
        own = {
            "trial_id": trial_id,
            "arm": arm.name,
            "number": number,
            "recipe": recipe.as_dict(),
            "data": str(folder),
        }
        return {
            **own,
            "checkpoints": str(folder / "checkpoints" / trial_id.replace("/", "-")),
            **SAME,
        }

    memory: list[float] = []
    places = Slots(count=slots, cpus=1, gpus=0.0, device="cpu")
    capacity = Capacity(places, None)
    # What a record asks of a running sweep, and what shows it.
    sweep = SimpleNamespace(
        tell=tracker.tell,
        interrupt=SimpleNamespace(requested=False),
        plan=SimpleNamespace(slots=places),
        progress=SimpleNamespace(ended=lambda record: memory.append(rss_mib())),
    )
    callbacks = [  # as sweeps/runner/trials.py has them
        timed(RecordCallback)(sweep, results),
        Watchdog(1800.0, tracker.tell, print, lambda: None),
        CheckpointCleaner(results, lambda peers, record: None),
        FailureBudget(results, print),
        capacity,
    ]
    tuner = tune.Tuner(  # as sweeps/runner/trials.py builds it
        tune.with_resources(only_report, {"cpu": 1, "gpu": 0.0}),
        tune_config=tune.TuneConfig(
            metric=SCORE,
            mode="max",
            num_samples=results.total,
            search_alg=capacity.limit(timed(ArmSearcher)(arms, per_arm, 0, config)),
            scheduler=timed(ArmScheduler)(arms, reports),
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name="ray",
            storage_path=str(folder),
            callbacks=callbacks,
            failure_config=tune.FailureConfig(max_failures=5),
            verbose=0,
        ),
    )
    before = clocks()
    profiler.runcall(tuner.fit) if profile == "main" else tuner.fit()
    fitted = time.perf_counter()
    tracker.flush(600)
    spent = {name: value - before[name] for name, value in clocks().items()}
    tracker.tell(SweepFinished(outcome=Outcome.COMPLETED))
    lost = tracker.close()
    journal.close()
    resumed = time.perf_counter()
    past = tuple(read_history(journal.path).trials.values())
    ArmSearcher(arms, per_arm, 0, config, past=past)
    ArmScheduler(arms, reports, past)
    resumed = time.perf_counter() - resumed
    outcomes, quarter = (
        Counter(str(record.outcome) for record in results.records()),
        len(memory) // 4,
    )
    return {
        "trials": outcomes.total(),
        "slots": slots,
        "epochs": reports,
        "reports": CALLS["RecordCallback.on_trial_result"],
        "outcomes": dict(sorted(outcomes.items())),
        "mlflow_thread_cpu_s": None,  # unless the system tells it
        **{name: round(seconds, 2) for name, seconds in spent.items()},
        "wall_after_fit_s": round(
            before["wall_s"] + spent["wall_s"] - fitted, 2
        ),  # MLflow's writer catching up
        "driver_cpu_ms_per_trial": round(1e3 * spent["driver_cpu_s"] / outcomes.total(), 2),
        "rss_mib": [round(value) for value in (memory[0], memory[-1])],
        "rss_kib_per_trial": round(
            1024 * (memory[-1] - memory[quarter]) / max(1, len(memory) - 1 - quarter), 1
        ),
        "part_ms_per_call": {
            name: round(1e3 * SECONDS[name] / CALLS[name], 3) for name in sorted(SECONDS)
        },
        "part_cpu_s": {name: round(SECONDS[name], 2) for name in sorted(SECONDS)},
        "mlflow_lost": lost,
        "resume_s": round(resumed, 2),  # reading the journal and telling searcher and scheduler
    } | ({"profile": slowest(profiler)} if profile else {})


def slowest(profiler: cProfile.Profile, lines: int = 25) -> dict[str, list[str]]:
    """Functions by CPU seconds of their own, and with what they call."""
    stats = pstats.Stats(profiler).stats  # type: ignore[attr-defined]

    def rank(column: int) -> list[str]:
        top = sorted(stats.items(), key=lambda item: -item[1][column])[:lines]
        return [
            f"{row[column]:.2f} s  {row[1]} calls  {'/'.join(Path(f).parts[-3:])}:{n} {name}"
            for (f, n, name), row in top
        ]

    return {"own": rank(2), "cumulative": rank(3)}


if __name__ == "__main__":
    case = json.loads(sys.argv[1])
    with (
        environment("local"),
        session("local", cpus=case["slots"], gpus=0),
        tempfile.TemporaryDirectory() as folder,
    ):
        print(json.dumps(one_case(folder=Path(folder), **case)))
