"""What the doctor says of data is what a sweep with the same flags would find."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from sweeps.commands import doctor, dvt


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A set that is refused without --layout classes."""
    for name in ("face", "face_mask"):
        (tmp_path / "set" / name).mkdir(parents=True)
        for number in range(40):
            Image.new("RGB", (8, 8)).save(tmp_path / "set" / name / f"{number}.png")
    return tmp_path / "set"


@pytest.mark.parametrize(("flags", "state"), [([], "failed"), (["--layout", "classes"], "ok")])
def test_data_is_read_as_the_flags_say(
    data: Path,
    flags: list[str],
    state: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(doctor, "CHECKS", {"data": doctor.CHECKS["data"]})
    dvt.run(
        ["doctor", "--preset", "demo", "--data", str(data), "--storage", str(data.parent), *flags]
    )
    assert capsys.readouterr().out.startswith(state)
