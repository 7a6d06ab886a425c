"""The alias `champion` of a registered model: it moves to a new version for a reason, or stays.

Each version is judged once, and its tag `sweep.promotion` says how that ended. So a version that is
told again takes nothing back from a newer one.
"""

from __future__ import annotations

import shlex
import tempfile
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from cluster.addresses import without_password
from sweeps.records.events import ChampionKept
from sweeps.tracking.promotion import Version, why_not
from sweeps.tracking.store import is_refusal
from trainables.predictions import Predictions, read_predictions

ALIAS = "champion"
# Tags of a version: the digest of its test split, where its predictions are with it; and whether it
# became the champion, or why not.
TEST = "sweep.test"
PROMOTION = "sweep.promotion"
PROMOTED = "became the champion"
# Where the files that come with a model are among its artifacts, and the name of its predictions.
EXTRA_FILES = "extra_files"
PREDICTIONS = "predictions.npz"


def promote(client: MlflowClient, tracking_uri: str, kept: ChampionKept, number: int) -> str:
    """Move the alias to a version, unless the champion that is there is to stay.

    Args:
        client: Of the store.
        tracking_uri: The store's.
        kept: What was registered.
        number: As which version.

    Returns:
        Why another version is the champion, in a line; empty where this one is.

    Raises:
        MlflowException, OSError: MLflow is down, or refuses.
    """
    name = kept.name
    version = client.get_model_version(name, str(number))
    champion = _champion_of(client, name)

    # It was judged before. Where the alias was taken away since, it is free to be had.
    judged = version.tags.get(PROMOTION)
    if judged is not None and champion is not None:
        if champion == number:
            return ""
        if judged == PROMOTED:
            return f"The champion is version {champion} by now."
        return judged

    # A crash may have come between the alias and its reason.
    line = ""
    if champion not in (None, number):
        line = why_not(
            _with_predictions(client, tracking_uri, version),
            _with_predictions(client, tracking_uri, client.get_model_version(name, str(champion))),
            kept.metric,
            f"models:/{name}/{number}",
            _by_hand(tracking_uri, name, number),
        )
    if not line and champion != number:
        client.set_registered_model_alias(name, ALIAS, str(number))
    client.set_model_version_tag(name, str(number), PROMOTION, line or PROMOTED)
    return line


def _champion_of(client: MlflowClient, name: str) -> int | None:
    """Return the number of the version that has the alias; None where none has."""
    number = client.get_registered_model(name).aliases.get(ALIAS)
    if number is None:
        return None
    return int(number)


def _with_predictions(client: MlflowClient, tracking_uri: str, version: ModelVersion) -> Version:
    digest = version.tags.get(TEST, "")
    predictions = None
    if digest:
        predictions = _stored_predictions(client, tracking_uri, version)
    return Version(number=int(version.version), test_digest=digest, predictions=predictions)


def _stored_predictions(
    client: MlflowClient, tracking_uri: str, version: ModelVersion
) -> Predictions | None:
    """Return the predictions among a version's artifacts; None where there are none any more."""
    path = f"{EXTRA_FILES}/{PREDICTIONS}"
    try:
        place = client.get_model_version_download_uri(version.name, version.version)
        repository = get_artifact_repository(
            place, tracking_uri=tracking_uri, registry_uri=tracking_uri
        )
        if path not in [each.path for each in repository.list_artifacts(EXTRA_FILES)]:
            return None
        with tempfile.TemporaryDirectory() as folder:
            file = repository.download_artifacts(path, folder)  # type: ignore[no-untyped-call]
            return read_predictions(Path(file))
    except Exception as error:
        # Where MLflow is down, the same is asked again.
        if not is_refusal(error):
            raise
        return None


def _by_hand(tracking_uri: str, name: str, number: int) -> str:
    """Return the command that makes a version the champion, as a shell takes it."""
    code = (
        "import mlflow; mlflow.MlflowClient()"
        f'.set_registered_model_alias("{name}", "{ALIAS}", "{number}")'
    )
    store = f"MLFLOW_TRACKING_URI={shlex.quote(without_password(tracking_uri))}"
    return f"{store} python -c {shlex.quote(code)}"
