"""What a study varies: arms that are compared, dimensions that are tuned inside each arm, and everything that is fixed."""

from __future__ import annotations

import fnmatch
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from trainables.recipe import Recipe, unknown_name

Value = str | int | float | bool
Condition = Mapping[str, Sequence[Value]]

EPOCH_FIELDS = ("stage1_epochs", "warmup_epochs")
"""Lengths that keep their share of `epochs` when a preset changes it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Float:
    """A real number in [low, high]; `log` draws it on a logarithmic scale. `when`: only with these values of other names."""

    low: float
    high: float
    default: float
    log: bool = False
    when: Condition = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Int:
    """A whole number from low to high, both included."""

    low: int
    high: int
    default: int
    log: bool = False
    when: Condition = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """One of some values without an order."""

    options: tuple[Value, ...]
    default: Value
    when: Condition = field(default_factory=dict)


Dimension = Float | Int | Choice


def applies(dim: Dimension, chosen: Mapping[str, Value]) -> bool:
    """Whether a dimension's condition holds for the values chosen so far."""
    return all(name in chosen and chosen[name] in values for name, values in dim.when.items())


@dataclass(frozen=True, kw_only=True, slots=True)
class Variant:
    """One value of an arm dimension that changes several recipe fields at once."""

    fixed: Mapping[str, Value] = field(default_factory=dict)
    tuned: Mapping[str, Dimension] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Arm:
    """One thing that is compared, with all that is tuned inside it."""

    name: str
    fixed: Mapping[str, Value]
    tuned: Mapping[str, Dimension]

    def default_sample(self) -> dict[str, Value]:
        """Values of the tuned dimensions in the default recipe; those whose condition does not hold are left out."""
        sample: dict[str, Value] = {}
        for name, dim in self.tuned.items():
            if applies(dim, {**self.fixed, **sample}):
                sample[name] = dim.default
        return sample

    def recipe(self, sample: Mapping[str, Value]) -> Recipe:
        """The recipe of one sample of the tuned dimensions.

        Raises:
            ValueError: The values break a rule of the recipe.
        """
        return Recipe.from_sample({**self.fixed, **sample})

    def default_recipe(self) -> Recipe:
        """Trial 0 of the arm."""
        return self.recipe(self.default_sample())

    def longest_stage1(self) -> int:
        """Stage-1 epochs of the recipe with the longest stage 1."""
        dim = self.tuned.get("stage1_epochs", self.fixed.get("stage1_epochs", 0))
        if isinstance(dim, Choice):
            return max(int(option) for option in dim.options)
        return int(dim.high if isinstance(dim, Int | Float) else dim)


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchSpace:
    """The grid of arms, and the roles of all names that vary.

    Attributes:
        arms: For each arm dimension either values of that recipe field, or named variants.
        tuned: Tuned in every arm.
        fixed: Values that differ from the recipe's own defaults.

    Raises:
        ValueError: One line for each name that is no recipe field, has two roles, or has bounds that break a rule.
    """

    arms: Mapping[str, Sequence[Value] | Mapping[str, Variant]]
    tuned: Mapping[str, Dimension] = field(default_factory=dict)
    fixed: Mapping[str, Value] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if problems := list(dict.fromkeys(_problems(self))):
            raise ValueError("\n".join(problems))

    def grid(self) -> tuple[Arm, ...]:
        """All arms, the first dimension varying slowest."""
        return tuple(self._arm(names) for names in itertools.product(*self.arms.values()))

    def matching(self, pattern: str) -> tuple[Arm, ...]:
        """The arms whose name matches one of some shell patterns, such as `resnet18/*` or `resnet18/*,resnet34/*`.

        Raises:
            ValueError: No arm does; the message lists them.
        """
        patterns = [part.strip() for part in pattern.split(",")]
        if chosen := tuple(arm for arm in self.grid() if any(fnmatch.fnmatchcase(arm.name, part) for part in patterns)):
            return chosen
        raise ValueError(unknown_name(pattern, [arm.name for arm in self.grid()], "pattern that matches an arm"))

    def swept(self) -> frozenset[str]:
        """Recipe fields that are arms or tuned: no preset and no flag may set them."""
        variants = [dim for dim in self.arms.values() if isinstance(dim, Mapping)]
        inside = [name for dim in variants for variant in dim.values() for name in (*variant.fixed, *variant.tuned)]
        plain = [name for name, dim in self.arms.items() if not isinstance(dim, Mapping)]
        return frozenset([*plain, *self.tuned, *inside])

    def with_fixed(self, **values: Value) -> SearchSpace:
        """The same space with other fixed values; where `epochs` changes, stages and warm-up keep their share of it."""
        kept = {name: value for name, value in values.items() if name not in self.swept()}
        before = self.fixed.get("epochs", Recipe().epochs)
        share = float(kept.get("epochs", before)) / float(before)
        scaled = {
            name: dim if not isinstance(dim, Mapping) else {key: _scale_variant(v, share) for key, v in dim.items()}
            for name, dim in self.arms.items()
        }
        inner = _scale_variant(Variant(fixed=self.fixed, tuned=self.tuned), share)
        return SearchSpace(arms=scaled, tuned=inner.tuned, fixed={**inner.fixed, **kept})

    def _arm(self, names: Sequence[Value]) -> Arm:
        fixed, tuned = dict(self.fixed), dict(self.tuned)
        for (dimension, values), name in zip(self.arms.items(), names, strict=True):
            if isinstance(values, Mapping):
                variant = values[str(name)]
                fixed |= variant.fixed
                tuned |= variant.tuned
            else:
                fixed[dimension] = name
        kept = {name: value for name, value in fixed.items() if name not in tuned}
        return Arm(name="/".join(map(str, names)), fixed=kept, tuned=tuned)


