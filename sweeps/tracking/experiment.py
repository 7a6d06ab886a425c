"""A study's experiment in MLflow: found by its name, taken back from the bin, or made."""

from __future__ import annotations

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from cluster.addresses import without_password
from sweeps.tracking.store import TrackingError, one_line


def ensure_experiment(client: MlflowClient, study: str, location: str | None, question: str) -> str:
    """Return the id of the study's experiment.

    Args:
        client: The store's.
        study: Name of the experiment.
        location: Where a new one keeps its artifacts; None leaves it to the server.
        question: Shown above the table of runs.
    """
    experiment = client.get_experiment_by_name(study)
    if experiment is None:
        tags = {
            "mlflow.note.content": question,
            "mlflow.experimentKind": "custom_model_development",
        }
        try:
            made: str = client.create_experiment(study, location, tags)
            return made
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        # Another sweep was faster.
        experiment = client.get_experiment_by_name(study)
        assert experiment is not None
    if experiment.lifecycle_stage == "deleted":
        client.restore_experiment(experiment.experiment_id)
    known: str = experiment.experiment_id
    return known


def sweep_run_id(tracking_uri: str, experiment_id: str, sweep_name: str) -> str | None:
    """Return the id of a sweep's own run; None where MLflow has none.

    Raises:
        MlflowException: It does not answer.
    """
    which = f"tags.`sweep.name` = '{sweep_name}' and tags.`sweep.role` = 'sweep'"
    runs = MlflowClient(tracking_uri).search_runs([experiment_id], which, max_results=1)
    return runs[0].info.run_id if runs else None


def sweep_exists(tracking_uri: str, study: str, sweep_name: str) -> bool:
    """Return whether MLflow has a sweep of that name in the study's experiment.

    Raises:
        TrackingError: It does not answer.
    """
    client = MlflowClient(tracking_uri)
    try:
        experiment = client.get_experiment_by_name(study)
        if experiment is None:
            return False
        which = f"tags.`sweep.name` = '{sweep_name}'"
        return bool(client.search_runs([experiment.experiment_id], which, max_results=1))
    except MlflowException as error:
        shown = without_password(tracking_uri)
        raise TrackingError(
            f"MLflow must answer, but {shown} does not ({one_line(error)}): look at its log."
        ) from error
