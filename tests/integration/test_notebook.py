"""docs/notebooks.md in a Jupyter kernel: sweeps run in its cells, and nothing ends the kernel."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from jupyter_client import BlockingKernelClient, KernelManager

from tests.integration.conftest import ROOT, environment
from tests.integration.test_refusals_input import photos

pytestmark = pytest.mark.timeout(600)

CELLS = re.findall(r"```python\n(.*?)```", (ROOT / "docs/notebooks.md").read_text(), re.S)
WITHIN_S = 300
# What a sweep must leave as it was in the kernel.
STATE = """
import logging, os, signal, sys, threading

def state():
    return (
        {number: signal.getsignal(number) for number in signal.valid_signals()},
        dict(os.environ), os.getcwd(), logging.root.manager.disable,
        sys.stdout, sys.stderr, list(sys.argv), threading.active_count(),
        sorted({"ray", "mlflow"} & sys.modules.keys()),
    )
"""


@dataclass(frozen=True)
class Shown:
    """What a cell showed: its text, its result as HTML, and the error that it ended with."""

    text: str
    html: str
    error: str


class Notebook:
    """A kernel in a folder of its own."""

    def __init__(self, folder: Path, cache: str) -> None:
        self.folder = folder
        self._manager = KernelManager(kernel_name="python3")
        variables = dict(environment(DVT_CACHE_DIR=cache, PYTHONPATH=str(ROOT)))
        self._manager.start_kernel(cwd=str(folder), env=variables)
        self._client: BlockingKernelClient = self._manager.client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=60)

    def begin(self, code: str) -> str:
        """Send a cell, and return its request's id."""
        return str(self._client.execute(code))

    def until(self, request: str, seen: str | None = None) -> Shown:
        """Return what a cell showed: until its end, or until a text was seen."""
        text, html, error = "", "", ""
        deadline = time.monotonic() + WITHIN_S
        while True:
            message = self._client.get_iopub_msg(timeout=deadline - time.monotonic())
            if message["parent_header"].get("msg_id") != request:
                continue
            content: dict[str, Any] = message["content"]
            if message["msg_type"] == "stream":
                text += content["text"]
            elif message["msg_type"] == "execute_result":
                html += content["data"].get("text/html", "")
                text += content["data"]["text/plain"]
            elif message["msg_type"] == "error":
                error = "\n".join(content["traceback"])
            if seen and seen in text:
                return Shown(text, html, error)
            if message["msg_type"] == "status" and content["execution_state"] == "idle":
                return Shown(text, html, error)

    def run(self, code: str) -> Shown:
        return self.until(self.begin(code))

    def interrupt(self) -> None:
        self._manager.interrupt_kernel()

    def close(self) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory, cache: str) -> Iterator[Notebook]:
    folder = tmp_path_factory.mktemp("notebook")
    photos(folder / "photos")
    made = Notebook(folder, cache)
    try:
        made.run(STATE)
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def shown(notebook: Notebook) -> list[Shown]:
    """What the cells of the page show, in their order."""
    return [notebook.run(cell) for cell in CELLS]


def test_the_page_runs_from_its_first_cell_to_its_last(shown: list[Shown]) -> None:
    assert [cell.error for cell in shown] == [""] * len(CELLS)
    first = shown[1]
    assert "Which learning rate?" in first.text
    assert "Kept: the champion's weights" in first.text
    assert "<table>" in first.html
    assert "report.html" in first.html
    assert "rates/001" not in first.html


def test_a_result_has_the_tables_and_the_champion(notebook: Notebook, shown: list[Shown]) -> None:
    said = notebook.run(
        "import pandas as pd, numpy as np\n"
        "from PIL import Image\n"
        "table = pd.read_csv(more.folder / 'results.csv')\n"
        "one = sorted((more.folder.parents[2] / 'photos').rglob('*.*'))[0]\n"
        "ways = [one, str(one), Image.open(one), np.asarray(Image.open(one).convert('RGB'))]\n"
        "answers = more.champion.predict(ways)\n"
        "print(more.status, len(more.trials), len(more.finalists), len(more.comparisons))\n"
        "print(sorted(table.columns) == sorted(more.trials.columns), len(table))\n"
        "print(answers.probability.nunique(), more.champion.recipe.backbone)\n"
        "print(earlier.name == result.name == more.name)\n"
    )
    assert said.error == ""
    status, trials, finalists, comparisons = said.text.splitlines()[0].split()
    assert (status, trials, comparisons) == ("finished", "2", "0")
    assert said.text.splitlines()[1:] == [
        f"True {2 + int(finalists)}",
        "1 resnet18",
        "True",
    ]


def test_what_is_wrong_is_a_line_each_and_the_kernel_goes_on(
    notebook: Notebook, shown: list[Shown]
) -> None:
    cells = {
        "run_sweep(STUDY, trials=0, gpus=-1)": (
            "SweepRefused: gpus must be a whole number from 0",
            "trials must be a whole number from 1",
        ),
        "run_sweep(STUDY, preset='demo', data='nosuch/', weights='none')": ("nosuch/",),
        "open_sweep('nosuch')": ("no sweep named 'nosuch'",),
        "more.champion.predict('gone.png')": ("gone.png must be an image",),
        "from sweeps.runner import main\nmain(STUDY)": ("call run_sweep(STUDY)",),
        # Neither in the main thread nor without a running loop.
        "import asyncio\nawait asyncio.to_thread(run_sweep, STUDY, preset='none')": (
            "preset must be one of demo, laptop, full",
        ),
    }
    for code, lines in cells.items():
        said = notebook.run(code)
        assert "Traceback" not in said.error, said.error
        assert all(line in said.error for line in lines), said.error
    assert notebook.run("1 + 1").text == "2"


def test_interrupting_the_kernel_stops_the_sweep_and_leaves_all_as_it_was(
    notebook: Notebook, shown: list[Shown]
) -> None:
    begun = notebook.begin(
        "before = state()\n"
        "try:\n"
        "    run_sweep(STUDY, preset='demo', trials=9, name='third')\n"
        "except BaseException as error:\n"
        "    caught = error\n"
        "    raise"
    )
    notebook.until(begun, seen="Sweep third")
    journal = notebook.folder / "mlruns/sweeps/third/trials.jsonl"
    while not journal.exists() or '"epochs"' not in journal.read_text():
        time.sleep(0.2)
    notebook.interrupt()
    said = notebook.until(begun)
    assert "Interrupted: " in said.text
    assert "Traceback" not in said.error
    assert said.error.startswith("SweepInterrupted: the sweep stopped. To continue: run_sweep(STU")
    after = notebook.run(
        "print(before == state(), caught.result.name, caught.result.status, caught.result.report)"
    )
    page = notebook.folder / "mlruns/sweeps/third/report.html"
    assert (after.text, after.error) == (f"True third interrupted {page}\n", "")
    assert page.is_file()
