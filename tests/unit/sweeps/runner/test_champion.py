"""What is shipped is the champion's own."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sweeps.records.events import ChampionKept, Event
from sweeps.records.folder import checkpoints, predictions
from sweeps.runner.champion import Shipped, keep, register
from tests.unit.sweeps.runner.trained import RECIPE, plan_in, record, train
from trainables.checkpoint import BEST, best, load_best
from trainables.compute import Compute
from trainables.data.dataset import Caps, prepare, read
from trainables.data.test_identity import digest_of_test
from trainables.weights import RANDOM


@pytest.fixture
def plan(tmp_path: Path) -> Any:
    return plan_in(tmp_path)


@pytest.fixture
def run(plan: Any) -> Any:
    val = SimpleNamespace(images=np.zeros((1, 40, 40, 3), np.uint8))
    data = SimpleNamespace(
        split=lambda name: val,
        name="photos",
        classes=("x", "y"),
        path=plan.cache / "entry",
        digest="of the search",
    )
    weights = {("none", "resnet18"): RANDOM}
    materials = SimpleNamespace(data=data, weights=weights, compute=Compute())
    draws = SimpleNamespace(of=lambda name: SimpleNamespace(digest=f"of {name}"))
    told: list[Event] = []
    return SimpleNamespace(plan=plan, materials=materials, draws=draws, told=told, tell=told.append)


@pytest.fixture
def shipped(plan: Any) -> Shipped:
    """Two seeds of a champion, of which the better one's checkpoint is kept."""
    seeds = [record(f"a/000/s{at}", 0.75 + 0.1 * at) for at in (1, 0)]
    train(plan, seeds[0])
    kept = best(checkpoints(plan.folder, "a/000/s1"))
    assert kept
    (plan.folder / "champion").mkdir()
    kept.replace(plan.folder / "champion" / BEST)
    for seed in seeds:
        seed.test = {"test/accuracy": 0.7, "test/balanced_accuracy": 0.6, "test/macro_f1": 0.5}
    return Shipped(record=seeds[0], seeds=seeds, whole=True)


def written(plan: Any, trial_id: str, labels: np.ndarray) -> Path:
    """Write a finalist's predictions for images with these labels."""
    path = predictions(plan.folder, trial_id)
    path.parent.mkdir(exist_ok=True)
    np.savez(path, test=np.zeros((len(labels), 5), np.float32), test_labels=labels)
    return path


def test_the_weights_of_another_champion_are_never_shipped_under_this_ones_name(
    plan: Any, run: Any
) -> None:
    old, new = record("a/001", 0.5), record("a/002", 0.7)
    train(plan, old)
    keep(run, old)
    assert (plan.folder / "champion" / BEST).exists()
    keep(run, new)  # whose checkpoint is gone
    kept = json.loads((plan.folder / "champion/recipe.json").read_text())
    assert (kept["trial"], kept["score"], kept["metric"]) == ("a/002", 0.7, "macro_f1")
    assert kept["data"] == {"digest": "of a/002", "stored_side": 40}, "of its own draw"
    assert not (plan.folder / "champion" / BEST).exists()


@pytest.mark.parametrize(
    ("score", "said"),
    [
        ("accuracy", "best of 2 seeds; on average 80.0% on val and 70.0% on test"),
        (
            "balanced_accuracy",
            "best of 2 seeds; on average a balanced accuracy of 80.0% on val and 60.0% on test",
        ),
    ],
)
def test_the_registered_model_says_which_metric_chose_it(
    plan: Any, run: Any, shipped: Shipped, score: str, said: str
) -> None:
    plan.score = score
    register(run, shipped)
    (event,) = run.told
    assert isinstance(event, ChampionKept)
    assert event.name == "study-photos-laptop"
    assert (event.metric, event.move_alias, event.stored_side) == (score, True, 40)
    assert event.description == f"a/000/s1 of sweep night: {said}."


def test_a_finalist_is_told_with_its_predictions_and_the_digest_of_the_test_split(
    plan: Any, run: Any, shipped: Shipped
) -> None:
    caps = Caps(train=6, val=3, test=3)
    run.materials.data = prepare("digits", image_size=32, caps=caps, seed=0, cache=plan.cache)
    opened = read(run.materials.data.path, test=True)
    labels = opened.split("test").labels
    path = written(plan, "a/000/s1", labels)
    register(run, shipped)
    assert run.told[0].predictions == str(path)
    assert run.told[0].test_digest == digest_of_test(opened)

    # Of other images, as where the data changed since: none.
    written(plan, "a/000/s1", labels[::-1])
    register(run, shipped)
    assert (run.told[1].predictions, run.told[1].test_digest) == ("", "")


def test_without_predictions_or_test_images_there_is_nothing_to_compare(
    plan: Any, run: Any, shipped: Shipped
) -> None:
    register(run, shipped)
    # The cache was deleted meanwhile.
    written(plan, "a/000/s1", np.array([0, 1]))
    register(run, shipped)
    for event in run.told:
        assert (event.predictions, event.test_digest) == ("", "")


def test_weights_that_were_trained_again_and_are_not_the_same_have_no_predictions(
    plan: Any, run: Any, shipped: Shipped
) -> None:
    caps = Caps(train=6, val=3, test=3)
    run.materials.data = prepare("digits", image_size=32, caps=caps, seed=0, cache=plan.cache)
    labels = read(run.materials.data.path, test=True).split("test").labels
    written(plan, "a/000/s1", labels)
    # Another GPU, say, rounded otherwise.
    shipped.record.score = 0.9
    register(run, shipped)
    (event,) = run.told
    assert (event.predictions, event.test_digest) == ("", "")
    assert "; trained again it scores a macro F1 of 85.0% on val" in event.description


@pytest.mark.parametrize(
    ("uri", "line", "said"),
    [
        ("models:/n@champion", "", "Registered a/000/s1 (best seed) as models:/n@champion"),
        (
            "models:/n/4",
            "The champion stays version 3.",
            "Registered a/000/s1 (best seed) as models:/n/4. The champion stays version 3.",
        ),
    ],
)
def test_the_user_is_told_where_the_champion_stays_another(
    run: Any, shipped: Shipped, uri: str, line: str, said: str
) -> None:
    made = SimpleNamespace(uri=uri, line=line)
    run.tracker = SimpleNamespace(problem=lambda: None, registered=lambda timeout: made)
    assert register(run, shipped)() == said


def test_a_champion_that_is_kept_again_keeps_its_weights_though_its_checkpoint_is_gone(
    plan: Any, run: Any
) -> None:
    trial = record("a/001", 0.5)
    train(plan, trial)
    keep(run, trial)
    for path in checkpoints(plan.folder, trial.trial_id).iterdir():
        path.unlink()
    assert set(keep(run, trial)) == {"champion/recipe.json"}, "MLflow has the model's weights"
    assert load_best(plan.folder / "champion" / BEST)[1] == RECIPE
    assert sorted(path.name for path in (plan.folder / "champion").iterdir()) == [
        "best.pt",
        "recipe.json",
    ]
