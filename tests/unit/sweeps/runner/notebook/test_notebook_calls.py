"""A notebook's keywords are the command line's flags, and its errors say so in its own words."""

from __future__ import annotations

import builtins
import inspect
import signal
from pathlib import Path
from typing import Any

import pytest

from sweeps.depth_vs_tricks import STUDY
from sweeps.runner import cli
from sweeps.runner.notebook import calls
from sweeps.runner.notebook.calls import arguments_of, open_sweep, run_sweep
from sweeps.runner.notebook.errors import SweepFailed, SweepInterrupted, SweepRefused
from sweeps.runner.notebook.process import Ended
from sweeps.runner.options import FLAGS
from tests.unit.sweeps.journals import write_sweep


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets how the process ends, and returns what it was started with."""
    started: dict[str, Any] = {}

    def end(status: int, said: tuple[str, ...] = (), interrupts: int = 0, **other: Any) -> Any:
        ended = Ended(status=status, said=said, interrupts=interrupts, **{"problems": (), **other})

        def run(study: object, arguments: list[str], variables: dict[str, str]) -> Ended:
            started.update(arguments=arguments, variables=variables)
            return ended

        monkeypatch.setattr(calls, "run_apart", run)
        return started

    return end


def test_every_flag_is_a_keyword_and_nothing_else_is() -> None:
    keywords = set(inspect.signature(run_sweep).parameters) - {"study"}
    # JSON is for another program, which has no cell to read.
    flags = set(FLAGS) - {"--json"}
    assert keywords == {flag[2:].replace("-", "_") for flag in flags} | {"verbose"}


def test_keywords_become_the_command_line_that_asks_for_the_same() -> None:
    given = {
        "gpus": 0,
        "gpus_per_trial": 0.25,
        "arms": ["resnet18/*", "*/plain"],
        "columns": ("image", "label"),
        "storage": Path("my runs"),
        "time_limit": 5400,
        "stuck_after": "30m",
        "ablate": True,
    }
    assert arguments_of(given) == [
        "--gpus=0",
        "--gpus-per-trial=0.25",
        "--arms=resnet18/*,*/plain",
        "--columns=image,label",
        "--storage=my runs",
        "--time-limit=5400s",
        "--stuck-after=30m",
        "--ablate",
    ]


def test_zero_is_an_answer_and_none_and_false_are_none(
    ends: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    started = ends(0)
    run_sweep(STUDY, gpus=0, seed=0, ablate=False, arms=None, dry_run=True)
    assert started["arguments"] == ["--gpus=0", "--seed=0", "--dry-run"]


def test_the_record_of_a_sweep_has_the_call_and_the_one_that_continues_it(
    ends: Any, tmp_path: Path
) -> None:
    write_sweep(tmp_path, "one", [])
    started = ends(0)
    result = run_sweep(
        STUDY,
        name="one",
        storage=tmp_path,
        tracking_uri="http://me:secret@host",
        trials=3,
        notify="ntfys://secret",
    )
    assert result is not None
    assert result.folder == tmp_path / "sweeps" / "one"
    assert started["variables"] == {
        "DVT_RESUME": f"run_sweep(STUDY, resume='one', storage='{tmp_path}')",
        "DVT_CALLED": (
            f"run_sweep(depth_vs_tricks, trials=3, name='one', storage='{tmp_path}', "
            "tracking_uri='http://me:***@host', notify='***')"
        ),
    }


def test_all_that_is_wrong_is_one_exception_before_anything_is_started() -> None:
    with pytest.raises(SweepRefused) as refused:
        run_sweep(STUDY, trials=0, gpus=0, gpus_per_trial=0.5, name="x", resume="y")
    assert refused.value._render_traceback_() == [
        "SweepRefused: trials must be a whole number from 1 to 10000, but got '0'.\n"
        "gpus_per_trial needs a GPU, but gpus is 0: leave one of the two out.\n"
        "name belongs to a new sweep, and resume continues one: leave one of the two out."
    ]


def test_a_mend_of_the_command_line_is_one_of_a_notebook(ends: Any) -> None:
    ends(
        2,
        problems=(
            "--gpus must be at most 1, but 4 are asked for: pass --gpus 1, or --address.",
            "such as --arms 'resnet18/*'; --accept-changes continues; --head is no flag",
        ),
    )
    with pytest.raises(SweepRefused) as refused:
        run_sweep(STUDY)
    assert refused.value.problems == (
        "gpus must be at most 1, but 4 are asked for: pass gpus=1, or address.",
        "such as arms='resnet18/*'; accept_changes=True continues; --head is no flag",
    )


@pytest.mark.parametrize(
    ("status", "said", "kind", "why"),
    [
        (
            1,
            ("a table", "No trial completed: here"),
            SweepFailed,
            "No trial completed: here",
        ),
        (
            3,
            ("Ray broke off the sweep: x", "best: y", "The sweep broke off after 1.", "  again"),
            SweepFailed,
            "Ray broke off the sweep: x\nThe sweep broke off after 1.\n  again",
        ),
        (1, ("ModuleNotFoundError: no x",), SweepFailed, "ModuleNotFoundError: no x"),
        (
            -signal.SIGKILL,
            ("a line",),
            SweepFailed,
            "its process was ended by SIGKILL. To continue: run_sweep(STUDY, resume='one', ",
        ),
        (
            130,
            ("Interrupted: 1 of 4",),
            SweepInterrupted,
            "the sweep stopped. To continue: run_sweep(STUDY, resume='one', ",
        ),
    ],
)
def test_a_sweep_without_a_result_raises_with_the_reason_and_what_there_is(
    ends: Any, tmp_path: Path, status: int, said: tuple[str, ...], kind: Any, why: str
) -> None:
    write_sweep(tmp_path, "one", [])
    ends(status, said)
    with pytest.raises(kind) as raised:
        run_sweep(STUDY, resume="on", storage=tmp_path)
    assert str(raised.value).startswith(why)
    assert raised.value.result.name == "one"


def test_an_interrupt_before_the_sweep_has_begun_leaves_nothing_to_continue(
    ends: Any, tmp_path: Path
) -> None:
    ends(-signal.SIGKILL, interrupts=3)
    with pytest.raises(SweepInterrupted, match=r"^the sweep had not begun\.$") as raised:
        run_sweep(STUDY, storage=tmp_path)
    assert raised.value.result is None
    assert isinstance(raised.value, KeyboardInterrupt)


def test_a_sweep_is_opened_by_its_name_or_its_folder(tmp_path: Path) -> None:
    with pytest.raises(SweepRefused, match="no sweeps in "):
        open_sweep("one", storage=tmp_path)
    folder = write_sweep(tmp_path, "one", [])
    assert open_sweep("one", storage=tmp_path).folder == folder
    assert open_sweep(folder).folder == folder
    assert open_sweep("on", storage=tmp_path).folder == folder
    with pytest.raises(SweepRefused, match="no sweep named 'two'"):
        open_sweep("two", storage=tmp_path)


def test_main_does_not_end_the_process_of_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builtins, "__IPYTHON__", True, raising=False)
    with pytest.raises(SweepRefused, match=r"call run_sweep\(STUDY\)"):
        cli.main(STUDY, ["--help"])
