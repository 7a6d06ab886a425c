"""`dvt report` as users type it, and its page in a real browser that has no network."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from benchmarks.synthetic_sweep import make
from sweeps.records.folder import claimed
from sweeps.report.page import write
from tests.integration.browser import CHROMIUM, browse, needs_chromium
from tests.integration.conftest import ROOT, environment

RELOADS = "location.reload()"

# Around a page that loads itself again: unfolds and scrolls it, and tells where it is each time.
READER = """<!DOCTYPE html><iframe id="page" width="900" height="600" src="{page}"></iframe><script>
const told = [];
const frame = document.getElementById("page");
frame.addEventListener("load", () => setTimeout(() => {{
  const inner = frame.contentWindow;
  told.push([inner.scrollY, inner.document.querySelectorAll("details[open]").length]);
  document.body.dataset.told = JSON.stringify(told);
  if (told.length > 1) return;
  inner.document.querySelectorAll("details").forEach((part) => part.open = true);
  inner.scrollTo(0, 700);
}}, 300));
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
    assert done.stdout.startswith(("Ship resnet34/tricks/", "No clear winner. Ship "))
    assert done.stdout.splitlines()[-1] == str(report)
    assert "\n  report " in dvt(report.parents[2], "--help").stdout


def test_an_unknown_sweep_is_refused_with_the_known_ones(report: Path) -> None:
    done = dvt(report.parents[2], "report", "tow", "--storage", ".")
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr
        == f"error: no sweep named 'tow' in {report.parents[2]}. Did you mean 'two'? Known: one, "
        "two.\n"
    )


@needs_chromium
def test_the_page_is_shown_without_network_and_without_a_complaint(
    report: Path, tmp_path: Path
) -> None:
    dom, console = browse(report, tmp_path)
    assert console == ""
    assert dom.count('class="chart"') > 20


@needs_chromium
def test_two_sweeps_are_compared_on_a_page(report: Path, tmp_path: Path) -> None:
    done = dvt(report.parents[2], "report", "one", "two", "--storage", ".")
    assert done.returncode == 0, done.stderr
    dom, console = browse(report.with_name("compare-two.html"), tmp_path)
    assert console == ""
    assert dom.count('class="chart"') == 1


@needs_chromium
def test_a_page_that_is_watched_keeps_its_place_and_what_was_unfolded(tmp_path: Path) -> None:
    folder = make(tmp_path, trials=4, seeds=(), finish=None)
    page = write(folder, "running", reload_s=1).page
    frame = tmp_path / "frame.html"
    frame.write_text(READER.format(page=page.as_uri()))
    flags = ("--allow-file-access-from-files", "--virtual-time-budget=5000")
    dom, _ = browse(frame, tmp_path / "profile", *flags)
    told = re.search(r'data-told="([^"]*)"', dom)
    assert told
    first, *others = json.loads(told[1])
    assert first == [0, 0]
    assert len(others) >= 2
    assert all(other == [700, 1] for other in others)


@contextmanager
def watching(storage: Path) -> Iterator[subprocess.Popen[str]]:
    """Start `dvt report --watch`, and wait until it has built the page."""
    code = "import sys; from sweeps.commands.dvt import main; sys.argv[0] = 'dvt'; main()"
    command = [sys.executable, "-c", code, "report", "--watch", "one", "--storage", str(storage)]
    with subprocess.Popen(
        command,
        env=environment(PYTHONPATH=str(ROOT), PYTHONUNBUFFERED="1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as watcher:
        try:
            assert watcher.stdout
            assert watcher.stdout.readline() == "Rebuilt while one runs (Ctrl-C to stop):\n"
            assert RELOADS in Path(watcher.stdout.readline().strip()).read_text()
            yield watcher
        finally:
            watcher.kill()


def test_a_watched_page_is_built_for_the_last_time_when_the_sweep_is_over(tmp_path: Path) -> None:
    folder = make(tmp_path, "one", trials=4, images=40)
    with ExitStack() as driver:
        driver.enter_context(claimed(folder))
        with watching(tmp_path) as watcher:
            driver.close()
            out, err = watcher.communicate(timeout=60)
    assert (watcher.returncode, err) == (0, "")
    assert out.splitlines()[-1] == str(folder / "report.html")
    assert RELOADS not in (folder / "report.html").read_text()


def test_ctrl_c_ends_watching_with_a_page_that_stays(tmp_path: Path) -> None:
    folder = make(tmp_path, "one", trials=4, images=40)
    with claimed(folder), watching(tmp_path) as watcher:
        watcher.send_signal(signal.SIGINT)
        _, err = watcher.communicate(timeout=60)
    assert (watcher.returncode, err) == (130, "Interrupted.\n")
    assert RELOADS not in (folder / "report.html").read_text()


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
    assert 0 < found["mb"] < 3
    assert (found["first_paint_s"] or 0) > 0 or found["skipped"]
    assert bool(found["skipped"]) == (CHROMIUM is None)


def test_without_a_browser_the_first_paint_is_left_out_and_it_is_said_why(tmp_path: Path) -> None:
    found = measured("--trials", "2", "--seeds", "1", PATH=str(tmp_path))
    assert (found["first_paint_s"], found["skipped"]) == (
        None,
        "first paint: no Chromium is installed",
    )
