"""`dvt doctor`: all is well on this machine, and each thing that is not is named with its fix."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from sweeps.checks import machine
from sweeps.checks.finding import Finding, Subject
from sweeps.commands import dvt
from sweeps.commands.doctor import EXPERIMENT
from trainables.backbones import build
from trainables.convolution import measuring
from trainables.recipe import Recipe

Doctor = Callable[..., str]
DEMO = ("--preset", "demo")


@pytest.fixture
def doctor(
    tmp_path: Path,
    template: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Doctor:
    """Run the command; what it says. Nothing but it says anything."""
    (tmp_path / "mlruns").mkdir()
    (tmp_path / "mlruns" / "mlflow.db").write_bytes(template.read_bytes())
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.delenv("DVT_CACHE_DIR", raising=False)
    # An image or two of each shape.
    monkeypatch.setattr(measuring, "MULTIPLICATIONS", 2**20)
    monkeypatch.setattr(measuring, "POSITIONS", 1)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, code: int = 0) -> str:
        found = dvt.run(["doctor", *arguments])
        said = capfd.readouterr()
        assert found == code, said
        assert "Traceback" not in said.out + said.err
        if code < 2:
            assert said.err == ""
            assert all(
                line.split()[0] in ("ok", "warning", "failed", "->")
                for line in said.out.splitlines()
            ), said.out
        return said.out + said.err

    return run


def bad(said: str) -> list[str]:
    """What failed, each with its mend."""
    lines = [*said.splitlines(), ""]
    pairs = itertools.pairwise(lines)
    return [
        line + after if "->" in after else line
        for line, after in pairs
        if line.startswith("failed")
    ]


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def test_all_is_well_and_nothing_stays_in_mlflow_twice(doctor: Doctor, tmp_path: Path) -> None:
    for _ in range(2):
        said = doctor(*DEMO, "--storage", "new")
        assert not bad(said)
    for part in (
        "python",
        "torch 2",
        "commit",
        "CPUs",
        "can be written to",
        "train on the CPU",
        "on cpu",
        "digits: 5 classes",
    ):
        assert part in said
    from mlflow import MlflowClient
    from mlflow.entities import ViewType

    client = MlflowClient(f"sqlite:///{tmp_path / 'new' / 'mlflow.db'}")
    assert [found.name for found in client.search_experiments()] == ["Default"]
    (found,) = client.search_experiments(ViewType.DELETED_ONLY)
    assert found.name == EXPERIMENT
    left = {path.name for path in (tmp_path / "new").iterdir()}
    assert left <= {"mlflow.db", "mlflow.db.lock", "cache"}


def test_everything_that_is_wrong_is_named_with_its_mend(doctor: Doctor, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    uri = f"http://anna:secret@127.0.0.1:{closed_port()}"
    flags = (
        "--tracking-uri",
        uri,
        "--weights",
        "nothing.pt",
        "--data",
        "nowhere",
        "--storage",
        "file/storage",
    )
    said = doctor(*flags, "--address", f"127.0.0.1:{closed_port()}", code=1)
    found = bad(said)
    wanted = {
        "storage": ("--storage must be a folder that can be written to", "choose another"),
        "ray": ("nothing answers", "start Ray there"),
        "data": ("'nowhere'", "an .npz"),
        "weights": ("nothing.pt", "pass imagenet"),
        "mlflow": ("http://anna:***@127.0.0.1", "start the server"),
    }
    for name, parts in wanted.items():
        (line,) = [line for line in found if line.split()[1] == name and parts[0] in line]
        assert parts[1] in line
    assert len(found) == len(wanted), "the cache is in the storage"
    assert "secret" not in said


def test_a_store_in_a_folder_that_cannot_be_written_is_named(
    doctor: Doctor, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    found = bad(doctor(*DEMO, "--storage", "file/storage", code=1))
    (line,) = [line for line in found if line.split()[1] == "mlflow"]
    assert "give another --storage or --tracking-uri" in line


def test_a_store_that_can_only_be_read_is_named(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    def refuse(client: MlflowClient, *arguments: str, **more: str) -> None:
        raise MlflowException("permission denied for table runs")

    monkeypatch.setattr(MlflowClient, "create_run", refuse)
    (line,) = bad(doctor(*DEMO, code=1))
    assert "must take a sweep's runs, but" in line
    assert "(permission denied for table runs): check the permissions" in line


def test_weights_are_read_and_held_against_their_backbone(doctor: Doctor, tmp_path: Path) -> None:
    state = build(Recipe(backbone="resnet18"), 2).torchvision_state_dict()
    (tmp_path / "weights").mkdir()
    torch.save(state, tmp_path / "weights" / "resnet18.pt")
    assert "weights: resnet18" in doctor("--weights", "weights")
    assert "tensors" in doctor("--weights", "weights/resnet18.pt")
    torch.save(state, tmp_path / "weights" / "resnet34.pt")
    (line,) = bad(doctor("--weights", "weights", code=1))
    assert "must fit resnet34" in line


def test_what_a_sweep_would_download_is_a_warning(
    doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    said = doctor()
    assert "not on this machine yet" in said
    assert "resnet18-f37072fd.pth" in said
    (tmp_path / "torch" / "hub" / "checkpoints").mkdir(parents=True)
    (
        tmp_path / "torch" / "hub" / "checkpoints" / "resnet18-f37072fd.pth"
    ).touch()  # as a download that broke off leaves it
    said = doctor(code=1)
    assert "resnet18-f37072fd.pth must have the SHA-256 in its name" in said
    assert "delete " in said


def test_problems_of_the_data_are_named(doctor: Doctor, tmp_path: Path) -> None:
    np.savez(tmp_path / "half.npz", x_train=np.zeros((30, 8, 8, 3), np.uint8))
    (line,) = bad(doctor("--data", "half.npz", "--weights", "none", code=1))
    assert "y_train" in line


SMI = """#!/bin/sh
echo "GPU 0: NVIDIA H200 (UUID: GPU-0)"
echo "GPU 1: NVIDIA H200 (UUID: GPU-1)"
"""


@pytest.mark.skipif(torch.cuda.is_available(), reason="pretends that torch sees no GPU")
def test_gpus_that_torch_does_not_see_are_named(
    doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text(SMI)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    assert "none of 2, since CUDA_VISIBLE_DEVICES is ''" in doctor(*DEMO)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    (line,) = bad(doctor(*DEMO, code=1))
    assert "torch sees 0 of 2: NVIDIA H200, NVIDIA H200" in line
    assert "install a torch" in line
    program.write_text(
        "#!/bin/sh\necho Failed to initialize NVML: Driver/library version mismatch; exit 18\n"
    )
    (line,) = bad(doctor(*DEMO, code=1))
    assert "Driver/library version mismatch" in line
    assert "reload NVIDIA's driver" in line


def test_an_old_package_is_named_with_the_command_that_mends_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(machine, "version", {"torch": "2.9.1+cpu", "ray": "2.60.0rc1"}.get)
    monkeypatch.setattr(
        machine,
        "requires",
        lambda _: ["torch>=2.11", "ray[tune]>=2.60", 'pytest>=8.4; extra == "dev"'],
    )
    nowhere = Subject(address="local", storage=Path(), cache=Path())
    (found,) = machine.packages(nowhere)
    assert found == Finding(
        "failed", "torch 2.9.1+cpu, ray 2.60.0rc1", "pip install -U 'torch>=2.11'"
    )


def test_little_disk_is_a_warning(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweeps.checks.folders.LITTLE_DISK", 10**18)
    said = doctor(*DEMO)
    assert said.count("make room: dvt clean") == 1


def test_a_bad_flag_is_refused_before_any_check(doctor: Doctor, tmp_path: Path) -> None:
    before = list(tmp_path.rglob("*"))
    said = doctor("--dat", "digits", "--preset", "huge", "--storage", "", code=2)
    assert said.count("error: ") == said.count("\n") == 3
    assert "Did you mean '--data'?" in said
    assert list(tmp_path.rglob("*")) == before
