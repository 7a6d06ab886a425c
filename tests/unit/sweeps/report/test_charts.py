"""Figures are drawn to scale, with round numbers at their axes, and need no script."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from sweeps.report.charts import SHAPES, chart, definitions, key, log_ticks, ticks
from sweeps.report.figures import (
    SYMBOLS,
    Axis,
    Band,
    Bar,
    Bars,
    Dot,
    Dots,
    Figure,
    Line,
    Mark,
    named_axis,
)


def figure(*marks: Mark, x: Axis | None = None, y: Axis | None = None) -> Figure:
    """Return marks on axes from 0 to 10."""
    ten = Axis(low=0, high=10)
    return Figure(marks=marks, x=x or ten, y=y or ten)


def drawn(shown: Figure) -> ElementTree.Element:
    """Return a figure's elements; it is well formed."""
    return ElementTree.fromstring(chart(shown, "name"))


def places(shown: Figure) -> list[tuple[str, str]]:
    """Return where the dots of a figure are, from the left and from the top."""
    return [(use.attrib["x"], use.attrib["y"]) for use in drawn(shown).iter("use")]


def test_a_dot_is_at_its_share_of_the_axes_and_up_is_more() -> None:
    dots = Dots(dots=[Dot(x=0, y=0), Dot(x=2.5, y=9), Dot(x=10, y=10)], color="#123456")
    assert places(figure(dots)) == [("0%", "100%"), ("25%", "10%"), ("100%", "0%")]


def test_on_a_logarithmic_axis_equal_ratios_are_equally_far_apart() -> None:
    dots = Dots(dots=[Dot(x=10**power, y=1) for power in (-4, -3, -2)], color="#123456")
    first, middle, last = [float(x[:-1]) for x, _ in places(figure(dots, x=Axis(log=True)))]
    assert middle == pytest.approx(50)
    assert middle - first == pytest.approx(last - middle)


def test_marks_at_the_ends_have_room_beside_them() -> None:
    dots = Dots(dots=[Dot(x=3, y=1), Dot(x=7, y=1)], color="#123456")
    first, last = [float(x[:-1]) for x, _ in places(figure(dots, x=Axis()))]
    assert 0 < first < 10
    assert first == pytest.approx(100 - last)


def test_equal_values_lie_in_the_middle() -> None:
    dots = Dots(dots=[Dot(x=5, y=0), Dot(x=5, y=0)], color="#123456")
    assert places(figure(dots, x=Axis(), y=Axis())) == [("50%", "50%")] * 2


def test_a_line_breaks_where_a_value_is_missing() -> None:
    line = Line(x=[0, 1, 2, 3], y=[0, 10, None, 5], color="#123456", said="all of it")
    (path,) = drawn(figure(line)).iter("path")
    assert path.attrib["d"] == "M0 1000L100 0M300 500"
    assert path.findtext("title") == "all of it"


def test_points_of_a_line_say_their_own_texts() -> None:
    line = Line(x=[0, 1, 2], y=[0, None, 5], color="#123456", said=["a", "b", "c"])
    assert [use.findtext("title") for use in drawn(figure(line)).iter("use")] == ["a", "c"]


def test_bars_lie_from_end_to_end_in_their_rows() -> None:
    bars = [
        Bar(row=0, start=0, end=4, color="#123456", said="search"),
        Bar(row=0, start=4, end=5, color="#123456", said="finalists", note="5.0"),
        Bar(row=1, start=0, end=10, color="#123456", said="search"),
    ]
    shown = figure(Bars(bars=bars), y=named_axis(["a", "b"], room=0.5))
    low, beside, high = drawn(shown).iter("rect")
    assert [(low.attrib[at], beside.attrib[at]) for at in ("x", "width")] == [
        ("0%", "40%"),
        ("40%", "10%"),
    ]
    assert (low.attrib["y"], high.attrib["y"]) == ("60%", "10%")
    assert low.attrib["height"] == "30%"
    assert [text.text for text in drawn(shown).iter("text")] == ["5.0"]


def test_an_area_goes_along_its_upper_and_back_along_its_lower_end() -> None:
    band = Band(x=[0, 10], low=[1, 2], high=[3, 4], color="#123456")
    (path,) = drawn(figure(band)).iter("path")
    assert path.attrib["d"] == "M0 700L1000 600L1000 800L0 900Z"


def test_an_interval_that_leaves_the_figure_ends_at_its_edge() -> None:
    dot = Dot(x=5, y=5, between=(-3, 8))
    (line,) = [
        line
        for line in drawn(figure(Dots(dots=[dot], color="#123456"))).iter("line")
        if line.attrib["class"] == "whisker"
    ]
    assert (line.attrib["x1"], line.attrib["x2"]) == ("0%", "80%")


def test_names_are_text_and_long_ones_stand_upright() -> None:
    dots = Dots(dots=[Dot(x=0, y=0, said='<b>"&')], color="#123456")
    html = chart(figure(dots, x=named_axis(["<i>", "x"])), '"><script>')
    assert "<script" not in html
    assert "<i>" not in html
    assert "<b>" not in html
    assert "upright" not in html
    assert "upright" in chart(
        figure(dots, x=named_axis(["one long name", "another long name"])), ""
    )


@pytest.mark.parametrize(
    ("low", "high", "texts"),
    [
        (0, 100, ["0", "20", "40", "60", "80", "100"]),
        (71.8, 80.3, ["72", "74", "76", "78", "80"]),
        (0.31, 0.42, ["0.32", "0.34", "0.36", "0.38", "0.40", "0.42"]),
        (-0.5, 0.5, ["−0.4", "−0.2", "0", "0.2", "0.4"]),
        (0, 21_000, ["0", "5,000", "10,000", "15,000", "20,000"]),
    ],
)
def test_numbers_at_an_axis_are_round_and_few(low: float, high: float, texts: list[str]) -> None:
    assert [text for _, text in ticks(low, high)] == texts


@pytest.mark.parametrize(
    ("low", "high", "texts"),
    [
        (1e-5, 1e-1, ["1e−5", "1e−4", "1e−3", "1e−2", "1e−1"]),
        (2e-4, 1e-3, ["2e−4", "5e−4", "1e−3"]),
    ],
)
def test_a_logarithmic_axis_has_powers_of_ten(low: float, high: float, texts: list[str]) -> None:
    assert [text for _, text in log_ticks(low, high)] == texts


def test_every_symbol_has_its_shape_in_all_sizes_once() -> None:
    assert set(SHAPES) == set(SYMBOLS)
    names = re.findall(r'id="([^"]+)"', definitions())
    assert len(names) == len(set(names)) == 3 * len(SYMBOLS)
    for symbol in SYMBOLS:
        assert re.findall(r'href="#([^"]+)"', key(symbol))[0] in names
