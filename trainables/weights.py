"""Pretrained weights: where `imagenet`, `none`, a file or a folder of `<backbone>.pt` lead, and their reading."""

from __future__ import annotations

import hashlib
import http.client
import os
import reprlib
import resource
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
import torchvision
from torch import Tensor

from trainables.backbones import backbone
from trainables.data.problems import one_line, reason
from trainables.download import socket_timeout
from trainables.network import Network

NAMES = ("imagenet", "none")  # what is no path
READ_WITHIN_S = 3  # of processor time; 100 MB take 0.1


class WeightsError(ValueError):
    """Weights that cannot be had or do not fit: one line."""

    def __init__(self, problem: str) -> None:
        super().__init__(one_line(problem))


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
    mend = "pass imagenet, none, a file, or a folder of <backbone>.pt."
    try:
        path = Path(weights).expanduser()
        if path.is_dir():
            path = path / f"{backbone_name}.pt"
        if path.is_file():
            return path.resolve()
    except (OSError, RuntimeError) as error:  # a name too long, a folder closed to us, a user without a home
        found = reason(error)
        raise WeightsError(f"weights for {backbone_name} must be in a readable file, but {found}: {mend}") from error
    raise WeightsError(f"weights for {backbone_name} must be in a file, but there is no {path}: {mend}")


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
        found = "it holds something else than tensors, or is no file of torch.save"
        if isinstance(error, OSError | RuntimeError) and str(error).strip():
            found = str(error).strip().splitlines()[0]
        raise WeightsError(f"{path} cannot be read as weights ({found}): save a state dict with torch.save.") from error
    if isinstance(state, Mapping) and isinstance(inner := state.get("state_dict"), Mapping):
        state = inner  # a checkpoint of ours or of most training scripts
    items = state.items() if isinstance(state, Mapping) else ()
    others = [key for key, value in items if not (isinstance(key, str) and _is_plain(value))]
    if not isinstance(state, Mapping) or not state or others:
        what = f"also holds {', '.join(map(reprlib.repr, others[:3]))}" if others else f"holds a {type(state).__name__}"
        raise WeightsError(f"{path} must hold a state dict of plain tensors, but {what}: save model.state_dict() alone.")
    return dict(state)


def check(path: Path) -> None:
    """Read a file in a process of its own first: 1 KB of nested tuples can keep torch's reader busy for ever, or crash it.

    For files of strangers; 0.1 s for an honest one of 100 MB. Whatever else is wrong with a file, `read` says.

    Raises:
        WeightsError: Reading takes more than 3 s of a processor's time, or ends the process.
    """
    child = os.fork()
    if child == 0:
        try:
            resource.setrlimit(resource.RLIMIT_CPU, (READ_WITHIN_S, READ_WITHIN_S))  # no signal handler can interrupt a hash
            read(path)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        raise WeightsError(
            f"{path} cannot be read as weights (reading it takes more than {READ_WITHIN_S} s, or crashes): "
            "save a state dict with torch.save."
        )


def _is_plain(value: object) -> bool:
    """Whether a value is real numbers in memory, each in its place: no complex, sparse, nested, quantised or empty shell."""
    return (
        isinstance(value, Tensor)
        and value.layout == torch.strided
        and value.device.type == "cpu"
        and not (value.is_complex() or value.is_quantized or value.is_nested)
    )


def load(network: Network, path: Path, backbone_name: str) -> None:
    """Load the backbone's weights into a network; a head in the file is passed over.

    Raises:
        WeightsError: The file cannot be read, or a key is missing, unexpected or of another shape; each is named.
    """
    try:
        network.load_torchvision_state_dict(read(path), with_head=False)
    except WeightsError:
        raise
    except (ValueError, RuntimeError) as error:  # the latter: numbers that cannot be copied
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
        raise WeightsError(
            f"the imagenet weights for {backbone_name} cannot be downloaded ({reason(error)}): put {path.name} into "
            f"{path.parent}, or pass --weights with a file or a folder that holds {backbone_name}.pt."
        ) from error
    return path
