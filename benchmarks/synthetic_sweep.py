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
from sweeps.records.events import DataRecord, SweepStarted, to_json
from sweeps.records.manifest import definition
from trainables.metrics import (
    EPOCH,
    LR,
    SCORE,
    STAGE,
    TEST_ACCURACY,
    TEST_BALANCED_ACCURACY,
    TEST_LOSS,
    TEST_MACRO_F1,
    TRAIN_ACCURACY,
    TRAIN_LOSS,
    VAL_ACCURACY,
    VAL_BALANCED_ACCURACY,
    VAL_LOSS,
    VAL_MACRO_F1,
)

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
    val_labels: Sequence[
        int
    ] = ()  # of the validation images; these are ten of test where there are none
    described: Mapping[str, Any] = field(default_factory=dict)


def make(storage: Path, name: str = "one", **changes: Any) -> Path:
    """Write the sweep `name` into a storage; its folder."""
    asked = Synthetic(**changes)
    folder = storage / "sweeps" / name
    (folder / "predictions").mkdir(parents=True)
    (folder / "driver.lock").touch()
    arms = [arm for arm in SPACE.with_fixed(epochs=asked.epochs).grid() if arm.name in asked.arms]
    (folder / "sweep.json").write_text(
        json.dumps(_described(asked, arms, name) | asked.described, indent=2)
    )
    events: list[dict[str, Any]] = [_started(asked, name)]
    rng = np.random.default_rng(asked.seed)
    for number in range(asked.trials):
        for arm in arms:
            events += _search_trial(asked, arm, number, rng)
    if asked.seeds:
        events += _finalists(asked, arms, events, folder)
    if asked.finish:
        events.append({"event": "finish", "outcome": asked.finish, "metrics": {}, "tags": {}})
    stamped = [
        json.dumps({"time": STARTED + 1000 * at, **event}) + "\n" for at, event in enumerate(events)
    ]
    (folder / "trials.jsonl").write_text("".join(stamped))
    return folder


def _started(asked: Synthetic, name: str) -> dict[str, Any]:
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


def _described(asked: Synthetic, arms: Sequence[Arm], name: str) -> dict[str, Any]:
    return {
        "study": "depth_vs_tricks",
        "question": "Does depth pay, or do better training tricks?",
        "command": f"python sweeps/depth_vs_tricks.py --gpus 4 --name {name}",
        "started": "2025-11-22T01:06:00+00:00",
        "resumed": [
            {
                "at": "2025-11-22T03:06:00+00:00",
                "command": "python sweeps/depth_vs_tricks.py --resume one",
                "changes": [],
            }
        ],
        "options": {
            "arms": None,
            "data": None,
            "weights": None,
            "preset": "full",
            "seed": 0,
            "tracking_uri": None,
        }
        | {"score": asked.score},
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
            {
                "weights": "imagenet",
                "backbone": b,
                "file": f"/w/{b}.pt",
                "digest": "89abcdef01234567",
            }
            for b in PARAMETERS
        ],
        "slots": {"count": 4, "device": "cuda", "cpus": 4, "gpus": 1.0},
        "compute": {"dtype": "bfloat16"},
        "code": "fedcba9876543210",
        "versions": {"depth-vs-tricks": "0.1.0", "torch": "2.15.0", "ray": "2.60.0"},
        "machine": {
            "system": "Linux-6.8",
            "python": "3.11.9",
            "processor": "AMD EPYC 9334",
            "commit": "2df63e8",
        },
    }


