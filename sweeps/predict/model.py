"""The model that answers: a sweep's champion, or one that a sweep registered with MLflow.

It is looked for first and loaded later.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from cluster.addresses import without_password
from cluster.refused import Refused
from sweeps.predict.graph_text import suspicious_text
from sweeps.records.folder import BEST, CHAMPION, RECIPE, UNREADABLE, sweep_folder
from sweeps.records.named import newest_first
from sweeps.records.status import status_of
from sweeps.tracking.chosen import named_store, own_store, sqlite_path
from sweeps.tracking.store import TrackingError, check_uri, prepare_store
from sweeps.tracking.store import one_line as said
from trainables.data.listing import Images
from trainables.problems import one_line, unknown_name
from trainables.quick_imports import quick_imports

Probabilities: TypeAlias = npt.NDArray[np.float32]
STORED = "stored_side"
"""Key of `data` in the champion's `recipe.json`, and of the registered model's metadata."""
_SHOWN = 80  # characters of a text that is refused
# Schemes of model URIs that MLflow looks up; any other one is a place of its own.
_IN_A_STORE = ("models", "runs", "mlflow-artifacts")


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """A trained classifier with its preprocessing.

    Attributes:
        name: What the user called it.
        classes: Names of the classes, in the order of the output.
        image_size: Pixels per side of what its network sees.
        stored_side: Pixels per side of the squares that its training images were stored as; None
            where that is not known.
        probabilities: From uint8 RGB [N, H, W, 3] to float32 [N, classes], on the CPU.
    """

    name: str
    classes: tuple[str, ...]
    image_size: int
    stored_side: int | None
    probabilities: Callable[[Images], Probabilities]


def newest_champion(storage: Path) -> str:
    """Return the name of the newest finished sweep that has a champion.

    Raises:
        Refused: There is none.
    """
    for name in newest_first(storage):
        folder = sweep_folder(storage, name)
        if (folder / CHAMPION / BEST).is_file() and status_of(folder).state == "finished":
            return name
    raise Refused(
        one_line(
            f"no sweep in {storage} is finished and has a champion: "
            "choose a model with --sweep NAME or --model URI."
        )
    )


def champion_file(storage: Path, name: str) -> Path:
    """Return the checkpoint of a sweep's champion.

    Raises:
        Refused: It has none.
    """
    folder = sweep_folder(storage, name)
    file = folder / CHAMPION / BEST
    if file.is_file():
        return file

    # There is none: say why, and what to do.
    sweep = status_of(folder)
    recipe = folder / CHAMPION / RECIPE
    if recipe.is_file():
        mend = f"train it again by {recipe}"
    elif sweep.state == "running":
        mend = "wait for its end, which dvt list shows"
    elif sweep.state == "interrupted":
        mend = f"continue it: {sweep.resume}"
    else:
        mend = "take another of dvt list"
    shown = name if name.isprintable() else repr(name)
    raise Refused(
        f"The sweep {shown} must have a champion, but is {sweep.state} without {file}: {mend}."
    )


def load_champion(file: Path, name: str) -> Model:
    """Load what `champion_file` found; no code in it runs.

    Raises:
        Refused: The checkpoint is damaged.
    """
    with quick_imports():
        from trainables.export import load_classifier, probabilities  # torch takes seconds
    try:
        classifier = load_classifier(file)
    except Exception as error:
        problem = f"{file} must be a whole checkpoint, but is not ({type(error).__name__})"
        mend = f"train it again by {file.with_name(RECIPE)}"
        raise Refused(one_line(f"{problem}: {mend}.")) from error
    return Model(
        name=name,
        classes=classifier.classes,
        image_size=classifier.recipe.image_size,
        stored_side=_stored_side(file.with_name(RECIPE)),
        probabilities=lambda images: probabilities(classifier, images),
    )


def store_uri(uri: str, tracking_uri: str | None, storage: Path) -> str | None:
    """Return the MLflow store that knows a model, without asking it.

    Returns:
        The store; None where the URI is a place of its own.

    Raises:
        Refused: There is no such store, or its server does not answer.
    """
    if uri.partition(":")[0] not in _IN_A_STORE:
        return None
    store = tracking_uri or named_store(storage) or own_store(storage)
    try:
        check_uri(store)
    except TrackingError as error:
        raise Refused(str(error)) from error
    file = sqlite_path(store)
    if store.startswith("sqlite") and not file.is_file():
        raise Refused(
            f"MLflow's database must exist, but there is no {file}: "
            "give its --storage or --tracking-uri."
        )
    return store


def load_registered(
    uri: str, store: str | None, storage: Path, say: Callable[[str], None] | None = None
) -> Model:
    """Load a model's graph through MLflow, onto the CPU, where it was traced.

    Python files of the model are not run, and pickles are refused. Torch evaluates expressions of a
    graph: they are checked before. That is no sandbox: models are to be loaded from a store that
    you trust.

    Raises:
        Refused: MLflow has no such model, it is not one that a sweep registered, or its graph holds
            more than arithmetic.
    """
    os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
    with quick_imports():
        import mlflow  # two seconds, and torch's
        import mlflow.artifacts
        import mlflow.pytorch

        from trainables.export import probabilities
    try:
        if store:
            store = prepare_store(store, storage, say)
            mlflow.set_tracking_uri(store)
            mlflow.set_registry_uri(store)
        # Fetched once: what is checked is what is loaded. MLflow takes a path for a URI, and a
        # storage's may have any character.
        with tempfile.TemporaryDirectory() as place:
            folder = Path(mlflow.artifacts.download_artifacts(uri, dst_path=place))
            info = mlflow.models.get_model_info(str(folder))
            metadata = dict(info.metadata or {})
            _check_graph(folder, uri, metadata, info.flavors.get("pytorch"))
            graph = mlflow.pytorch.load_model(str(folder), device="cpu")
    except Refused:
        raise
    except TrackingError as error:
        raise Refused(str(error)) from error
    except Exception as error:
        unknown = _unknown(uri, store)
        raise Refused(unknown or f"--model {uri} must load, but does not: {said(error)}") from error
    return Model(
        name=uri,
        classes=tuple(map(str, metadata["classes"])),
        image_size=int(metadata["image_size"]),
        stored_side=metadata.get(STORED),
        probabilities=lambda images: probabilities(graph, images),
    )


def _check_graph(
    folder: Path, uri: str, metadata: Mapping[str, Any], flavor: Mapping[str, Any] | None
) -> None:
    """Refuse a model that no sweep registered, or whose graph could do more than calculate.

    Args:
        folder: The model's files.
        uri: What the user called it.
        metadata: What a sweep wrote down with it.
        flavor: MLflow's description of the graph; None where the model has none.
    """
    if "classes" not in metadata or "image_size" not in metadata or flavor is None:
        raise Refused(
            f"--model must be a model that a sweep registered, but {uri} is not one: give another."
        )
    if flavor.get("code"):
        raise Refused(
            f"--model must have a graph without code, but {uri} brings some: it is not a sweep's."
        )
    odd = suspicious_text(folder / flavor["model_data"] / "model.pt2")
    if odd is not None:
        raise Refused(
            f"--model must have a graph of arithmetic alone, but {uri} holds {odd[:_SHOWN]!r}: "
            "load models that you trust."
        )


def _stored_side(recipe: Path) -> int | None:
    """Return what a champion's recipe says of the stored size; None where it says nothing."""
    try:
        side = json.loads(recipe.read_text())["data"].get(STORED)
    except UNREADABLE:
        return None
    if isinstance(side, int) and side > 0:
        return side
    return None


def _unknown(uri: str, store: str | None) -> str | None:
    """Return the line for a registered model's name that the store does not know.

    Returns:
        The line; None where the name is not what is wrong.
    """
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    # The name in `models:/<name>@<alias>` or `models:/<name>/<version>`.
    path = uri.removeprefix("models:/").strip("/")
    name = path.rpartition("@")[0] or path.partition("/")[0]
    if store is None or not uri.startswith("models:/") or path == name:
        return None
    try:
        models = MlflowClient(store, store).search_registered_models()
    except MlflowException:  # it was what failed before, and is said
        return None
    known = sorted(model.name for model in models)
    where = without_password(store)
    if name in known:
        return None
    if not known:
        return f"--model {uri}: {where} holds no registered model."
    return one_line(unknown_name(name, known, "registered model", f" in {where}"))
