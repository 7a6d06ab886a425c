"""State dicts inside checkpoints: where a backbone's tensors are, and what is beside them.

A wrapper, `{"state_dict": {...}}`, and a prefix, `module.conv1.weight`, are the same thing once
nested names are joined by dots. No list of either is needed: the prefix is the one under which the
backbone's own names are found.
"""

from __future__ import annotations

import re
import reprlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

DEPTH = 8  # of nested dicts; nobody wraps more often, and names of hostile files stay short

PREFERRED = ("ema", "swa", "teacher", "encoder_q", "online")
"""Where several networks fit: the one that the authors of such checkpoints evaluate (timm's
averages, DINO, MoCo, BYOL)."""

_SHORT = reprlib.Repr()
_SHORT.maxstring = 90


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """The tensors of one network in a file.

    Attributes:
        prefix: What its names begin with in the file: "" or a dotted prefix with its last dot.
        state: Its tensors by their names without the prefix.
        whole: Whether all that is needed is there. If not, `state` is what comes nearest, with all
            that is beside it.
        passed_over: Modules of the file that are not taken, the network's own head apart.
    """

    prefix: str
    state: dict[str, Tensor]
    whole: bool
    passed_over: tuple[str, ...]


def flatten(content: object) -> dict[str, Tensor]:
    """Return the tensors of nested dicts by their keys joined by dots.

    Whatever else is in there is passed over.
    """
    # Level by level, so that of two equal names the shallower one counts.
    tensors: dict[str, Tensor] = {}
    level = [("", content)]
    seen: set[int] = set()
    for _ in range(DEPTH):
        deeper: list[tuple[str, object]] = []
        for prefix, mapping in level:
            if not isinstance(mapping, Mapping) or id(mapping) in seen:
                continue
            seen.add(id(mapping))
            for key, value in mapping.items():
                if isinstance(key, str) and isinstance(value, Tensor):
                    tensors.setdefault(prefix + key, value)
                elif isinstance(key, str):
                    deeper.append((f"{prefix}{key}.", value))
        level = deeper
    return tensors


def find(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], head: str) -> Found:
    """Find the network in a file whose names, behind one prefix, and shapes are as expected.

    Args:
        tensors: Of a file, by their dotted names.
        expected: What must be there, by name.
        head: First part of the names of the network's head, which is never taken.

    Raises:
        ValueError: Several networks fit, and nothing says which one is meant.
    """
    # What comes nearest, where nothing fits: the most names, behind the shortest prefix.
    counts = _prefixes(tensors, expected)
    whole = _whole(tensors, expected, counts)
    if not whole:
        nearest = max(counts, key=lambda prefix: (counts[prefix], -len(prefix)), default="")
        return Found(prefix=nearest, state=_under(tensors, nearest), whole=False, passed_over=())
    prefix = _choose(whole, tensors, expected)
    under = _under(tensors, prefix)
    state = {name: under[name] for name in expected if name in under}
    # What is beside the network, by module; a dict keeps each once, in order.
    modules: dict[str, None] = {}
    for key in tensors:
        taken = key.startswith(prefix) and key.removeprefix(prefix) in state
        if not taken and not key.startswith(f"{prefix}{head}."):
            modules[_module_beside(key, prefix)] = None
    return Found(prefix=prefix, state=state, whole=True, passed_over=tuple(modules))


def fits(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> bool:
    """Return whether a file holds a network with these names and shapes."""
    return bool(_whole(tensors, expected, _prefixes(tensors, expected)))


def is_needed(name: str) -> bool:
    """Return whether a network cannot do without a tensor.

    Files from before PyTorch 0.4.1 lack `num_batches_tracked`; nothing reads it at the default
    momentum.
    """
    return not name.endswith("num_batches_tracked")


def listed(names: Iterable[object]) -> str:
    """Return the first three names, each of at most 90 characters, and how many more there are."""
    names = list(names)
    shown = ", ".join(map(_SHORT.repr, names[:3]))
    if len(names) > 3:
        shown += f" and {len(names) - 3} more"
    return shown


def _prefixes(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> Counter[str]:
    """Count the expected names that are found behind each prefix."""
    lengths = sorted({name.count(".") for name in expected})
    counts: Counter[str] = Counter()
    for key in tensors:
        for dots in lengths:
            # `layer1.0.conv1.weight` of `module.layer1.0.conv1.weight`, for 3 dots
            name = ".".join(key.rsplit(".", dots + 1)[-dots - 1 :])
            prefix = key[: len(key) - len(name)]
            if name in expected and (not prefix or prefix.endswith(".")):
                counts[prefix] += 1
    return counts


def _whole(
    tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], counts: Mapping[str, int]
) -> list[str]:
    """Return the prefixes behind which the whole network is."""
    needed = sum(map(is_needed, expected))
    # The counts are cheap, and leave few prefixes to look at.
    enough = [prefix for prefix, count in counts.items() if count >= needed]
    return [prefix for prefix in enough if _is_whole(tensors, expected, prefix)]


def _is_whole(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], prefix: str) -> bool:
    """Return whether all needed tensors are there in their shapes.

    Their modules must hold no others, as a deeper network's do.
    """
    for name, wanted in expected.items():
        tensor = tensors.get(prefix + name)
        if tensor is None:
            if is_needed(name):
                return False
        elif tensor.shape != wanted.shape:
            return False
    modules = {name.partition(".")[0] for name in expected}
    under = _under(tensors, prefix)
    return all(name in expected or name.partition(".")[0] not in modules for name in under)


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key[len(prefix) :]: value for key, value in tensors.items() if key.startswith(prefix)}


def _choose(
    whole: Sequence[str], tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor]
) -> str:
    first, *others = whole
    if all(_same(tensors, expected, first, other) for other in others):
        return first
    # The same network twice is one.
    for word in PREFERRED:
        named = [prefix for prefix in whole if re.search(rf"(^|[._]){word}[._]", prefix)]
        if len(named) == 1:
            return named[0]
    raise ValueError(f"{len(whole)} do, under {listed(whole)}")


def _same(
    tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], one: str, other: str
) -> bool:
    needed = filter(is_needed, expected)
    return all(torch.equal(tensors[one + name], tensors[other + name]) for name in needed)


def _module_beside(key: str, prefix: str) -> str:
    """Return the part of a key up to where it leaves the prefix.

    That is `model.head` of `model.head.weight` beside `model.backbone.`.
    """
    parts = key.split(".")
    shared = 0
    for part, other in zip(parts, prefix.split(".")[:-1], strict=False):
        if part != other:
            break
        shared += 1
    return ".".join(parts[: shared + 1])
