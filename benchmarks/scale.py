"""What does a trial cost the driver where training costs nothing, and how does that grow with trials and slots?

    python benchmarks/scale.py [--json] [--quick] [--profile main|mlflow] [--cases 100x8 300x8 1000x8 300x64]

The sweep's searcher, scheduler and watcher run under a real Tuner with MLflow in a local SQLite file; a trial only reports
made-up epochs. Each case is a process of its own. CPU seconds are the driver process's with all its threads, from the start of
`fit` until MLflow has everything; those of a part are of the thread that it runs on, and parts that call each other overlap.
The terminal's progress line and the end of a sweep are left out.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import math
import os
import pstats
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from functools import wraps
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # for the processes that this file starts of itself

from cluster.session import environment, session
from trainables.recipe import SCORE, Recipe

SUGGESTS_AT = (10, 50, 100, 200)  # trials of one arm
WINDOW = 9  # suggestions that a figure is the median of
PARTS = {
    "ArmSearcher": ("suggest", "on_trial_result", "on_trial_complete"),
    "ArmScheduler": ("on_trial_add", "on_trial_result", "on_trial_complete"),
    "Watcher": ("on_trial_start", "on_trial_result", "on_trial_complete"),
}
SECONDS: dict[str, float] = defaultdict(float)
CALLS: dict[str, int] = defaultdict(int)


def metrics(seed: str, epochs: int) -> list[dict[str, float]]:
    """Reports as a fine-tuning makes them, without any training."""
    draw = random.Random(seed)
    top, score, rows = draw.uniform(0.5, 0.95), 0.0, []
    for epoch in range(1, epochs + 1):
        accuracy = top * (1 - math.exp(-epoch)) + draw.gauss(0, 0.01)
        score = max(score, accuracy)
        row = {"val/accuracy": accuracy, "val/loss": 2 - accuracy, "train/accuracy": accuracy, "train/loss": 2 - accuracy}
        rows.append(
            {"epoch": epoch, "score": score, "lr": 1e-3, "stage": 2, "epoch_seconds": 1.0, "images_per_second": 1e3} | row
        )
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
    return type(kind.__name__, (kind,), {name: count(getattr(kind, name), f"{kind.__name__}.{name}") for name in names})


def rss_mib() -> float:
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    except OSError:  # no Linux: the peak, KiB or on a Mac bytes
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def writer_seconds() -> float | None:
    """CPU seconds of the thread that writes to MLflow; None where the system does not say."""
    ids = [thread.native_id for thread in threading.enumerate() if thread.name.startswith("MLflow")]
    try:
        return sum(int(Path(f"/proc/self/task/{tid}/schedstat").read_text().split()[0]) for tid in ids) / 1e9
    except OSError:
        return None


def one_case(trials: int, slots: int, reports: int, folder: Path, profile: str | None) -> dict[str, Any]:
    """Run a sweep of trials that only report; everything is imported and started before the clock runs."""
    from ray import tune
    from ray.tune.execution import class_cache

    from cluster.resources import Slots
    from search_spaces.depth_vs_tricks import SPACE
    from sweeps.runner.journal import Journal, read
    from sweeps.runner.results import Results
    from sweeps.runner.resume import trials_of
    from sweeps.runner.scheduler import ArmScheduler
    from sweeps.runner.searcher import ArmSearcher
    from sweeps.runner.stuck import StuckTrials
    from sweeps.runner.tracking import TrackedData, Tracker, prepare_store
    from sweeps.runner.watcher import Watcher

    class_cache.DEFAULT_ENV_VARS.clear()  # as sweeps/runner/trials.py does
    arms = SPACE.with_fixed(epochs=reports, weights="none", seed=0).grid()
    per_arm = max(1, round(trials / len(arms)))
    profiler = cProfile.Profile(time.thread_time)  # waiting is not what is looked for
    if profile == "mlflow":
        run = threading.Thread.run
        threading.Thread.run = lambda self: profiler.runcall(run, self) if self.name.startswith("MLflow") else run(self)  # type: ignore[method-assign]
    results = Results({arm.name: per_arm for arm in arms})
    (folder / "sweeps" / "scale").mkdir(parents=True)
    journal = Journal(folder / "sweeps" / "scale" / "trials.jsonl")
    tracker = Tracker(prepare_store(None, folder), folder, journal)
    tracker.start_sweep(
        study="scale", sweep_name="scale", tags={}, params={}, description="What does a trial cost the driver?",
        dataset=TrackedData(name="none", digest="0" * 16, source="none", num_images={"train": 0}),
    )  # fmt: skip
    tracker.flush()

    def config(trial_id: str, arm: Any, number: int, recipe: Recipe) -> dict[str, Any]:
        checkpoints = str(folder / "checkpoints" / trial_id.replace("/", "-"))
        plain = {"recipe": recipe.as_dict(), "data": str(folder), "weights": None, "device": "cpu", "threads": 1, "done": []}
        plain |= {"role": "trial", "group": "", "without": ""}
        return {"trial_id": trial_id, "arm": arm.name, "number": number, "checkpoints": checkpoints, **plain}

    memory: list[float] = []
    watcher = timed(Watcher)(
        results,
        tracker,
        Slots(count=slots, cpus=1, gpus=0.0, device="cpu"),
        say=lambda _: memory.append(rss_mib()),
        interrupted=lambda: False,
        tidy=lambda record: None,
        broken=print,
        stuck=StuckTrials(1800.0),
        hopeless=set(),
        log=lambda record, epoch: None,
    )
    tuner = tune.Tuner(  # as sweeps/runner/trials.py builds it
        tune.with_resources(only_report, {"cpu": 1, "gpu": 0.0}),
        tune_config=tune.TuneConfig(
            metric=SCORE,
            mode="max",
            num_samples=results.total,
            search_alg=timed(ArmSearcher)(arms, per_arm, 0, config),
            scheduler=timed(ArmScheduler)(arms, reports),
            max_concurrent_trials=slots,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name="ray",
            storage_path=str(folder),
            callbacks=[watcher],
            failure_config=tune.FailureConfig(max_failures=5),
            verbose=0,
        ),
    )
    started, cpu, main_thread, writer = time.perf_counter(), time.process_time(), time.thread_time(), writer_seconds()
    profiler.runcall(tuner.fit) if profile == "main" else tuner.fit()
    loop = time.perf_counter() - started
    tracker.flush(600)
    wall, cpu, main_thread = time.perf_counter() - started, time.process_time() - cpu, time.thread_time() - main_thread
    ended = writer_seconds()
    tracker.finish_sweep("completed")
    lost = tracker.close()
    journal.close()
    resumed = time.perf_counter()
    past = trials_of(read(journal.path))
    ArmSearcher(arms, per_arm, 0, config, past=past)
    ArmScheduler(arms, reports, past)
    resumed = time.perf_counter() - resumed
    reported, quarter = CALLS["Watcher.on_trial_result"], len(memory) // 4
    outcomes = [str(record.outcome) for record in results.records()]
    return {
        "trials": len(outcomes),
        "slots": slots,
        "epochs": reports,
        "reports": reported,
        "outcomes": {name: outcomes.count(name) for name in sorted(set(outcomes))},
        "wall_s": round(wall, 2),
        "wall_after_fit_s": round(wall - loop, 2),  # MLflow's writer catching up
        "driver_cpu_s": round(cpu, 2),
        "driver_cpu_ms_per_trial": round(1e3 * cpu / len(outcomes), 2),
        "main_thread_cpu_s": round(main_thread, 2),
        "mlflow_thread_cpu_s": None if writer is None or ended is None else round(ended - writer, 2),
        "rss_mib": [round(value) for value in (memory[0], memory[-1])],
        "rss_kib_per_trial": round(1024 * (memory[-1] - memory[quarter]) / max(1, len(memory) - 1 - quarter), 1),
        "part_ms_per_call": {name: round(1e3 * SECONDS[name] / CALLS[name], 3) for name in sorted(SECONDS)},
        "part_cpu_s": {name: round(SECONDS[name], 2) for name in sorted(SECONDS)},
        "mlflow_lost": lost,
        "resume_s": round(resumed, 2),  # reading the journal and telling searcher and scheduler
    } | ({"profile": slowest(profiler)} if profile else {})


def slowest(profiler: cProfile.Profile, lines: int = 25) -> dict[str, list[str]]:
    """Functions by CPU seconds of their own, and with what they call."""
    stats = pstats.Stats(profiler).stats  # type: ignore[attr-defined]

    def rank(column: int) -> list[str]:
        top = sorted(stats.items(), key=lambda item: -item[1][column])[:lines]
        return [f"{row[column]:.2f} s  {row[1]} calls  {'/'.join(Path(f).parts[-3:])}:{n} {name}" for (f, n, name), row in top]

    return {"own": rank(2), "cumulative": rank(3)}


def suggests() -> dict[str, Any]:
    """Seconds of a suggestion by the trials that its arm has, and of one arm's trials altogether; no Ray, no workers."""
    from search_spaces.depth_vs_tricks import SPACE
    from sweeps.runner.searcher import ArmSearcher

    (arm,) = SPACE.with_fixed(epochs=5).matching("resnet18/tricks")
    searcher = ArmSearcher([arm], max(SUGGESTS_AT) + 1, 0, lambda trial_id, arm, number, recipe: {"trial_id": trial_id})
    seconds, total, after = [], 0.0, {}
    for number in range(max(SUGGESTS_AT) + 1):
        started = time.thread_time()
        config = searcher.suggest(str(number))
        seconds.append(time.thread_time() - started)
        rows = metrics(config["trial_id"], 5)
        for row in rows[:-1]:
            searcher.on_trial_result(str(number), row)
        searcher.on_trial_complete(str(number), rows[-1])
        total += time.thread_time() - started
        after[number] = total
    ms = {n: round(1e3 * statistics.median(seconds[n - WINDOW + 1 : n + 1]), 2) for n in SUGGESTS_AT}
    return {
        "dimensions": len(arm.tuned),
        "ms_per_suggest_with_trials_in_arm": ms,
        "last_to_half": round(ms[SUGGESTS_AT[-1]] / ms[SUGGESTS_AT[-2]], 2),  # at most 2 where a suggestion grows linearly
        "arm_s_after_trials": {n: round(after[n], 2) for n in SUGGESTS_AT},
    }


