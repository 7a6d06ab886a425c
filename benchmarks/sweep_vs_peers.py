"""Is a sweep faster than what one would write without this project, and as accurate?

    python benchmarks/sweep_vs_peers.py --data FILE.npz --weights FILE [--json] [--quick]
                                        [--limit 45] [--ways ours sequential expert ray]

12 recipes (`peers_study.py`): ResNet-18, 96 px, 1 to 3 trainable layers, without and with crops and
flips, one stage and two, 5 epochs. Four ways, each from the start of its process to its end:

- ours: the command of a study, in a fresh storage without a cache, until its last byte is in
  MLflow;
- sequential: one long script as in articles, `peers.py`; it saves nothing;
- expert: a script with all that an expert does by hand for these recipes, `expert.py`: bf16,
  batched augmentation, features of frozen layers kept from recipe to recipe; it saves nothing;
- ray: a Ray Tune trainable as in Ray's tutorial, `peers.py`; it saves a checkpoint each epoch.

The peers are handed the very images that our sweep chooses, cut out beforehand; ours starts from
--data. The machine's speed drifts, so parts of both scripts lie between the others: 4 recipes of
each, ours, 4, ray, 4, and ours again where the limit allows (--limit, minutes). A script's process
is kept and its clock stands while the others run. Accuracies are those of the last epoch in all
ways, not the best of a trial. Augmentation and initial heads are drawn differently by each.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.machine import machine

HERE = Path(__file__).parent
SCRIPTS = {
    "sequential": (str(HERE / "peers.py"), "sequential"),
    "expert": (str(HERE / "expert.py"),),
}
PEERS = {"sequential": "sequential", "expert": "expert", "ray": "ray_tutorial"}  # names in --json
WAYS = ("ours", *PEERS)
PARTS = 3  # of each script's recipes
Accuracies = dict[str, float]


class Script:
    """A script that trains one recipe after the other, as it is told.

    Its clock runs from its start to being ready and while it works.
    """

    def __init__(self, way: str, arguments: list[str], log: Path) -> None:
        self.by_recipe: dict[str, float] = {}
        self.accuracies: Accuracies = {}
        started = time.perf_counter()
        command = [sys.executable, *SCRIPTS[way], *arguments]
        with log.open("w") as errors:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
            )
        self._way = way
        self._log = log
        self.threads = self._answer()["threads"]
        self.start_seconds = time.perf_counter() - started

    def run(self, recipe: dict[str, Any]) -> None:
        started = time.perf_counter()
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(recipe) + "\n")
        self._process.stdin.flush()
        self.accuracies[recipe["name"]] = self._answer()["val_accuracy"][-1]
        self.by_recipe[recipe["name"]] = time.perf_counter() - started

    def close(self) -> float:
        """Seconds of the whole way."""
        started = time.perf_counter()
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        return self.start_seconds + sum(self.by_recipe.values()) + time.perf_counter() - started

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            sys.exit(f"{self._way} failed:\n{self._log.read_text()[-3000:]}")
        return json.loads(line)


def timed(command: list[str], log: Path, **environment: str) -> tuple[float, str]:
    """Seconds and output of a command; it inherits no cache and no other sweep's settings."""
    env = {
        name: value for name, value in os.environ.items() if name != "DVT_CACHE_DIR"
    } | environment
    started = time.perf_counter()
    with log.open("w") as output:
        done = subprocess.run(
            [sys.executable, *command], stdout=output, stderr=subprocess.STDOUT, env=env
        )
    seconds = time.perf_counter() - started
    if done.returncode:
        sys.exit(f"{command[0]} failed:\n{log.read_text()[-3000:]}")
    return seconds, log.read_text()


def ours(
    data: str, weights: str, recipes: list[dict[str, Any]], folder: Path
) -> tuple[float, Accuracies]:
    folder.mkdir()
    arms = ",".join(recipe["name"] for recipe in recipes)
    flags = [
        "--preset",
        "full",
        "--trials",
        "1",
        "--data",
        data,
        "--weights",
        weights,
        "--arms",
        arms,
    ]
    command = [str(HERE / "peers_study.py"), *flags, "--storage", str(folder / "runs")]
    seconds, _ = timed(command, folder / "log", PEERS_EPOCHS=str(recipes[0]["epochs"]))
    return seconds, from_mlflow(folder / "runs")


