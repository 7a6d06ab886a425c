"""What a study file states, and the presets that say how large to run it."""

from __future__ import annotations

from dataclasses import dataclass

from search_spaces.space import SearchSpace


@dataclass(frozen=True, kw_only=True, slots=True)
class Sweep:
    """One question, as a file directly in `sweeps/` asks it.

    Attributes:
        name: Of the study; the MLflow experiment and the sweeps' names begin with it.
        question: What the arms are compared for.
        space: Arms, tuned and fixed.
        trials_per_arm: Of the full preset.
        demo_arms: Pattern of the arms that the demo preset runs.
        asha: Stop the worse half of an arm's trials early.
    """

    name: str
    question: str
    space: SearchSpace
    trials_per_arm: int
    demo_arms: str = "*"
    asha: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Preset:
    """Sizes. Images a class are caps: a class that has fewer gives all."""

    image_size: int
    epochs: int
    batch_size: int
    trials_per_arm: int | None  # None: the study's own
    train_per_class: int
    val_per_class: int
    test_per_class: int
    data: str
    weights: str


PRESETS = {
    # A few real scans of digits, in minutes on any CPU, without a download. 4 steps an epoch, as in the articles.
    "demo": Preset(
        image_size=32,
        epochs=6,
        batch_size=25,
        trials_per_arm=3,
        train_per_class=20,
        val_per_class=30,
        test_per_class=30,
        data="digits",
        weights="digits-source",
    ),
    # Sizes that two cores can train: a fifth of the pixels, half of the epochs.
    "laptop": Preset(
        image_size=96,
        epochs=10,
        batch_size=256,
        trials_per_arm=4,
        train_per_class=100,
        val_per_class=100,
        test_per_class=100,
        data="cifar10",
        weights="imagenet",
    ),
    # The articles' own sizes.
    "full": Preset(
        image_size=224,
        epochs=20,
        batch_size=256,
        trials_per_arm=None,
        train_per_class=100,
        val_per_class=100,
        test_per_class=1000,
        data="cifar10",
        weights="imagenet",
    ),
}
