"""Activations of frozen layer groups: computed once for each view of the data and shared by all trials of a node.

With frozen BatchNorm they depend on the data, the backbone, its weights, the cut, the size and the view of the images, and on
nothing that a trial learns. `none`, val and test have one view; a random augmentation has one an epoch, the same for all.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from trainables.data.augment import AUGMENTATION_VERSION, normalise, plain_view, view
from trainables.data.dataset import Dataset
from trainables.network import CHUNK, Network, channels_last
from trainables.prefix_store import ArraySpec, PrefixStore
from trainables.recipe import LAYER_GROUPS, STAGE1_LAYERS, Recipe
from trainables.rows import Rows
from trainables.weights import Weights

View = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Shared:
    """What a trial needs to share activations with others.

    Attributes:
        store: Where they are.
        cuts: Where trials of this sweep cut this backbone; one forward pass serves all of them.
        views: Whether another trial sees the same random views of the training images, so that storing them may pay.
    """

    store: PrefixStore
    cuts: tuple[str, ...]
    views: bool = True


def cuts_of(trainable_layers: int, stage1_epochs: int) -> set[str]:
    """The layer groups before which the stages of a recipe are cut."""
    layers = {trainable_layers} | (
        {min(STAGE1_LAYERS, trainable_layers)} if stage1_epochs else set()
    )
    return {LAYER_GROUPS[-k] for k in layers} - {LAYER_GROUPS[0]}


class Activations:
    """One split's stored activations at a cut."""

    def __init__(self, array: np.ndarray[Any, Any], device: torch.device) -> None:
        self._rows = Rows(array, device)

    def take(self, samples: Tensor) -> Tensor:
        """Return the rows of these samples (int64 `[B]`, on the CPU).

        They are channels-last, `[B, C, H, W]`, on the device.
        """
        return _tensor(self._rows.take(samples))


