"""Pretrained weights: what `imagenet`, `none`, a file or a folder of `<backbone>.pt` stand for."""

from __future__ import annotations

import functools
import hashlib
import http.client
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
import torchvision
from torch import Tensor

from trainables import state_dicts
from trainables.backbones import BACKBONES, backbone, build
from trainables.download import socket_timeout
from trainables.network import Network
from trainables.problems import reason
from trainables.recipe import Recipe
from trainables.state_dicts import Found, listed
from trainables.weights_file import SUFFIXES, WeightsError, check, read

__all__ = [
    "NAMES",
    "RANDOM",
    "Weights",
    "WeightsError",
    "check",
    "check_cached",
    "fitting",
    "in_folder",
    "load",
    "locate",
    "read",
]

NAMES = ("imagenet", "none")  # what is no path
MEND = "pass imagenet, none, a file, or a folder of <backbone>.pt"


@dataclass(frozen=True, slots=True)
class Weights:
    """The values that a backbone starts from: those of a file, or random ones (`RANDOM`).

    Attributes:
        path: The file; None for random values.
        digest: Sixteen hex digits of the file's SHA-256, or `none`. Checkpoints and stored
            activations are of other weights where it is another.
    """

    path: Path | None
    digest: str

    @classmethod
    def of(cls, path: Path | None) -> Self:
        """Read a file for its digest, 0.1 s for 45 MB; None gives random values.

        Raises:
            WeightsError: The file cannot be read.
        """
        if path is None:
            return cls(None, "none")
        try:
            return cls(path, _sha256(path)[:16])
        except OSError as error:
            raise WeightsError(
                f"weights must be in a readable file, but {reason(error)}: {MEND}."
            ) from error


RANDOM = Weights(None, "none")


def locate(weights: str, backbone_name: str) -> Path | None:
    """Find the file that holds a backbone's weights.

    `imagenet` is downloaded through torchvision if it is not there yet.

    Args:
        weights: `imagenet` (IMAGENET1K_V1 for every backbone, so that depth is not mixed up with
            the pretraining recipe), `none`, a file, or a folder of `<backbone>.pt`, `.pth` or
            `.safetensors`.
        backbone_name: A name of the registry.

    Returns:
        The file, or None for `none`.

    Raises:
        WeightsError: The file is not there or damaged, or the download failed; the message says
            what to do instead.
    """
    backbone(backbone_name)
    if weights == "none":
        return None
    if weights == "imagenet":
        return _download(backbone_name)
    try:
        path = Path(weights).expanduser()
        if path.is_dir():
            path = in_folder(path, backbone_name)
        if path.is_file():
            return path.resolve()
    # A name too long, a folder closed to us, a user without a home.
    except (OSError, RuntimeError) as error:
        raise WeightsError(
            f"weights for {backbone_name} must be in a readable file, but {reason(error)}: {MEND}."
        ) from error
    raise WeightsError(
        f"weights for {backbone_name} must be in a file, but there is no {path}: {MEND}."
    )


def in_folder(folder: Path, backbone_name: str) -> Path:
    """Return the file of a folder that is named after a backbone; if there is none, its place.

    Raises:
        WeightsError: There are several.
    """
    files = [folder / f"{backbone_name}{suffix}" for suffix in SUFFIXES]
    there = [path for path in files if path.is_file()]
    if len(there) > 1:
        names = " and ".join(path.name for path in there)
        raise WeightsError(
            f"{folder} must hold one file for {backbone_name}, but has {names}: "
            "move all but one elsewhere."
        )
    return there[0] if there else files[0]


def load(network: Network, path: Path, backbone_name: str) -> str:
    """Load the backbone's weights into a network, whatever wraps them in the file.

    A head in the file is passed over.

    Returns:
        One line that says which part of the file was taken; empty where that is all of it.

    Raises:
        WeightsError: The file cannot be read; a key is missing, unexpected or of another shape; a
            number is not finite. Each is named.
    """
    # The network in the file.
    tensors = read(path)
    expected = network.backbone_state_dict()
    try:
        found = state_dicts.find(tensors, expected, network.head.partition(".")[0])
    except ValueError as error:
        raise WeightsError(
            f"{path} must hold one network that fits {backbone_name}, but {error}: "
            "save one of them alone."
        ) from error
    # Its numbers, under the names that they have there.
    named = {found.prefix + name: value for name, value in found.state.items()}
    if problem := _unusable(named):
        raise WeightsError(f"{path} must hold finite real numbers, but {problem}.")
    try:
        network.load_torchvision_state_dict(found.state, with_head=False)
    except (ValueError, RuntimeError) as error:  # the latter: numbers that cannot be copied
        wrong = "; ".join(str(error).splitlines())
        problem = _misfit(network, backbone_name, tensors, found, wrong)
        raise WeightsError(f"{path} must fit {backbone_name}, but {problem}.") from error
    return _said(path, backbone_name, found)


