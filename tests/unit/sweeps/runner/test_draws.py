"""Each seed of the finalists has images of its own, the same for all arms and each time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sweeps.runner.finalists.draws import APART, ATTEMPTS, Draws
from sweeps.runner.options import MOST_SEEDS
from trainables.data import dataset
from trainables.data.dataset import DataError
from trainables.data.problems import PartedError

BASE = SimpleNamespace(digest="search", path=Path("/cache/search"), draw=None)


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note the number of each draw that is decoded.

    The first of seed 1 leaves a class empty, and so do all of seed 0.
    """
    noted: list[int] = []

    def prepare(source: str, *, draw: int, seed: int, cache: Path, **sizes: Any) -> Any:
        assert (source, seed, cache) == ("digits", 4, Path("/cache"))
        assert sizes == {"image_size": 32, "caps": "caps", "how": "how"}
        noted.append(draw)
        if draw == 1 or draw % APART == 0:
            raise PartedError([f"class 'a' has no images in draw {draw}."])
        return SimpleNamespace(digest=f"d{draw}", path=cache / f"d{draw}", draw=draw)

    monkeypatch.setattr(dataset, "prepare", prepare)
    return noted


def made(
    which: str, earlier: Mapping[str, Mapping[str, str]] | None = None, *, accept: bool = False
) -> Draws:
    options = SimpleNamespace(draws=which, seed=4, how="how", accept_changes=accept)
    plan: Any = SimpleNamespace(
        options=options, data="digits", image_size=32, caps="caps", cache=Path("/cache")
    )
    materials: Any = SimpleNamespace(data=BASE)
    return Draws(plan, materials, earlier or {})


def test_the_search_and_fixed_draws_have_the_images_of_the_search(prepared: list[int]) -> None:
    fixed = made("fixed")
    assert fixed.data(None) is fixed.data(7) is fixed.of("a/000/s7") is BASE
    assert fixed.told([7, 8]) == {}
    new = made("new")
    assert new.data(None) is new.of("a/000") is BASE
    assert prepared == []


def test_each_seed_has_a_draw_that_is_decoded_once_and_told_by_its_number(
    prepared: list[int],
) -> None:
    new = made("new")
    assert new.data(8) is new.of("a/000/s8") is new.of("b/003/without-mixup/s8")
    assert new.told([9, 8, 9]) == {
        "8": {"digest": "d8", "path": "/cache/d8"},
        "9": {"digest": "d9", "path": "/cache/d9"},
    }
    assert prepared == [8, 9]
    assert made("new").data(8).draw == 8, "the next driver has the same"


def test_a_draw_that_leaves_a_class_empty_gives_way_to_the_next_of_its_seed(
    prepared: list[int],
) -> None:
    assert made("new").data(1).draw == 1 + APART
    assert prepared == [1, 1 + APART]
    assert APART > MOST_SEEDS, "which is no other seed's"


def test_where_none_can_be_had_the_last_one_says_why(prepared: list[int]) -> None:
    last = APART * (ATTEMPTS - 1)
    with pytest.raises(DataError, match=f"no images in draw {last}"):
        made("new").data(0)
    assert len(prepared) == ATTEMPTS


def test_a_sweep_goes_on_with_the_images_that_an_earlier_run_of_it_had(
    prepared: list[int],
) -> None:
    had = {"8": {"digest": "d8"}, "9": {"digest": "other"}}
    again = made("new", had)
    assert again.data(8).draw == 8
    assert again.data(7).draw == 7, "no earlier run had it"
    with pytest.raises(DataError, match="images of seed 9 had the digest other and have d9: put"):
        again.data(9)
    with pytest.raises(DataError, match="must stay as it is while a sweep runs"):
        again.told([9])
    assert made("new", had, accept=True).data(9).draw == 9
    assert made("fixed", had).data(9) is BASE
