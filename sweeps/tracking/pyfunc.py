"""What the registered model does with what it is sent: it reads arrays as images, or says why not.

This one file is stored beside the model's graph, and MLflow runs it wherever the model is loaded or
served. So it imports nothing of this project. `dvt predict` does not run it: it loads the graph,
whose expressions it checks before torch evaluates them. Models are to be loaded from a store that
you trust all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

Images: TypeAlias = npt.NDArray[np.uint8]
Probabilities: TypeAlias = npt.NDArray[np.float32]

SHAPES = (
    "[N, H, W, 3], [N, H, W, 4] with alpha, gray [N, H, W, 1] or [N, H, W], "
    "or one image alone, [H, W, 3]"
)
# A last axis of so many holds an image's channels.
CHANNELS = (1, 3, 4)
# Under transparent pixels, as under those of the files that the model was trained on.
WHITE = 255
# Pixels per side that the graph takes: `torch.export` makes a constant of a side of 1.
SMALLEST = 2


def rgb(images: object) -> Images:
    """Read numbers as RGB images.

    Fractions in 0..1 are multiplied by 255 and rounded; transparent pixels come over white; of
    images with a side of one pixel, which the graph does not take, the center pixel is repeated.
    What has no images gives none.

    Args:
        images: An array or nested lists, of one of `SHAPES`; whole numbers in 0..255, fractions in
            0..1, or booleans.

    Returns:
        uint8 [N, H, W, 3], contiguous and writable, at least `SMALLEST` pixels per side.

    Raises:
        ValueError: It is none of these, or could be two of them; one line.
    """
    values = _array(images)
    if values.shape[:1] == (0,):
        return np.zeros((0, SMALLEST, SMALLEST, 3), np.uint8)
    pixels = _bytes(_with_all_axes(values))  # [N, H, W, 1, 3 or 4]
    if pixels.shape[3] == 4:
        pixels = _over_white(pixels)
    if pixels.shape[3] == 1:
        pixels = pixels.repeat(3, axis=3)
    height, width = pixels.shape[1:3]
    if min(height, width) < SMALLEST:
        center = pixels[:, (height - 1) // 2, (width - 1) // 2]  # [N, 3]
        pixels = np.broadcast_to(center[:, None, None], (len(pixels), SMALLEST, SMALLEST, 3))
    return np.require(pixels, requirements=["C", "W"])


class Graph(Protocol):
    """An exported graph as MLflow loads it."""

    def predict(self, data: Images) -> Probabilities:
        """Classify uint8 [N, H, W, 3], one image or more: float32 [N, classes]."""


class RegisteredModel:
    """A graph behind `rgb`, in the form that MLflow asks for."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def predict(self, images: object, params: Mapping[str, Any] | None = None) -> Probabilities:
        """Classify images: what `rgb` reads to float32 [N, classes], each row sums to 1.

        Raises:
            MlflowException: They cannot be read; the one kind of error whose text the scoring
                server passes on.
        """
        from mlflow.exceptions import MlflowException

        try:
            pixels = rgb(images)
        except ValueError as error:
            refused = MlflowException.invalid_parameter_value(str(error))
            # Otherwise the scoring server puts every pixel before it.
            refused.json_kwargs["message"] = str(error)
            raise refused from error
        if len(pixels) == 0:
            # The graph takes one or more.
            nothing = np.zeros((1, *pixels.shape[1:]), np.uint8)
            return self._graph.predict(nothing)[:0]
        return self._graph.predict(pixels)


def _load_pyfunc(path: str, model_config: Mapping[str, Any] | None = None) -> RegisteredModel:
    """Load the graph in a folder; MLflow calls this by its name.

    It was traced on the CPU, and stays there unless another device is asked for.
    """
    import mlflow.pytorch

    device = (model_config or {}).get("device") or "cpu"
    return RegisteredModel(mlflow.pytorch._load_pyfunc(path, {"device": device}))


def _array(images: object) -> npt.NDArray[Any]:
    """Return numbers or booleans as an array of any shape."""
    if not isinstance(images, np.ndarray | list):
        kind = type(images).__name__
        raise ValueError(  # noqa: TRY004 - all that `rgb` cannot read is a ValueError
            "Images must be a numpy array or nested lists of numbers, "
            f"but got {kind}: convert them."
        )
    try:
        values = np.asarray(images)
    except ValueError:
        # NumPy refuses lists of several lengths.
        raise ValueError(
            "Images of one call must have one size, but these differ: send them one by one."
        ) from None
    if values.dtype.kind not in "buif":
        raise ValueError(f"Pixels must be numbers, but got {values.dtype}: {SHAPES}.")
    return values


def _with_all_axes(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return values as [N, H, W, C], with C of `CHANNELS`.

    Raises:
        ValueError: They have another shape, or one that could be read in two ways.
    """
    shape = list(values.shape)
    colored = values.ndim > 2 and shape[-1] in CHANNELS
    wrong = f"Images must be {SHAPES}, but got {shape}"
    if 0 in shape:
        raise ValueError(f"{wrong}: send images of at least 1 pixel per side.")

    # What has one reading alone.
    if values.ndim == 4 and colored:
        return values
    if values.ndim == 3 and colored:
        return values[None]
    if values.ndim == 2:
        return values[None, :, :, None]

    # Three or four gray images, or one in color whose channels come first.
    if values.ndim == 3 and shape[0] in (3, 4):
        several = f"[{shape[0]}, {shape[1]}, {shape[2]}, 1] for {shape[0]} gray images"
        raise ValueError(
            f"{wrong}, which has two readings: send {several}, "
            "or .transpose(1, 2, 0) of one image in color."
        )
    if values.ndim == 3:
        return values[..., None]
    if values.ndim == 4 and shape[1] in CHANNELS:
        raise ValueError(f"{wrong}: send .transpose(0, 2, 3, 1), with the channels last.")
    raise ValueError(f"{wrong}: reshape them.")


def _bytes(values: npt.NDArray[Any]) -> Images:
    """Return numbers of any kind as uint8; never by a cast that changes what is seen.

    Raises:
        ValueError: They are neither whole numbers in 0..255 nor fractions in 0..1.
    """
    if values.dtype == np.uint8:
        return values
    if values.dtype.kind == "b":
        return values.astype(np.uint8) * np.uint8(255)

    # Which of the two ranges it is.
    low = values.min()
    high = values.max()
    rule = "Pixels must be whole numbers in 0..255 or fractions in 0..1"
    found = f"got {values.dtype} from {low:g} to {high:g}"
    if not np.isfinite([low, high]).all():
        # NaN goes through min and max.
        raise ValueError(f"{rule}, but {found}: replace what is not finite.")
    whole = values.dtype.kind in "ui"
    if low >= 0 and high <= 1 and not whole:
        return np.rint(values * np.float32(255)).astype(np.uint8)
    if low < 0 or high > 255:
        raise ValueError(f"{rule}, but {found}: undo their normalization, or scale them to 0..255.")
    if not whole and (values != np.rint(values)).any():
        raise ValueError(
            f"{rule}, but {found}, some of them fractions: round them, or divide all by 255."
        )
    return values.astype(np.uint8)


def _over_white(pixels: Images) -> Images:
    """Turn RGBA [N, H, W, 4] into RGB: each color by its alpha's share, white by the rest."""
    alpha = pixels[..., 3:].astype(np.uint32)
    mixed = pixels[..., :3] * alpha + WHITE * (255 - alpha)
    return ((mixed + 127) // 255).astype(np.uint8)