def _scale_variant(variant: Variant, share: float) -> Variant:
    fixed = {name: _scale(value, share) if name in EPOCH_FIELDS else value for name, value in variant.fixed.items()}
    tuned: dict[str, Dimension] = {}
    for name, dim in variant.tuned.items():
        if name not in EPOCH_FIELDS or isinstance(dim, Float):
            tuned[name] = dim
        elif isinstance(dim, Int):
            tuned[name] = replace(
                dim, low=_scale(dim.low, share), high=_scale(dim.high, share), default=_scale(dim.default, share)
            )
        else:
            options = tuple(dict.fromkeys(_scale(option, share) for option in dim.options))
            tuned[name] = replace(dim, options=options, default=_scale(dim.default, share))
    return Variant(fixed=fixed, tuned=tuned)


def _scale(epochs: Any, share: float) -> int:
    """A length that is not 0 stays at least 1."""
    return max(1, round(epochs * share)) if epochs else 0


def _problems(space: SearchSpace) -> Iterator[str]:
    known = Recipe.field_names()
    yield from (unknown_name(name, known, "recipe field, so it cannot be fixed") for name in space.fixed if name not in known)
    yield from _tuned_problems(space.tuned, space.fixed)
    if not space.arms or not all(space.arms.values()):
        yield "a space needs at least one arm dimension, each with at least one value; `find the best` has one arm too."
        return
    for name, values in space.arms.items():
        if isinstance(values, Mapping):
            for label, variant in values.items():
                if not label or "/" in label:
                    yield f"a variant's name must hold no '/', but got {label!r}."
                strange = [n for n in variant.fixed if n not in known]
                yield from (unknown_name(n, known, f"recipe field, so {label} cannot fix it") for n in strange)
                yield from _tuned_problems(variant.tuned, {**space.fixed, **variant.fixed})
                both = [n for n in variant.tuned if n in variant.fixed]
                yield from (f"a name has one role, but {n!r} is fixed and tuned in {label}." for n in both)
        else:
            if name not in known:
                yield unknown_name(name, known, "recipe field, so it cannot be an arm")
            if len(set(values)) != len(values):
                yield f"the values of an arm dimension must differ, but got {name} = {', '.join(map(str, values))}."
            if name in space.tuned:
                yield f"a name has one role, but {name!r} is an arm and tuned."


def _tuned_problems(tuned: Mapping[str, Dimension], fixed: Mapping[str, Value]) -> Iterator[str]:
    seen: list[str] = [*fixed]
    for name, dim in tuned.items():
        if name not in Recipe.field_names():
            yield unknown_name(name, Recipe.field_names(), "recipe field, so it cannot be tuned")
        if isinstance(dim, Choice):
            if dim.default not in dim.options:
                yield f"the default must be an option, but {name} has {dim.default!r} and {', '.join(map(repr, dim.options))}."
        elif not (math.isfinite(dim.low) and math.isfinite(dim.high) and dim.low <= dim.default <= dim.high):
            yield f"low <= default <= high must hold, but {name} has {dim.low}, {dim.default}, {dim.high}."
        elif dim.log and dim.low <= 0:
            yield f"a log scale needs low > 0, but {name} has low={dim.low}."
        unmet = [other for other in dim.when if other not in seen]
        yield from (f"a condition must name a dimension above it, but {name} depends on {other!r}." for other in unmet)
        seen.append(name)
