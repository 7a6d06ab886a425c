"""What a study varies: arms that are compared, dimensions that are tuned inside each arm, and everything that is fixed."""

from __future__ import annotations

import fnmatch
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from trainables.problems import unknown_name
from trainables.recipe import Recipe

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
    """One thing that is compared, with all that is tuned inside it.

    Attributes:
        name: Its values along the arm dimensions, joined by '/'.
        fixed: Values that all its recipes share, and those of tuned names while their condition does not hold.
        tuned: Its dimensions; a condition looks at what stands above it.
    """

    name: str
    fixed: Mapping[str, Value]
    tuned: Mapping[str, Dimension]

    def default_sample(self) -> dict[str, Value]:
        """Values of the tuned dimensions in the default recipe; those whose condition does not hold are left out."""
        return self.sample_with({})

    def recipe(self, sample: Mapping[str, Value]) -> Recipe:
        """The recipe of one sample of the tuned dimensions.

        Raises:
            ValueError: The values break a rule of the recipe.
        """
        return Recipe.from_sample({**self.fixed, **sample})

    def default_recipe(self) -> Recipe:
        """Trial 0 of the arm."""
        return self.recipe(self.default_sample())

    def sample_with(self, chosen: Mapping[str, Value]) -> dict[str, Value]:
        """The default sample with some values chosen; what they switch on or off follows."""
        sample: dict[str, Value] = {}
        for name, dim in self.tuned.items():
            if applies(dim, {**self.fixed, **sample}):
                sample[name] = chosen.get(name, dim.default)
        return sample

    def possible(self, name: str) -> tuple[Any, ...]:
        """Values that a recipe field can take in this arm; of a range its two ends."""
        dim, otherwise = self.tuned.get(name), (self.fixed.get(name, getattr(Recipe(), name)),)
        if dim is None:
            return otherwise
        return tuple(dict.fromkeys((*_ends(dim), *(otherwise if dim.when else ()))))


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
        problems = list(dict.fromkeys(_problems(self))) or list(
            dict.fromkeys(_recipe_problems(self))
        )
        if problems:
            raise ValueError("\n".join(problems))

    def grid(self) -> tuple[Arm, ...]:
        """All arms, the first dimension varying slowest."""
        return tuple(self._arm(names) for names in itertools.product(*self.arms.values()))

    def matching(self, pattern: str) -> tuple[Arm, ...]:
        """The arms whose name matches one of some shell patterns, such as `resnet18/*` or `resnet18/*,resnet34/*`.

        Raises:
            ValueError: A pattern matches no arm; the message lists them.
        """
        arms, patterns = self.grid(), [part.strip() for part in pattern.split(",")]
        idle = [
            part
            for part in patterns
            if not any(fnmatch.fnmatchcase(arm.name, part) for arm in arms)
        ]
        if idle:
            lines = (
                unknown_name(part, [arm.name for arm in arms], "pattern that matches an arm")
                for part in idle
            )
            raise ValueError("\n".join(lines))
        return tuple(
            arm for arm in arms if any(fnmatch.fnmatchcase(arm.name, part) for part in patterns)
        )

    def swept(self) -> frozenset[str]:
        """Recipe fields that are arms or tuned: no preset and no flag may set them."""
        variants = [dim for dim in self.arms.values() if isinstance(dim, Mapping)]
        inside = [
            name
            for dim in variants
            for variant in dim.values()
            for name in (*variant.fixed, *variant.tuned)
        ]
        plain = [name for name, dim in self.arms.items() if not isinstance(dim, Mapping)]
        return frozenset([*plain, *self.tuned, *inside])

    def with_fixed(self, **values: Value) -> SearchSpace:
        """Return the same space with other fixed values.

        Where `epochs` changes, stages and warm-up keep their share of it.

        Raises:
            ValueError: A name is swept.
        """
        swept = self.swept()
        varied = [f"{name}={value!r}" for name, value in values.items() if name in swept]
        if varied:
            raise ValueError(
                "a fixed value must be of a name that is not varied, "
                f"but got {', '.join(varied)}: leave it out."
            )
        before = int(self.fixed.get("epochs", Recipe().epochs))
        after = int(values.get("epochs", before))
        scaled = {
            name: dim
            if not isinstance(dim, Mapping)
            else {key: _scale_variant(v, before, after) for key, v in dim.items()}
            for name, dim in self.arms.items()
        }
        inner = _scale_variant(Variant(fixed=self.fixed, tuned=self.tuned), before, after)
        return SearchSpace(arms=scaled, tuned=inner.tuned, fixed={**inner.fixed, **values})

    def _arm(self, names: Sequence[Value]) -> Arm:
        fixed, tuned = dict(self.fixed), dict(self.tuned)
        for (dimension, values), name in zip(self.arms.items(), names, strict=True):
            if isinstance(values, Mapping):
                variant = values[str(name)]
                fixed |= variant.fixed
                tuned |= variant.tuned
            else:
                fixed[dimension] = name
        kept = {
            name: value for name, value in fixed.items() if name not in tuned or tuned[name].when
        }
        return Arm(name="/".join(map(str, names)), fixed=kept, tuned=tuned)


def _ends(dim: Dimension) -> tuple[Value, ...]:
    return dim.options if isinstance(dim, Choice) else (dim.low, dim.high)


