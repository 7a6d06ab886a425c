"""`dvt sync` as far as it comes without MLflow."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from sweeps.commands import dvt
from sweeps.records.journal import Journal


@pytest.mark.parametrize("where", ["the store is prepared", "events are delivered"])
def test_ctrl_c_is_one_line_and_status_130(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    where: str,
) -> None:
    def interrupted(*arguments: object) -> str:
        raise KeyboardInterrupt

    folder = tmp_path / "sweeps" / "s1"
    folder.mkdir(parents=True)
    (folder / "sweep.json").write_text(json.dumps({"options": {"tracking_uri": None}}))
    Journal(folder / "trials.jsonl").close()
    prepare = interrupted if "prepared" in where else str
    monkeypatch.setattr("sweeps.tracking.store.prepare_store", lambda uri, *_: prepare(uri))
    delivery = SimpleNamespace(sync=interrupted)  # the module imports MLflow: two seconds
    monkeypatch.setitem(sys.modules, "sweeps.tracking.delivery", delivery)

    assert dvt.run(["sync", "s1", "--storage", str(tmp_path)]) == 130
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.strip() == "Interrupted."


def test_ctrl_c_while_the_command_is_imported_is_the_same(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("importlib.import_module", interrupted)
    assert dvt.run(["sync", "s1"]) == 130
    assert capsys.readouterr() == ("", "Interrupted.\n")
