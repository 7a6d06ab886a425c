"""The champion as a user loads it: through MLflow's two ways, held against the checkpoint."""

from pathlib import Path

import mlflow
import numpy as np
import pytest
import torch
from mlflow import MlflowClient

from sweeps.runner.champion import Champion, register_champion
from sweeps.runner.tracking import TrackedData, Tracker, TrackingError, prepare_store
from trainables.backbones import build
from trainables.checkpoint import save_best
from trainables.export import Classifier, load_classifier
from trainables.recipe import Recipe

CLASSES = ("bee", "cat", "dog")
RECIPE = Recipe(weights="none", image_size=32)
NAME = "depth_vs_tricks-digits"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    storage = tmp_path_factory.mktemp("mlruns")
    return prepare_store(None, storage), storage


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint")
    save_best(folder, build(RECIPE, len(CLASSES)), RECIPE, CLASSES, epoch=1, score=0.5)
    return folder / "best.pt"


@pytest.fixture(scope="module")
def champion(store: tuple[str, Path], checkpoint: Path) -> Champion:
    return _register(*store, checkpoint, sweep_name="first", move_alias=True)


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    """16 images in batches of several sizes, portrait, landscape and square."""
    rng = np.random.default_rng(0)
    shapes = [(1, 40, 60), (3, 60, 40), (4, 32, 32), (1, 20, 31), (2, 31, 20), (4, 100, 33), (1, 64, 64)]
    assert sum(shape[0] for shape in shapes) == 16
    return [rng.integers(0, 256, (*shape, 3), dtype=np.uint8) for shape in shapes]


def test_both_of_mlflows_ways_give_the_checkpoints_probabilities(
    store: tuple[str, Path], champion: Champion, checkpoint: Path, images: list[np.ndarray]
) -> None:
    mlflow.set_tracking_uri(store[0])
    assert champion.uri == f"models:/{NAME}@champion"
    graph = mlflow.pytorch.load_model(champion.uri)
    # On a machine with a GPU, pyfunc otherwise asks for a graph that was traced on one.
    generic = mlflow.pyfunc.load_model(champion.uri, model_config={"device": "cpu"})
    original = load_classifier(checkpoint)
    for batch in images:
        with torch.inference_mode():
            expected = original(torch.from_numpy(batch)).numpy()
            np.testing.assert_allclose(graph(torch.from_numpy(batch)).numpy(), expected, rtol=0, atol=1e-6)
        predicted = generic.predict(batch)
        assert predicted.dtype == np.float32
        np.testing.assert_allclose(predicted, expected, rtol=0, atol=1e-6)


def test_the_model_says_its_classes_its_recipe_and_what_it_takes(
    store: tuple[str, Path], champion: Champion, checkpoint: Path, tmp_path: Path
) -> None:
    mlflow.set_tracking_uri(store[0])
    info = mlflow.models.get_model_info(champion.uri)
    assert info.metadata["classes"] == list(CLASSES)
    assert Recipe.from_sample(info.metadata["recipe"]) == RECIPE
    assert info.signature.inputs.inputs[0].type == np.uint8
    assert info.signature.inputs.inputs[0].shape == (-1, -1, -1, 3)
    folder = Path(mlflow.artifacts.download_artifacts(champion.uri, dst_path=str(tmp_path)))
    kept = load_classifier(next(folder.rglob("best.pt")))
    assert kept.classes == load_classifier(checkpoint).classes


def test_the_model_belongs_to_the_sweeps_run(store: tuple[str, Path], champion: Champion) -> None:
    client = MlflowClient(store[0])
    version = client.get_model_version_by_alias(NAME, "champion")
    run = client.get_run(version.run_id)
    assert run.data.tags["sweep.name"] == "first"
    assert [f"models:/{model.model_id}" for model in run.outputs.model_outputs] == [version.source]
    assert version.description == "**81.4%**"
    assert version.tags == {"sweep.name": "first"}


def test_a_partial_sweep_registers_a_version_and_leaves_the_alias(
    store: tuple[str, Path], champion: Champion, checkpoint: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    partial = _register(*store, checkpoint, sweep_name="second", move_alias=False)
    assert partial.version > champion.version
    assert partial.uri == f"models:/{NAME}/{partial.version}"
    assert int(MlflowClient(store[0]).get_model_version_by_alias(NAME, "champion").version) == champion.version
    assert capfd.readouterr() == ("", "")


def test_a_refused_name_is_one_line_that_says_where_the_weights_are(store: tuple[str, Path], checkpoint: Path) -> None:
    with pytest.raises(TrackingError, match=r"a/b.*best\.pt") as refused:
        _register(*store, checkpoint, sweep_name="third", move_alias=False, name="a/b")
    assert "\n" not in str(refused.value)


def _register(uri: str, storage: Path, checkpoint: Path, *, sweep_name: str, move_alias: bool, name: str = NAME) -> Champion:
    tracker = Tracker(uri, storage)
    tracker.start_sweep(
        study="depth_vs_tricks",
        sweep_name=sweep_name,
        tags={},
        params={},
        dataset=TrackedData(name="digits", digest="0" * 16, source="sklearn", num_images={"train": 10}),
        description="Does depth pay?",
    )
    classifier: Classifier = load_classifier(checkpoint)
    try:
        return register_champion(
            tracker,
            name=name,
            classifier=classifier,
            checkpoint=checkpoint,
            recipe=RECIPE.as_dict(),
            classes=CLASSES,
            move_alias=move_alias,
            description="**81.4%**",
            tags={"sweep.name": sweep_name},
        )
    finally:
        tracker.finish_sweep("completed")
        assert tracker.close() is None
