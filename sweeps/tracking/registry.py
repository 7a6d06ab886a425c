"""The champion in MLflow's registry: a traced graph that runs without this package, and its source.

The source is the checkpoint, which is stored with it.

Beside the graph lies `pyfunc.py`, which reads what callers send it: MLflow's own signature turns
the floats of a JSON request into uint8 without a word.
"""

from __future__ import annotations

import filecmp
import hashlib
import importlib.metadata
import shutil
import tempfile
import urllib.parse
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow import MlflowClient
from mlflow.entities import LoggedModel, LoggedModelOutput, LoggedModelStatus, Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.models.model import MLMODEL_FILE_NAME
from mlflow.types import Schema, TensorSpec

from cluster.addresses import without_password
from sweeps.records.events import ChampionKept
from sweeps.tracking import pyfunc
from sweeps.tracking.alias import ALIAS, PREDICTIONS, TEST, promote
from sweeps.tracking.calling import OURS, about_model, how_to_call
from sweeps.tracking.store import TrackingError, is_refusal, one_line
from trainables.files import same_file
from trainables.predictions import read_predictions

# Tag of a model and of its version: which event of a champion they came from.
KEY = "sweep.champion_key"
# Tag of a version: the score that decides which of two is better.
METRIC = "sweep.score"
# MLflow's folder for files beside the graph.
EXTRA_FILES = "extra_files"
# Key of a model's description: the model is handed what was sent, as it was sent.
SENT_AS_IS = "is_signature_from_type_hint"
_REQUIREMENTS = ("torch", "numpy", "mlflow")  # of the graph; it holds the preprocessing too
# [N, H, W, C]. Not the model's size: all but the channels is free, and MLflow keeps it as text.
_EXAMPLE_SHAPE = (2, 48, 64, 3)


@dataclass(frozen=True, kw_only=True, slots=True)
class RegisteredModel:
    """A version in the model registry.

    Attributes:
        name: The registered model's.
        version: The number MLflow gave.
        uri: To load it by: `models:/<name>@champion`, or `models:/<name>/<version>` where the alias
            means another version.
        line: Why another version stays the champion of a whole sweep; else empty.
    """

    name: str
    version: int
    uri: str
    line: str = ""


def register_champion(
    tracking_uri: str, run_id: str, champion: ChampionKept, tags: Mapping[str, str]
) -> RegisteredModel:
    """Store the champion with the sweep's run and register it, unless that was done.

    The alias `champion` moves there where `promotion` has a reason for it. It takes seconds and
    waits for MLflow. Told again, a champion is the one that is there, and is judged as before.

    Args:
        tracking_uri: What `prepare_store` returned.
        run_id: The sweep's; its run gets the model.
        champion: What was kept, and when.
        tags: Tags of this version.

    Raises:
        TrackingError: The checkpoint is no good, the network cannot be traced, or MLflow refuses
            something for good.
        MlflowException, OSError: MLflow is down; the same may be asked again.
    """
    name = champion.name
    client = MlflowClient(tracking_uri, registry_uri=tracking_uri)
    run = client.get_run(run_id)
    # Any of these may fail for now or for good.
    try:
        version = _ensure_version(client, tracking_uri, run, champion, tags)
        line = ""
        if champion.move_alias:
            line = promote(client, tracking_uri, champion, version)
    except Exception as error:
        # A server that answered a moment ago, but does not know an address, is too old for it.
        if is_refusal(error) or getattr(error, "error_code", "") == "ENDPOINT_NOT_FOUND":
            where = without_password(tracking_uri)
            raise TrackingError(
                f"The champion could not be registered as {name!r} at {where} "
                f"({one_line(error)}); its weights are in {champion.checkpoint}."
            ) from error
        raise
    uri = f"models:/{name}/{version}"
    if champion.move_alias and not line:
        uri = f"models:/{name}@{ALIAS}"
    return RegisteredModel(name=name, version=version, uri=uri, line=line)


