"""`dvt report` as users type it, and its page in a real browser that has no network."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from benchmarks.synthetic_sweep import make
from tests.integration.conftest import ROOT, environment

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))),
    None,
)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")

# Around the report as it is on a phone: tells its width, and when its text was first painted.
FRAME = """<!DOCTYPE html><meta charset="utf-8">
<iframe id="page" width="375" height="800" src="{page}"></iframe><script>
const frame = document.getElementById("page");
const asked = setInterval(() => {{
  const inner = frame.contentDocument;
  if (!inner || inner.documentElement.dataset.drawn !== "all") return;
  clearInterval(asked);
  const plots = [...inner.querySelectorAll(".plotly")];
  const said = {{
    width: inner.documentElement.scrollWidth,
    plots: plots.length,
    empty: plots.filter((plot) => !plot.querySelector(".main-svg")).map((plot) => plot.id),
    overflow: plots
      .filter((plot) => plot.scrollWidth > plot.clientWidth + 1)
      .map((plot) => plot.id),
  }};
  document.body.dataset.said = JSON.stringify(said);
}}, 50);
</script>"""


def dvt(cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    code = "import sys; from sweeps.commands.dvt import main; sys.argv[0] = 'dvt'; main()"
    root = str(Path(__file__).parents[2])
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(
        command,
        cwd=cwd,
        env=environment(PYTHONPATH=root),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def browse(page: Path, profile: Path, *flags: str) -> tuple[str, str]:
    """The DOM after the page's scripts have run, and what went to the console."""
    assert CHROMIUM
    command = [
        CHROMIUM,
        *(
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            f"--user-data-dir={profile}",
        ),
        *(
            "--host-resolver-rules=MAP * ~NOTFOUND",
            "--enable-logging=stderr",
            "--virtual-time-budget=60000",
        ),
        *flags,
        "--dump-dom",
        page.as_uri(),
    ]
    done = subprocess.run(
        command, env=os.environ, capture_output=True, text=True, timeout=110, check=True
    )
    return done.stdout, "\n".join(line for line in done.stderr.splitlines() if ":CONSOLE" in line)


class Places(HTMLParser):
    """Figures of a page: how many there are, and how many of them hold a drawing."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.drawn: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        classes = (values.get("class") or "").split()
        if tag == "div" and (values.get("id") or "").startswith("plot-"):
            self.names.append(values["id"] or "")
        if tag == "svg" and "main-svg" in classes:
            self.drawn.add(self.names[-1])


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    storage = tmp_path_factory.mktemp("storage")
    make(storage, "one", trials=6)
    make(storage, "two", trials=5, shift=-0.03)
    done = dvt(storage, "report", "one", "--storage", ".")
    assert (done.returncode, done.stderr) == (0, "")
    return storage / "sweeps" / "one" / "report.html"


def test_the_command_says_the_answer_and_where_the_page_is(report: Path) -> None:
    done = dvt(report.parents[2], "report", "one", "--storage", ".")
    assert done.stdout.startswith(("Ship resnet34/tricks/", "No clear winner between "))
    assert done.stdout.splitlines()[-1] == str(report)
    assert "dvt report" in dvt(report.parents[2], "--help").stdout


def test_an_unknown_sweep_is_refused_with_the_known_ones(report: Path) -> None:
    done = dvt(report.parents[2], "report", "tow", "--storage", ".")
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr
        == f"error: unknown sweep 'tow' in {report.parents[2]}. Did you mean 'two'? Known: one, "
        "two.\n"
    )


@needs_chromium
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_figure_is_drawn_without_network_and_without_a_complaint(
    report: Path, tmp_path: Path, scheme: str
) -> None:
    flags = ["--force-dark-mode"] if scheme == "dark" else []
    dom, console = browse(report, tmp_path, *flags)
    assert console == ""
    assert 'data-drawn="all"' in dom
    places = Places(dom)
    assert len(places.names) > 20
    assert places.drawn == set(places.names)


@needs_chromium
def test_on_a_phone_nothing_is_wider_than_the_screen(report: Path, tmp_path: Path) -> None:
    frame = tmp_path / "frame.html"
    frame.write_text(FRAME.format(page=report.as_uri()))
    dom, _ = browse(frame, tmp_path / "profile", "--allow-file-access-from-files")
    said = re.search(r'data-said="([^"]*)"', dom)
    assert said, "the page was not drawn in time"
    told = json.loads(said[1].replace("&quot;", '"'))
    assert told["width"] <= 375
    assert told["plots"] > 20
    assert told["empty"] == told["overflow"] == []


@needs_chromium
def test_two_sweeps_are_compared_on_a_page_that_draws(report: Path, tmp_path: Path) -> None:
    done = dvt(report.parents[2], "report", "one", "two", "--storage", ".")
    assert done.returncode == 0, done.stderr
    dom, console = browse(report.with_name("compare-two.html"), tmp_path)
    assert console == ""
    assert Places(dom).drawn == {"plot-compare"}


def measured(*arguments: str, **changes: str) -> dict[str, Any]:
    command = [sys.executable, str(ROOT / "benchmarks" / "report.py"), "--json", *arguments]
    done = subprocess.run(
        command, env=environment(**changes), capture_output=True, text=True, timeout=110, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_page_of_more_than_200_trials_is_small_enough_to_send_and_is_painted() -> None:
    found = measured("--seeds", "3")
    assert found["trials"] > 200
    assert 0 < found["mb"] < 6
    assert (found["first_paint_s"] or 0) > 0 or found["skipped"]
    assert bool(found["skipped"]) == (CHROMIUM is None)


def test_without_a_browser_the_first_paint_is_left_out_and_it_is_said_why(tmp_path: Path) -> None:
    found = measured("--trials", "2", "--seeds", "1", PATH=str(tmp_path))
    assert (found["first_paint_s"], found["skipped"]) == (
        None,
        "first paint: no Chromium is installed",
    )
