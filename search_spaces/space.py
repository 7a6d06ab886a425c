"""What a study varies, and what not.

Arms are compared, dimensions are tuned inside each arm, and everything else is fixed.
"""

from __future__ import annotations

import fnmatch
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from trainables.problems import unknown_name
from trainables.recipe import Recipe

Value = str | int | float | bool
Condition = Mapping[str, Sequence[Value]]

EPOCH_FIELDS = ("stage1_epochs", "warmup_epochs")
"""Lengths that keep their share of `epochs` when a preset changes it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Float:
    """A real number in [low, high]; `log` draws it on a logarithmic scale.

    It is tuned only `when` other names have one of the values given there.
    """

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
    """Return whether a dimension's condition holds for the values chosen so far."""
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
        fixed: Values that all its recipes share, and those of tuned names while their condition
            does not hold.
        tuned: Its dimensions; a condition looks at what stands above it.
    """

    name: str
    fixed: Mapping[str, Value]
    tuned: Mapping[str, Dimension]

    def default_sample(self) -> dict[str, Value]:
        """Return the values of the tuned dimensions in the default recipe.

        Those whose condition does not hold are left out.
        """
        return self.sample_with({})

    def recipe(self, sample: Mapping[str, Value]) -> Recipe:
        """Return the recipe of one sample of the tuned dimensions.

        Raises:
            ValueError: The values break a rule of the recipe.
        """
        return Recipe.from_sample({**self.fixed, **sample})

    def default_recipe(self) -> Recipe:
        """Return the recipe of the arm's trial 0."""
        return self.recipe(self.default_sample())

    def sample_with(self, chosen: Mapping[str, Value]) -> dict[str, Value]:
        """Return the default sample with some values chosen; what they switch on or off follows."""
        sample: dict[str, Value] = {}
        for name, dim in self.tuned.items():
            if applies(dim, {**self.fixed, **sample}):
                sample[name] = chosen.get(name, dim.default)
        return sample

    def possible(self, name: str) -> tuple[Any, ...]:
        """Return the values that a recipe field can take in this arm; of a range its two ends."""
        otherwise = self.fixed.get(name, getattr(Recipe(), name))
        dim = self.tuned.get(name)
        if dim is None:
            return (otherwise,)
        values = list(_ends(dim))
        if dim.when:
            values.append(otherwise)
        return tuple(dict.fromkeys(values))


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchSpace:
    """The grid of arms, and the roles of all names that vary.

    Attributes:
        arms: For each arm dimension either values of that recipe field, or named variants.
        tuned: Tuned in every arm.
        fixed: Values that differ from the recipe's own defaults.

    Raises:
        ValueError: One line for each name that is no recipe field, has two roles, or has bounds
            that break a rule.
    """

    arms: Mapping[str, Sequence[Value] | Mapping[str, Variant]]
    tuned: Mapping[str, Dimension] = field(default_factory=dict)
    fixed: Mapping[str, Value] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Recipes can be made only of a space that is sound in itself.
        problems = list(_problems(self)) or list(_recipe_problems(self))
        if problems:
            raise ValueError("\n".join(dict.fromkeys(problems)))

    def grid(self) -> tuple[Arm, ...]:
        """Return all arms, the first dimension varying slowest."""
        return tuple(self._arm(names) for names in itertools.product(*self.arms.values()))

    def matching(self, pattern: str) -> tuple[Arm, ...]:
        """Return the arms whose name matches one of some shell patterns, in the grid's order.

        Args:
            pattern: Such as `resnet18/*` or `resnet18/*,resnet34/*`.

        Raises:
            ValueError: A pattern matches no arm; the message lists them.
        """
        arms = {arm.name: arm for arm in self.grid()}
        matching: set[str] = set()
        problems: list[str] = []
        for part in pattern.split(","):
            names = [name for name in arms if fnmatch.fnmatchcase(name, part.strip())]
            matching.update(names)
            if not names:
                problems.append(unknown_name(part.strip(), arms, "arm pattern"))
        if problems:
            raise ValueError("\n".join(problems))
        return tuple(arm for name, arm in arms.items() if name in matching)

    def swept(self) -> frozenset[str]:
        """Return the recipe fields that are arms or tuned: no preset and no flag may set them."""
        names = set(self.tuned)
        for dimension, values in self.arms.items():
            names.update(_varied(dimension, values))
        return frozenset(names)

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
        arms = dict(self.arms)
        for name, variants in self.arms.items():
            if isinstance(variants, Mapping):
                arms[name] = {key: _scaled(v, before, after) for key, v in variants.items()}
        outside = _scaled(Variant(fixed=self.fixed, tuned=self.tuned), before, after)
        return SearchSpace(arms=arms, tuned=outside.tuned, fixed={**outside.fixed, **values})

    def _arm(self, names: Sequence[Value]) -> Arm:
        fixed = dict(self.fixed)
        tuned = dict(self.tuned)
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
    if isinstance(dim, Choice):
        return dim.options
    return dim.low, dim.high


def _varied(dimension: str, values: Sequence[Value] | Mapping[str, Variant]) -> list[str]:
    """Return the recipe fields that an arm dimension varies, each once."""
    if not isinstance(values, Mapping):
        return [dimension]
    names: list[str] = []
    for variant in values.values():
        names += [*variant.fixed, *variant.tuned]
    return list(dict.fromkeys(names))


# Other epochs