def check_sent_as_is(written: str) -> None:
    """Refuse a description by which MLflow would turn what a caller sends into uint8.

    That comes before the model sees it. MLflow has no public name for the switch: a release may
    rename it.

    Raises:
        TrackingError: The switch is not in it.
    """
    if f"{SENT_AS_IS}: true" not in written.splitlines():
        found = f"MLflow {_release('mlflow')} leaves it out"
        raise TrackingError(
            f"A model must say {SENT_AS_IS}: true, but {found}: "
            "install the MLflow of constraints.txt."
        )


def _ensure_version(
    client: MlflowClient,
    tracking_uri: str,
    run: Run,
    champion: ChampionKept,
    tags: Mapping[str, str],
) -> int:
    """Return the number of the champion's version; model and version are made unless they exist."""
    run_id = run.info.run_id
    key = str(champion.time)
    _ensure_registered(client, champion.name, tracking_uri)
    earlier = _registered(client, champion.name, run_id, key)
    if earlier is not None:
        _describe(client, earlier, champion, tracking_uri)
        return int(earlier.version)

    # The model, with the sweep's run as its source.
    model = _stored(client, run, key) or _store(client, run, key, champion)
    outputs = run.outputs.model_outputs if run.outputs else []
    if model.model_id not in [output.model_id for output in outputs]:
        client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])

    # MLflow looks for the version's source in the process's store, whatever the client's is.
    mlflow.set_tracking_uri(tracking_uri)
    all_tags = {**tags, KEY: key}
    if champion.test_digest:
        all_tags[TEST] = champion.test_digest
        all_tags[METRIC] = champion.metric
    version = client.create_model_version(
        champion.name,
        f"models:/{model.model_id}",
        run_id,
        all_tags,
        description=champion.description,
        model_id=model.model_id,
    )
    _describe(client, version, champion, tracking_uri)
    return int(version.version)


def _describe(
    client: MlflowClient, version: ModelVersion, champion: ChampionKept, tracking_uri: str
) -> None:
    """Say how a version is called, below what it is; its number is known only once it is made."""
    uri = f"models:/{champion.name}/{version.version}"
    description = f"{champion.description}\n\n{how_to_call(uri, tracking_uri)}"
    # What a person wrote since stays.
    if version.description in (None, "", champion.description):
        client.update_model_version(champion.name, version.version, description)


def _registered(client: MlflowClient, name: str, run_id: str, key: str) -> ModelVersion | None:
    versions = client.search_model_versions(f"name = '{name}' and run_id = '{run_id}'")
    return next((version for version in versions if version.tags.get(KEY) == key), None)


def _stored(client: MlflowClient, run: Run, key: str) -> LoggedModel | None:
    """Return the model that an earlier attempt stored; what it left unfinished is deleted."""
    stored = None
    which = f"source_run_id = '{run.info.run_id}'"
    for model in client.search_logged_models([run.info.experiment_id], which):
        if model.tags.get(KEY) != key:
            continue
        if model.status == LoggedModelStatus.READY and stored is None:
            stored = model
        else:
            client.delete_logged_model(model.model_id)
    return stored


def _store(client: MlflowClient, run: Run, key: str, champion: ChampionKept) -> LoggedModel:
    """Do what `mlflow.pytorch.log_model` does, without its global run, experiment and prints."""
    from trainables.export import load_classifier  # here, since it loads torch

    params = {field: str(value) for field, value in champion.recipe.items()}
    classifier = load_classifier(Path(champion.checkpoint))
    logged = client.create_logged_model(
        run.info.experiment_id, "classifier", run.info.run_id, {KEY: key}, params
    )
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = _written(Path(folder), classifier, logged, run, champion)
            client.log_model_artifacts(logged.model_id, str(path))
            _share(logged, Path(champion.checkpoint))
    except Exception:
        with suppress(Exception):  # what went wrong first is what matters
            client.finalize_logged_model(logged.model_id, "FAILED")
        raise
    client.finalize_logged_model(logged.model_id, "READY")
    return logged


