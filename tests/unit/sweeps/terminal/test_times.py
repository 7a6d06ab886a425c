"""Time that has passed is told to the second, an estimate as rough as it is."""

import pytest

from sweeps.terminal.times import duration, roughly


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (42.4, "42s"),
        (59.4, "59s"),
        (59.6, "1m00s"),
        (185, "3m05s"),
        (3599.7, "1h00m"),
        (7620, "2h07m"),
        (1e6, "277h46m"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "5s"),
        (42.4, "40s"),
        (57, "55s"),
        (58, "1m"),
        (70, "1m"),
        (80, "1m30s"),
        (590, "10m"),
        (601, "10m"),
        (1530, "26m"),
        (3569, "59m"),
        (3599, "1h00m"),
        (3601, "1h00m"),
        (7620, "2h10m"),
    ],
)
def test_an_estimate_is_rounded(seconds: float, text: str) -> None:
    assert roughly(seconds) == text
