"""The model that a user of the champion calls: images of any size in, class probabilities out.

`torch.export` can trace it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainables.checkpoint import load_best
from trainables.data.augment import MEAN, STD
from trainables.data.listing import Images
from trainables.network import Network
from trainables.recipe import Recipe


class Classifier(nn.Module):
    """A trained network with its preprocessing.

    It is written so that `torch.export` keeps the number, the height and the width of the images
    free.

    Attributes:
        recipe: What the network was trained by.
        classes: Names of the classes, in the order of the output.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: Network, recipe: Recipe, classes: tuple[str, ...]) -> None:
        super().__init__()
        self.network = network
        self.recipe = recipe
        self.classes = classes
        # Buffers, not `augment.normalise`: its cached constants must not be made while a trace is
        # on.
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Classify images.

        Args:
            images: uint8 RGB [N, H, W, 3]; of each the center square is seen. The exported graph
                takes 2 pixels per side or more.

        Returns:
            float32 [N, classes], each row sums to 1.
        """
        views = centre_view(images, self.recipe.image_size)
        logits: Tensor = self.network((views - self.mean) / self.std)
        return logits.softmax(dim=1)


def load_classifier(path: Path) -> Classifier:
    """Read the classifier of a best checkpoint, on the CPU and in eval mode."""
    return Classifier(*load_best(path)).eval()


def probabilities(classifier: nn.Module, images: Images) -> npt.NDArray[np.float32]:
    """Classify arrays by a `Classifier` or its exported graph.

    Args:
        classifier: On the CPU.
        images: uint8 RGB [N, H, W, 3].

    Returns:
        float32 [N, classes], each row sums to 1.
    """
    # Torch takes no reversed axes, and warns of read-only arrays.
    pixels = np.require(images, requirements=["C", "W"])
    with torch.inference_mode():
        answer: npt.NDArray[np.float32] = classifier(torch.from_numpy(pixels)).numpy()
    return answer


def centre_view(images: Tensor, image_size: int) -> Tensor:
    """Return the center square of each image, resized.

    It is what `augment.plain_view` gives for a square, in traceable operations.

    Args:
        images: uint8 [N, H, W, 3].
        image_size: Pixels per side of the result.

    Returns:
        float32 [N, 3, image_size, image_size] in [0, 1].
    """
    _, height, width, _ = images.shape
    side = torch.sym_min(height, width)
    # An index and no slice: slicing lets the trace ask whether the square is the whole image, and
    # fixes the answer.
    pixels = torch.arange(side, device=images.device)
    square = images.index_select(1, pixels + (height - side) // 2)
    square = square.index_select(2, pixels + (width - side) // 2)
    # [N, 3, side, side]
    square = square.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format)
    size = (image_size, image_size)
    return F.interpolate(square, size=size, mode="bilinear", antialias=True) / 255