class Prefix:
    """The frozen part of one trial's network, read from the store or computed for everybody.

    Args:
        shared: The store, and what others want of it.
        network: Its `cut` says what is frozen; the frozen groups are in eval mode.
        recipe: Of the trial.
        data: Of the trial.
        weights: What the backbone starts from.
        device: Where the trial computes.
    """

    def __init__(
        self,
        shared: Shared,
        network: Network,
        recipe: Recipe,
        data: Dataset,
        weights: Weights,
        device: torch.device,
    ) -> None:
        self._shared = shared
        self._network = network
        self._recipe = recipe
        self._data = data
        self._weights = weights
        self._device = device
        self._opened: tuple[tuple[str, int, str], Activations] | None = None
        self._val: tuple[str, Activations] | None = None
        self._samples: dict[
            tuple[str, ...], dict[str, np.ndarray[Any, Any]]
        ] = {}  # a row at each cut, for its shape

    def train(self, epoch: int, last_epoch: int) -> Activations | None:
        """Activations of an epoch's training images at the network's cut; None where the trial computes them itself.

        Args:
            epoch: Whose view it is.
            last_epoch: The last one with this cut: while another process writes this view, later ones can be made.
        """
        if self._recipe.mixup > 0:
            return None
        number = epoch if self._random else 0
        key = ("train", number, self._network.cut)
        if self._opened is None or self._opened[0] != key:
            self._opened = None  # before the next one takes memory
            later = (
                [("train", later) for later in range(epoch + 1, last_epoch + 1)]
                if self._random
                else []
            )
            if (found := self._get("train", number, [("val", 0), *later])) is None:
                return None
            self._opened = (key, found)
        return self._opened[1]

    def val(self) -> Activations | None:
        """Activations of the validation images at the network's cut."""
        if self._val is None or self._val[0] != self._network.cut:
            self._val = None
            if (found := self._get("val", 0, [])) is None:
                return None
            self._val = (self._network.cut, found)
        return self._val[1]

    @property
    def _random(self) -> bool:
        return self._recipe.augmentation != "none"

    def _get(
        self, split: str, number: int, meanwhile: Sequence[tuple[str, int]]
    ) -> Activations | None:
        cut, store = self._network.cut, self._shared.store
        if cut == LAYER_GROUPS[0]:
            return None
        view = self._view(split, number)
        array = store.open(view, cut)
        if array is None and self._worth(split):
            if self._fill(split, number, wait=False) == "busy":
                for other, later in meanwhile:
                    if (
                        store.missing(self._view(other, later), [cut])
                        and self._fill(other, later, wait=False) == "filled"
                    ):
                        break
                self._fill(split, number, wait=True)
            array = store.open(view, cut)
        return None if array is None else Activations(array, self._device)

    def _worth(self, split: str) -> bool:
        """Whether storing pays: always where there is one view, else as was measured."""
        if split != "train" or not self._random:
            return True
        return self._shared.views and self._shared.store.decision(self._family()) is not False

    def _fill(self, split: str, number: int, *, wait: bool) -> Literal["filled", "busy", "full"]:
        upto = LAYER_GROUPS.index(self._network.cut)
        cuts = sorted(
            {*self._shared.cuts, self._network.cut} & set(LAYER_GROUPS[1 : upto + 1]),
            key=LAYER_GROUPS.index,
        )
        computed = [0.0]
        specs = self._specs(len(self._data.split(_name(split)).labels), tuple(cuts))
        done = self._shared.store.fill(
            self._view(split, number),
            specs,
            lambda wanted: self._rows(split, number, wanted, computed),
            wait=wait,
        )
        if (
            computed[0]
            and split == "train"
            and self._random
            and self._shared.store.decision(self._family()) is None
        ):
            self._decide(number, computed[0])
        return done

    def _decide(self, number: int, computed: float) -> None:
        started = time.perf_counter()
        array = self._shared.store.open(self._view("train", number), self._network.cut)
        if array is not None:
            rows = Activations(array, self._device)
            for samples in torch.arange(len(array)).split(self._recipe.batch_size):
                rows.take(samples)
            if self._device.type == "cuda":
                torch.cuda.synchronize(self._device)
            self._shared.store.decide(self._family(), time.perf_counter() - started < computed)

    def _rows(
        self, split: str, number: int, cuts: Sequence[str], computed: list[float]
    ) -> Iterator[Mapping[str, Any]]:
        """Chunks of rows by cut, from a stored shallower cut where there is one; adds the seconds it took to `computed`."""
        source, at = self._pixels(split, number), LAYER_GROUPS[0]
        first = LAYER_GROUPS.index(min(cuts, key=LAYER_GROUPS.index))
        for shallower in reversed(LAYER_GROUPS[1:first]):
            if (array := self._shared.store.open(self._view(split, number), shallower)) is not None:
                stored = Activations(array, self._device)
                source, at = (
                    (stored.take(samples) for samples in torch.arange(len(array)).split(CHUNK)),
                    shallower,
                )
                break
        started = time.perf_counter()
        for inputs in source:
            rows = {
                cut: _array(taken)
                for cut, taken in self._network.through(inputs, cuts, start=at).items()
            }
            computed[0] += time.perf_counter() - started if at == LAYER_GROUPS[0] else 0.0
            yield rows
            started = time.perf_counter()

    def _pixels(self, split: str, number: int) -> Iterable[Tensor]:
        """Normalised views, channels-last `[CHUNK, 3, H, W]`, in the order of the split."""
        images, recipe = self._data.split(_name(split)).images, self._recipe
        for samples in torch.arange(len(images)).split(CHUNK):
            pixels = torch.from_numpy(images[samples.numpy()]).to(self._device)
            if split == "train":
                views = view(
                    pixels,
                    samples.to(self._device),
                    augmentation=recipe.augmentation,
                    image_size=recipe.image_size,
                    seed=recipe.seed,
                    epoch=number,
                )
            else:
                views = plain_view(pixels, recipe.image_size)
            yield channels_last(normalise(views))

    def _specs(self, images: int, cuts: tuple[str, ...]) -> dict[str, ArraySpec]:
        if cuts not in self._samples:
            size = self._recipe.image_size
            taken = self._network.through(torch.zeros(1, 3, size, size, device=self._device), cuts)
            self._samples[cuts] = {cut: _array(rows) for cut, rows in taken.items()}
        return {
            cut: ArraySpec((images, *row.shape[1:]), row.dtype.str)
            for cut, row in self._samples[cuts].items()
        }

    def _view(self, split: str, number: int) -> View:
        random = split == "train" and self._random
        return self._family() | {
            "split": split,
            "augmentation": self._recipe.augmentation if split == "train" else "none",
            "seed": self._recipe.seed if random else None,
            "epoch": number if random else None,
        }

    def _family(self) -> dict[str, Any]:
        recipe = self._recipe
        return {
            "data": self._data.digest,
            "backbone": recipe.backbone,
            "weights": self._weights.digest,
            "init_seed": recipe.seed if self._weights.path is None else None,
            "stem": recipe.stem,
            "image_size": recipe.image_size,
            "augmentation": recipe.augmentation,
            "augmentation_version": AUGMENTATION_VERSION,
            "precision": self._network.precision,
            "chunk": CHUNK,
            "machine": machine(self._device),
        }


def machine(device: torch.device) -> str:
    """What decides the last bits of a sum: the processor, its threads, torch's version."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}"
    name, level = (
        torch.cpu.get_capabilities().get("cpu_name", "CPU"),
        torch.backends.cpu.get_cpu_capability(),
    )
    return f"{name}, {level}, {torch.get_num_threads()} threads, torch {torch.__version__}"


def _name(split: str) -> Literal["train", "val"]:
    return "train" if split == "train" else "val"


def _array(activations: Tensor) -> np.ndarray[Any, Any]:
    """`[B, C, H, W]` to `[B, H, W, C]` in memory; bf16 as int16, which NumPy knows."""
    rows = activations.permute(0, 2, 3, 1).contiguous()
    array: np.ndarray[Any, Any] = (
        (rows.view(torch.int16) if rows.dtype == torch.bfloat16 else rows).cpu().numpy()
    )
    return array


def _tensor(rows: Tensor) -> Tensor:
    """Undo `_array`: `[B, H, W, C]` in memory to `[B, C, H, W]`."""
    if rows.dtype == torch.int16:
        rows = rows.view(torch.bfloat16)
    return rows.permute(0, 3, 1, 2)
