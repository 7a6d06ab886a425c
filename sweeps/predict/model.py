"""What answers: a sweep's champion, or a model that a sweep registered with MLflow. Looked for first, loaded later."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from cluster.addresses import without_password
from cluster.refused import Refused
from sweeps.predict.graph_text import suspicious_text
from sweeps.records.folder import BEST, CHAMPION, RECIPE, UNREADABLE, known_sweeps, sweep_folder
from sweeps.records.status import status_of
from sweeps.tracking.store import TrackingError, check_uri, prepare_store
from sweeps.tracking.store import one_line as said
from trainables.data.listing import Images
from trainables.problems import one_line, unknown_name
from trainables.quick_imports import quick_imports

Probabilities: TypeAlias = npt.NDArray[np.float32]
STORED = "stored_side"
"""Key of `data` in the champion's `recipe.json`, and of the registered model's metadata."""
_SHOWN = 80  # characters of a text that is refused
_IN_A_STORE = ("models", "runs", "mlflow-artifacts")  # schemes of model URIs that MLflow looks up


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """A trained classifier with its preprocessing.

    Attributes:
        name: What the user called it.
        classes: Names of the classes, in the order of the output.
        image_size: Pixels a side of what its network sees.
        stored_side: Pixels a side of the squares that its training images were stored as; None where that is not known.
        probabilities: uint8 RGB `[N, H, W, 3]` to float32 `[N, classes]`, on the CPU.
    """

    name: str
    classes: tuple[str, ...]
    image_size: int
    stored_side: int | None
    probabilities: Callable[[Images], Probabilities]


def champion_file(storage: Path, name: str) -> Path:
    """The checkpoint of a sweep's champion.

    Raises:
        Refused: There is no such sweep, or it has no champion.
    """
    known = known_sweeps(storage)
    if name not in known:
        if not known:
            mend = "run one, or give the --storage of another."
            raise Refused(one_line(f"{storage} holds no sweep: {mend}"))
        raise Refused(one_line(unknown_name(name, known, f"sweep in {storage}")))
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
        found = f"{file} must be a whole checkpoint, but is not ({type(error).__name__})"
        raise Refused(
            one_line(f"{found}: train it again by {file.with_name('recipe.json')}.")
        ) from error
    return Model(
        name=name,
        classes=classifier.classes,
        image_size=classifier.recipe.image_size,
        stored_side=_stored_side(file.with_name(RECIPE)),
        probabilities=lambda images: probabilities(classifier, images),
    )


def store_uri(uri: str, tracking_uri: str | None, storage: Path) -> str | None:
    """The MLflow store that knows a model, without asking it; None where the URI is a place of its own.

    Raises:
        Refused: There is no such store, or its server does not answer.
    """
    if uri.partition(":")[0] not in _IN_A_STORE:
        return None
    store = tracking_uri or f"sqlite:///{storage / 'mlflow.db'}"
    try:
        check_uri(store)
    except TrackingError as error:
        raise Refused(str(error)) from error
    file = Path(store.partition(":///")[2].partition("?")[0])
    if store.startswith("sqlite") and not file.is_file():
        raise Refused(
            f"MLflow's database must be there, but there is no {file}: give its --storage or --tracking-uri."
        )
    return store


def load_registered(uri: str, store: str | None, storage: Path) -> Model:
    """Load a model's graph through MLflow, onto the CPU, where it was traced.

    Python files of the model are not run, and pickles are refused. Torch evaluates expressions of a graph: they are checked
    before. That is no sandbox: models are to be loaded from a store that you trust.

    Raises:
        Refused: MLflow has no such model, it is not one that a sweep registered, or its graph holds more than arithmetic.
    """
    os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
    with quick_imports():
        import mlflow  # two seconds, and torch's
        import mlflow.artifacts
        import mlflow.pytorch

        from trainables.export import probabilities
    try:
        if store:
            store = prepare_store(store, storage)
            mlflow.set_tracking_uri(store)
            mlflow.set_registry_uri(store)
        folder = mlflow.artifacts.download_artifacts(uri)  # once: what is checked is what is loaded
        info = mlflow.models.get_model_info(folder)
        metadata = dict(info.metadata or {})
        flavor = info.flavors.get("pytorch")
        if "classes" not in metadata or "image_size" not in metadata or flavor is None:
            raise Refused(
                f"--model must be a model that a sweep registered, but {uri} is another one's."
            )
        if flavor.get("code"):
            raise Refused(
                f"--model must have a graph without code, but {uri} brings some: it is not a sweep's."
            )
        odd = suspicious_text(Path(folder, flavor["model_data"], "model.pt2"))
        if odd is not None:
            found = f"{uri} holds {odd[:_SHOWN]!r}"
            raise Refused(
                f"--model must have a graph of arithmetic alone, but {found}: load models that you trust."
            )
        graph = mlflow.pytorch.load_model(folder, device="cpu")
    except TrackingError as error:
        raise Refused(str(error)) from error
    except Refused:
        raise
    except Exception as error:
        raise Refused(
            _unknown(uri, store) or f"--model {uri} must load, but does not: {said(error)}"
        ) from error
    return Model(
        name=uri,
        classes=tuple(map(str, metadata["classes"])),
        image_size=int(metadata["image_size"]),
        stored_side=metadata.get(STORED),
        probabilities=lambda images: probabilities(graph, images),
    )


def _stored_side(recipe: Path) -> int | None:
    try:
        found = json.loads(recipe.read_text())["data"].get(STORED)
    except UNREADABLE:
        return None
    return found if isinstance(found, int) and found > 0 else None


def _unknown(uri: str, store: str | None) -> str | None:
    """The line for a registered model's name that the store does not know; None where the name is not what is wrong."""
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    path = uri.removeprefix("models:/").strip("/")
    name = path.rpartition("@")[0] or path.partition("/")[0]
    if store is None or not uri.startswith("models:/") or path == name:
        return None
    try:
        known = sorted(
            model.name for model in MlflowClient(store, store).search_registered_models()
        )
    except MlflowException:  # it was what failed before, and is told of
        return None
    where = without_password(store)
    if name in known:
        return None
    what = f"registered model in {where}"
    return (
        one_line(unknown_name(name, known, what))
        if known
        else f"--model {uri}: {where} holds no registered model."
    )
