"""Activations of frozen layer groups, computed once for each view of the data.

All trials of a node share them. With frozen BatchNorm they depend on the data, the backbone, its
weights, the cut, the size and the view of the images, and on nothing that a trial learns. `none`,
val and test have one view; a random augmentation has one per epoch, the same for all.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from trainables.convolution import WAYS_VERSION
from trainables.data.augment import AUGMENTATION_VERSION, normalise, plain_view, view
from trainables.data.dataset import Dataset
from trainables.feature_store import ArraySpec, FeatureStore, Filling
from trainables.network import CHUNK, Network, channels_last
from trainables.recipe import LAYER_GROUPS, STAGE1_LAYERS, Recipe
from trainables.rows import Rows
from trainables.weights import Weights

View = Mapping[str, Any]
SplitName = Literal["train", "val"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Shared:
    """The place of activations that a trial shares with others, and what the others want of it.

    Attributes:
        store: Where they are.
        cuts: Where trials of this sweep cut this backbone; one forward pass serves all of them.
        views: Whether another trial sees the same random views of the training images, so that
            storing them may pay.
    """

    store: FeatureStore
    cuts: tuple[str, ...]
    views: bool = True


def cuts_of(trainable_layers: int, stage1_epochs: int) -> set[str]:
    """Return the layer groups before which the stages of a recipe are cut."""
    cuts = {LAYER_GROUPS[-trainable_layers]}
    if stage1_epochs:
        cuts.add(LAYER_GROUPS[-min(STAGE1_LAYERS, trainable_layers)])
    return cuts - {LAYER_GROUPS[0]}


class Activations:
    """One split's stored activations at a cut."""

    def __init__(self, array: np.ndarray[Any, Any], device: torch.device) -> None:
        self._rows = Rows(array, device)

    def take(self, samples: Tensor) -> Tensor:
        """Return the rows of these samples (int64 `[B]`, on the CPU).

        They are channels-last, `[B, C, H, W]`, on the device.
        """
        return _tensor(self._rows.take(samples))


