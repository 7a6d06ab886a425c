"""Ten trials in one process of a real Ray: none leaves a trace in those after it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import environment
from trainables.metrics import EPOCH_SECONDS, HISTORY, IMAGES_PER_SECOND
from trainables.recipe import Recipe

FIRST = Recipe(weights="none", image_size=32, trainable_layers=3, epochs=2, batch_size=32)
OTHERS = (
    {"trainable_layers": 1},
    {"trainable_layers": 6, "batchnorm": "batch_stats"},
    {"augmentation": "crop_flip_color"},
    {"stage2_lr": 1e30, "weight_decay": 0.1},  # diverges
    {"trainable_layers": 5, "stage1_epochs": 1, "mixup": 0.3, "optimizer": "sgd"},
    {"head": "mlp", "augmentation": "trivial", "seed": 7},
    {"batchnorm": "batch_stats", "label_smoothing": 0.1, "image_size": 40},
    {"trainable_layers": 4, "scheduler": "cosine", "batch_size": 50},
)
RECIPES = (FIRST, *(replace(FIRST, **other) for other in OTHERS), FIRST)
MOST_GROWTH = 150 * 2**20  # bytes


@pytest.mark.timeout(300)
def test_a_worker_that_is_used_again_gives_the_same_numbers_and_holds_no_more_memory(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-m", "tests.integration.test_reused_worker", str(tmp_path)]
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        command,
        cwd=root,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    trials = json.loads(done.stdout.splitlines()[-1])
    assert len(trials) == len(RECIPES) == 10
    assert len({trial["pid"] for trial in trials}) == 1
    assert [trial["outcome"] for trial in trials] == [None] * 4 + ["diverged"] + [None] * 5
    assert trials[0]["epochs"] == trials[-1]["epochs"]
    assert [epoch["epoch"] for epoch in trials[0]["epochs"]] == [1, 2]
    assert trials[0]["epochs"] != trials[1]["epochs"]
    assert trials[-1]["rss"] - trials[1]["rss"] <= MOST_GROWTH, [
        trial["rss"] // 2**20 for trial in trials
    ]
    assert not list(tmp_path.glob("checkpoints/*/last-*")), (
        "nothing to continue from is left of a trial that is over"
    )
    assert len(list(tmp_path.glob("checkpoints/*/best-*"))) == 9, "the one that diverges has none"


def sweep(folder: Path) -> list[dict[str, Any]]:
    """Train the recipes on one slot, as a sweep does.

    What Tune was told, and the worker's memory after each.
    """
    from ray import tune
    from ray.tune.search import Searcher

    from cluster.session import session
    from trainables.compute import Compute
    from trainables.data.dataset import Caps, prepare
    from trainables.ray_trial import train

    data = prepare(
        "digits", image_size=32, caps=Caps(train=20, val=20, test=5), seed=0, cache=folder / "cache"
    )
    shared = {"folder": str(folder / "prefix"), "sweep": "one", "share": 0.3, "cuts": ("layer3",)}
    shared |= {"views": True}
    trials: list[dict[str, Any]] = []

    class InOrder(Searcher):
        def __init__(self) -> None:
            super().__init__(metric="score", mode="max")
            self._left = list(enumerate(RECIPES))

        def suggest(self, trial_id: str) -> Any:
            if not self._left:
                return Searcher.FINISHED
            number, recipe = self._left.pop(0)
            return {
                "trial_id": f"arm/{number}",
                "arm": "arm",
                "number": number,
                "finalist": None,
                "recipe": recipe.as_dict(),
                "done": [],
                "data": {"path": str(data.path)},
                "weights": {"path": None, "digest": "none"},
                "checkpoints": str(folder / "checkpoints" / str(number)),
                "device": "cpu",
                "threads": 1,
                "gpu_share": 0.0,
                "compute": Compute().as_dict(),
                "shared": shared,
                "report_every": 10.0,
                "score": "accuracy",
            }

        def on_trial_complete(self, *args: Any, **kwargs: Any) -> None:
            """Nothing is learnt."""

        def save(self, checkpoint_path: str) -> None:
            """Nothing is kept."""

        def restore(self, checkpoint_path: str) -> None:
            """Nothing was kept."""

    class Watcher(tune.Callback):
        def on_trial_start(self, *args: Any, **info: Any) -> None:
            trials.append({"epochs": [], "outcome": None})

        def on_trial_result(self, *args: Any, result: dict[str, Any], **info: Any) -> None:
            trials[-1]["epochs"] += [_without_clock(epoch) for epoch in result.get(HISTORY, [])]
            trials[-1] |= {"outcome": result.get("outcome"), "pid": result["pid"]}

        def on_trial_complete(self, *args: Any, **info: Any) -> None:
            pages = int(Path(f"/proc/{trials[-1]['pid']}/statm").read_text().split()[1])
            trials[-1]["rss"] = pages * os.sysconf("SC_PAGE_SIZE")

    with session("local", cpus=1, gpus=0):
        tune.Tuner(
            tune.with_resources(train, {"cpu": 1, "gpu": 0}),
            tune_config=tune.TuneConfig(
                metric="score",
                mode="max",
                num_samples=len(RECIPES),
                search_alg=InOrder(),
                max_concurrent_trials=1,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                name="ray",
                storage_path=str(folder),
                callbacks=[Watcher()],
                failure_config=tune.FailureConfig(max_failures=0),
                verbose=0,
            ),
        ).fit()
    return trials


def _without_clock(epoch: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in epoch.items()
        if name not in (EPOCH_SECONDS, IMAGES_PER_SECOND)
    }


if __name__ == "__main__":
    from cluster.session import environment as rays_environment

    with rays_environment("local"):
        sys.stdout.write(json.dumps(sweep(Path(sys.argv[1]))) + "\n")
