"""The champion in MLflow's registry: a traced graph that runs without this package, and the checkpoint it came from."""

from __future__ import annotations

import importlib.metadata
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweeps.runner.background import one_line
from sweeps.runner.mlflow_store import without_password  # before mlflow: it switches telemetry and log lines off
from sweeps.runner.tracking import Tracker, TrackingError

# isort: split
import mlflow
import numpy as np
from mlflow import MlflowClient
from mlflow.entities import LoggedModel, LoggedModelOutput
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.types import Schema, TensorSpec

ALIAS = "champion"
_REQUIREMENTS = ("torch", "numpy", "mlflow")  # of the graph; it holds the preprocessing too
_EXAMPLE_SHAPE = (2, 48, 64, 3)  # not the model's size: all but the channels is free, and MLflow keeps it as text


@dataclass(frozen=True, kw_only=True, slots=True)
class Champion:
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
    tracker: Tracker,
    *,
    name: str,
    classifier: Any,
    checkpoint: Path,
    recipe: Mapping[str, Any],
    classes: Sequence[str],
    move_alias: bool,
    description: str = "",
    tags: Mapping[str, str] | None = None,
) -> Champion:
    """Store the champion with the sweep's run and register it. Takes seconds and waits for MLflow.

    Args:
        tracker: Of the sweep; its run gets the model.
        name: Of the registered model: `<study>-<data>`.
        classifier: A `trainables.export.Classifier` on the CPU: uint8 [N, H, W, 3] to probabilities [N, classes].
        checkpoint: The `best.pt` it was made from; kept with the model, for training on.
        recipe: Its recipe's fields.
        classes: Names of the classes, in the order of the output.
        move_alias: Let `champion` mean this version. Not for a sweep that was not finished.
        description: What the registry shows of this version, in Markdown.
        tags: Tags of this version.

    Raises:
        TrackingError: MLflow refused something, or does not answer.
    """
    run_id = tracker.sweep_run_id()
    client = MlflowClient(tracker.tracking_uri, registry_uri=tracker.tracking_uri)
    metadata = {"classes": list(classes), "image_size": recipe["image_size"], "recipe": dict(recipe)}
    try:
        _ensure_registered(client, name)
        model = _log_model(client, run_id, classifier, checkpoint, metadata)
        mlflow.set_tracking_uri(tracker.tracking_uri)  # where the next line looks for the model, whatever its client's store is
        made = client.create_model_version(
            name, f"models:/{model.model_id}", run_id, dict(tags or {}), description=description, model_id=model.model_id
        )
        version = int(made.version)
        if move_alias:
            client.set_registered_model_alias(name, ALIAS, str(version))
    except (MlflowException, OSError, RuntimeError) as error:  # RuntimeError: torch.export cannot trace the network
        raise TrackingError(
            f"The champion could not be registered as {name!r} at {without_password(tracker.tracking_uri)} "
            f"({one_line(error)}); its weights are in {checkpoint}."
        ) from error
    return Champion(name=name, version=version, uri=f"models:/{name}@{ALIAS}" if move_alias else f"models:/{name}/{version}")


def _log_model(client: MlflowClient, run_id: str, classifier: Any, checkpoint: Path, metadata: dict[str, Any]) -> LoggedModel:
    """What `mlflow.pytorch.log_model` does, without its global run and experiment, and without its prints."""
    import mlflow.pytorch  # here, since it loads torch

    signature = ModelSignature(
        inputs=Schema([TensorSpec(np.dtype(np.uint8), (-1, -1, -1, 3))]),
        outputs=Schema([TensorSpec(np.dtype(np.float32), (-1, len(metadata["classes"])))]),
    )
    params = {field: str(value) for field, value in metadata["recipe"].items()}
    run = client.get_run(run_id)
    logged = client.create_logged_model(run.info.experiment_id, "classifier", run_id, params=params)
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "model")
            mlflow.pytorch.save_model(
                classifier,
                str(path),
                mlflow_model=Model(logged.artifact_location, run_id, model_uuid=logged.model_id, model_id=logged.model_id),
                serialization_format="pt2",  # no pickle: loading it runs no code of the file's
                signature=signature,
                input_example=np.zeros(_EXAMPLE_SHAPE, np.uint8),
                pip_requirements=[f"{package}=={_release(package)}" for package in _REQUIREMENTS],
                extra_files=[str(checkpoint)],
                metadata=metadata,
            )
            client.log_model_artifacts(logged.model_id, str(path))
    except BaseException:
        client.finalize_logged_model(logged.model_id, "FAILED")
        raise
    client.finalize_logged_model(logged.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
    return logged


def _ensure_registered(client: MlflowClient, name: str) -> None:
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _release(package: str) -> str:
    return importlib.metadata.version(package).partition("+")[0]  # without the local part, which no index has
