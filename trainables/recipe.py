"""`Recipe`, the complete and typed description of a training run. No torch here."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self, get_args

from trainables.problems import unknown_name

Head = Literal["linear", "mlp"]
Optimizer = Literal["sgd", "adamw"]
Scheduler = Literal["constant", "step", "cosine"]
Augmentation = Literal["none", "crop_flip", "crop_flip_color", "trivial"]
BatchNorm = Literal["frozen", "batch_stats"]
Stem = Literal["imagenet", "cifar"]
ClassWeights = Literal["none", "balanced"]

LAYER_GROUPS = ("stem", "layer1", "layer2", "layer3", "layer4", "fc")
"""The groups of every backbone that hold parameters, from the image to the classes."""

NEUTRAL = {
    "stage1_epochs": 0,
    "warmup_epochs": 0,
    "scheduler": "constant",
    "augmentation": "none",
    "mixup": 0.0,
    "label_smoothing": 0.0,
    "class_weights": "none",
    "weight_decay": 0.0,
    "nesterov": False,
}
"""Tricks, each a field with the value at which it does nothing."""

ADDED = {"class_weights": NEUTRAL["class_weights"]}
"""Fields that recipes saved by earlier versions lack, with what those trained by."""

STAGE1_LAYERS = 2
"""Stage 1 trains layer4 + fc, or fewer where `trainable_layers` is smaller (two-stage article)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """One training run. The defaults are the comparison article's (100 CIFAR-10 images per class).

    The article names no optimizer; its curves look like Adam's, hence `adamw` without weight decay
    (our inference).

    Raises:
        ValueError: One line for each field that breaks its rule, all at once.
    """

    # The network.
    backbone: str = "resnet18"
    # imagenet (IMAGENET1K_V1), none, a file, or a folder of <backbone>.pt
    weights: str = "imagenet"
    head: Head = "linear"
    stem: Stem = "imagenet"  # cifar: 3x3 convolution with stride 1, no max-pool
    # Its one or two stages.
    trainable_layers: int = 3  # the last k of LAYER_GROUPS
    stage1_epochs: int = 0  # 0: one stage, at stage2_lr
    stage1_lr: float = 1e-3
    stage2_lr: float = 1e-3
    # Steps.
    optimizer: Optimizer = "adamw"
    nesterov: bool = False  # sgd only; its momentum is 0.9
    weight_decay: float = 0.0
    scheduler: Scheduler = "constant"  # of the last stage; stage 1 is constant
    warmup_epochs: int = 0  # linear, at the start of the last stage
    # Images and targets.
    augmentation: Augmentation = "none"
    mixup: float = 0.0  # alpha of the Beta distribution; 0 is off
    label_smoothing: float = 0.0
    class_weights: ClassWeights = "none"  # balanced: each class weighs the same in the loss
    # batch_stats: groups that do not train are in train mode too, and their statistics move.
    batchnorm: BatchNorm = "frozen"
    # Sizes.
    epochs: int = 20
    batch_size: int = 256
    image_size: int = 224  # pixels per side
    seed: int = 0

    def __post_init__(self) -> None:
        if problems := list(_problems(self)):
            raise ValueError("\n".join(problems))

    @classmethod
    def field_names(cls) -> tuple[str, ...]:
        """Return the names of all fields, in order."""
        return tuple(field.name for field in fields(cls))

    @classmethod
    def from_sample(cls, sample: Mapping[str, Any]) -> Self:
        """Build a recipe from plain values, as a sampler or a JSON file holds them.

        Raises:
            ValueError: A name that is no field, or a value that breaks its field's rule.
        """
        known = cls.field_names()
        values: dict[str, Any] = {}
        problems: list[str] = []
        for name, value in sample.items():
            if name in known:
                values[name] = value
            else:
                problems.append(unknown_name(name, known, "recipe field"))
        # All problems at once: those of the names, then those of the values.
        try:
            recipe = cls(**values)
        except ValueError as error:
            raise ValueError("\n".join([*problems, str(error)])) from error
        if problems:
            raise ValueError("\n".join(problems))
        return recipe

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, the inverse of `from_sample`."""
        return asdict(self)


def completed(saved: Mapping[str, Any]) -> dict[str, Any]:
    """Return a saved recipe's fields together with those that its version did not have yet."""
    return {**ADDED, **saved}


_CHOICES = {
    "head": Head,
    "stem": Stem,
    "optimizer": Optimizer,
    "scheduler": Scheduler,
    "augmentation": Augmentation,
    "batchnorm": BatchNorm,
    "class_weights": ClassWeights,
}
_WHOLE = {  # lowest and highest
    "trainable_layers": (1, len(LAYER_GROUPS)),
    "stage1_epochs": (0, 100_000),
    "epochs": (1, 100_000),
    "warmup_epochs": (0, 100_000),
    "batch_size": (2, 1_000_000),
    "image_size": (8, 2048),
    "seed": (0, 2**63 - 1),
}
_REAL = {  # over or at least, and under
    "stage1_lr": ("over", 0.0, math.inf),
    "stage2_lr": ("over", 0.0, math.inf),
    "weight_decay": ("at least", 0.0, math.inf),
    "mixup": ("at least", 0.0, math.inf),
    "label_smoothing": ("at least", 0.0, 1.0),
}


def _problems(recipe: Recipe) -> Iterator[str]:
    # Each field by itself.
    for name, kind, rule in (
        ("backbone", str, "a name"),
        ("weights", str, "a name"),
        ("nesterov", bool, "true or false"),
    ):
        value = getattr(recipe, name)
        if type(value) is not kind or value == "":
            yield f"{name} must be {rule}, but got {value!r}."
    for name, literal in _CHOICES.items():
        if (value := getattr(recipe, name)) not in get_args(literal):
            yield unknown_name(str(value), get_args(literal), "value", f" of {name}")
    for name, (lowest, highest) in _WHOLE.items():
        value = getattr(recipe, name)
        if type(value) is not int or not lowest <= value <= highest:
            yield f"{name} must be a whole number from {lowest} to {highest}, but got {value!r}."
    for name, (bound, low, high) in _REAL.items():
        value = getattr(recipe, name)
        if not _is_real(value, bound, low, high):
            limit = f"under {high:g}" if high < math.inf else "finite"
            yield f"{name} must be {bound} {low:g} and {limit}, but got {value!r}."
    # Fields that go together.
    if type(recipe.stage1_epochs) is type(recipe.warmup_epochs) is type(recipe.epochs) is int:
        last_stage = recipe.epochs - recipe.stage1_epochs
        if last_stage <= 0 < recipe.epochs:
            got = f"{recipe.stage1_epochs} and {recipe.epochs}"
            yield f"stage1_epochs < epochs must hold, but got {got}."
        elif recipe.warmup_epochs and recipe.warmup_epochs >= last_stage:
            yield (
                f"warmup_epochs must be shorter than the last stage ({last_stage}), "
                f"but got {recipe.warmup_epochs}."
            )
    if recipe.nesterov and recipe.optimizer != "sgd":
        yield f"nesterov belongs to sgd, but optimizer is {recipe.optimizer!r}."
    if recipe.stem == "cifar" and recipe.weights == "imagenet":
        yield (
            "stem='cifar' does not fit the imagenet weights: "
            "take weights='none' or a file trained with that stem."
        )


def _is_real(value: object, bound: str, low: float, high: float) -> bool:
    if type(value) not in (int, float):
        return False
    assert isinstance(value, int | float)
    above = low <= value if bound == "at least" else low < value
    return above and value < high
