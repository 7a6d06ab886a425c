"""Which split a folder's name means: `Training`, `test_set`, `seg_train`, `valid` and their like."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from trainables.data.listing import SplitName

_ROLE = re.compile(
    r"(?:(?P<train>train(?:ing)?(?:val(?:id(?:ation)?)?)?)|(?P<val>val(?:id(?:ation)?)?|dev|development|eval(?:uation)?)|(?P<test>test(?:ing)?))"
    r"(?:set|data|images|imgs|imagery|folder|split|pics|photos|samples)?(?P<year>\d*)"
)
_FILLERS = frozenset(
    {
        "set",
        "data",
        "dataset",
        "images",
        "image",
        "imgs",
        "img",
        "folder",
        "split",
        "pics",
        "photos",
        "samples",
        "the",
    }
)
_UNLABELLED = frozenset(
    {
        "pred",
        "prediction",
        "predictions",
        "predict",
        "unlabeled",
        "unlabelled",
        "unlabel",
        "unsup",
        "unsupervised",
        "unknown",
    }
    | {"extra", "inference", "submission", "holdout"}
)


def splits_of(names: Iterable[str]) -> Mapping[str, SplitName]:
    """The split that each name means, of those that mean one.

    What a name says beside its split must be the same in all of them (`seg_train`, `seg_test`), so that `train station` and
    `test tube` are no splits.
    """
    found = {name: role for name in names if (role := _role(name))}
    rests = Counter(rest for _, rest in found.values())
    if not rests:
        return {}
    common = rests.most_common(1)[0][0]
    if common and rests[common] < 2:
        return {}  # a single `train station`
    return {name: split for name, (split, rest) in found.items() if rest == common}


def in_each_name(names: Iterable[str]) -> bool:
    """Whether splits are told in the names of classes: `cat_train`, `cat_test`, `dog_train`, `dog_test`."""
    found = [_role(name) for name in names]
    if len(found) < 4 or None in found:
        return False
    splits: dict[tuple[str, ...], set[SplitName]] = {}
    for role in found:
        if role is not None:
            splits.setdefault(role[1], set()).add(role[0])
    return len(splits) > 1 and all(
        "train" in of_rest and len(of_rest) > 1 for of_rest in splits.values()
    )


def means_unlabelled(name: str) -> bool:
    """Whether a name says that what is below it has no labels: `seg_pred`, `extra`."""
    return bool(_UNLABELLED.intersection(_words(name)))


def _role(name: str) -> tuple[SplitName, tuple[str, ...]] | None:
    """A split, and the other words of a name; None where it names none, or two."""
    words = _words(name)
    matches = [match for word in words if (match := _ROLE.fullmatch(word))]
    if len(matches) != 1:
        return None
    match = matches[0]
    rest = [
        word for word in words if word != match[0] and word not in _FILLERS and not _is_order(word)
    ]
    if match["year"] and not _is_order(match["year"]):
        rest.append(match["year"])
    splits: tuple[SplitName, ...] = ("train", "val", "test")
    return next(split for split in splits if match[split]), tuple(rest)


def _is_order(word: str) -> bool:
    """Whether a word only says which folder comes first: `01_train`, `02_test`."""
    return word.isdecimal() and len(word) < 3


def _words(name: str) -> list[str]:
    """The words of a name in lower case, parted by what is no letter or digit and by capitals (`TrainSet`)."""
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return re.findall(r"[^\W_]+", parted.casefold())
