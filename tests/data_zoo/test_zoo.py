"""Every case of the zoo is read rightly, or refused in a few lines with a mend that works."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.data_zoo.case import Case, Mend, Refused
from tests.data_zoo.compare import differences, leaks, torn_groups
from tests.data_zoo.mends import commands
from tests.data_zoo.pictures import picture
from tests.data_zoo.reading import Reading, Refusal, reading, reading_of

KINDS = sorted(path.stem for path in Path(__file__).parent.glob("cases_*.py"))
CASES: tuple[Case, ...] = tuple(
    case for kind in KINDS for case in importlib.import_module(f"tests.data_zoo.{kind}").CASES
)
TYPED = [
    (case, mend)
    for case in CASES
    for right in case.rights
    if isinstance(right, Refused)
    for mend in right.mends
    if mend.reads is not None
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_data_is_read_as_it_should_be(case: Case, tmp_path: Path) -> None:
    data = case.make(tmp_path)
    assert _made(data, tmp_path)
    got = reading_of(case, data, tmp_path / "cache")
    wrong = [differences(got, right, data) for right in case.rights]
    assert [] in wrong, "\n or: ".join(map("\n".join, wrong))
    if isinstance(got, Reading):
        assert not leaks(got) or case.flags.get("keep_copies")
        assert not case.grouped or not torn_groups(got)
        return
    for path, flags in commands(got.lines, data):
        after = reading(path, {**case.flags, **flags}, tmp_path / "cache", decode=case.decode)
        assert isinstance(after, Reading), (
            f"{got.lines} ask for {flags or path}, which is refused: {after.lines}"
        )


@pytest.mark.parametrize(
    ("case", "mend"), TYPED, ids=[f"{case.name}-{mend.printed}" for case, mend in TYPED]
)
def test_a_mend_that_is_printed_works_when_it_is_typed(
    case: Case, mend: Mend, tmp_path: Path
) -> None:
    data = str(Path(case.make(tmp_path)) / mend.data)
    got = reading(data, {**case.flags, **mend.flags}, tmp_path / "cache")
    assert mend.reads is not None
    assert differences(got, mend.reads, data) == []


def test_names_are_unique_and_there_are_enough() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
    assert len(names) >= 140


def test_no_two_pictures_are_near_copies() -> None:
    pictures = [
        picture(series, number)
        for series in ("cat", "dog", "test/cat", "train/dog")
        for number in range(60)
    ]
    small = [
        np.asarray(Image.fromarray(image).convert("L").resize((9, 8), Image.Resampling.BOX))
        for image in pictures
    ]
    # A difference hash.
    hashes = np.array([(image[:, 1:] > image[:, :-1]).ravel() for image in small])
    distances = (hashes[:, None] != hashes).sum(2) + 64 * np.eye(len(hashes), dtype=int)
    assert distances.min() >= 11


def test_what_a_refusal_prints_is_found(tmp_path: Path) -> None:
    lines = (
        f"give --data {tmp_path} --layout table, or --layout classes.",
        f"say --columns IMAGE,LABEL, such as --columns a,b; give --data {tmp_path}/set --layout "
        "leaves.",
        "or pass --keep-copies.",
    )
    assert list(commands(lines, "/x")) == [
        ("/x", {"layout": "classes"}),
        (str(tmp_path), {"layout": "table"}),
        (f"{tmp_path}/set", {"layout": "leaves"}),
        ("/x", {"keep_copies": True}),
        ("/x", {"columns": ("a", "b")}),
    ]


def test_a_difference_is_seen(tmp_path: Path) -> None:
    case = next(case for case in CASES if case.name == "split_train_test")
    (right,) = case.rights
    assert differences(Refusal(lines=("no",)), right, "x")
    assert differences(Reading(classes=("a",), counts={}, lines=(), images={}), Refused(), "x")
    assert differences(Refusal(lines=("a\n" * 9,)), Refused(), "x")
    assert (
        differences(
            Refusal(lines=("give /x/data",)), Refused(mends=(Mend(printed="{data}/data"),)), "/x"
        )
        == []
    )


def _made(data: str, place: Path) -> bool:
    """Whether a builder made something; names and addresses need nothing."""
    return place not in Path(data).parents or any(not file.is_dir() for file in place.rglob("*"))
