"""The champion as a user loads it: through MLflow's two ways, held against the checkpoint."""

import re
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
import torch
from mlflow import MlflowClient
from mlflow.models import Model

from sweeps.records.events import SweepFinished
from sweeps.records.results import Outcome
from sweeps.tracking import pyfunc as mlflow_model
from sweeps.tracking.registry import RegisteredModel
from sweeps.tracking.store import TrackingError, prepare_store
from tests.integration.champions import (
    CLASSES,
    NAME,
    RECIPE,
    kept,
    register,
    run_of,
    saved_checkpoint,
    start,
    told,
    told_at,
)
from trainables.export import load_classifier
from trainables.recipe import Recipe


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    storage = tmp_path_factory.mktemp("mlruns")
    return prepare_store(None, storage), storage


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved_checkpoint(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture(scope="module")
def champion(store: tuple[str, Path], checkpoint: Path) -> RegisteredModel:
    return register(*store, checkpoint, sweep_name="first")


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    """16 images in batches of several sizes, portrait, landscape and square."""
    rng = np.random.default_rng(0)
    shapes = [
        (1, 40, 60),
        (3, 60, 40),
        (4, 32, 32),
        (1, 20, 31),
        (2, 31, 20),
        (4, 100, 33),
        (1, 64, 64),
    ]
    assert sum(shape[0] for shape in shapes) == 16
    return [rng.integers(0, 256, (*shape, 3), dtype=np.uint8) for shape in shapes]


def test_both_of_mlflows_ways_give_the_checkpoints_probabilities(
    store: tuple[str, Path], champion: RegisteredModel, checkpoint: Path, images: list[np.ndarray]
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
            np.testing.assert_allclose(
                graph(torch.from_numpy(batch)).numpy(), expected, rtol=0, atol=1e-6
            )
        predicted = generic.predict(batch)
        assert predicted.dtype == np.float32
        np.testing.assert_allclose(predicted, expected, rtol=0, atol=1e-6)


def test_a_loaded_model_reads_what_it_is_sent_as_images_or_says_why_not(
    store: tuple[str, Path],
    champion: RegisteredModel,
    images: list[np.ndarray],
    recwarn: pytest.WarningsRecorder,
) -> None:
    mlflow.set_tracking_uri(store[0])
    generic = mlflow.pyfunc.load_model(champion.uri)  # the device is left open
    batch = images[1]
    expected = generic.predict(batch)
    closed = batch.copy()
    closed.flags.writeable = False
    for same in (
        closed,
        batch[:, :, ::-1, :][:, :, ::-1],
        batch / 255,
        batch.astype(np.int64),
        batch.tolist(),
        (batch / 255).tolist(),
    ):
        np.testing.assert_allclose(generic.predict(same), expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(generic.predict(batch[0]), expected[:1], rtol=0, atol=1e-6)
    np.testing.assert_array_equal(
        generic.predict(batch[..., :1]), generic.predict(batch[..., :1].repeat(3, 3))
    )
    assert generic.predict(np.zeros((2, 1, 40, 3), np.uint8)).shape == (2, 3)
    assert generic.predict(batch[:0]).shape == (0, 3)
    assert not [warning for warning in recwarn if "not writable" in str(warning.message)]
    for wrong in (
        batch - 128.0,
        batch.transpose(0, 3, 1, 2),
        batch.astype(np.int64) + 1000,
        np.full((1, 4, 4, 3), np.nan),
    ):
        with pytest.raises(mlflow.MlflowException, match=r"^(Pixels|Images) must be ") as refused:
            generic.predict(wrong)
        assert "\n" not in str(refused.value)


def test_two_models_in_one_process_each_read_by_their_own_file(
    store: tuple[str, Path],
    champion: RegisteredModel,
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mlflow.set_tracking_uri(store[0])
    changed = tmp_path / "mlflow_model.py"
    changed.write_text(
        Path(mlflow_model.__file__).read_text().replace("Pixels must be", "Dots must be")
    )
    monkeypatch.setattr(mlflow_model, "__file__", str(changed))
    other = register(*store, checkpoint, sweep_name="changed", name="changed")
    for uri, said in ((champion.uri, "Pixels must be"), (other.uri, "Dots must be")):
        with pytest.raises(mlflow.MlflowException, match=f"^{said}"):
            mlflow.pyfunc.load_model(uri).predict(np.full((1, 4, 4, 3), np.nan))


def test_a_switch_that_mlflow_no_longer_writes_is_named(
    store: tuple[str, Path], checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Model.to_dict
    monkeypatch.setattr(
        Model, "to_dict", lambda self: original(self) | {"is_signature_from_type_hint": False}
    )
    with pytest.raises(TrackingError, match="must say is_signature_from_type_hint: true"):
        register(*store, checkpoint, sweep_name="switch", name="switch")


def test_the_model_says_its_classes_its_recipe_and_what_it_takes(
    store: tuple[str, Path], champion: RegisteredModel, checkpoint: Path, tmp_path: Path
) -> None:
    mlflow.set_tracking_uri(store[0])
    info = mlflow.models.get_model_info(champion.uri)
    assert info.metadata["classes"] == list(CLASSES)
    assert Recipe.from_sample(info.metadata["recipe"]) == RECIPE
    assert info.signature.inputs.inputs[0].type == np.uint8
    assert info.signature.inputs.inputs[0].shape == (-1, -1, -1, 3)
    folder = Path(mlflow.artifacts.download_artifacts(champion.uri, dst_path=str(tmp_path)))
    stored = load_classifier(next(folder.rglob("best.pt")))
    assert stored.classes == load_classifier(checkpoint).classes


def test_the_model_belongs_to_the_sweeps_run(
    store: tuple[str, Path], champion: RegisteredModel
) -> None:
    client = MlflowClient(store[0])
    version = client.get_model_version_by_alias(NAME, "champion")
    run = client.get_run(version.run_id)
    assert run.data.tags["sweep.name"] == "first"
    assert [f"models:/{model.model_id}" for model in run.outputs.model_outputs] == [version.source]
    assert version.description.startswith("**81.4%**\n\n### How to call it")
    assert f'load_model("models:/{NAME}/{version.version}")' in version.description
    assert f"models:/{NAME}@champion" in client.get_registered_model(NAME).description
    assert version.tags == {
        "sweep.name": "first",
        "sweep.champion_key": str(told_at("first")),
        "sweep.promotion": "became the champion",
    }


def test_a_partial_sweep_registers_a_version_and_leaves_the_alias(
    store: tuple[str, Path],
    champion: RegisteredModel,
    checkpoint: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    partial = register(*store, checkpoint, sweep_name="second", move_alias=False)
    assert partial.version > champion.version
    assert partial.uri == f"models:/{NAME}/{partial.version}"
    assert (
        int(MlflowClient(store[0]).get_model_version_by_alias(NAME, "champion").version)
        == champion.version
    )
    assert capfd.readouterr() == ("", "")


def test_a_refused_name_is_one_line_that_says_where_the_weights_are(
    store: tuple[str, Path], checkpoint: Path
) -> None:
    with pytest.raises(TrackingError, match=r"a/b.*best\.pt") as refused:
        register(*store, checkpoint, sweep_name="third", move_alias=False, name="a/b")
    assert "\n" not in str(refused.value)


def test_a_network_that_cannot_be_traced_is_refused(
    store: tuple[str, Path], checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def untraceable(*_: Any, **__: Any) -> None:
        raise RuntimeError("cannot trace\nand why")

    monkeypatch.setattr(torch.export, "export", untraceable)
    with pytest.raises(TrackingError, match=r"\(cannot trace\); its weights are in .*best\.pt"):
        register(*store, checkpoint, sweep_name="fourth", name="untraced")
    assert not MlflowClient(store[0]).search_model_versions("name = 'untraced'")


def test_a_sweep_tells_its_champion_and_waits_for_it(
    store: tuple[str, Path], checkpoint: Path
) -> None:
    tracker = start(*store, "seventh")
    assert tracker.registered() is None  # none was told
    tracker.tell(SweepFinished(outcome=Outcome.COMPLETED))
    tracker.tell(kept(checkpoint, name="told"))
    first = RegisteredModel(name="told", version=1, uri="models:/told@champion")
    assert tracker.registered() == first
    assert MlflowClient(store[0]).get_model_version("told", "1").tags["sweep.name"] == "seventh"
    tracker.tell(kept(checkpoint.with_name("gone.pt"), name="told"))
    assert tracker.registered() is None
    line = tracker.close()
    assert line is not None
    assert re.fullmatch(
        r"MLflow refused 1 event \(The champion could not be registered as 'told' at .*\): "
        r"`dvt sync .*` tries again\.",
        line,
    )


@pytest.mark.parametrize(
    "call",
    [
        "log_model_artifacts",
        "finalize_logged_model",
        "log_outputs",
        "create_model_version",
        "update_model_version",
        "set_registered_model_alias",
        "set_model_version_tag",
    ],
)
@pytest.mark.parametrize("done", [False, True])
def test_a_crash_while_registering_leaves_one_version_and_one_model(
    store: tuple[str, Path],
    checkpoint: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    done: bool,
) -> None:
    client, sweep = MlflowClient(store[0]), f"crash-{call}-{done}"
    original = getattr(MlflowClient, call)

    def crash(*arguments: Any, **more: Any) -> None:
        if done:
            original(*arguments, **more)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(MlflowClient, call, crash)
        with pytest.raises(KeyboardInterrupt):
            register(*store, checkpoint, sweep_name=sweep, name=sweep)
    made = told(store[0], checkpoint, sweep_name=sweep, name=sweep)
    run = client.get_run(run_of(store[0], sweep))
    assert [version.version for version in client.search_model_versions(f"name = '{sweep}'")] == [
        made.version
    ]
    models = client.search_logged_models(
        [run.info.experiment_id], f"source_run_id = '{run.info.run_id}'"
    )
    outputs = run.outputs.model_outputs
    assert len(models) == len(outputs) == 1
    assert made.uri == f"models:/{sweep}@champion"
    champion = client.get_model_version_by_alias(sweep, "champion")
    assert champion.tags["sweep.promotion"] == "became the champion"
    assert "### How to call it" in champion.description


def test_what_a_person_wrote_of_a_model_and_a_version_stays(
    store: tuple[str, Path], checkpoint: Path
) -> None:
    client = MlflowClient(store[0])
    register(*store, checkpoint, sweep_name="written", name="written")
    client.update_registered_model("written", "Ours.")
    client.update_model_version("written", "1", "Good.")
    told(store[0], checkpoint, sweep_name="written", name="written")
    assert client.get_registered_model("written").description == "Ours."
    assert client.get_model_version("written", "1").description == "Good."
