"""A study's experiment in MLflow: found by its name, taken back from the bin, or made."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from mlflow import MlflowClient
from mlflow.entities import Experiment
from mlflow.exceptions import MlflowException

from cluster.addresses import without_password
from sweeps.tracking.store import TrackingError, one_line
from sweeps.tracking.views import View

# Tag of an experiment: of each view, by its key, what was written last. One that a person has
# changed stays, until there is something new to write.
WRITTEN = "sweep.views"


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


def show_views(tracking_uri: str, study: str, wanted: Sequence[View]) -> str | None:
    """Write the views that are not there, or were written otherwise before.

    Args:
        tracking_uri: What `prepare_store` returned.
        study: Name of the experiment.
        wanted: Its views.

    Returns:
        The experiment's id; None where there is none.

    Raises:
        TrackingError: It does not answer, or refuses.
    """
    with _asked(tracking_uri) as client:
        experiment = client.get_experiment_by_name(study)
        if experiment is None:
            return None
        _set(client, experiment, wanted)
        found: str = experiment.experiment_id
        return found


def sweep_run_id(tracking_uri: str, experiment_id: str, sweep_name: str) -> str | None:
    """Return the id of a sweep's own run; None where MLflow has none.

    Raises:
        TrackingError: It does not answer.
    """
    which = f"tags.`sweep.name` = '{sweep_name}' and tags.`sweep.role` = 'sweep'"
    with _asked(tracking_uri) as client:
        runs = client.search_runs([experiment_id], which, max_results=1)
    return runs[0].info.run_id if runs else None


def sweep_exists(tracking_uri: str, study: str, sweep_name: str) -> bool:
    """Return whether MLflow has a sweep of that name in the study's experiment.

    Raises:
        TrackingError: It does not answer.
    """
    with _asked(tracking_uri) as client:
        experiment = client.get_experiment_by_name(study)
        if experiment is None:
            return False
        which = f"tags.`sweep.name` = '{sweep_name}'"
        return bool(client.search_runs([experiment.experiment_id], which, max_results=1))


@contextmanager
def _asked(tracking_uri: str) -> Iterator[MlflowClient]:
    """Yield a client, and raise what it raises as one line."""
    try:
        yield MlflowClient(tracking_uri)
    except MlflowException as error:
        shown = without_password(tracking_uri)
        raise TrackingError(
            f"MLflow must answer, but {shown} does not ({one_line(error)}): look at its log."
        ) from error


def _set(client: MlflowClient, experiment: Experiment, wanted: Sequence[View]) -> None:
    try:
        written = dict(json.loads(experiment.tags.get(WRITTEN, "{}")))
    except (ValueError, TypeError):  # somebody else's text
        written = {}
    for view in wanted:
        if view.tag not in experiment.tags or written.get(view.key) != view.digest:
            saved = view.saved(int(time.time() * 1000))
            client.set_experiment_tag(experiment.experiment_id, view.tag, saved)
    digests = {view.key: view.digest for view in wanted}
    if digests != written:
        client.set_experiment_tag(experiment.experiment_id, WRITTEN, json.dumps(digests))