def _scale_variant(variant: Variant, before: int, after: int) -> Variant:
    def scale(value: Any) -> Any:
        """A length that is not 0 stays at least 1, and shorter than the whole."""
        return max(1, min(round(value * after / before), after - 1)) if value else value

    def scale_dim(name: str, dim: Dimension) -> Dimension:
        when = {
            other: tuple(map(scale, v)) if other in EPOCH_FIELDS else v
            for other, v in dim.when.items()
        }
        dim = replace(dim, when=when)
        if name not in EPOCH_FIELDS or isinstance(dim, Float):
            return dim
        if isinstance(dim, Int):
            return replace(
                dim, low=scale(dim.low), high=scale(dim.high), default=scale(dim.default)
            )
        return replace(
            dim, options=tuple(dict.fromkeys(map(scale, dim.options))), default=scale(dim.default)
        )

    fixed = {
        name: scale(value) if name in EPOCH_FIELDS else value
        for name, value in variant.fixed.items()
    }
    return Variant(
        fixed=fixed, tuned={name: scale_dim(name, dim) for name, dim in variant.tuned.items()}
    )


def _problems(space: SearchSpace) -> Iterator[str]:
    known = Recipe.field_names()
    yield from (
        unknown_name(name, known, "recipe field, so it cannot be fixed")
        for name in space.fixed
        if name not in known
    )
    yield from _tuned_problems(space.tuned)
    yield from (
        f"a name has one role, but {n!r} is fixed and tuned."
        for n in space.tuned
        if n in space.fixed
    )
    if not space.arms or not all(space.arms.values()):
        yield "a space needs at least one arm dimension, each with at least one value; `find the best` has one arm too."
        return
    owners: dict[str, str] = {}
    for name, values in space.arms.items():
        yield from (
            _variant_problems(space, values)
            if isinstance(values, Mapping)
            else _arm_problems(space, name, values)
        )
        inside = (
            [n for v in values.values() for n in (*v.fixed, *v.tuned)]
            if isinstance(values, Mapping)
            else [name]
        )
        for n in dict.fromkeys(inside):
            if n in owners:
                yield f"a name has one role, but {n!r} is varied by {owners[n]} and by {name}."
            owners[n] = name
    for arm in space.grid():
        yield from _condition_problems(arm)


def _arm_problems(space: SearchSpace, name: str, values: Sequence[Value]) -> Iterator[str]:
    if name not in Recipe.field_names():
        yield unknown_name(name, Recipe.field_names(), "recipe field, so it cannot be an arm")
    if len(set(map(str, values))) != len(values):
        yield f"the values of an arm dimension must differ, but got {name} = {', '.join(map(str, values))}."
    roles = {"tuned": space.tuned, "fixed": space.fixed}
    yield from (
        f"a name has one role, but {name!r} is an arm and {role}."
        for role, names in roles.items()
        if name in names
    )


def _variant_problems(space: SearchSpace, variants: Mapping[str, Variant]) -> Iterator[str]:
    known = Recipe.field_names()
    for label, variant in variants.items():
        if not label or "/" in label:
            yield f"a variant's name must hold no '/' and not be empty, but got {label!r}."
        strange = [n for n in variant.fixed if n not in known]
        yield from (
            unknown_name(n, known, f"recipe field, so {label} cannot fix it") for n in strange
        )
        yield from _tuned_problems(variant.tuned)
        both = [n for n in variant.fixed if n in variant.tuned or n in space.tuned]
        yield from (f"a name has one role, but {n!r} is fixed and tuned in {label}." for n in both)


def _recipe_problems(space: SearchSpace) -> Iterator[str]:
    """Rules of the recipe that an arm's default breaks, or any two of its dimensions at their ends."""
    for arm in space.grid():
        ends = {name: _ends(dim) for name, dim in arm.tuned.items()}
        names = itertools.combinations_with_replacement(ends, 2)
        pairs = [
            {one: a, two: b}
            for one, two in names
            for a, b in itertools.product(ends[one], ends[two])
        ]
        for sample in ({}, *pairs):
            try:
                arm.recipe(arm.sample_with(sample))
            except ValueError as error:
                yield from (f"{arm.name}: {line}" for line in str(error).splitlines())


def _tuned_problems(tuned: Mapping[str, Dimension]) -> Iterator[str]:
    for name, dim in tuned.items():
        if name not in Recipe.field_names():
            yield unknown_name(name, Recipe.field_names(), "recipe field, so it cannot be tuned")
        if isinstance(dim, Choice):
            if dim.default not in dim.options:
                yield f"the default must be an option, but {name} has {dim.default!r} and {', '.join(map(repr, dim.options))}."
        elif not (
            math.isfinite(dim.low)
            and math.isfinite(dim.high)
            and dim.low <= dim.default <= dim.high
        ):
            yield f"low <= default <= high must hold, but {name} has {dim.low}, {dim.default}, {dim.high}."
        elif dim.log and dim.low <= 0:
            yield f"a log scale needs low > 0, but {name} has low={dim.low}."


def _condition_problems(arm: Arm) -> Iterator[str]:
    seen = [name for name in arm.fixed if name not in arm.tuned]
    for name, dim in arm.tuned.items():
        unmet = [other for other in dim.when if other not in seen]
        yield from (
            f"a condition must name a dimension above it, but {name} depends on {other!r}."
            for other in unmet
        )
        seen.append(name)
