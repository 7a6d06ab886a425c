"""`report.html` is one file that asks the network for nothing, whatever names the sweep holds."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from benchmarks.synthetic_sweep import make
from sweeps.report.findings import Findings, find
from sweeps.report.headline import headline
from sweeps.report.page import rendered, sweep_page, write
from sweeps.report.runs import read_run

NASTY = (
    "</script><script>alert(1)</script>\"' & <img src=http://evil.example/x>\n${x} {{ 7*7 }} %{x} é"
)


class Elements(HTMLParser):
    """Elements with their attributes, and the text between them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        """Return the attributes of each element of a kind."""
        return [attrs for found, attrs in self.found if found == tag]


@pytest.fixture(scope="module")
def html(found: Findings) -> str:
    return rendered(sweep_page(found))


def test_nothing_is_loaded_from_anywhere_and_nothing_runs(html: str) -> None:
    elements = Elements(html)
    loaded = [
        attrs[name]
        for _, attrs in elements.found
        for name in ("src", "href", "srcset", "action", "data")
        if attrs.get(name)
    ]
    assert all(str(value).startswith(("data:", "#")) for value in loaded)
    apart = ("link", "iframe", "object", "base", "script")
    assert not [tag for tag, _ in elements.found if tag in apart]
    policy = next(
        attrs["content"]
        for tag, attrs in elements.found
        if attrs.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    style = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style


def test_every_link_leads_to_a_place_on_the_page(html: str) -> None:
    elements = Elements(html)
    places = {attrs["id"] for _, attrs in elements.found if "id" in attrs}
    links = [str(attrs.get("href")) for tag in ("a", "use") for attrs in elements.named(tag)]
    assert {link.removeprefix("#") for link in links} <= places
    contents = [attrs["href"] for attrs in elements.named("a")][1:]
    sections = [attrs["id"] for attrs in elements.named("section") if "id" in attrs]
    assert contents == [f"#{name}" for name in sections[1:]]


def test_every_figure_has_a_name_and_text_beside_it(html: str) -> None:
    drawn = [attrs for _, attrs in Elements(html).found if attrs.get("class") == "chart"]
    assert len(drawn) > 20
    assert all(attrs["role"] == "img" and attrs["aria-label"] for attrs in drawn)
    assert html.count("<figcaption>") >= 5


def test_every_table_has_a_name_and_heads_of_rows_and_columns(html: str) -> None:
    tables = re.findall(r"<table.*?</table>", html, re.S)
    assert len(tables) > 8
    for table in tables:
        assert re.search(r'<caption class="unseen">[^<]+</caption>', table)
        assert '<th scope="row"' in table
        assert "<th" not in re.sub(r'<th scope="(row|col|colgroup)"', "", table).replace(
            "<thead>", ""
        )


def test_headings_begin_with_the_answer_and_leave_no_level_out(html: str, found: Findings) -> None:
    headings = re.findall(r"<h([1-6])[^>]*>(.*?)</h", html, re.S)
    assert headings[0] == ("1", headline(found)[0])
    levels = [int(level) for level, _ in headings]
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_the_search_is_folded_under_ten_trials_per_arm(html: str, tmp_path: Path) -> None:
    folded = '<section id="search">\n<h2>The search</h2><details><summary>Show the search (6 trials'
    assert folded in html
    long = make(tmp_path, trials=10, arms=("resnet18/plain",), images=40, seeds=())
    assert "Show the search" not in rendered(sweep_page(find(read_run(long))))


def test_a_page_that_is_watched_is_loaded_again_and_no_other_is(found: Findings) -> None:
    watched = rendered(sweep_page(found, reload_s=10))
    assert watched.count("location.reload();\n}, 10000);") == 1
    assert "script-src 'unsafe-inline'" in watched


def test_the_page_is_small_enough_to_send(html: str) -> None:
    assert len(html.encode()) < 3e5


def test_sections_come_in_order(html: str) -> None:
    titles = re.findall(r"<h2>(.*?)</h2>", html)
    mistakes = ["What the champion gets wrong", "How sure it is", "Suspected wrong labels"]
    assert titles == [
        "What made the difference",
        "The arms in detail",
        "Finalists",
        *mistakes,
        "The search",
        "What it cost",
        "Reproduce this",
        "Words on this page",
    ]
    assert '<h2 id="caveats">Caveats</h2>' in html


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
    assert not [tag for tag, _ in elements.found if tag in ("script", "img")]
    assert NASTY.splitlines()[0] in elements.text
    assert "{{ 7*7 }}" in elements.text


def test_a_page_of_nothing_is_short(tmp_path: Path) -> None:
    html = write(tmp_path).page.read_text()
    assert len(html) < 20_000
    assert "<svg" not in html


def test_a_driver_that_ends_its_sweep_writes_a_report_without_a_banner(tmp_path: Path) -> None:
    folder = make(tmp_path, trials=2, arms=("resnet18/plain",), images=40, finish=None, seeds=(0,))
    assert 'class="banner"' in write(folder, "interrupted").page.read_text()
    report = write(folder, "completed")
    assert 'class="banner"' not in report.page.read_text()
    written = [path.name for path in (report.results, report.suspects, report.page)]
    assert written == ["results.csv", "suspects.csv", "report.html"]
