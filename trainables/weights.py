"""Pretrained weights: where `imagenet`, `none`, a file or a folder of `<backbone>.pt` lead, and their reading."""

from __future__ import annotations

import hashlib
import http.client
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
import torchvision
from torch import Tensor

from trainables.backbones import backbone
from trainables.download import socket_timeout
from trainables.network import Network

NAMES = ("imagenet", "none")  # what is no path


class WeightsError(ValueError):
    """Weights that cannot be had or do not fit; one line for each problem."""


def locate(weights: str, backbone_name: str) -> Path | None:
    """The file that holds a backbone's weights; `imagenet` is downloaded through torchvision if it is not there yet.

    Args:
        weights: `imagenet` (IMAGENET1K_V1 for every backbone, so that depth is not mixed up with the pretraining recipe),
            `none`, a file, or a folder of `<backbone>.pt`.
        backbone_name: A name of the registry.

    Returns:
        The file, or None for `none`.

    Raises:
        WeightsError: The file is not there, or the download failed; the message says what to do instead.
    """
    backbone(backbone_name)
    if weights == "none":
        return None
    if weights == "imagenet":
        return _download(backbone_name)
    path = Path(weights).expanduser()
    if path.is_dir():
        path = path / f"{backbone_name}.pt"
    if not path.is_file():
        raise WeightsError(f"weights for {backbone_name} must be in a file, but there is no {path}: "
                           "pass imagenet, none, a file, or a folder of <backbone>.pt.")  # fmt: skip
    return path.resolve()


def read(path: Path) -> dict[str, Tensor]:
    """Read a state dict with `weights_only=True`: code in the file never runs.

    Raises:
        WeightsError: Not a file of torch's, holds other objects than tensors, or is a training checkpoint around a state dict.
    """
    try:
        with warnings.catch_warnings(action="ignore", category=UserWarning):  # about the pickle protocol
            # Mapped where the format allows it: 16 ms instead of 100 for a ResNet-18, at the start of each trial.
            state = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except Exception as error:  # what damaged bytes lead torch's reader to: IndexError, struct.error, AssertionError …
        reason = "it holds something else than tensors, or is no file of torch.save"
        if isinstance(error, OSError | RuntimeError) and str(error).strip():
            reason = str(error).strip().splitlines()[0]
        raise WeightsError(f"{path} cannot be read as weights ({reason}): save a state dict with torch.save.") from error
    if isinstance(state, Mapping) and isinstance(inner := state.get("state_dict"), Mapping):
        state = inner  # a checkpoint of ours or of most training scripts
    items = state.items() if isinstance(state, Mapping) else ()
    others = [key for key, value in items if not (isinstance(key, str) and isinstance(value, Tensor))]
    if not isinstance(state, Mapping) or not state or others:
        what = f"also holds {', '.join(map(repr, others[:3]))}" if others else f"holds a {type(state).__name__}"
        raise WeightsError(f"{path} must hold a state dict of tensors, but {what}: save model.state_dict() alone.")
    return dict(state)


def load(network: Network, path: Path, backbone_name: str) -> None:
    """Load the backbone's weights into a network; a head in the file is passed over.

    Raises:
        WeightsError: The file cannot be read, or a key is missing, unexpected or of another shape; each is named.
    """
    try:
        network.load_torchvision_state_dict(read(path), with_head=False)
    except WeightsError:
        raise
    except ValueError as error:
        wrong = "; ".join(str(error).splitlines())
        raise WeightsError(f"{path} must fit {backbone_name}, but {wrong}: pass weights of that backbone.") from error


def digest(path: Path | None) -> str:
    """Sixteen hex digits of the file's SHA-256, or `none`."""
    if path is None:
        return "none"
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _download(backbone_name: str) -> Path:
    entry = torchvision.models.get_model_weights(backbone_name).IMAGENET1K_V1
    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(entry.url).name
    if path.is_file():
        return path
    prefix = path.stem.rpartition("-")[2]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with socket_timeout():
            torch.hub.download_url_to_file(entry.url, str(path), hash_prefix=prefix, progress=False)
    except (OSError, http.client.HTTPException, RuntimeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise WeightsError(
            f"the imagenet weights for {backbone_name} cannot be downloaded ({reason}): put {path.name} into {path.parent}, "
            f"or pass --weights with a file or a folder that holds {backbone_name}.pt."
        ) from error
    return path