class FrozenFeatures:
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
        # By cuts: the activations of one image at each, for their shape and dtype.
        self._samples: dict[tuple[str, ...], dict[str, np.ndarray[Any, Any]]] = {}

    def train(self, epoch: int, last_epoch: int) -> Activations | None:
        """Return activations of an epoch's training images at the network's cut.

        Args:
            epoch: Whose view it is.
            last_epoch: The last one with this cut: while another process writes this view, later
                ones can be made.

        Returns:
            The activations, or None where the trial computes them itself.
        """
        if self._recipe.mixup > 0:
            return None
        random = self._is_random("train")
        number = epoch if random else 0
        key = ("train", number, self._network.cut)
        if self._opened is None or self._opened[0] != key:
            self._opened = None  # before the next one takes memory
            others: list[tuple[SplitName, int]] = [("val", 0)]
            if random:
                others += [("train", later) for later in range(epoch + 1, last_epoch + 1)]
            activations = self._get("train", number, others)
            if activations is None:
                return None
            self._opened = (key, activations)
        return self._opened[1]

    def val(self) -> Activations | None:
        """Return activations of the validation images at the network's cut.

        None where the trial computes them itself.
        """
        if self._val is None or self._val[0] != self._network.cut:
            self._val = None
            activations = self._get("val", 0, [])
            if activations is None:
                return None
            self._val = (self._network.cut, activations)
        return self._val[1]

    def _is_random(self, split: SplitName) -> bool:
        """Return whether each epoch has a view of its own of a split."""
        return split == "train" and self._recipe.augmentation != "none"

    def _get(
        self, split: SplitName, number: int, others: Sequence[tuple[SplitName, int]]
    ) -> Activations | None:
        """Open a view, which is made where it is missing.

        While another process makes it, one of the other views is made.
        """
        cut = self._network.cut
        store = self._shared.store
        if cut == LAYER_GROUPS[0]:
            return None
        view = self._view(split, number)
        array = store.open(view, cut)
        if array is None and self._pays(split):
            # Rather than wait for another process, make what it will want next.
            if self._fill(split, number, wait=False) == "busy":
                for other, later in others:
                    missing = store.missing(self._view(other, later), [cut])
                    if missing and self._fill(other, later, wait=False) == "filled":
                        break
                self._fill(split, number, wait=True)
            array = store.open(view, cut)
        if array is None:
            return None
        return Activations(array, self._device)

    def _pays(self, split: SplitName) -> bool:
        """Return whether storing pays: always where there is one view, else as was measured."""
        if not self._is_random(split):
            return True
        return self._shared.views and self._shared.store.decision(self._family()) is not False

    def _fill(self, split: SplitName, number: int, *, wait: bool) -> Filling:
        """Make a view at the network's cut and all shallower ones that others want."""
        wanted = {*self._shared.cuts, self._network.cut}
        deepest = LAYER_GROUPS.index(self._network.cut)
        cuts = tuple(name for name in LAYER_GROUPS[1 : deepest + 1] if name in wanted)
        specs = self._specs(len(self._data.split(split).labels), cuts)
        computed = [0.0]  # seconds, by `_rows`
        outcome = self._shared.store.fill(
            self._view(split, number),
            specs,
            lambda missing: self._rows(split, number, missing, computed),
            wait=wait,
        )
        if computed[0] and self._is_random(split):
            self._decide(number, computed[0])
        return outcome

    def _decide(self, number: int, computed: float) -> None:
        """Measure whether reading a random view is faster than computing it, once per family."""
        store = self._shared.store
        if store.decision(self._family()) is not None:
            return
        started = time.perf_counter()
        array = store.open(self._view("train", number), self._network.cut)
        if array is None:
            return
        rows = Activations(array, self._device)
        for samples in torch.arange(len(array)).split(self._recipe.batch_size):
            rows.take(samples)
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        store.decide(self._family(), time.perf_counter() - started < computed)

    def _rows(
        self, split: SplitName, number: int, cuts: Sequence[str], computed: list[float]
    ) -> Iterator[Mapping[str, Any]]:
        """Yield chunks of rows by cut, from a stored shallower cut where there is one.

        Adds the seconds that took from the pixels on to `computed`.
        """
        # The deepest stored cut before the first that is wanted, or else the pixels.
        source: Iterable[Tensor] = self._pixels(split, number)
        start = LAYER_GROUPS[0]
        first = LAYER_GROUPS.index(min(cuts, key=LAYER_GROUPS.index))
        for shallower in reversed(LAYER_GROUPS[1:first]):
            array = self._shared.store.open(self._view(split, number), shallower)
            if array is not None:
                source = map(
                    Activations(array, self._device).take, torch.arange(len(array)).split(CHUNK)
                )
                start = shallower
                break
        # Through the network. The time between two chunks is the writer's.
        started = time.perf_counter()
        for inputs in source:
            taken = self._network.through(inputs, cuts, start=start)
            rows = {cut: _array(activations) for cut, activations in taken.items()}
            if start == LAYER_GROUPS[0]:
                computed[0] += time.perf_counter() - started
            yield rows
            started = time.perf_counter()

    def _pixels(self, split: SplitName, number: int) -> Iterator[Tensor]:
        """Yield normalised views, channels-last `[CHUNK, 3, H, W]`, in the order of the split."""
        images = self._data.split(split).images
        recipe = self._recipe
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
        # One image goes through, once for all views.
        if cuts not in self._samples:
            size = self._recipe.image_size
            taken = self._network.through(torch.zeros(1, 3, size, size, device=self._device), cuts)
            self._samples[cuts] = {cut: _array(rows) for cut, rows in taken.items()}
        specs: dict[str, ArraySpec] = {}
        for cut, row in self._samples[cuts].items():
            specs[cut] = ArraySpec((images, *row.shape[1:]), row.dtype.str)
        return specs

    def _view(self, split: SplitName, number: int) -> View:
        """Return what tells the activations of a view from others, as plain values."""
        view = self._family() | {"split": split, "seed": None, "epoch": None}
        if split != "train":
            view["augmentation"] = "none"
        if self._is_random(split):
            view["seed"] = self._recipe.seed
            view["epoch"] = number
        return view

    def _family(self) -> dict[str, Any]:
        """Return what the views of all epochs have in common."""
        recipe = self._recipe
        random_weights = self._weights.path is None
        return {
            "data": self._data.digest,
            "backbone": recipe.backbone,
            "weights": self._weights.digest,
            "init_seed": recipe.seed if random_weights else None,
            "stem": recipe.stem,
            "image_size": recipe.image_size,
            "augmentation": recipe.augmentation,
            "augmentation_version": AUGMENTATION_VERSION,
            "precision": self._network.precision,
            "ways": dict(self._network.ways),
            "ways_version": WAYS_VERSION,
            "chunk": CHUNK,
            "machine": machine(self._device),
        }


def machine(device: torch.device) -> str:
    """Return what decides the last bits of a sum: the processor, its threads, torch's version."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}"
    name = torch.cpu.get_capabilities().get("cpu_name", "CPU")
    level = torch.backends.cpu.get_cpu_capability()
    return f"{name}, {level}, {torch.get_num_threads()} threads, torch {torch.__version__}"


def _array(activations: Tensor) -> np.ndarray[Any, Any]:
    """Turn `[B, C, H, W]` to `[B, H, W, C]` in memory; bf16 as int16, which NumPy knows."""
    rows = activations.permute(0, 2, 3, 1).contiguous()
    if rows.dtype == torch.bfloat16:
        rows = rows.view(torch.int16)
    array: np.ndarray[Any, Any] = rows.cpu().numpy()
    return array


def _tensor(rows: Tensor) -> Tensor:
    """Undo `_array`: `[B, H, W, C]` in memory to `[B, C, H, W]`."""
    if rows.dtype == torch.int16:
        rows = rows.view(torch.bfloat16)
    return rows.permute(0, 3, 1, 2)
