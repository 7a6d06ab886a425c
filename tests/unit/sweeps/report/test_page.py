"""`report.html` is one file that asks the network for nothing, whatever names the sweep holds."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.synthetic_sweep import make
from sweeps.report.findings import Findings
from sweeps.report.page import rendered, safe_json, sweep_page, write

NASTY = (
    "</script><script>alert(1)</script>\"' & <img src=http://evil.example/x>\n${x} {{ 7*7 }} %{x} é"
)


class Elements(HTMLParser):
    """Elements with their attributes, and what stands in script elements."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.text = ""
        self._in_script = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self._in_script = tag == "script"
        self.scripts += [""] if self._in_script else []

    def handle_endtag(self, tag: str) -> None:
        self._in_script = False

    def handle_data(self, data: str) -> None:
        if self._in_script:
            self.scripts[-1] += data
        else:
            self.text += data


@pytest.fixture(scope="module")
def html(found: Findings) -> str:
    return rendered(sweep_page(found))


def test_nothing_is_loaded_from_anywhere(html: str) -> None:
    elements = Elements(html)
    loaded = [
        attrs[name]
        for _, attrs in elements.found
        for name in ("src", "href", "srcset", "action", "data")
        if attrs.get(name)
    ]
    assert all(str(value).startswith("data:") for value in loaded)
    assert not [tag for tag, _ in elements.found if tag in ("link", "iframe", "object", "base")]
    policy = next(
        attrs["content"]
        for tag, attrs in elements.found
        if attrs.get("http-equiv") == "Content-Security-Policy"
    )
    assert (
        policy
        == "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src "
        "data:"
    )
    style = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style


def test_text_comes_before_scripts_so_that_it_is_painted_first(html: str) -> None:
    assert html.index("Reproduce this") < html.index("<script")


def test_every_figure_has_its_place_and_every_place_its_figure(html: str) -> None:
    elements = Elements(html)
    places = [attrs["id"] for _, attrs in elements.found if attrs.get("class") == "plotly"]
    figures = json.loads(elements.scripts[0])
    assert places == [f"plot-{name}" for name in figures]
    assert len(places) > 20


def test_the_page_is_small_enough_to_send(html: str) -> None:
    assert len(html.encode()) < 6e6


def test_sections_come_in_order_and_have_captions(html: str) -> None:
    titles = re.findall(r"<h2>(.*?)</h2>", html)
    mistakes = ["What the champion gets wrong", "Suspected wrong labels"]
    assert titles == [
        "Caveats",
        "Effects",
        "Finalists",
        *mistakes,
        "The search",
        "What it cost",
        "Reproduce this",
    ]
    assert html.count("<figcaption>") >= 5


def test_names_may_hold_anything(tmp_path: Path) -> None:
    described: dict[str, Any] = {
        "question": NASTY,
        "study": NASTY,
        "command": NASTY,
        "assumptions": [NASTY],
        "machine": {"system": NASTY, "commit": NASTY},
        "versions": {NASTY: NASTY},
        "contrasts": [{"name": NASTY, "weights": {"*/tricks": 1, "*/plain": -1}}],
        "published": [{"arm": NASTY, "value": 0.5, "metric": NASTY, "source": NASTY}],
        "data": {
            "name": NASTY,
            "source": NASTY,
            "classes": [NASTY, NASTY + "2", "x"],
            "path": NASTY,
        },
    }
    asked = {
        "arms": ("resnet18/plain", "resnet18/tricks"),
        "trials": 5,
        "images": 60,
        "classes": ("a", "b", "c"),
    }
    html = write(make(tmp_path, **asked, described=described)).page.read_text()
    elements = Elements(html)
    assert [attrs for tag, attrs in elements.found if tag == "script"] == [
        {"type": "application/json", "id": "figures"},
        {},
        {},
    ]
    assert not [attrs for tag, attrs in elements.found if tag == "img"]
    assert NASTY.splitlines()[0] in elements.text
    assert "alert(1)</script>" not in elements.scripts[0]
    assert "{{ 7*7 }}" in elements.text
    json.loads(elements.scripts[0])


def test_json_in_a_script_is_safe_and_has_null_for_what_is_no_number() -> None:
    values = {
        "a": "</script><!-- & \u2028",
        "b": [float("nan"), float("inf"), 1.5],
        "c": np.float64(2),
        "d": range(2),
    }
    text = safe_json(values)
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == {
        "a": "</script><!-- & \u2028",
        "b": [None, None, 1.5],
        "c": 2,
        "d": [0, 1],
    }


def test_a_sweep_without_figures_needs_no_script(tmp_path: Path) -> None:
    html = write(tmp_path).page.read_text()
    assert "<script" not in html
    assert len(html) < 20_000


def test_a_driver_that_ends_its_sweep_writes_a_report_without_a_banner(tmp_path: Path) -> None:
    folder = make(tmp_path, trials=2, arms=("resnet18/plain",), images=40, finish=None, seeds=(0,))
    assert 'class="banner"' in write(folder, "interrupted").page.read_text()
    report = write(folder, "completed")
    assert 'class="banner"' not in report.page.read_text()
    written = [path.name for path in (report.results, report.suspects, report.page)]
    assert written == ["results.csv", "suspects.csv", "report.html"]