def child(case: dict[str, Any]) -> dict[str, Any]:
    """One case in a fresh process: Ray reads its environment once, and memory starts small."""
    done = subprocess.run([sys.executable, __file__, "--case", json.dumps(case)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{case} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def run_case(case: dict[str, Any]) -> dict[str, Any]:
    if not case:
        return suggests()
    with environment("local"), session("local", cpus=case["slots"], gpus=0), tempfile.TemporaryDirectory() as folder:
        return one_case(folder=Path(folder), **case)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="48 trials on 4 slots only")
    parser.add_argument("--profile", choices=("main", "mlflow"), help="300 trials on 8 slots, one thread under cProfile")
    parser.add_argument("--cases", nargs="+", default=["100x8", "300x8", "1000x8", "300x64"], help="trials x slots")
    parser.add_argument("--epochs", type=int, default=5, help="reports of a trial that is not stopped early")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        print(json.dumps(run_case(json.loads(options.case))))
        return
    sizes = [tuple(map(int, size.split("x"))) for size in (["48x4"] if options.quick else options.cases)]
    sizes = [(300, 8)] if options.profile else sizes
    cases = [
        child({"trials": trials, "slots": slots, "reports": options.epochs, "profile": options.profile})
        for trials, slots in sizes
    ]
    result: dict[str, Any] = {"cases": cases}
    if not options.profile:
        trials, slots = sizes[min(1, len(sizes) - 1)]
        few, many = (
            cases[min(1, len(sizes) - 1)],
            child({"trials": trials, "slots": slots, "reports": 4 * options.epochs, "profile": None}),
        )
        per_report = (many["driver_cpu_s"] - few["driver_cpu_s"]) / (many["reports"] - few["reports"])
        rest = (few["driver_cpu_s"] - per_report * few["reports"]) / few["trials"]
        result = {
            "driver_cpu_ms_per_report": round(1e3 * per_report, 2),
            "driver_cpu_ms_per_trial_without_reports": round(1e3 * rest, 2),
            "suggest": child({}),
            "cases": [*cases, many],
        }
    print(json.dumps(result) if options.json else json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
