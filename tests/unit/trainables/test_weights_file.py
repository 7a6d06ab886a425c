"""Files of weights are told apart by their content.

What is none is named for what it is, with a mend, in one line.
"""

from __future__ import annotations

import argparse
import gzip
import io
import pickle
import tarfile
import zipfile
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save, save_file
from torch import nn

from trainables.weights_file import WeightsError, read

TENSORS = {
    "conv1.weight": torch.arange(6.0).reshape(2, 3),
    "bn1.num_batches_tracked": torch.tensor(7),
}
TORCHS_ADVICE = ("weights_only", "add_safe_globals", "trust", "allowlist", "mmap")


def refusal(path: Path) -> str:
    with pytest.raises(WeightsError) as refused:
        read(path)
    line = str(refused.value)
    assert line.startswith(str(path))
    assert line.isprintable()
    assert len(line) < 400 + len(str(path))
    assert not [word for word in TORCHS_ADVICE if word in line]
    return line


def zipped(**files: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/").replace("_DOT_", "."), content)
    return file.getvalue()


def saved(content: object) -> bytes:
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


# Safetensors


@pytest.mark.parametrize("name", ["a.safetensors", "a.pt", "a"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_file_of_safetensors_is_read_whatever_its_name(
    name: str, dtype: torch.dtype, tmp_path: Path
) -> None:
    tensors = {
        "conv1.weight": TENSORS["conv1.weight"].to(dtype),
        "bn1.num_batches_tracked": torch.tensor(7),
    }
    save_file(tensors, tmp_path / name, metadata={"format": "pt"})
    found = read(tmp_path / name)
    assert found.keys() == tensors.keys()
    assert all(
        torch.equal(found[key], tensors[key]) and found[key].dtype == tensors[key].dtype
        for key in tensors
    )


def test_a_file_of_torch_is_read_under_a_name_of_safetensors(tmp_path: Path) -> None:
    torch.save(TENSORS, tmp_path / "a.safetensors")
    assert torch.equal(read(tmp_path / "a.safetensors")["conv1.weight"], TENSORS["conv1.weight"])


@pytest.mark.parametrize("kept", [20, 100, -1])
def test_a_file_of_safetensors_that_is_cut_off_is_refused(kept: int, tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(save(TENSORS)[:kept])
    assert "cannot be read as weights (it" in refusal(tmp_path / "a.safetensors")


# Other objects beside the tensors


class Options(dict[str, Any]):
    """A dict of a class that torch's reader does not know, like Lightning's AttributeDict."""


@pytest.mark.parametrize(
    "beside",
    [
        argparse.Namespace(lr=0.1, data="photos"),
        Options(lr=0.1),
        defaultdict(list, a=[1]),
        np.float64(0.9),
        np.arange(3),
        Path("photos"),
        [argparse.Namespace(lr=0.1), {"best": np.float32(1)}],
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("legacy", [False, True])
def test_objects_of_a_training_script_beside_the_weights_are_passed_over(
    beside: object, legacy: bool, tmp_path: Path
) -> None:
    torch.save(
        {"args": beside, "model": TENSORS},
        tmp_path / "a.pt",
        _use_new_zipfile_serialization=not legacy,
    )
    found = read(tmp_path / "a.pt")
    assert torch.equal(found["model.conv1.weight"], TENSORS["conv1.weight"])
    assert torch.equal(found["model.bn1.num_batches_tracked"], TENSORS["bn1.num_batches_tracked"])


def touch(witness: str) -> None:
    Path(witness).touch()


class Intruder:
    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return touch, (str(self.witness),)


def test_their_code_does_not_run(tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    torch.save({"args": Intruder(witness), "model": TENSORS}, tmp_path / "a.pt")
    assert list(read(tmp_path / "a.pt")) == ["model.conv1.weight", "model.bn1.num_batches_tracked"]
    assert not witness.exists()
    pickle.loads(pickle.dumps(Intruder(witness)))
    assert witness.exists()  # what a plain unpickler would have done


def test_torch_trusts_the_same_classes_afterwards(tmp_path: Path) -> None:
    torch.save(
        {"args": argparse.Namespace(), "beside": Options(), "model": TENSORS}, tmp_path / "a.pt"
    )
    with torch.serialization.safe_globals([argparse.Namespace]):
        before = set(torch.serialization.get_safe_globals())
        read(tmp_path / "a.pt")
        assert set(torch.serialization.get_safe_globals()) == before


# What is no state dict


def test_a_torchscript_program_is_refused_plainly(tmp_path: Path) -> None:
    module = torch.jit.trace(nn.Conv2d(3, 2, 1), torch.zeros(1, 3, 4, 4))  # type: ignore[no-untyped-call]
    torch.jit.save(module, tmp_path / "a.pt")  # type: ignore[no-untyped-call]
    line = refusal(tmp_path / "a.pt")
    assert line.endswith("(it is a TorchScript program): save model.state_dict() with torch.save.")


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_whole_model_is_refused_by_its_class(legacy: bool, wrapped: bool, tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU())
    content = {"epoch": 3, "model": model} if wrapped else model
    torch.save(content, tmp_path / "a.pt", _use_new_zipfile_serialization=not legacy)
    line = refusal(tmp_path / "a.pt")
    assert "holds a 'torch.nn.modules.container.Sequential' where tensors should be" in line
    assert line.endswith(": save model.state_dict() with torch.save.")


def tar() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("resnet18.pt"))
    return file.getvalue()


def arrays() -> bytes:
    file = io.BytesIO()
    np.savez(file, a=np.ones(2))
    return file.getvalue()


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 46830571\n"


@pytest.mark.parametrize(
    ("content", "found", "mend"),
    [
        (POINTER, "a Git LFS pointer", "git lfs pull"),
        (b"\n<!DOCTYPE html><title>404</title>", "a web page", "save the file itself"),
        (b"<HTML><body>", "a web page", "save the file itself"),
        (b"", "empty", "save"),
        (b"\x89HDF\r\n\x1a\n" + bytes(99), "an HDF5 file, as Keras", "save"),
        (b"\x08\x07\x12\x07pytorch\x1a\x052.0.0", "an ONNX or TensorFlow model", "save"),
        (gzip.compress(b"weights"), "a gzip archive", "unpack it"),
        (tar(), "a tar archive", "unpack it"),
        (
            zipped(weights__resnet18_DOT_pth=b"x"),
            "a zip that holds 'weights/resnet18.pth'",
            "unpack it",
        ),
        (zipped(readme=b"x"), "a zip of 'readme'", "save"),
        (zipped(config_DOT_json=b"{}", model_DOT_weights_DOT_h5=b"x"), "a Keras model", "save"),
        (arrays(), "a NumPy .npz archive", "save"),
        (b"conv1.weight 0.5\n", "text, 'conv1.weight 0.5'", "save"),
        (b'{"weight_map": {}}', "text, '{\"weight_map\": {}}'", "save"),
        (saved(TENSORS)[:-1], "damaged or cut off", "save"),
        (saved(TENSORS)[:200], "damaged or cut off", "save"),
        (b"\x80\x02J1", "neither a torch.save nor a safetensors file", "save"),
    ],
    # Not the content: archives hold the time, and workers must agree on names.
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_file_of_another_kind_is_named_for_what_it_is(
    content: bytes, found: str, mend: str, tmp_path: Path
) -> None:
    (tmp_path / "resnet18.pt").write_bytes(content)
    line = refusal(tmp_path / "resnet18.pt")
    assert "cannot be read as weights (" in line
    assert found in line
    assert mend in line.rpartition("): ")[2]


def test_a_program_of_torch_export_is_refused(tmp_path: Path) -> None:
    program = torch.export.export(nn.Linear(2, 2), (torch.zeros(1, 2),))
    torch.export.save(program, tmp_path / "a.pt2")
    assert "(it is a torch.export program)" in refusal(tmp_path / "a.pt2")


def test_a_folder_or_a_file_that_is_gone_is_refused(tmp_path: Path) -> None:
    assert "Is a directory" in refusal(tmp_path)
    assert "No such file" in refusal(tmp_path / "gone.pt")


def test_arrays_in_place_of_tensors_are_refused(tmp_path: Path) -> None:
    torch.save(OrderedDict({"conv1.weight": np.ones(3)}), tmp_path / "a.pt")
    assert "numpy" in refusal(tmp_path / "a.pt")
