"""What does a sweep cost beyond its trials?

The same recipes called directly, side by side, against the sweep.

    python benchmarks/overhead.py [--json] [--data FILE.npz] [--weights FILE|none] [--rounds 2]

8 recipes of ResNet-18 at 96 px. Directly: a process a core, each calling `finetune` on its share of
the recipes, with the same kernels, stored activations and checkpoints; the clock runs from the
first call to the last one's end. The sweep: from the start of the first trial to the end of the
last, as MLflow has them, and the whole command. Both begin with data decoded and activations
stored. `trials` are of 10 s and more (layer4+fc, 12 epochs); `heads` have 400 epochs of 10 ms.
Rounds are interleaved; medians.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

CASES = {"trials": (2, 12), "heads": (1, 400)}  # trainable layers, epochs
STUDY = Path(__file__).with_name("overhead_study.py")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--data", default="digits")
    parser.add_argument("--weights", default="none")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    options = parser.parse_args()
    result: dict[str, Any] = {"cores": len(os.sched_getaffinity(0))}
    for case in options.cases:
        layers, epochs = CASES[case]
        with tempfile.TemporaryDirectory() as folder:
            sweep(layers, 1, options.data, options.weights, Path(folder))  # fills every cache
            rounds = []
            for _ in range(options.rounds):
                whole, span, trials = sweep(
                    layers, epochs, options.data, options.weights, Path(folder)
                )
                rounds.append((direct(trials), span, whole))
        plain, span, whole = (statistics.median(seconds) for seconds in zip(*rounds, strict=True))
        slots = result["cores"]
        result[case] = {
            "recipes": len(trials),
            "epochs": epochs,
            "seconds_of_a_direct_call": round(plain * slots / len(trials), 2),
            "direct_s": round(plain, 2),
            "sweep_s": round(span, 2),
            "whole_command_s": round(whole, 2),
            "ratio": round(span / plain, 3),
            "overhead_per_trial_s": round((span - plain) * slots / len(trials), 3),
            "overhead_per_epoch_ms": round(1000 * (span - plain) * slots / len(trials) / epochs, 2),
            "rounds": [[round(value, 2) for value in values] for values in rounds],
        }
    print(json.dumps(result) if options.json else json.dumps(result, indent=2))


def sweep(
    layers: int, epochs: int, data: str, weights: str, storage: Path
) -> tuple[float, float, list[dict[str, Any]]]:
    """Seconds of the command and of its trials, and what each trial was told."""
    from mlflow import MlflowClient

    name = f"overhead-{time.time_ns()}"
    command = [
        sys.executable,
        str(STUDY),
        "--preset",
        "full",
        "--data",
        data,
        "--weights",
        weights,
        "--trials",
        "1",
    ]
    environment = os.environ | {"OVERHEAD_LAYERS": str(layers), "OVERHEAD_EPOCHS": str(epochs)}
    started = time.perf_counter()
    subprocess.run(
        [*command, "--name", name, "--storage", str(storage)],
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    whole = time.perf_counter() - started
    client = MlflowClient(f"sqlite:///{storage / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("overhead")
    assert experiment is not None
    where = f"tags.`sweep.name` = '{name}' and tags.`sweep.role` = 'trial'"
    infos = [run.info for run in client.search_runs([experiment.experiment_id], where)]
    span = (max(info.end_time for info in infos) - min(info.start_time for info in infos)) / 1000
    described = json.loads((storage / "sweeps" / name / "sweep.json").read_text())
    champion = json.loads((storage / "sweeps" / name / "champion" / "recipe.json").read_text())
    rates = [float(arm) for arm in described["arms"]]
    return (
        whole,
        span,
        [champion | {"recipe": champion["recipe"] | {"stage2_lr": rate}} for rate in rates],
    )


def direct(trials: list[dict[str, Any]]) -> float:
    """Seconds of all recipes, a process a core.

    Processes are started and warm before the clock runs.
    """
    cores = len(os.sched_getaffinity(0))
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(cores + 1)
    workers = [
        context.Process(target=train, args=(trials[core::cores], barrier)) for core in range(cores)
    ]
    for worker in workers:
        worker.start()
    barrier.wait()
    started = time.perf_counter()
    barrier.wait()
    seconds = time.perf_counter() - started
    for worker in workers:
        worker.join()
    return seconds


def train(trials: list[dict[str, Any]], barrier: Any) -> None:
    import torch

    from sweeps.runner.speed import REPORT_EVERY
    from trainables.compute import Compute
    from trainables.data.dataset import Caps, prepare
    from trainables.feature_store import FeatureStore
    from trainables.finetune import finetune
    from trainables.frozen_features import Shared, cuts_of
    from trainables.recipe import Recipe
    from trainables.weights import Weights

    torch.set_num_threads(1)
    first = trials[0]
    cache, origin = Path(first["cache"]), first["data"]
    data = prepare(
        origin["source"],
        image_size=origin["image_size"],
        caps=Caps(**origin["caps"]),
        seed=origin["seed"],
        cache=cache,
    )
    weights = Weights.of(Path(first["weights_file"]) if first["weights_file"] else None)
    store, layers = (
        FeatureStore(cache / "prefix", sweep="direct"),
        first["recipe"]["trainable_layers"],
    )
    shared = Shared(store=store, cuts=tuple(cuts_of(layers, 0)))
    barrier.wait()
    for trial in trials:
        with tempfile.TemporaryDirectory() as folder:
            finetune(
                Recipe.from_sample(trial["recipe"]),
                data,
                torch.device("cpu"),
                lambda metrics: None,
                weights=weights,
                checkpoints=Path(folder),
                compute=Compute.from_dict(trial["compute"]),
                shared=shared,
                report_every=REPORT_EVERY,
            )
    barrier.wait()


if __name__ == "__main__":
    main()