def fitting(tensors: Mapping[str, Tensor]) -> Iterator[str]:
    """Yield the registered backbones that a file's tensors fit.

    Those with a stem for small images are marked.
    """
    for name, spec in BACKBONES.items():
        with torch.device("meta"):  # names and shapes, no numbers
            expected = build(Recipe(backbone=name, weights="none"), 2).backbone_state_dict()
        first = f"{spec.first_conv}.weight"
        small = expected | {first: expected[first][:, :, :3, :3]}
        if state_dicts.fits(tensors, expected):
            yield name
        elif state_dicts.fits(tensors, small):
            yield f"{name} with stem='cifar'"


def check_cached(backbone_name: str) -> None:
    """Hold the imagenet weights in torch's cache against the hash in their name.

    Downloads nothing; weights that are not there are none of its business.

    Raises:
        WeightsError: They are cut off, or something else.
    """
    _, path = _imagenet(backbone_name)
    try:
        if not path.is_file():
            return
        status = path.stat()
        found = _known_sha256(path, status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise WeightsError(
            f"the imagenet weights must be readable, but {reason(error)}: see who owns the file."
        ) from error
    wanted = _hash_in_name(path)
    if not found.startswith(wanted):
        raise WeightsError(
            f"{path} must have the SHA-256 in its name, {wanted}, but it is "
            f"{found[: len(wanted)]} ({status.st_size} bytes, cut off or replaced): "
            f"delete {shlex.quote(str(path))} and it is downloaded again."
        )


# Finding


def _download(backbone_name: str) -> Path:
    url, path = _imagenet(backbone_name)
    if path.is_file():
        check_cached(backbone_name)
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with socket_timeout():
            torch.hub.download_url_to_file(
                url, str(path), hash_prefix=_hash_in_name(path), progress=False
            )
    except (OSError, http.client.HTTPException, RuntimeError) as error:
        raise WeightsError(
            f"the imagenet weights for {backbone_name} cannot be downloaded ({reason(error)}): "
            f"put {path.name} into {path.parent}, or pass --weights with a file or a folder "
            f"that holds {backbone_name}.pt."
        ) from error
    return path


def _imagenet(backbone_name: str) -> tuple[str, Path]:
    """Return where the imagenet weights come from, and where torch keeps them."""
    url = torchvision.models.get_model_weights(backbone_name).IMAGENET1K_V1.url
    return url, Path(torch.hub.get_dir()) / "checkpoints" / Path(url).name


def _hash_in_name(path: Path) -> str:
    return path.stem.rpartition("-")[2]


@functools.lru_cache
def _known_sha256(path: Path, size: int, modified: int) -> str:
    """Return the hash of a file that is looked at several times, at 0.1 s each for 45 MB.

    It only changes with the other two.
    """
    return _sha256(path)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# Fitting


def _unusable(state: Mapping[str, Tensor]) -> str:
    """Name the tensors that are no real numbers in memory, or hold NaN or infinity, and the mend.

    Empty if there are none.
    """
    odd = [name for name, value in state.items() if not _is_plain(value)]
    if odd:
        return f"{listed(odd)} is complex, sparse, quantized or without content: save plain tensors"
    infinite = [name for name, value in state.items() if not _is_finite(value)]
    if infinite:
        return f"{listed(infinite)} has NaN or infinity: pass a checkpoint from before that"
    return ""


def _is_plain(value: Tensor) -> bool:
    """Return whether a tensor is real numbers in memory, each in its place.

    Others are complex, sparse, nested, quantized or an empty shell.
    """
    in_memory = value.layout == torch.strided and value.device.type == "cpu"
    return in_memory and not (value.is_complex() or value.is_quantized or value.is_nested)


def _is_finite(value: Tensor) -> bool:
    # As float32, which is what they become: 1e300 would be infinite.
    return not value.is_floating_point() or bool(torch.isfinite(value.float()).all())


def _misfit(
    network: Network, backbone_name: str, tensors: Mapping[str, Tensor], found: Found, wrong: str
) -> str:
    """Say what is wrong with weights that do not fit, and what would help."""
    expected = [name for name in network.backbone_state_dict() if state_dicts.is_needed(name)]
    missing = [name for name in expected if name not in found.state]
    # A list of parameters, which are not all.
    if missing and all("running_" in name for name in missing):
        return f"{wrong}: save model.state_dict(), which has BatchNorm's running statistics"
    # Another backbone's.
    others = [] if found.whole else list(fitting(tensors))
    if others:
        first = wrong.partition("; ")[0]
        return f"{first}; it fits {', '.join(others)}: pass weights of {backbone_name}"
    # Something else altogether.
    if len(missing) > len(expected) / 2:
        wrong = f"it holds {listed(tensors)} instead of {listed(expected)}"
    return f"{wrong}: pass weights of torchvision's {backbone_name}"


def _said(path: Path, backbone_name: str, found: Found) -> str:
    if not (found.prefix or found.passed_over):
        return ""
    said = f"Weights for {backbone_name}: {path}"
    if found.prefix:
        said += f", those under {found.prefix!r}"
    if found.passed_over:
        said += f"; passed over: {listed(found.passed_over)}"
    return f"{said}."
