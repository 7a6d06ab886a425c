"""The alias `champion` moves to a model that is not worse on the same test images, or stays."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
from mlflow import MlflowClient

from sweeps.tracking.registry import RegisteredModel
from sweeps.tracking.store import prepare_store
from tests.integration.champions import (
    CLASSES,
    LABELS,
    register,
    saved_checkpoint,
    saved_predictions,
    told,
)
from trainables.predictions import read_predictions

# Predictions of the test images, of which so many are right.
RIGHT_8 = LABELS
RIGHT_7 = (1, *LABELS[1:])
# Another one is wrong.
ALSO_7 = (*LABELS[:-1], 0)
RIGHT_6 = (1, 1, *LABELS[2:])


@dataclass(frozen=True)
class Registry:
    """Sweeps of one study, each with one champion, in a store that has other studies too."""

    storage: Path
    uri: str
    checkpoint: Path
    name: str
    told: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(self.uri, registry_uri=self.uri)

    @property
    def champion(self) -> int:
        """The version that has the alias."""
        return int(self.client.get_model_version_by_alias(self.name, "champion").version)

    @property
    def versions(self) -> int:
        """The number of versions."""
        return len(self.client.search_model_versions(f"name = '{self.name}'"))

    def register(
        self, sweep: str, predicted: tuple[int, ...] | None, **fields: Any
    ) -> RegisteredModel:
        """Register the champion of a new sweep, with its predictions."""
        sweep_name = f"{self.name}-{sweep}"
        if predicted:
            folder = self.storage / "sweeps" / sweep_name
            path = saved_predictions(folder / "predictions" / "a-000-s1.npz", predicted)
            fields = {"predictions": str(path), "test_digest": "d", **fields}
        self.told[sweep] = {"sweep_name": sweep_name, "name": self.name, **fields}
        return register(self.uri, self.storage, self.checkpoint, **self.told[sweep])

    def again(self, sweep: str) -> RegisteredModel:
        """Tell the champion of a sweep once more."""
        return told(self.uri, self.checkpoint, **self.told[sweep])


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, Path]:
    """Make a store, which takes seconds, and a checkpoint."""
    storage = tmp_path_factory.mktemp("mlruns")
    checkpoint = saved_checkpoint(tmp_path_factory.mktemp("checkpoint"))
    return storage, prepare_store(None, storage), checkpoint


@pytest.fixture
def registry(shared: tuple[Path, str, Path], tmp_path: Path) -> Registry:
    return Registry(*shared, name=tmp_path.name.replace("_", "-"))


def test_the_alias_moves_to_better_and_equal_models_and_stays_where_one_is_worse(
    registry: Registry,
) -> None:
    moved = f"models:/{registry.name}@champion"
    first = registry.register("first", RIGHT_6)
    assert (first.version, first.uri, first.line, registry.champion) == (1, moved, "", 1)
    better = registry.register("better", RIGHT_7)
    assert (better.version, better.uri, better.line, registry.champion) == (2, moved, "", 2)
    equal = registry.register("equal", ALSO_7)
    assert (equal.version, equal.uri, equal.line, registry.champion) == (3, moved, "", 3)

    worse = registry.register("worse", RIGHT_6)
    assert (worse.version, worse.uri, registry.champion) == (4, f"models:/{registry.name}/4", 3)
    assert worse.line == (
        "The champion stays version 3 (87.5% of the same test images right, the new one 75.0%); "
        f"the new model is models:/{registry.name}/4."
    )
    # MLflow tells it too.
    version = registry.client.get_model_version(registry.name, "4")
    assert version.tags["sweep.promotion"] == worse.line
    assert (version.tags["sweep.test"], version.tags["sweep.score"]) == ("d", "accuracy")


def test_the_new_sweeps_metric_decides(registry: Registry) -> None:
    registry.register("accurate", RIGHT_7)
    balanced = registry.register("balanced", RIGHT_6, metric="balanced_accuracy")
    assert "(a balanced accuracy of 91.7% on the same test images, the new one 83.3%)" in (
        balanced.line
    )
    one_of_two = registry.register("classes", ALSO_7, metric="balanced_accuracy")
    assert "the new one 83.3%" in one_of_two.line
    assert registry.register("accuracy", ALSO_7).line == ""


@pytest.mark.parametrize(
    ("old", "new", "fields", "said"),
    [
        (RIGHT_6, RIGHT_8, {"test_digest": "e"}, "version 1 was tested on others"),
        (RIGHT_6, None, {}, "the new model has none"),
        (None, RIGHT_8, {}, "version 1 has none"),
    ],
)
def test_what_cannot_be_compared_stays_until_the_command_of_the_line_is_typed(
    registry: Registry,
    old: tuple[int, ...] | None,
    new: tuple[int, ...] | None,
    fields: dict[str, Any],
    said: str,
) -> None:
    registry.register("first", old)
    second = registry.register("second", new, **fields)
    assert said in second.line
    assert (second.uri, registry.champion) == (f"models:/{registry.name}/2", 1)

    _, _, command = second.line.partition("to make it the champion: ")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    subprocess.run(command, shell=True, check=True, env=os.environ | {"PATH": path})
    assert registry.champion == 2
    assert registry.again("second").uri == f"models:/{registry.name}@champion"


def test_predictions_that_were_deleted_since_are_none(registry: Registry) -> None:
    registry.register("first", RIGHT_6)
    place = registry.client.get_model_version_download_uri(registry.name, "1")
    Path(place.removeprefix("file://"), "extra_files", "predictions.npz").unlink()
    assert "version 1 has none" in registry.register("second", RIGHT_8).line
    assert registry.champion == 1


def test_a_champion_that_is_told_again_is_judged_as_before(registry: Registry) -> None:
    registry.register("first", RIGHT_7)
    worse = registry.register("worse", RIGHT_6)
    equal = registry.register("equal", ALSO_7)
    assert registry.champion == 3
    assert registry.again("worse") == worse
    assert registry.again("equal") == equal

    # Though it is as good: it was the champion before.
    first = registry.again("first")
    assert (first.version, first.uri) == (1, f"models:/{registry.name}/1")
    assert first.line == "The champion is version 3 by now."
    assert (registry.champion, registry.versions) == (3, 3)


def test_an_older_sweep_that_is_registered_late_is_compared_as_any_other(
    registry: Registry,
) -> None:
    registry.register("first", RIGHT_8)
    late = registry.register("late", RIGHT_7, time=1)
    assert (late.version, registry.champion) == (2, 1)
    assert "The champion stays version 1 (100.0%" in late.line


def test_a_version_that_a_crash_left_without_a_judgment_gets_it(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(MlflowClient, "set_registered_model_alias", crash)
        with pytest.raises(KeyboardInterrupt):
            registry.register("better", RIGHT_8)
    registry.register("first", RIGHT_6)
    assert registry.champion == 2
    better = registry.again("better")
    assert (better.version, better.line, registry.champion, registry.versions) == (1, "", 1, 2)


def test_where_the_alias_was_taken_away_the_next_that_is_told_has_it(registry: Registry) -> None:
    registry.register("first", RIGHT_8)
    registry.client.delete_registered_model_alias(registry.name, "champion")
    assert registry.register("second", RIGHT_6).line == ""
    assert registry.champion == 2


def test_a_partial_sweep_never_has_the_alias_but_is_the_latest_version(
    registry: Registry, capfd: pytest.CaptureFixture[str]
) -> None:
    partial = registry.register("partial", RIGHT_8, move_alias=False)
    assert (partial.uri, partial.line) == (f"models:/{registry.name}/1", "")
    with pytest.raises(mlflow.MlflowException, match="alias champion not found"):
        assert registry.champion
    registry.register("whole", RIGHT_6)
    registry.register("second", RIGHT_8, move_alias=False)
    assert registry.champion == 2

    # `latest` is MLflow's own word for the newest version.
    mlflow.set_tracking_uri(registry.uri)
    latest = mlflow.models.get_model_info(f"models:/{registry.name}/latest")
    newest = registry.client.get_model_version(registry.name, "3")
    assert newest.source == f"models:/{latest.model_id}"
    assert capfd.readouterr() == ("", "")


def test_a_model_has_its_predictions_with_it_and_still_predicts(
    registry: Registry, tmp_path: Path
) -> None:
    registered = registry.register("first", RIGHT_7)
    mlflow.set_tracking_uri(registry.uri)
    place = mlflow.artifacts.download_artifacts(registered.uri, dst_path=str(tmp_path / "model"))
    files = sorted(path.name for path in Path(place, "extra_files").iterdir())
    assert files == ["best.pt", "predictions.npz"]
    predictions = read_predictions(Path(place, "extra_files", "predictions.npz"))
    assert predictions
    assert predictions.predicted.tolist() == list(RIGHT_7)
    model = mlflow.pyfunc.load_model(registered.uri, model_config={"device": "cpu"})
    assert model.predict(np.zeros((2, 40, 30, 3), np.uint8)).shape == (2, len(CLASSES))
