"""Studies, as their files state them, and the presets that say how large to run them."""

from __future__ import annotations

import fnmatch
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from search_spaces.space import Arm, SearchSpace
from sweeps.records.score import SCORES, Asked
from trainables.metrics import TEST_ACCURACY
from trainables.problems import unknown_name


@dataclass(frozen=True, kw_only=True, slots=True)
class Contrast:
    """A comparison that is planned before the sweep.

    It is a weighted sum of the arms' scores on test, 0 where nothing differs.

    Attributes:
        name: Its name in the report.
        weights: By pattern of arms' names; the arms that match share a weight equally. Where a
            pattern matches none of the arms that a sweep has, the contrast is left out.

    Raises:
        ValueError: The weights do not sum to 0: the contrast would not be 0 where all arms are
            equal.
    """

    name: str
    weights: Mapping[str, float]

    def __post_init__(self) -> None:
        # A sum with NaN is not at most 1e-9 either.
        balanced = abs(sum(self.weights.values())) <= 1e-9
        if balanced and any(self.weights.values()):
            return
        given = [f"{pattern} {weight:g}" for pattern, weight in self.weights.items()]
        raise ValueError(
            "the weights of a contrast must sum to 0 and not all be 0, "
            f"but {self.name!r} has {', '.join(given) or 'none'}."
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """A number from a source text, beside which the report puts the sweep's own.

    Attributes:
        arm: The arm's name.
        value: As it was published.
        metric: As `trainables.metrics` names it.
        source: The text, with page or table.
    """

    arm: str
    value: float
    metric: str = TEST_ACCURACY
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Study:
    """One question, as a file directly in `sweeps/` asks it.

    Attributes:
        name: Name of the study, its MLflow experiment, and the beginning of its sweeps' names.
        question: What the arms are compared for.
        space: The arms: what is tuned, and what is fixed.
        trials_per_arm: Number of trials in the full preset.
        finalist_recipes: Number of recipes of each arm in the full preset, of the better half of its
            search, by which arms are compared: they take turns over the seeds.
        finalist_seeds: The most seeds in the full preset, each with its own train and val images:
            for each, every arm trains one of those recipes and its default; 0 has no finalists, and
            no scores on test.
        worth: The smallest difference between arms that matters, in points of the score.
        demo_arms: Pattern of the arms that the demo preset runs.
        score: The score that decides which epoch, trial and recipe is best; auto is accuracy where
            classes have about as many images in val, else balanced accuracy.
        asha: Stop the worse half of an arm's trials early.
        log_epochs: Show each epoch of the finalists.
        contrasts: The differences that are tested; all others are shown with their intervals alone.
        published: Numbers of the source texts.
        assumptions: One line per thing that the source texts leave open, or that is done otherwise
            here.
        presets: Sizes by name, where the study's differ from `PRESETS`.
        own_data: What `--data` must name, where a preset has no data (`data=""`).

    Raises:
        ValueError: One line for each contrast or published number that names no arm, for an unknown
            score, and for a number that cannot be.
    """

    name: str
    question: str
    space: SearchSpace
    trials_per_arm: int
    finalist_recipes: int = 5
    finalist_seeds: int = 10
    worth: float = 1.0
    demo_arms: str = "*"
    score: Asked = "auto"
    asha: bool = True
    log_epochs: bool = False
    contrasts: tuple[Contrast, ...] = ()
    published: tuple[Published, ...] = ()
    assumptions: tuple[str, ...] = ()
    presets: Mapping[str, Preset] = field(default_factory=lambda: PRESETS)
    own_data: str = ""

    def __post_init__(self) -> None:
        problems = list(_problems(self))
        if problems:
            raise ValueError("\n".join(problems))


def new_name(study: str) -> str:
    """Return a name that no other sweep of a study has."""
    return f"{study}-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"


def compares(contrasts: Sequence[Contrast], arms: Sequence[Arm]) -> bool:
    """Return whether a sweep with these arms compares any of them: all of a contrast's are there."""
    names = [arm.name for arm in arms]
    for contrast in contrasts:
        if all(fnmatch.filter(names, pattern) for pattern in contrast.weights):
            return True
    return False


def _problems(study: Study) -> Iterator[str]:
    """Yield a line for each name in a study that is not known."""
    arms = [arm.name for arm in study.space.grid()]
    for contrast in study.contrasts:
        what = f"pattern that matches an arm, in the contrast {contrast.name!r}"
        for pattern in contrast.weights:
            if not fnmatch.filter(arms, pattern):
                yield unknown_name(pattern, arms, what)
    for number in study.published:
        if number.arm not in arms:
            yield unknown_name(number.arm, arms, "arm", " of a published number")
    if study.score not in SCORES:
        yield unknown_name(study.score, SCORES, "score")
    if study.finalist_recipes < 1:
        yield f"finalist_recipes must be 1 or more, but got {study.finalist_recipes}."
    if not 0 < study.worth < 100:
        yield f"worth must be points over 0 and under 100, but got {study.worth:g}."


@dataclass(frozen=True, kw_only=True, slots=True)
class Preset:
    """The sizes of a sweep.

    Images per class are caps: a class that has fewer gives all it has, and
    `trainables.data.splits.EVERY` asks for every image.
    """

    image_size: int
    epochs: int
    batch_size: int
    # None: the study's own.
    trials_per_arm: int | None
    finalist_recipes: int | None
    finalist_seeds: int | None
    train_per_class: int
    val_per_class: int
    test_per_class: int
    # Empty: the user's own, by --data.
    data: str
    weights: str


PRESETS: dict[str, Preset] = {
    # A few real scans of digits, in minutes on any CPU, without a download. 60 steps in batches of
    # 10, and the best 5 of 12 recipes: with fewer, a bad one is among them, and there is no verdict.
    "demo": Preset(
        image_size=32,
        epochs=6,
        batch_size=10,
        trials_per_arm=12,
        finalist_recipes=5,
        finalist_seeds=5,
        train_per_class=20,
        val_per_class=25,
        test_per_class=70,
        data="digits",
        weights="digits-source",
    ),
    # Sizes that two cores can train: a fifth of the pixels, half of the epochs.
    "laptop": Preset(
        image_size=96,
        epochs=10,
        batch_size=256,
        trials_per_arm=5,
        finalist_recipes=3,
        finalist_seeds=3,
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
        finalist_recipes=None,
        finalist_seeds=None,
        train_per_class=100,
        val_per_class=100,
        test_per_class=1000,
        data="cifar10",
        weights="imagenet",
    ),
}
