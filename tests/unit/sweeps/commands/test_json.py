"""What `--json` prints has the keys that docs/json.md names, all of them and no other."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.synthetic_sweep import make
from sweeps.checks.finding import Finding
from sweeps.commands import doctor, dvt
from sweeps.depth_vs_tricks import STUDY
from sweeps.runner import cli, dry_run
from tests.unit.sweeps.journals import ALL, write_sweep

DOCS = (Path(__file__).parents[4] / "docs" / "json.md").read_text()
ASKED: dict[str, Any] = {"arms": ("resnet18/plain", "resnet18/tricks"), "trials": 5, "images": 40}


def documented(heading: str, table: int = 0) -> set[str]:
    """Return the keys in a table of a section."""
    (section,) = re.findall(rf"^## `{heading}`\n(.*?)(?=^## |\Z)", DOCS, re.DOTALL | re.MULTILINE)
    rows = re.split(r"^\| key \|.*\n", section, flags=re.MULTILINE)[1 + table]
    firsts = [row.split("|")[1] for row in rows.splitlines() if row.startswith("| `")]
    return {key for first in firsts for key in re.findall(r"`([^`]+)`", first)}


def keys(value: Any, place: str = "") -> Iterator[str]:
    """Yield the place of each key: `arms[].test`."""
    if isinstance(value, list):
        for part in value:
            yield from keys(part, f"{place}[]")
    if isinstance(value, dict):
        for name, part in value.items():
            inner = f"{place}.{name}".removeprefix(".")
            yield inner
            yield from keys(part, inner)


def printed(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> Any:
    assert dvt.run([*arguments, "--json"]) == status
    (line,) = capsys.readouterr().out.splitlines()
    return json.loads(line)


def inside(place: str, outer: str) -> bool:
    return re.match(rf"{re.escape(outer)}[.\[]", place) is not None


def check(value: Any, known: set[str]) -> None:
    """Check that all known keys are there, and no other but inside one that has no known parts."""
    found = set(keys(value))
    assert known <= found, f"not printed: {known - found}"
    whole = [key for key in known if not any(inside(other, key) for other in known)]
    for place in found - known:
        part = any(inside(place, key) for key in whole)
        assert part or any(inside(key, place) for key in known), f"not documented: {place}"


def test_a_list_of_sweeps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_sweep(tmp_path, lines=ALL)
    (tmp_path / "sweeps" / "foreign").mkdir()
    said = printed(capsys, "list", "--storage", str(tmp_path))
    for sweep in said:
        check([sweep], documented("dvt list --json"))
    assert [sweep["state"] for sweep in said] == ["interrupted", "damaged"]
    assert (said[0]["best"], said[1]["best"]) == (0.5, None)
    assert said[1]["reason"] == "it has no sweep.json"


def test_no_sweeps_are_an_empty_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, "list", "--storage", str(tmp_path)) == []


def test_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make(tmp_path, "one", **ASKED, seeds=(0, 1, 2))
    said = printed(capsys, "report", "one", "--storage", str(tmp_path))
    check(said, documented("dvt report --json"))
    assert [arm["arm"] for arm in said["arms"]] == list(ASKED["arms"])
    assert 0 <= said["champion"]["test_low"] <= said["champion"]["test"] <= 1
    assert Path(said["files"]["page"]).is_file()


def test_a_report_of_a_sweep_without_finalists(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_sweep(tmp_path, lines=ALL)
    said = printed(capsys, "report", "--storage", str(tmp_path))
    assert said["champion"] is None
    assert said["comparisons"] == []
    assert said["arms"][0]["test"] is None


def test_two_sweeps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make(tmp_path, "one", **ASKED, seeds=(0, 1))
    make(tmp_path, "other", **ASKED, seeds=(0, 1))
    said = printed(capsys, "report", "one", "other", "--storage", str(tmp_path))
    check(said, documented("dvt report --json", table=1))
    whole = {key for key in documented("dvt report --json") if not key.startswith("files")}
    for sweep in (said["first"], said["second"]):
        check(sweep, whole)


def test_checks_of_a_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    findings = [Finding("ok", "all is there"), Finding("failed", "it is not", "add it.")]
    monkeypatch.setattr(doctor, "CHECKS", {"one": (lambda asked: iter(findings), "")})
    said = printed(capsys, "doctor", "--storage", str(tmp_path), status=1)
    check(said, documented("dvt doctor --json"))
    assert said[0] == {"check": "one", "state": "ok", "found": "all is there", "fix": None}
    assert said[1]["fix"] == "add it."


def test_a_data_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = np.random.default_rng(0).integers(0, 256, (30, 12, 12, 3), np.uint8)
    np.savez(tmp_path / "images.npz", x_train=images, y_train=np.repeat([0, 1], 15))
    said = printed(capsys, "data", str(tmp_path / "images.npz"), "--storage", str(tmp_path / "s"))
    check(said, documented("dvt data --json"))


def test_a_dry_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dry_run, "epoch_seconds", lambda recipe, **sizes: 3600.0)
    images = np.random.default_rng(0).integers(0, 256, (30, 12, 12, 3), np.uint8)
    np.savez(tmp_path / "images.npz", x_train=images, y_train=np.repeat([0, 1], 15))
    words = ["--preset", "demo", "--data", str(tmp_path / "images.npz"), "--weights", "none"]
    words += ["--gpus", "0", "--storage", str(tmp_path), "--ablate", "--dry-run", "--json"]
    assert cli.run(STUDY, words) == 0
    (line,) = capsys.readouterr().out.splitlines()
    said = json.loads(line)
    check(said, documented("dvt run STUDY --dry-run --json"))
    assert [row["name"] for row in said["runs"][-2:]] == ["the champion's", "ablation"]
    assert said["runs"][-1]["device_hours"] is None
    assert said["epochs"] == sum(row["epochs"] for row in said["runs"])
    assert said["images"] == {"train": 18, "val": 6, "test": 6}
    assert said["seconds"] > 0
    for what in ("epochs", "image_passes", "seconds"):
        assert 0 < said["least"][what] < said[what] <= said["exact"][what]


def test_json_of_a_study_needs_a_dry_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(STUDY, ["--json"]) == 2
    assert capsys.readouterr().err == (
        "error: --json belongs to --dry-run, which is not given: leave it out.\n"
    )


@pytest.mark.parametrize("command", ["list", "report", "doctor", "data"])
def test_with_bad_input_there_is_no_json(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dvt.run([command, "--json", "--no-such-option", "--storage", str(tmp_path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert f"error: unknown option '--no-such-option' of dvt {command}" in err


def test_what_is_watched_is_not_printed_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dvt.run(["report", "--json", "--watch", "--storage", str(tmp_path)]) == 2
    assert "--json prints once" in capsys.readouterr().err
