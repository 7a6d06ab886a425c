"""The champion as a user loads it: through MLflow's two ways, held against the checkpoint."""

import re
import zlib
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
import torch
from mlflow import MlflowClient
from mlflow.models import Model

from sweeps.records.events import ChampionKept, DataRecord, SweepFinished, SweepStarted
from sweeps.records.journal import Journal
from sweeps.records.results import Outcome
from sweeps.tracking import pyfunc as mlflow_model
from sweeps.tracking.registry import RegisteredModel, register_champion
from sweeps.tracking.store import TrackingError, prepare_store
from sweeps.tracking.tracker import Tracker
from trainables.backbones import build
from trainables.checkpoint import best, save_best
from trainables.export import load_classifier
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
    path = best(folder)
    assert path
    return path.replace(folder / "best.pt")


@pytest.fixture(scope="module")
def champion(store: tuple[str, Path], checkpoint: Path) -> RegisteredModel:
    return _register(*store, checkpoint, sweep_name="first", move_alias=True)


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
    other = _register(*store, checkpoint, sweep_name="changed", move_alias=True, name="changed")
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
        _register(*store, checkpoint, sweep_name="switch", move_alias=True, name="switch")


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
    kept = load_classifier(next(folder.rglob("best.pt")))
    assert kept.classes == load_classifier(checkpoint).classes


def test_the_model_belongs_to_the_sweeps_run(
    store: tuple[str, Path], champion: RegisteredModel
) -> None:
    client = MlflowClient(store[0])
    version = client.get_model_version_by_alias(NAME, "champion")
    run = client.get_run(version.run_id)
    assert run.data.tags["sweep.name"] == "first"
    assert [f"models:/{model.model_id}" for model in run.outputs.model_outputs] == [version.source]
    assert version.description == "**81.4%**"
    assert version.tags == {"sweep.name": "first", "sweep.champion_key": str(_told_at("first"))}


def test_a_partial_sweep_registers_a_version_and_leaves_the_alias(
    store: tuple[str, Path],
    champion: RegisteredModel,
    checkpoint: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    partial = _register(*store, checkpoint, sweep_name="second", move_alias=False)
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
        _register(*store, checkpoint, sweep_name="third", move_alias=False, name="a/b")
    assert "\n" not in str(refused.value)


def test_a_network_that_cannot_be_traced_is_refused(
    store: tuple[str, Path], checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def untraceable(*_: Any, **__: Any) -> None:
        raise RuntimeError("cannot trace\nand why")

    monkeypatch.setattr(torch.export, "export", untraceable)
    with pytest.raises(TrackingError, match=r"\(cannot trace\); its weights are in .*best\.pt"):
        _register(*store, checkpoint, sweep_name="fourth", move_alias=True, name="untraced")
    assert not MlflowClient(store[0]).search_model_versions("name = 'untraced'")


def test_a_champion_that_is_told_again_is_the_one_that_is_there(
    store: tuple[str, Path], checkpoint: Path
) -> None:
    client = MlflowClient(store[0])
    first = _register(*store, checkpoint, sweep_name="fifth", move_alias=True, name="again")
    later = _register(*store, checkpoint, sweep_name="sixth", move_alias=True, name="again")
    run_id = client.get_model_version("again", str(first.version)).run_id
    again = _told(store[0], run_id, checkpoint, sweep_name="fifth", move_alias=True, name="again")
    assert again == first
    assert len(client.search_model_versions("name = 'again'")) == 2
    # It is not moved back.
    assert int(client.get_model_version_by_alias("again", "champion").version) == later.version


def test_a_sweep_tells_its_champion_and_waits_for_it(
    store: tuple[str, Path], checkpoint: Path
) -> None:
    tracker = _sweep(*store, "seventh")
    assert tracker.registered() is None  # none was told
    tracker.tell(SweepFinished(outcome=Outcome.COMPLETED))
    tracker.tell(_kept("told", checkpoint))
    first = RegisteredModel(name="told", version=1, uri="models:/told@champion")
    assert tracker.registered() == first
    assert MlflowClient(store[0]).get_model_version("told", "1").tags["sweep.name"] == "seventh"
    tracker.tell(_kept("told", checkpoint.with_name("gone.pt")))
    assert tracker.registered() is None
    line = tracker.close()
    assert line is not None
    assert re.fullmatch(
        r"MLflow refused 1 event \(The champion could not be registered as 'told' at .*\): "
        r"`dvt sync .*` tries again\.",
        line,
    )


@pytest.mark.parametrize(
    "call", ["log_model_artifacts", "finalize_logged_model", "log_outputs", "create_model_version"]
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
            _register(*store, checkpoint, sweep_name=sweep, move_alias=True, name=sweep)
    experiment = client.get_experiment_by_name("depth_vs_tricks")
    (run,) = client.search_runs([experiment.experiment_id], f"tags.`sweep.name` = '{sweep}'")
    made = _told(
        store[0], run.info.run_id, checkpoint, sweep_name=sweep, move_alias=True, name=sweep
    )
    assert [version.version for version in client.search_model_versions(f"name = '{sweep}'")] == [
        made.version
    ]
    models = client.search_logged_models(
        [experiment.experiment_id], f"source_run_id = '{run.info.run_id}'"
    )
    outputs = client.get_run(run.info.run_id).outputs.model_outputs
    assert len(models) == len(outputs) == 1


def _sweep(uri: str, storage: Path, sweep_name: str) -> Tracker:
    folder = storage / "sweeps" / sweep_name
    folder.mkdir(parents=True)
    tracker = Tracker(uri, storage, Journal(folder / "trials.jsonl"))
    data = DataRecord(name="digits", digest="0" * 16, source="sklearn", num_images={"train": 10})
    tracker.tell(
        SweepStarted(
            study="depth_vs_tricks",
            sweep_name=sweep_name,
            tags={},
            params={},
            dataset=data,
            description="Does depth pay?",
        )
    )
    return tracker


def _register(
    uri: str,
    storage: Path,
    checkpoint: Path,
    *,
    sweep_name: str,
    move_alias: bool,
    name: str = NAME,
) -> RegisteredModel:
    tracker = _sweep(uri, storage, sweep_name)
    try:
        assert tracker.flush()
        return _told(
            uri,
            _run_of(uri, sweep_name),
            checkpoint,
            sweep_name=sweep_name,
            move_alias=move_alias,
            name=name,
        )
    finally:
        tracker.tell(SweepFinished(outcome=Outcome.COMPLETED))
        assert tracker.close() is None


def _run_of(uri: str, sweep_name: str) -> str:
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("depth_vs_tricks")
    which = f"tags.`sweep.name` = '{sweep_name}'"
    (run,) = client.search_runs([experiment.experiment_id], which)
    return run.info.run_id


def _told(
    uri: str, run_id: str, checkpoint: Path, *, sweep_name: str, move_alias: bool, name: str
) -> RegisteredModel:
    kept = _kept(name, checkpoint, time=_told_at(sweep_name), move_alias=move_alias)
    return register_champion(uri, run_id, kept, tags={"sweep.name": sweep_name})


def _kept(
    name: str, checkpoint: Path, *, time: int | None = None, move_alias: bool = True
) -> ChampionKept:
    return ChampionKept(
        name=name,
        checkpoint=str(checkpoint),
        recipe=RECIPE.as_dict(),
        classes=CLASSES,
        move_alias=move_alias,
        description="**81.4%**",
        time=time,
    )


def _told_at(sweep_name: str) -> int:
    """Return the moment at which a sweep told its champion: one of its own for each."""
    return zlib.crc32(sweep_name.encode())