def from_mlflow(storage: Path) -> Accuracies:
    """The last epoch's validation accuracy of each trial."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{storage / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("peers")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], "tags.`sweep.role` = 'trial'")
    return {run.data.tags["sweep.arm"]: run.data.metrics["val/accuracy"] for run in runs}


def ray_tutorial(
    arguments: list[str], recipes: list[dict[str, Any]], folder: Path
) -> tuple[float, Accuracies]:
    from trainables.cpus import available_cpus

    folder.mkdir()
    (folder / "recipes.json").write_text(json.dumps(recipes))
    flags = [
        "--cpus",
        str(available_cpus()),
        "--recipes",
        str(folder / "recipes.json"),
        "--storage",
        str(folder / "runs"),
    ]
    settings = {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
    seconds, output = timed(
        [str(HERE / "peers.py"), "ray", *arguments, *flags], folder / "log", **settings
    )
    (answer,) = [line for line in output.splitlines() if line.startswith('{"val_accuracy"')]
    return seconds, json.loads(answer)["val_accuracy"]


def images_for_peers(data: str, folder: Path) -> Path:
    """The images that our sweep trains and validates on, decoded, in one file."""
    from sweeps.runner.study import PRESETS
    from trainables.data.dataset import Caps, prepare

    full = PRESETS["full"]
    caps = Caps(train=full.train_per_class, val=full.val_per_class, test=full.test_per_class)
    dataset = prepare(data, image_size=96, caps=caps, seed=0, cache=folder / "cache")
    path = folder / "images.npz"
    splits = {name: dataset.split(name) for name in ("train", "val")}  # type: ignore[arg-type]
    arrays = {f"x_{name}": split.images for name, split in splits.items()}
    np.savez(path, **arrays, **{f"y_{name}": split.labels for name, split in splits.items()})
    return path


def difference(mine: Accuracies, theirs: Accuracies) -> dict[str, Any]:
    """Ours minus theirs in points, over the recipes; error and interval need two."""
    from scipy.stats import t

    points = [100 * (mine[name] - theirs[name]) for name in mine]
    mean, count = statistics.mean(points), len(points)
    error = statistics.stdev(points) / count**0.5 if count > 1 else float("nan")
    half = float(t.ppf(0.975, count - 1)) * error if count > 1 else float("nan")
    return {
        "mean_points": round(mean, 2),
        "standard_error": round(error, 2),
        "interval_95": [round(mean - half, 2), round(mean + half, 2)],
        "recipes": count,
    }


def measure(
    options: argparse.Namespace, recipes: list[dict[str, Any]], folder: Path
) -> dict[str, Any]:
    began, count = time.perf_counter(), len(recipes)
    images = str(images_for_peers(options.data, folder))
    arguments = ["--data", images, "--weights", options.weights]
    workers = ["--workers", str(options.workers)]
    if options.weights != "none":
        Path(options.weights).read_bytes()  # so that nobody is the first to read it from the disk
    seconds: dict[str, list[float]] = {}
    found: dict[str, Accuracies] = {}

    def note(way: str, run: tuple[float, Accuracies]) -> None:
        if missing := [recipe["name"] for recipe in recipes if recipe["name"] not in run[1]]:
            sys.exit(f"{way} has no result for {', '.join(missing)}")
        seconds.setdefault(way, []).append(round(run[0], 1))
        found.setdefault(way, run[1])

    scripts: dict[str, Script] = {}
    for way in SCRIPTS:
        if way in options.ways:
            more = workers if way == "sequential" else []
            scripts[way] = Script(way, [*arguments, *more], folder / f"{way}.log")
    for number in range(PARTS):
        part = recipes[number * count // PARTS : (number + 1) * count // PARTS]
        # In turn the one and the other first.
        for way in sorted(scripts, reverse=number % 2 == 0):
            for recipe in part:
                scripts[way].run(recipe)
        if number == 0 and "ours" in options.ways:
            note("ours", ours(options.data, options.weights, recipes, folder / "ours-1"))
        if number == 1 and "ray" in options.ways:
            note("ray", ray_tutorial([*arguments, *workers], recipes, folder / "ray"))
    for way, script in scripts.items():
        note(way, (script.close(), script.accuracies))
    left = 60 * options.limit - (time.perf_counter() - began)
    if "ours" in options.ways and not options.quick and seconds["ours"][0] < left:
        note("ours", ours(options.data, options.weights, recipes, folder / "ours-2"))
    typical = {way: statistics.median(values) for way, values in seconds.items()}
    result: dict[str, Any] = {
        "recipes": count,
        "epochs": recipes[0]["epochs"],
        "data": options.data,
        "weights": options.weights,
    }
    result |= {"wall_s": seconds}
    for way, name in PEERS.items():
        if {"ours", way} <= typical.keys():
            result[f"ratio_vs_{name}"] = round(typical[way] / typical["ours"], 2)
            result[f"ours_minus_{name}"] = difference(found["ours"], found[way])
    for way, script in scripts.items():
        result[f"{way}_start_s"] = round(script.start_seconds, 1)
        result[f"{way}_threads"] = script.threads
        result[f"{way}_s_by_recipe"] = {
            name: round(value, 1) for name, value in script.by_recipe.items()
        }
    names = [recipe["name"] for recipe in recipes]
    result["val_accuracy"] = {
        name: {way: round(found[way][name], 4) for way in found} for name in names
    }
    return result | {"machine": machine(), "minutes": round((time.perf_counter() - began) / 60, 1)}


def show(result: dict[str, Any]) -> None:
    print(f"{result['recipes']} recipes of {result['epochs']} epochs")
    print("way         seconds  to ours  val accuracy  ours minus it, points (95% interval)")
    by_recipe = result["val_accuracy"].values()
    for way in [way for way in WAYS if way in result["wall_s"]]:
        seconds = result["wall_s"][way]
        accuracy = statistics.mean(values[way] for values in by_recipe)
        line = f"{way:10} {statistics.median(seconds):8.1f} "
        ratio = result.get(f"ratio_vs_{PEERS.get(way)}")
        line += f" {ratio:6.2f}x" if ratio else " " * 8
        line += f" {accuracy:13.1%}"
        if minus := result.get(f"ours_minus_{PEERS.get(way)}"):
            low, high = minus["interval_95"]
            line += f"  {minus['mean_points']:+.2f} ({low:+.2f} to {high:+.2f})"
        print(line)
    where = result["machine"]
    print(
        f"{where['cpu']}, {where['cores']} cores, torch {where['torch']}, {result['minutes']} min"
    )
    print(f"commit {where['commit']}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument(
        "--data",
        default="digits",
        help="an .npz with x_train, y_train, x_test, y_test; default: digits",
    )
    parser.add_argument(
        "--weights", default="none", help="a state dict of torchvision's resnet18, or none"
    )
    parser.add_argument(
        "--ways",
        nargs="+",
        choices=WAYS,
        default=list(WAYS),
    )
    parser.add_argument(
        "--recipes", default="*", help="only the arms that match, such as '3-*/none'"
    )
    parser.add_argument(
        "--workers", type=int, default=0, help="of the peers' DataLoader, as the articles leave it"
    )
    parser.add_argument(
        "--limit", type=float, default=45, help="minutes into which a second run of ours must fit"
    )
    parser.add_argument(
        "--quick", action="store_true", help="2 recipes, 1 epoch: does everything run?"
    )
    options = parser.parse_args()
    options.weights = (
        options.weights if options.weights == "none" else str(Path(options.weights).absolute())
    )
    options.data = (
        str(Path(options.data).absolute()) if Path(options.data).is_file() else options.data
    )
    if options.quick:
        os.environ["PEERS_EPOCHS"] = "1"
        options.recipes = "1-one/none,2-one/crop_flip"
    from benchmarks.peers_study import SPACE

    recipes = [
        {"name": arm.name, **arm.default_recipe().as_dict()}
        for arm in SPACE.matching(options.recipes)
    ]
    with tempfile.TemporaryDirectory() as folder:
        result = measure(options, recipes, Path(folder))
    if options.json:
        print(json.dumps(result))
    else:
        show(result)


if __name__ == "__main__":
    main()
