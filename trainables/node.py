"""Data and weights on the node where a trial runs, made ready there where they are missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypedDict

from trainables import source_model
from trainables import weights as pretrained
from trainables.data import dataset
from trainables.data.dataset import Caps, DataError, Dataset, ReadOptions
from trainables.weights import RANDOM, Weights, WeightsError


class DataConfig(TypedDict):
    """Decoded data: where the driver has them, and what they were made of."""

    path: str
    digest: str
    source: str
    image_size: int
    caps: dict[str, Any]
    how: dict[str, Any]  # to read them
    seed: int
    draw: int | None  # of train and val; None for those of the search
    cache: str


class WeightsConfig(TypedDict):
    """A backbone's weights: where the driver has them, and what they were asked for as."""

    path: str | None
    digest: str
    name: str
    backbone: str
    cache: str


def data(config: DataConfig, *, test: bool = False) -> Dataset:
    """Open the data set.

    It is decoded again where another node has not got it, or its cache was deleted; by one process,
    the others wait.

    Raises:
        DataError: It cannot be had here, or is no longer what it was.
    """
    # The driver's path is this node's too where they share a disk, or are one machine.
    path = Path(config["path"])
    if not dataset.present(path):
        caps = Caps(**config["caps"])
        made = dataset.prepare(
            config["source"],
            image_size=config["image_size"],
            caps=caps,
            seed=config["seed"],
            cache=Path(config["cache"]),
            how=ReadOptions.from_dict(config["how"]),
            draw=config["draw"],
        )
        if made.digest != config["digest"]:
            changed = f"its digest was {config['digest']} and is {made.digest}"
            problem = f"{config['source']} must stay as it is while a sweep runs, but {changed}: "
            raise DataError([f"{problem}put it back, then --resume."])
        path = made.path
    return dataset.read(path, test=test)


def weights(config: WeightsConfig) -> Weights:
    """Return the weights.

    Their file is located, fetched or made again where another node has not got it.

    Raises:
        WeightsError: They cannot be had here, or are no longer what they were.
    """
    if config["path"] is None:
        return RANDOM
    path = Path(config["path"])
    if path.is_file():
        return Weights(path, config["digest"])
    now = Weights.of(find_weights(config["name"], config["backbone"], Path(config["cache"])))
    if now.digest != config["digest"]:
        changed = f"their digest was {config['digest']} and is {now.digest}"
        raise WeightsError(
            f"{now.path} must stay as it is while a sweep runs, but {changed}: "
            "put it back, then --resume."
        )
    return now


def find_weights(name: str, backbone: str, cache: Path) -> Path | None:
    """Find the file with a backbone's weights, downloaded or made if need be; None for random ones.

    Raises:
        WeightsError: They cannot be had.
    """
    if name == source_model.NAME:
        return source_model.ensure(backbone, cache)
    return pretrained.locate(name, backbone)
