"""A sweep's folder as a driver leaves it, with planted effects, and without training anything."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import balanced_accuracy_score, f1_score

from search_spaces.depth_vs_tricks import SPACE
from search_spaces.space import Arm, Choice, Int
from sweeps.records.champion import Bounds, Cost, choose
from sweeps.records.design import Design
from sweeps.records.events import DataRecord, FinalistsChosen, SweepStarted, to_json
from sweeps.records.manifest import definition
from trainables.metrics import (
    EPOCH,
    LR,
    SCORE,
    STAGE,
    TEST_LOSS,
    TEST_SCORES,
    TRAIN_ACCURACY,
    TRAIN_LOSS,
    VAL_ACCURACY,
    VAL_LOSS,
    VAL_SCORES,
)

Line = dict[str, Any]

STARTED = 1_763_773_560_000  # ms
PARAMETERS = {"resnet18": 11_181_642, "resnet34": 21_289_802, "resnet50": 23_528_522}
INFERENCE_MS = {"resnet18": 3.1, "resnet34": 5.6, "resnet50": 8.9}
DEPTH = {"resnet18": 0.0, "resnet34": 0.01, "resnet50": 0.0}  # planted: depth buys nothing
TRICKS = 0.04  # planted


@dataclass(kw_only=True)
class Synthetic:
    """What to make up. `outcomes` are of the trials 1, 2, 3 ... of each arm, as far as they go."""

    arms: Sequence[str] = tuple(arm.name for arm in SPACE.grid())
    trials: int = 8
    seeds: Sequence[int] = (0, 1, 2, 3, 4)
    images: int = 300
    classes: Sequence[str] = ("plane", "car", "bird", "cat", "deer")
    epochs: int = 20
    outcomes: Sequence[str] = ("pruned", "diverged", "failed")
    lost: Sequence[str] = ()  # finalists that failed
    predictions: bool = True
    ablations: bool = True
    finish: str | None = "completed"
    seed: int = 7
    shift: float = 0.0  # of every arm's accuracy
    score: str = "accuracy"  # on val all of them are the same number
    labels: Sequence[int] = ()  # of the test images; drawn where there are none
    val_labels: Sequence[int] = ()  # of the validation images; ten of test where there are none
    described: Mapping[str, Any] = field(default_factory=dict)
    # How finalists were chosen. 0 is a sweep of an earlier version, which retrained the best alone
    # and did not say it.
    recipes: int = 0  # of each arm, at most, take turns over the seeds
    stopped: Mapping[str, int] = field(default_factory=dict)  # seeds of arms decided earlier
    contenders: Sequence[str] = ()  # recipes with all seeds, whosever turn it was
    draws: bool = False  # each seed has its own images
    draw: float = 0.0  # standard deviation of a draw, which moves all arms alike
    run: float = 0.006  # and of a run beyond it


def make(storage: Path, name: str = "one", **changes: Any) -> Path:
    """Write the sweep `name` into a storage; its folder."""
    asked = Synthetic(**changes)
    folder = storage / "sweeps" / name
    (folder / "predictions").mkdir(parents=True)
    (folder / "driver.lock").touch()
    arms = [arm for arm in SPACE.with_fixed(epochs=asked.epochs).grid() if arm.name in asked.arms]
    described = _described(asked, arms, name) | asked.described
    (folder / "sweep.json").write_text(json.dumps(described, indent=2))
    events: list[Line] = [_started(asked, name)]
    rng = np.random.default_rng(asked.seed)
    for number in range(asked.trials):
        for arm in arms:
            events += _search_trial(asked, arm, number, rng)
    if asked.seeds:
        events += _finalists(asked, arms, events, folder)
    if asked.finish:
        tags = {"sweep.partial": "false"} if asked.finish == "completed" else {}
        events.append({"event": "finish", "outcome": asked.finish, "metrics": {}, "tags": tags})
    stamped = [
        json.dumps({"time": STARTED + 1000 * at, **event}) + "\n" for at, event in enumerate(events)
    ]
    (folder / "trials.jsonl").write_text("".join(stamped))
    return folder


def _started(asked: Synthetic, name: str) -> Line:
    data = DataRecord(
        name="cifar10",
        digest="0123456789abcdef",
        source="cifar10",
        num_images={"train": 500, "val": 500, "test": asked.images},
    )
    started = SweepStarted(
        study="depth_vs_tricks",
        sweep_name=name,
        tags={"sweep.preset": "full"},
        params={"trials_per_arm": asked.trials},
        dataset=data,
        description="Does depth pay, or do better training tricks?",
    )
    return to_json(started)


def _described(asked: Synthetic, arms: Sequence[Arm], name: str) -> Line:
    resumed = "python sweeps/depth_vs_tricks.py --resume one"
    options = dict.fromkeys(("arms", "data", "weights", "tracking_uri"))
    machine = {"system": "Linux-6.8", "python": "3.11.9"}
    # Earlier versions did not say how arms are compared.
    compared = {"finalist_recipes": asked.recipes, "worth": 1.0} if asked.recipes else {}
    return compared | {
        "study": "depth_vs_tricks",
        "question": "Does depth pay, or do better training tricks?",
        "command": f"python sweeps/depth_vs_tricks.py --gpus 4 --name {name}",
        "started": "2025-11-22T01:06:00+00:00",
        "resumed": [{"at": "2025-11-22T03:06:00+00:00", "command": resumed, "changes": []}],
        "options": {**options, "preset": "full", "seed": 0, "score": asked.score},
        "preset": "full",
        "seed": 0,
        "arms": [arm.name for arm in arms],
        "definition": definition(arms),
        "trials_per_arm": asked.trials,
        "finalist_seeds": list(asked.seeds),
        "contrasts": [
            {"name": "tricks", "weights": {"*/tricks": 1, "*/plain": -1}},
            {"name": "depth, linear trend", "weights": {"resnet50/*": 1, "resnet18/*": -1}},
        ],
        "published": [
            {
                "arm": "resnet18/plain",
                "value": 0.814,
                "metric": VAL_ACCURACY,
                "source": "the comparison article, p. 3",
            }
        ],
        "assumptions": ["The article names no optimiser: its curves look like Adam's."],
        "data": {
            "name": "cifar10",
            "source": "cifar10",
            "digest": "0123456789abcdef",
            "caps": {"train": 100, "val": 100, "test": 1000},
            "images": {"train": 500, "val": 500, "test": asked.images},
            "classes": list(asked.classes),
            "path": "/nowhere/cache/data/0123",
        },
        "weights": [
            {"weights": "imagenet", "backbone": name, "file": f"/w/{name}.pt", "digest": "89abcdef"}
            for name in PARAMETERS
        ],
        "slots": {"count": 4, "device": "cuda", "cpus": 4, "gpus": 1.0},
        "compute": {"dtype": "bfloat16"},
        "code": "fedcba9876543210",
        "versions": {"depth-vs-tricks": "0.1.0", "torch": "2.15.0", "ray": "2.60.0"},
        "machine": machine | {"processor": "AMD EPYC 9334", "commit": "2df63e8"},
    }


def _search_trial(asked: Synthetic, arm: Arm, number: int, rng: np.random.Generator) -> list[Line]:
    chosen = {} if number == 0 else {name: _drawn(dim, rng) for name, dim in arm.tuned.items()}
    sample = arm.sample_with(chosen)
    recipe = arm.recipe(sample).as_dict()
    outcome = "completed" if not 0 < number <= len(asked.outcomes) else asked.outcomes[number - 1]
    trial_id = f"{arm.name}/{number:03d}"
    started = {"event": "trial", "trial_id": trial_id, "arm": arm.name, "number": number}
    started |= {"role": "trial", "sample": sample, "recipe": recipe}
    done = {"completed": asked.epochs, "failed": 0}.get(outcome, max(1, asked.epochs // 3))
    quality = _quality(recipe, arm) + asked.shift
    return [started, *_trained(trial_id, recipe, done, outcome, quality, rng)]


def _drawn(dim: Any, rng: np.random.Generator) -> Any:
    if isinstance(dim, Choice):
        return dim.options[int(rng.integers(len(dim.options)))]
    if isinstance(dim, Int):
        return int(rng.integers(dim.low, dim.high + 1))
    return (
        float(np.exp(rng.uniform(np.log(dim.low), np.log(dim.high))))
        if dim.log
        else float(rng.uniform(dim.low, dim.high))
    )


def _quality(recipe: Mapping[str, Any], arm: Arm) -> float:
    best_lr = 10**-3.5
    lost = (
        0.02 * (np.log10(recipe["stage2_lr"] / best_lr)) ** 2
        + 0.01 * (3 - recipe["trainable_layers"]) ** 2
    )
    return float(
        0.80 + DEPTH[recipe["backbone"]] + TRICKS * arm.name.endswith("tricks") - min(lost, 0.3)
    )


def _trained(
    trial_id: str,
    recipe: Mapping[str, Any],
    done: int,
    outcome: str,
    quality: float,
    rng: np.random.Generator,
    **more: Any,
) -> list[Line]:
    epochs, score, best_epoch = [], 0.0, 0
    for epoch in range(1, done + 1):
        accuracy = float(
            np.round(quality * (1 - 0.6 * np.exp(-epoch / 3)) + rng.normal(0, 0.008), 3)
        )
        if epoch <= recipe["stage1_epochs"] + 1 or accuracy > score:
            score, best_epoch = accuracy, epoch
        train = float(1 - 0.5 * np.exp(-epoch / 4))
        losses = {
            VAL_LOSS: 1.5 - accuracy,
            TRAIN_LOSS: 1.4 - 1.35 * train,
            LR: recipe["stage2_lr"],
            "epoch_seconds": 4.0,
        }
        stage = 1 if epoch <= recipe["stage1_epochs"] else 2
        val = dict.fromkeys(VAL_SCORES.values(), accuracy)
        epochs.append(
            {EPOCH: epoch, SCORE: score, **val, TRAIN_ACCURACY: train, STAGE: stage, **losses}
        )
    reason = {"failed": "CUDA out of memory", "diverged": "loss is nan"}.get(outcome)
    end = {"trial_id": trial_id, "outcome": outcome, "reason": reason}
    end |= {"score": score if done else None, "best_epoch": best_epoch or None}
    totals = {"wall_seconds": 4.2 * done + 3, "device_seconds": 4.2 * done}
    reported = [{"event": "epochs", "trial_id": trial_id, "epochs": epochs}] if epochs else []
    return [*reported, {"event": "end", **end, **totals, **more}]


def _finalists(
    asked: Synthetic, arms: Sequence[Arm], events: Sequence[Line], folder: Path
) -> list[Line]:
    """Retrain the recipes of each arm, those that take turns and the default, and ablate one."""
    recipes = {event["trial_id"]: event["recipe"] for event in events if event["event"] == "trial"}
    scores = {}
    for event in events:
        if event["event"] == "end" and event["outcome"] == "completed":
            scores[event["trial_id"]] = event["score"]
    ranked = {}
    for arm in arms:
        of_arm = [name for name in scores if name.rpartition("/")[0] == arm.name]
        best = sorted(of_arm, key=lambda name: -scores[name])
        ranked[arm.name] = best[: asked.recipes or 1]
    most = min(max(map(len, ranked.values())), len(asked.seeds))
    design = Design(recipes=most, seeds=len(asked.seeds), worth=0.01)

    made: list[Line] = []
    for arm in arms:
        of_arm = ranked[arm.name]
        for group in dict.fromkeys([f"{arm.name}/000", *of_arm]):
            numbers = []
            for number in range(asked.stopped.get(arm.name, len(asked.seeds))):
                turn = of_arm[design.turn(number, len(of_arm))] == group
                if turn or group.endswith("/000"):
                    numbers.append(number)
            if group in asked.contenders:
                numbers = list(range(len(asked.seeds)))
            made += _over_seeds(asked, arm, group, recipes[group], numbers, folder)
    champion = _champion([arm.name for arm in arms], made, recipes, folder)
    if asked.ablations and champion and any(arm.name.endswith("tricks") for arm in arms):
        arm = next(arm for arm in arms if arm.name == champion.arm)
        recipe = {**recipes[champion.group], "scheduler": "constant"}
        numbers = list(champion.by_seed)
        made += _over_seeds(asked, arm, champion.group, recipe, numbers, folder, "scheduler")
    return [*_chosen(asked, made, ranked), *made] if asked.recipes else made


def _chosen(
    asked: Synthetic, made: Sequence[Line], ranked: Mapping[str, Sequence[str]]
) -> list[Line]:
    """Return the choice of the finalists, as versions write it that compare several recipes."""
    names = [event["trial_id"] for event in made if event["event"] == "trial"]
    draws = {}
    for number in range(len(asked.seeds) if asked.draws else 0):
        draws[str(number)] = {"digest": f"d{number}", "path": f"/nowhere/cache/data/d{number}"}
    turns = {arm: asked.stopped.get(arm, len(asked.seeds)) for arm in ranked}
    return [to_json(FinalistsChosen(trial_ids=names, recipes=ranked, turns=turns, draws=draws))]


@dataclass(frozen=True, kw_only=True)
class _Retrained:
    """A recipe by its completed seeds, as the champion is chosen."""

    group: str
    arm: str
    number: int
    by_seed: Mapping[int, float]
    cost: Cost


def _champion(
    arms: Sequence[str], made: Sequence[Line], recipes: Mapping[str, Any], folder: Path
) -> _Retrained | None:
    """Keep the champion's recipe, as a driver does; None where no seed completed."""
    scores: dict[str, dict[int, float]] = {}
    for event in made:
        if event["event"] == "end" and event["outcome"] == "completed":
            group, _, number = event["trial_id"].rpartition("/s")
            scores.setdefault(group, {})[int(number)] = event["score"]
    candidates = []
    for group, by_seed in scores.items():
        backbone = recipes[group]["backbone"]
        cost = Cost(PARAMETERS[backbone], INFERENCE_MS[backbone])
        arm, _, trial = group.rpartition("/")
        candidates.append(
            _Retrained(group=group, arm=arm, number=int(trial), by_seed=by_seed, cost=cost)
        )
    choice = choose(candidates, arms, Bounds())
    if choice is None:
        return None
    best = max(choice.champion.by_seed, key=choice.champion.by_seed.__getitem__)
    kept = {
        "trial": f"{choice.champion.group}/s{best}",
        "score": choice.champion.by_seed[best],
        "command": "python -m trainables x",
    }
    (folder / "champion").mkdir(exist_ok=True)
    (folder / "champion" / "recipe.json").write_text(json.dumps(kept))
    return choice.champion


