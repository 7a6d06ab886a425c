"""The network that a trial trains: a sequence of layer groups, of which the first may be frozen.

On disk its state dict has torchvision's own names, so that a checkpoint loads into
`torchvision.models` and a torchvision file loads here.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from typing import Literal, Protocol

import torch
from torch import Tensor, nn

from trainables.data.augment import normalise
from trainables.recipe import LAYER_GROUPS
from trainables.state_dicts import is_needed, listed

CHUNK = 32
"""Images that go through frozen groups at once, a short rest filled up.

So what comes out for an image is the same to the last bit, whichever images are beside it and
whoever asks, be it a batch of a trial or the writer of the feature store."""

Precision = Literal["fp32", "bf16"]


class Model(Protocol):
    """A network, or a part of one, as a training step needs it."""

    micro_batch: int | None

    def logits(self, inputs: Tensor) -> Tensor:
        """Return float32 `[B, classes]` of a batch."""


class Network(nn.Sequential):
    """Layer groups in forward order: float `[B, 3, H, W]`, normalised, to logits `[B, classes]`.

    Attributes:
        cut: The first layer group that is not frozen, set by `train_groups`; what comes before it
            is the frozen prefix.
        precision: Of `logits` and `through`: fp32, or bf16 autocast.
        ways: How the outputs of its convolutions are computed that are not oneDNN's, by shape.
        micro_batch: Images that go through at once in training; None for the whole batch. See
            `trainables.step`.
    """

    cut: str
    precision: Precision
    ways: Mapping[str, str]
    micro_batch: int | None

    def __init__(
        self,
        groups: Mapping[str, nn.Module],
        torch_names: Mapping[str, str],
        head: str,
        num_classes: int,
    ) -> None:
        super().__init__(OrderedDict(groups))
        self._torch_names = dict(torch_names)  # path here -> path in torchvision's model
        self.head = head
        self.num_classes = num_classes
        self.cut = LAYER_GROUPS[0]
        self.precision = "fp32"
        self.ways = {}
        self.micro_batch = None

    def logits(self, images: Tensor) -> Tensor:
        """Return logits, float32 `[B, classes]`, of views in [0, 1], `[B, 3, H, W]`."""
        return Tail(self).logits(self.activations(images))

    def activations(self, images: Tensor) -> Tensor:
        """Return what the trainable part sees of views in [0, 1], `[B, 3, H, W]`.

        These are activations at `cut`, or the normalised views.
        """
        inputs = channels_last(normalise(images))
        if self.cut == LAYER_GROUPS[0]:
            return inputs
        chunks = [self.through(chunk, [self.cut])[self.cut] for chunk in inputs.split(CHUNK)]
        return torch.cat(chunks)

    def through(
        self, inputs: Tensor, cuts: Collection[str], *, start: str = LAYER_GROUPS[0]
    ) -> dict[str, Tensor]:
        """Pass at most `CHUNK` images through the frozen groups, once.

        Args:
            inputs: Activations at `start`, `[B, C, H, W]`; before the stem these are normalised
                views.
            cuts: Where to take activations, all of them after `start` and none after `cut`.
            start: The group before which the inputs were taken.

        Returns:
            Channels-last activations `[B, C, H, W]` by cut. Before fc they are pooled,
            `[B, C, 1, 1]`: pooling them once more changes nothing.
        """
        x = inputs
        if missing := CHUNK - len(inputs):
            x = torch.cat([inputs, inputs.new_zeros(missing, *inputs.shape[1:])])
        # Each cut is taken before its group.
        taken: dict[str, Tensor] = {}
        with torch.no_grad(), self.autocast(inputs):
            x = channels_last(x)
            for name in LAYER_GROUPS[LAYER_GROUPS.index(start) :]:
                if name in cuts:
                    pooled = name == LAYER_GROUPS[-1]
                    whole = self.get_submodule("fc.pool")(x) if pooled else x
                    taken[name] = channels_last(whole[: len(inputs)])
                if len(taken) == len(cuts):
                    return taken
                x = self.get_submodule(name)(x)
        raise AssertionError(f"cuts {cuts} must lie after {start}")

    def autocast(self, inputs: Tensor) -> AbstractContextManager[object]:
        """Return the network's precision as a context."""
        enabled = self.precision == "bf16"
        return torch.autocast(inputs.device.type, dtype=torch.bfloat16, enabled=enabled)

    def freeze_all_but(self, trainable_layers: int) -> None:
        """Let the last `trainable_layers` groups train, and no other parameter."""
        for name, group in self.named_children():
            group.requires_grad_(name in LAYER_GROUPS[-trainable_layers:])

    def train_groups(self, trainable_layers: int, *, batch_stats: bool) -> None:
        """Set train mode for an epoch: frozen groups stay in eval mode unless `batch_stats`.

        `requires_grad=False` alone does not freeze a BatchNorm: its running statistics move in
        train mode (pytorch issue 86590).
        """
        for name, group in self.named_children():
            group.train(batch_stats or name in LAYER_GROUPS[-trainable_layers:])
        self.cut = LAYER_GROUPS[0] if batch_stats else LAYER_GROUPS[-trainable_layers]

    def torchvision_state_dict(self, *, keep_vars: bool = False) -> dict[str, Tensor]:
        """Return all parameters and buffers under torchvision's names.

        The tensors are not copied, nor detached if `keep_vars`.
        """
        state = self.state_dict(keep_vars=keep_vars)
        return {self._rename(key): value for key, value in state.items()}

    def backbone_state_dict(self) -> dict[str, Tensor]:
        """Return the tensors of `torchvision_state_dict` without the head's."""
        return self._without_head(self.torchvision_state_dict())

    def load_torchvision_state_dict(self, state: Mapping[str, Tensor], *, with_head: bool) -> None:
        """Load tensors under torchvision's names.

        Args:
            state: Tensors by torchvision's names; those of a head are passed over unless
                `with_head`.
            with_head: The head must be there too, as in our own checkpoints.

        Raises:
            ValueError: A line each for missing keys, unexpected ones and wrong shapes, the first
                three named.
        """
        # What must be there, and what is.
        expected = self.torchvision_state_dict()
        if not with_head:
            expected = self._without_head(expected)
            state = self._without_head(state)
        if problems := _state_problems(expected, state):
            raise ValueError("\n".join(problems))
        # Under the names that they have here.
        keys = {self._rename(key): key for key in self.state_dict()}
        renamed = {keys[name]: value for name, value in state.items()}
        self.load_state_dict(renamed, strict=False)

    def _without_head(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        # Whatever stands in the place of torchvision's head: `fc.0.weight` of an mlp,
        # `classifier.weight` without its dropout.
        head = f"{self.head.partition('.')[0]}."
        return {name: value for name, value in state.items() if not name.startswith(head)}

    def _rename(self, key: str) -> str:
        for ours, theirs in self._torch_names.items():
            if key.startswith(f"{ours}."):
                return theirs + key[len(ours) :]
        raise AssertionError(f"no torchvision name for {key}")


class Tail:
    """The part of a network that is not frozen, as a model of its own."""

    def __init__(self, network: Network) -> None:
        self.network = network

    @property
    def micro_batch(self) -> int | None:
        """Return the network's own."""
        return self.network.micro_batch

    @micro_batch.setter
    def micro_batch(self, size: int | None) -> None:
        self.network.micro_batch = size

    def logits(self, inputs: Tensor) -> Tensor:
        """Return logits, float32 `[B, classes]`, of activations at the cut, `[B, C, H, W]`."""
        x = channels_last(inputs)
        with self.network.autocast(x):
            for name in LAYER_GROUPS[LAYER_GROUPS.index(self.network.cut) :]:
                x = self.network.get_submodule(name)(x)
        return x.float()


def channels_last(images: Tensor) -> Tensor:
    """Return images in the memory format that oneDNN and tensor cores want."""
    return images.contiguous(memory_format=torch.channels_last)


def _state_problems(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> list[str]:
    missing = [name for name in expected if name not in found and is_needed(name)]
    unexpected = [name for name in found if name not in expected]
    shapes: list[str] = []
    for name, tensor in expected.items():
        if name in found and found[name].shape != tensor.shape:
            has = list(found[name].shape)
            shapes.append(f"{name!r} has the shape {has} instead of {list(tensor.shape)}")
    problems: list[str] = []
    if missing:
        problems.append(f"it lacks {listed(missing)}")
    if unexpected:
        problems.append(f"it has the unexpected {listed(unexpected)}")
    if shapes:
        more = f" and {len(shapes) - 3} more" if len(shapes) > 3 else ""
        problems.append(", ".join(shapes[:3]) + more)
    return problems
