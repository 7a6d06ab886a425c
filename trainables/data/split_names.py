"""The split that a folder's name means: `Training`, `test_set`, `seg_train`, `valid` and others."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from trainables.data.listing import SPLITS, SplitName

_ROLE = re.compile(
    r"(?:(?P<train>train(?:ing)?(?:val(?:id(?:ation)?)?)?)"
    r"|(?P<val>val(?:id(?:ation)?)?|dev|development|eval(?:uation)?)"
    r"|(?P<test>test(?:ing)?))"
    r"(?:set|data|images|imgs|imagery|folder|split|pics|photos|samples)?(?P<year>\d*)"
)
_FILLERS = frozenset((
    "set", "data", "dataset", "images", "image", "imgs", "img", "folder", "split", "pics", "photos",
    "samples", "the",
))  # fmt: skip
_UNLABELLED = frozenset((
    "pred", "prediction", "predictions", "predict", "unlabeled", "unlabelled", "unlabel", "unsup",
    "unsupervised", "unknown", "extra", "inference", "submission", "holdout",
))  # fmt: skip


def splits_of(names: Iterable[str]) -> Mapping[str, SplitName]:
    """Return the split that each name means, of those that mean one.

    What a name says beside its split must be the same in all of them (`seg_train`, `seg_test`), so
    that `train station` and `test tube` are no splits.
    """
    roles = _roles(names)
    rests = Counter(rest for _, rest in roles.values())
    if not rests:
        return {}
    common = rests.most_common(1)[0][0]
    # A single `train station` is none.
    if common and rests[common] < 2:
        return {}
    return {name: split for name, (split, rest) in roles.items() if rest == common}


def in_each_name(names: Sequence[str]) -> bool:
    """Return whether class names tell splits: `cat_train`, `cat_test`, `dog_train`, `dog_test`."""
    roles = _roles(names)
    if len(names) < 4 or not all(name in roles for name in names):
        return False
    # The other words are the classes, each of which must have train and more.
    splits: dict[tuple[str, ...], set[SplitName]] = {}
    for split, rest in roles.values():
        splits.setdefault(rest, set()).add(split)
    return len(splits) > 1 and all("train" in some and len(some) > 1 for some in splits.values())


def means_unlabelled(name: str) -> bool:
    """Return whether a name says that what is below it has no labels: `seg_pred`, `extra`."""
    return bool(_UNLABELLED.intersection(_words(name)))


Role = tuple[SplitName, tuple[str, ...]]
"""A split, and the other words of a name."""


def _roles(names: Iterable[str]) -> dict[str, Role]:
    """Return the roles of the names that have one."""
    roles = {}
    for name in names:
        role = _role(name)
        if role:
            roles[name] = role
    return roles


def _role(name: str) -> Role | None:
    """Return a name's role; None where it names no split, or two."""
    words = _words(name)
    matches = list(filter(None, map(_ROLE.fullmatch, words)))
    if len(matches) != 1:
        return None
    match = matches[0]
    # What is left beside the split, fillers and numbers for the order.
    rest = [word for word in words if not (word == match[0] or word in _FILLERS or _is_order(word))]
    if match["year"] and not _is_order(match["year"]):
        rest.append(match["year"])
    return next(split for split in SPLITS if match[split]), tuple(rest)


def _is_order(word: str) -> bool:
    """Return whether a word only says which folder comes first: `01_train`, `02_test`."""
    return word.isdecimal() and len(word) < 3


def _words(name: str) -> list[str]:
    """Return the words of a name in lower case.

    They are parted by what is no letter or digit, and by capitals (`TrainSet`).
    """
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return re.findall(r"[^\W_]+", parted.casefold())