def _over_seeds(
    asked: Synthetic,
    arm: Arm,
    group: str,
    recipe: Mapping[str, Any],
    numbers: Sequence[int],
    folder: Path,
    without: str = "",
) -> list[Line]:
    """Train a recipe with some seeds of the sweep, by their numbers."""
    quality = _quality(recipe, arm) + asked.shift - (0.03 if without else 0.0)
    made: list[Line] = []
    for index in numbers:
        seed = asked.seeds[index]
        trial_id = f"{group}/without-{without}/s{index}" if without else f"{group}/s{index}"
        rng = np.random.default_rng([asked.seed, seed, *map(ord, trial_id)])
        event = {"event": "trial", "trial_id": trial_id, "arm": arm.name, "number": int(group[-3:])}
        own = {"role": "finalist", "sample": {}, "recipe": {**recipe, "seed": seed}}
        made.append({**event, **own, "group": group, "without": without})
        drawn = np.random.default_rng([asked.seed, index]).normal(0, asked.draw)
        ours = quality + float(drawn + rng.normal(0, asked.run))
        if trial_id in asked.lost:
            made += _trained(trial_id, recipe, 0, "failed", ours, rng)
            continue
        test, labels = _log_probabilities(asked, ours, rng)
        said, backbone = test.argmax(1), recipe["backbone"]
        tested = {
            TEST_SCORES["accuracy"]: float((said == labels).mean()),
            TEST_SCORES["balanced_accuracy"]: float(balanced_accuracy_score(labels, said)),
            TEST_SCORES["macro_f1"]: float(
                f1_score(labels, said, average="macro", zero_division=0)
            ),
            TEST_LOSS: float(-test[np.arange(len(labels)), labels].mean()),
        }
        tested |= {"parameters": PARAMETERS[backbone], "inference_ms": INFERENCE_MS[backbone]}
        made += _trained(trial_id, recipe, asked.epochs, "completed", ours, rng, test=tested)
        if asked.predictions:
            file = folder / "predictions" / f"{trial_id.replace('/', '-')}.npz"
            val, val_labels = test[:10], labels[:10]
            if asked.val_labels:
                of_val = replace(asked, labels=asked.val_labels, images=len(asked.val_labels))
                val, val_labels = _log_probabilities(of_val, ours, rng)
            np.savez(file, test=test, test_labels=labels, val=val, val_labels=val_labels)
    return made


def _log_probabilities(
    asked: Synthetic, quality: float, rng: np.random.Generator
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Draw float32 [N, classes] that are right with a probability of about `quality`.

    Some images are hard for all alike.
    """
    images, count = np.random.default_rng(asked.seed), len(asked.classes)
    labels = np.array(asked.labels) if asked.labels else images.integers(count, size=asked.images)
    hard = images.uniform(size=asked.images) ** 2 - 1 / 3
    margin = 14 * (
        np.clip(quality, 0.02, 0.98) - 0.5 - 1.1 * hard + rng.normal(0, 0.1, asked.images)
    )
    logits = rng.normal(0, 0.6, (asked.images, count)).astype(np.float32)
    logits[np.arange(asked.images), labels] += margin.astype(np.float32)
    return logits - np.logaddexp.reduce(logits, axis=1, keepdims=True), labels.astype(np.int64)
