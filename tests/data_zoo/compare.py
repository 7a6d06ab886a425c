"""Where a reading differs from the right one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tests.data_zoo.case import SHORT, Reads, Refused, Right
from tests.data_zoo.pictures import groups_of
from tests.data_zoo.reading import Reading, Refusal


def differences(got: Reading | Refusal, right: Right, data: str) -> list[str]:
    """All differences, one line each; none where the reading is right."""
    if isinstance(right, Refused):
        if isinstance(got, Reading):
            return [f"must be refused, but is read as {got.classes} with {_totals(got.counts)}"]
        return list(_of_refusals(got, right, data))
    if isinstance(got, Refusal):
        return [f"must be read as {right.classes}, but is refused: {' | '.join(got.lines)}"]
    return list(_of_readings(got, right, data))


def leaks(got: Reading) -> list[str]:
    """Pictures that two splits share, bit by bit."""
    seen = {name: {image.tobytes() for image in images} for name, images in got.images.items()}
    pairs = [("train", "val"), ("train", "test"), ("val", "test")] if seen else []
    shared = {pair: len(seen[pair[0]] & seen[pair[1]]) for pair in pairs}
    return [
        f"{first} and {second} share {count} pictures"
        for (first, second), count in shared.items()
        if count
    ]


def torn_groups(got: Reading) -> list[str]:
    """Groups that two splits share."""
    seen = {name: groups_of(images) for name, images in got.images.items()}
    pairs = [("train", "val"), ("train", "test"), ("val", "test")]
    return [
        f"{one} and {two} share groups {seen[one] & seen[two]}"
        for one, two in pairs
        if seen[one] & seen[two]
    ]


def used_of_parts(
    counts: Mapping[str, Mapping[str, int]], parts: tuple[str, ...]
) -> dict[str, int]:
    """Images used of each part that the layout gives, from those in each split."""
    total = _totals(counts)
    match parts:
        case ("train",):
            return {"train": sum(total.values())}
        case ("train", other):  # kept back as test; val is split from train
            return {"train": total["train"] + total["val"], other: total["test"]}
        case _:
            return {part: total[part] for part in parts}


def _of_refusals(got: Refusal, right: Refused, data: str) -> Iterator[str]:
    count = len("\n".join(got.lines).splitlines())
    if count > SHORT:
        first = got.lines[0]
        yield f"a refusal must have at most {SHORT} lines, but has {count}, such as {first!r}"
    yield from _unsaid(got.lines, (*right.says, *(mend.printed for mend in right.mends)), data)
    yield from (
        f"must not say {words!r}, but says: {got.lines}"
        for words in right.never
        if words in "\n".join(got.lines)
    )


def _of_readings(got: Reading, right: Reads, data: str) -> Iterator[str]:
    if sorted(got.classes) != sorted(right.classes):
        yield f"classes must be {right.classes}, but are {got.classes}"
    if (
        right.images is not None
        and (found := used_of_parts(got.counts, tuple(right.images))) != right.images
    ):
        yield f"images used must be {dict(right.images)}, but are {found} ({_totals(got.counts)})"
    yield from _unsaid(got.lines, right.says, data)
    if right.brightness is not None:
        low, high = right.brightness
        mean = float(got.images["train"].mean())
        if not low <= mean <= high:
            yield f"the mean of train's pixels must be {low} to {high}, but is {mean:.1f}"


def _unsaid(lines: tuple[str, ...], words: tuple[str, ...], data: str) -> Iterator[str]:
    """Texts that are not said.

    The path that the user passed counts as "{data}", for its folders have names too.
    """
    text = "\n".join(lines)
    text = text.replace(data, "{data}") if data.startswith("/") else text
    for some in words:
        if some.lower() not in text.lower():
            yield f"must say {some!r}, but says: {text or 'nothing'}"


def _totals(counts: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    return {split: sum(by_class.values()) for split, by_class in counts.items()}