def _search_trial(
    asked: Synthetic, arm: Arm, number: int, rng: np.random.Generator
) -> list[dict[str, Any]]:
    chosen = {} if number == 0 else {name: _drawn(dim, rng) for name, dim in arm.tuned.items()}
    sample = arm.sample_with(chosen)
    recipe = arm.recipe(sample).as_dict()
    outcome = "completed" if not 0 < number <= len(asked.outcomes) else asked.outcomes[number - 1]
    trial_id = f"{arm.name}/{number:03d}"
    started = {
        "event": "trial",
        "trial_id": trial_id,
        "arm": arm.name,
        "number": number,
        "role": "trial",
        "sample": sample,
    }
    done = {"completed": asked.epochs, "failed": 0}.get(outcome, max(1, asked.epochs // 3))
    return [
        {**started, "recipe": recipe},
        *_trained(trial_id, recipe, done, outcome, _quality(recipe, arm) + asked.shift, rng),
    ]


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
) -> list[dict[str, Any]]:
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
        val = dict.fromkeys((VAL_ACCURACY, VAL_BALANCED_ACCURACY, VAL_MACRO_F1), accuracy)
        epochs.append(
            {EPOCH: epoch, SCORE: score, **val, TRAIN_ACCURACY: train, STAGE: stage, **losses}
        )
    reason = {"failed": "CUDA out of memory", "diverged": "loss is nan"}.get(outcome)
    end = {
        "trial_id": trial_id,
        "outcome": outcome,
        "reason": reason,
        "score": score if done else None,
    }
    totals = {
        "best_epoch": best_epoch or None,
        "wall_seconds": 4.2 * done + 3,
        "device_seconds": 4.2 * done,
    }
    reported = [{"event": "epochs", "trial_id": trial_id, "epochs": epochs}] if epochs else []
    return [*reported, {"event": "end", **end, **totals, **more}]


def _finalists(
    asked: Synthetic, arms: Sequence[Arm], events: Sequence[Mapping[str, Any]], folder: Path
) -> list[dict[str, Any]]:
    recipes = {event["trial_id"]: event for event in events if event["event"] == "trial"}
    scores = {
        e["trial_id"]: e["score"]
        for e in events
        if e["event"] == "end" and e["outcome"] == "completed"
    }
    made: list[dict[str, Any]] = []
    for arm in arms:
        groups = {
            f"{arm.name}/000": None,
            max((s for s in scores if s.startswith(arm.name)), key=scores.__getitem__): None,
        }
        for group in groups:
            recipe = recipes[group]["recipe"]
            made += _over_seeds(
                asked, arm, group, "", recipe, _quality(recipe, arm) + asked.shift, folder
            )
    if asked.ablations and (tricks := [arm for arm in arms if arm.name.endswith("tricks")]):
        recipe = {**recipes[f"{tricks[0].name}/000"]["recipe"], "scheduler": "constant"}
        group = _champion(asked, made, folder)
        recipe = {**recipes[group]["recipe"], "scheduler": "constant"}
        arm = next(arm for arm in arms if arm.name == group.rpartition("/")[0])
        made += _over_seeds(
            asked,
            arm,
            group,
            "scheduler",
            recipe,
            _quality(recipe, arm) + asked.shift - 0.03,
            folder,
        )
    return made


def _champion(asked: Synthetic, made: Sequence[Mapping[str, Any]], folder: Path) -> str:
    scores: dict[str, list[float]] = {}
    for event in made:
        if event["event"] == "end" and event["score"] is not None:
            scores.setdefault(event["trial_id"].rpartition("/")[0], []).append(event["score"])
    group = max(scores, key=lambda name: float(np.mean(scores[name])))
    (folder / "champion").mkdir(exist_ok=True)
    kept = {
        "trial": f"{group}/s{int(np.argmax(scores[group]))}",
        "score": max(scores[group]),
        "command": "python -m trainables x",
    }
    (folder / "champion" / "recipe.json").write_text(json.dumps(kept))
    return group


def _over_seeds(
    asked: Synthetic,
    arm: Arm,
    group: str,
    without: str,
    recipe: Mapping[str, Any],
    quality: float,
    folder: Path,
) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for index, seed in enumerate(asked.seeds):
        trial_id = f"{group}/without-{without}/s{index}" if without else f"{group}/s{index}"
        rng = np.random.default_rng([asked.seed, seed, *map(ord, trial_id)])
        event = {
            "event": "trial",
            "trial_id": trial_id,
            "arm": arm.name,
            "number": int(group[-3:]),
            "role": "finalist",
        }
        made.append(
            {
                **event,
                "sample": {},
                "recipe": {**recipe, "seed": seed},
                "group": group,
                "without": without,
            }
        )
        ours = quality + float(rng.normal(0, 0.006))
        if trial_id in asked.lost:
            made += _trained(trial_id, recipe, 0, "failed", ours, rng)
            continue
        test, labels = _log_probabilities(asked, ours, rng)
        said, backbone = test.argmax(1), recipe["backbone"]
        tested = {
            TEST_ACCURACY: float((said == labels).mean()),
            TEST_BALANCED_ACCURACY: float(balanced_accuracy_score(labels, said)),
            TEST_MACRO_F1: float(f1_score(labels, said, average="macro", zero_division=0)),
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
