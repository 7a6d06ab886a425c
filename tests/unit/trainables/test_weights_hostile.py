"""Weights made to keep torch's reader busy for ever, or to crash it, are refused within seconds."""

import io
import os
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from trainables import weights, weights_file
from trainables.weights import WeightsError

NESTED_EMPTY, PAIR_OF_ITSELF, IN_A_TUPLE = b")", b"q\x01h\x01\x86", b"\x85"


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second; and a process with torch's threads is not forked."""
    monkeypatch.setattr(weights_file, "READ_WITHIN_S", 1)
    monkeypatch.setattr(os, "fork", None)


def _hostile(path: Path, key: bytes) -> Path:
    """A state dict with another key than a name, as torch.save would put it into a file."""
    honest = io.BytesIO()
    torch.save({}, honest)
    content = (
        pickle.PROTO
        + b"\x02"
        + pickle.EMPTY_DICT
        + key
        + pickle.NONE
        + pickle.SETITEM
        + pickle.STOP
    )
    with zipfile.ZipFile(honest) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            target.writestr(name, content if name.endswith("data.pkl") else source.read(name))
    return path


@pytest.mark.parametrize(
    "key",
    [NESTED_EMPTY + 60 * PAIR_OF_ITSELF, NESTED_EMPTY + 3_000_000 * IN_A_TUPLE],
    ids=["a hash of 2^60 steps", "a hash 3,000,000 calls deep"],
)
def test_a_key_that_cannot_be_hashed_is_refused_in_one_line(tmp_path: Path, key: bytes) -> None:
    path = _hostile(tmp_path / "evil.pt", key)
    with pytest.raises(
        WeightsError,
        match=r"evil\.pt cannot be read as weights .* save a state dict with torch\.save",
    ) as refused:
        weights.check(path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("key", [b"K\x01", NESTED_EMPTY + 3 * PAIR_OF_ITSELF])
def test_what_can_be_read_passes_and_what_else_is_wrong_is_left_to_reading(
    key: bytes, tmp_path: Path
) -> None:
    path = _hostile(tmp_path / "odd.pt", key)
    weights.check(path)
    with pytest.raises(WeightsError, match="holds a dict of"):
        weights.read(path)


def test_a_file_that_holds_no_pickle_needs_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_file({"fc.bias": torch.zeros(2)}, tmp_path / "honest.safetensors")
    (tmp_path / "text.pt").write_text("no weights")
    monkeypatch.setattr(weights_file.subprocess, "run", None)
    for name in ("honest.safetensors", "text.pt", "gone.pt", "."):
        weights.check(tmp_path / name)