def _share(logged: LoggedModel, checkpoint: Path) -> None:
    """Let the store's copy of the checkpoint be the sweep's own file, where one disk has both."""
    place = urllib.parse.urlsplit(logged.artifact_location)
    if place.scheme not in ("", "file"):
        return
    copy = Path(urllib.parse.unquote(place.path), EXTRA_FILES, checkpoint.name)
    if copy.is_file() and filecmp.cmp(checkpoint, copy, shallow=False):
        same_file(checkpoint, copy)


def _written(
    folder: Path, classifier: Any, logged: LoggedModel, run: Run, champion: ChampionKept
) -> Path:
    """Write the model as MLflow keeps it, and return the folder of its files."""
    import mlflow.pytorch  # here, since it loads torch

    path = folder / "model"
    reader = _our_file(folder)
    described = Model(
        logged.artifact_location,
        run.info.run_id,
        model_uuid=logged.model_id,
        model_id=logged.model_id,
    )
    # MLflow takes the path of an extra file for a URI: the storage's may have any character.
    weights = shutil.copyfile(champion.checkpoint, folder / Path(champion.checkpoint).name)
    extra_files = [str(weights)]
    if read_predictions(Path(champion.predictions)):
        extra_files.append(shutil.copyfile(champion.predictions, str(folder / PREDICTIONS)))
    metadata = {
        "classes": list(champion.classes),
        "image_size": champion.recipe["image_size"],
        "stored_side": champion.stored_side,
        "recipe": dict(champion.recipe),
    }
    mlflow.pytorch.save_model(
        classifier,
        str(path),
        mlflow_model=described,
        serialization_format="pt2",  # no pickle: loading it runs no code of the file's
        signature=_signature(len(champion.classes)),
        input_example=np.zeros(_EXAMPLE_SHAPE, np.uint8),
        pip_requirements=[f"{package}=={_release(package)}" for package in _REQUIREMENTS],
        extra_files=extra_files,
        code_paths=[str(reader)],
        metadata=metadata,
    )

    # The description is written once more, with our file as its reader.
    _read_by_our_file(described, reader)
    described.save(str(path / MLMODEL_FILE_NAME))
    check_sent_as_is((path / MLMODEL_FILE_NAME).read_text())
    return path


def _signature(classes: int) -> ModelSignature:
    """Return what the model takes and gives, for people: it is handed what was sent."""
    images = TensorSpec(np.dtype(np.uint8), (-1, -1, -1, 3))  # [N, H, W, 3]
    probabilities = TensorSpec(np.dtype(np.float32), (-1, classes))  # [N, classes]
    signature = ModelSignature(inputs=Schema([images]), outputs=Schema([probabilities]))
    signature._is_signature_from_type_hint = True  # `SENT_AS_IS`
    return signature


def _our_file(folder: Path) -> Path:
    """Copy `pyfunc.py` under a name of its content.

    So a process that loads two models imports each one's own.
    """
    content = Path(pyfunc.__file__).read_bytes()
    copy = folder / f"mlflow_model_{hashlib.sha256(content).hexdigest()[:12]}.py"
    copy.write_bytes(content)
    return copy


def _read_by_our_file(described: Model, reader: Path) -> None:
    """Let MLflow load the model by the file beside it, and the graph alone without any code."""
    described.flavors["pytorch"]["code"] = None
    described.flavors["python_function"]["loader_module"] = reader.stem


def _ensure_registered(client: MlflowClient, name: str, tracking_uri: str) -> None:
    description = about_model(name, tracking_uri)
    try:
        client.create_registered_model(name, description=description)
        return
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    # One of an earlier version says nothing; what a person wrote stays.
    before = client.get_registered_model(name).description or ""
    if before != description and (not before or before.startswith(OURS)):
        client.update_registered_model(name, description)


def _release(package: str) -> str:
    """Return a package's version without the local part, which no index has."""
    return importlib.metadata.version(package).partition("+")[0]