def _scaled(variant: Variant, before: int, after: int) -> Variant:
    """Let the lengths of a variant keep their share of the epochs."""
    fixed = dict(variant.fixed)
    for name in EPOCH_FIELDS:
        if name in fixed:
            fixed[name] = _scaled_length(fixed[name], before, after)
    tuned = {name: _scaled_dim(name, dim, before, after) for name, dim in variant.tuned.items()}
    return Variant(fixed=fixed, tuned=tuned)


def _scaled_dim(name: str, dim: Dimension, before: int, after: int) -> Dimension:
    scale = partial(_scaled_length, before=before, after=after)
    when = dict(dim.when)
    for other in EPOCH_FIELDS:
        if other in when:
            when[other] = tuple(map(scale, when[other]))
    dim = replace(dim, when=when)
    if name not in EPOCH_FIELDS or isinstance(dim, Float):
        return dim
    if isinstance(dim, Int):
        return replace(dim, low=scale(dim.low), high=scale(dim.high), default=scale(dim.default))
    options = tuple(dict.fromkeys(map(scale, dim.options)))
    return replace(dim, options=options, default=scale(dim.default))


def _scaled_length(value: Any, before: int, after: int) -> Any:
    """Scale a number of epochs: one that is not 0 stays at least 1, and shorter than the whole."""
    if not value:
        return value
    return max(1, min(round(value * after / before), after - 1))


# Rules


def _problems(space: SearchSpace) -> Iterator[str]:
    yield from _unknown(space.fixed, "be fixed")
    yield from _tuned_problems(space.tuned)
    for name in space.tuned:
        if name in space.fixed:
            yield f"a name has one role, but {name!r} is fixed and tuned."
    if not space.arms or not all(space.arms.values()):
        yield (
            "a space needs at least one arm dimension, each with at least one value; "
            "`find the best` has one arm too."
        )
        return
    # The arm dimensions, and what each of them varies.
    owners: dict[str, str] = {}
    for dimension, values in space.arms.items():
        if isinstance(values, Mapping):
            yield from _variant_problems(space, values)
        else:
            yield from _arm_problems(space, dimension, values)
        for name in _varied(dimension, values):
            if name in owners:
                yield (
                    f"a name has one role, but {name!r} is varied by {owners[name]} "
                    f"and by {dimension}."
                )
            owners[name] = dimension
    for arm in space.grid():
        yield from _condition_problems(arm)


def _unknown(names: Iterable[str], role: str, subject: str = "it") -> Iterator[str]:
    known = Recipe.field_names()
    for name in names:
        if name not in known:
            yield unknown_name(name, known, "recipe field", f", so {subject} cannot {role}")


def _arm_problems(space: SearchSpace, name: str, values: Sequence[Value]) -> Iterator[str]:
    yield from _unknown([name], "be an arm")
    if len(set(map(str, values))) != len(values):
        shown = ", ".join(map(str, values))
        yield f"the values of an arm dimension must differ, but got {name} = {shown}."
    for role, names in (("tuned", space.tuned), ("fixed", space.fixed)):
        if name in names:
            yield f"a name has one role, but {name!r} is an arm and {role}."


def _variant_problems(space: SearchSpace, variants: Mapping[str, Variant]) -> Iterator[str]:
    for label, variant in variants.items():
        if not label or "/" in label:
            yield f"a variant's name must hold no '/' and not be empty, but got {label!r}."
        yield from _unknown(variant.fixed, "fix it", label)
        yield from _tuned_problems(variant.tuned)
        for name in variant.fixed:
            if name in variant.tuned or name in space.tuned:
                yield f"a name has one role, but {name!r} is fixed and tuned in {label}."


def _recipe_problems(space: SearchSpace) -> Iterator[str]:
    """Yield the recipe's rules that an arm's default breaks, or two dimensions at their ends."""
    for arm in space.grid():
        for sample in _corners(arm):
            try:
                arm.recipe(arm.sample_with(sample))
            except ValueError as error:
                for line in str(error).splitlines():
                    yield f"{arm.name}: {line}"


def _corners(arm: Arm) -> Iterator[dict[str, Value]]:
    """Yield the default sample's changes: none, and each two dimensions at each of their ends."""
    yield {}
    for one, two in itertools.combinations_with_replacement(arm.tuned, 2):
        for a, b in itertools.product(_ends(arm.tuned[one]), _ends(arm.tuned[two])):
            yield {one: a, two: b}


def _tuned_problems(tuned: Mapping[str, Dimension]) -> Iterator[str]:
    yield from _unknown(tuned, "be tuned")
    for name, dim in tuned.items():
        if isinstance(dim, Choice):
            if dim.default not in dim.options:
                options = ", ".join(map(repr, dim.options))
                got = f"{dim.default!r} and {options}"
                yield f"the default must be an option, but {name} has {got}."
            continue
        finite = math.isfinite(dim.low) and math.isfinite(dim.high)
        if not (finite and dim.low <= dim.default <= dim.high):
            yield (
                f"low <= default <= high must hold, but {name} has "
                f"{dim.low}, {dim.default}, {dim.high}."
            )
        elif dim.log and dim.low <= 0:
            yield f"a log scale needs low > 0, but {name} has low={dim.low}."


def _condition_problems(arm: Arm) -> Iterator[str]:
    seen = [name for name in arm.fixed if name not in arm.tuned]
    for name, dim in arm.tuned.items():
        for other in dim.when:
            if other not in seen:
                yield (
                    f"a condition must name a dimension above it, but {name} depends on {other!r}."
                )
        seen.append(name)
