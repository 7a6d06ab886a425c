"""The soak's own rules: it lasts as long as its kills, and says so where it did not."""

from __future__ import annotations

import pytest

from benchmarks.soak import status, trials_for


def test_a_longer_soak_has_a_longer_sweep() -> None:
    assert [trials_for(kills) for kills in (0, 1, 20, 100)] == [1, 2, 40, 200]


@pytest.mark.parametrize(("lost", "made", "code"), [(0, 20, 0), (0, 8, 1), (1, 20, 1), (3, 0, 1)])
def test_a_soak_passes_only_where_nothing_is_lost_and_all_kills_were_made(
    lost: int, made: int, code: int
) -> None:
    assert status({"lost": lost, "kills_asked": 20, "kills_made": made}) == code
