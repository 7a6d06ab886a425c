"""The champion in MLflow's registry: a traced graph that runs without this package, and the checkpoint it came from.

Beside the graph lies `pyfunc.py`, which reads what callers send it: MLflow's own signature turns the floats of a JSON
request into uint8 without a word.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import tempfile
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
from sweeps.tracking.store import TrackingError, is_refusal, one_line

ALIAS = "champion"
KEY = "sweep.champion_key"  # tag of a model and of its version: which telling of a champion they came from
SENT_AS_IS = "is_signature_from_type_hint"  # of a model's description: it is handed what was sent, as it was sent
_REQUIREMENTS = ("torch", "numpy", "mlflow")  # of the graph; it holds the preprocessing too
_EXAMPLE_SHAPE = (
    2,
    48,
    64,
    3,
)  # not the model's size: all but the channels is free, and MLflow keeps it as text


@dataclass(frozen=True, kw_only=True, slots=True)
class RegisteredModel:
    """A version in the model registry.

    Attributes:
        name: Of the registered model.
        version: The number MLflow gave.
        uri: To load it by: `models:/<name>@champion`, or `models:/<name>/<version>` where the alias was not moved.
    """

    name: str
    version: int
    uri: str


def register_champion(
    tracking_uri: str, run_id: str, champion: ChampionKept, tags: Mapping[str, str]
) -> RegisteredModel:
    """Store the champion with the sweep's run and register it, unless that was done.

    It takes seconds and waits for MLflow. Told again, a champion is the one that is there.

    Args:
        tracking_uri: What `prepare_store` returned.
        run_id: Of the sweep; the run gets the model.
        champion: What was kept, and when.
        tags: Tags of this version.

    Raises:
        TrackingError: The checkpoint is no good, the network cannot be traced, or MLflow refuses something for good.
        MlflowException, OSError: MLflow is away; the same may be asked again.
    """
    key = str(champion.time)
    name = champion.name
    checkpoint = Path(champion.checkpoint)
    client = MlflowClient(tracking_uri, registry_uri=tracking_uri)
    run = client.get_run(run_id)
    sizes = {"image_size": champion.recipe["image_size"], "stored_side": champion.stored_side}
    metadata = {"classes": list(champion.classes), **sizes, "recipe": dict(champion.recipe)}
    try:
        _ensure_registered(client, name)
        made = _registered(client, name, run_id, key)
        if made is None:
            model = _stored(client, run, key) or _store(client, run, key, checkpoint, metadata)
            outputs = run.outputs.model_outputs if run.outputs else []
            if model.model_id not in [output.model_id for output in outputs]:
                client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
            mlflow.set_tracking_uri(
                tracking_uri
            )  # where the next line looks for the model, whatever its client's store is
            own, source = dict(tags) | {KEY: key}, f"models:/{model.model_id}"
            made = client.create_model_version(
                name, source, run_id, own, description=champion.description, model_id=model.model_id
            )
        version = int(made.version)
        if (
            champion.move_alias
            and int(client.get_registered_model(name).aliases.get(ALIAS, 0)) < version
        ):
            client.set_registered_model_alias(name, ALIAS, str(version))
    except Exception as error:
        # A server that answered a moment ago, but does not know an address, is too old for it.
        if is_refusal(error) or getattr(error, "error_code", "") == "ENDPOINT_NOT_FOUND":
            raise TrackingError(
                f"The champion could not be registered as {name!r} at {without_password(tracking_uri)} "
                f"({one_line(error)}); its weights are in {checkpoint}."
            ) from error
        raise
    return RegisteredModel(
        name=name,
        version=version,
        uri=f"models:/{name}@{ALIAS}" if champion.move_alias else f"models:/{name}/{version}",
    )


def check_sent_as_is(written: str) -> None:
    """Refuse a description by which MLflow would turn what a caller sends into uint8 before the model sees it.

    MLflow has no public name for the switch: a release may rename it.

    Raises:
        TrackingError: The switch is not in it.
    """
    if f"{SENT_AS_IS}: true" not in written.splitlines():
        found = f"MLflow {_release('mlflow')} leaves it out"
        raise TrackingError(
            f"A model must say {SENT_AS_IS}: true, but {found}: install the MLflow of constraints.txt."
        )


def _registered(client: MlflowClient, name: str, run_id: str, key: str) -> ModelVersion | None:
    versions = client.search_model_versions(f"name = '{name}' and run_id = '{run_id}'")
    return next((version for version in versions if version.tags.get(KEY) == key), None)


def _stored(client: MlflowClient, run: Run, key: str) -> LoggedModel | None:
    """The model that an earlier attempt stored; what it left unfinished is deleted."""
    found = None
    for model in client.search_logged_models(
        [run.info.experiment_id], f"source_run_id = '{run.info.run_id}'"
    ):
        if model.tags.get(KEY) == key:
            if model.status == LoggedModelStatus.READY and found is None:
                found = model
            else:
                client.delete_logged_model(model.model_id)
    return found


def _store(
    client: MlflowClient, run: Run, key: str, checkpoint: Path, metadata: dict[str, Any]
) -> LoggedModel:
    """What `mlflow.pytorch.log_model` does, without its global run and experiment, and without its prints."""
    import mlflow.pytorch  # here, since it loads torch

    from trainables.export import load_classifier

    signature = ModelSignature(
        inputs=Schema([TensorSpec(np.dtype(np.uint8), (-1, -1, -1, 3))]),
        outputs=Schema([TensorSpec(np.dtype(np.float32), (-1, len(metadata["classes"])))]),
    )
    signature._is_signature_from_type_hint = True  # it is for people: `SENT_AS_IS`
    params = {field: str(value) for field, value in metadata["recipe"].items()}
    classifier = load_classifier(checkpoint)
    logged = client.create_logged_model(
        run.info.experiment_id, "classifier", run.info.run_id, {KEY: key}, params
    )
    try:
        with tempfile.TemporaryDirectory() as folder:
            path, reader = Path(folder, "model"), _our_file(Path(folder))
            described = Model(
                logged.artifact_location,
                run.info.run_id,
                model_uuid=logged.model_id,
                model_id=logged.model_id,
            )
            mlflow.pytorch.save_model(
                classifier,
                str(path),
                mlflow_model=described,
                serialization_format="pt2",  # no pickle: loading it runs no code of the file's
                signature=signature,
                input_example=np.zeros(_EXAMPLE_SHAPE, np.uint8),
                pip_requirements=[f"{package}=={_release(package)}" for package in _REQUIREMENTS],
                extra_files=[str(checkpoint)],
                code_paths=[str(reader)],
                metadata=metadata,
            )
            _read_by_our_file(described, reader)
            described.save(str(path / MLMODEL_FILE_NAME))
            check_sent_as_is((path / MLMODEL_FILE_NAME).read_text())
            client.log_model_artifacts(logged.model_id, str(path))
    except Exception:
        with suppress(Exception):  # what went wrong first is what matters
            client.finalize_logged_model(logged.model_id, "FAILED")
        raise
    client.finalize_logged_model(logged.model_id, "READY")
    return logged


def _our_file(folder: Path) -> Path:
    """Copy `pyfunc.py` under a name of its content: a process that loads two models imports each one's own."""
    content = Path(pyfunc.__file__).read_bytes()
    copy = folder / f"mlflow_model_{hashlib.sha256(content).hexdigest()[:12]}.py"
    copy.write_bytes(content)
    return copy


def _read_by_our_file(described: Model, reader: Path) -> None:
    """Let MLflow load the model by the file that lies beside it, and the graph alone still without any code."""
    described.flavors["pytorch"]["code"] = None
    described.flavors["python_function"]["loader_module"] = reader.stem


def _ensure_registered(client: MlflowClient, name: str) -> None:
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _release(package: str) -> str:
    return importlib.metadata.version(package).partition("+")[
        0
    ]  # without the local part, which no index has
