"""Whatever a file of weights holds, it is a state dict of plain tensors or refused in one line.

Its code never runs.
"""

from __future__ import annotations

import builtins
import io
import os
import pickle
import warnings
import zipfile
from collections import OrderedDict
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from trainables.backbones import build
from trainables.network import Network
from trainables.recipe import Recipe
from trainables.weights import WeightsError, load, locate, read

pytestmark = pytest.mark.timeout(60)


def refusal(path: Path, network: Network | None = None) -> str | None:
    """What is wrong with a file, on one line.

    None where it can be read, and loaded if a network is given.
    """
    try:
        with warnings.catch_warnings(action="error"):  # they would be lines of their own
            state = read(path)
            if network:
                load(network, path, "tiny")
    except WeightsError as error:
        line = str(error)
    else:
        line = ""
    if line:
        assert line.isprintable()
        assert path.name.splitlines()[0] in line
        assert len(line) < 1000
        return line
    assert state
    assert all(isinstance(key, str) and isinstance(value, Tensor) for key, value in state.items())
    return None


def saved(content: object, *, legacy: bool = False) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=not legacy)
    return file.getvalue()


# Damage


@cache
def whole(legacy: bool) -> bytes:
    return saved(
        {"conv1.weight": torch.ones(2, 3), "bn1.num_batches_tracked": torch.tensor(3)},
        legacy=legacy,
    )


@settings(derandomize=True, deadline=None, max_examples=300)
@given(
    st.booleans(),
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=4),
    st.one_of(st.none(), st.integers(0, 2000)),
    st.binary(max_size=8),
)
@pytest.mark.filterwarnings("ignore")
def test_a_damaged_file_is_read_or_refused(
    legacy: bool, changes: list[tuple[int, int]], end: int | None, more: bytes
) -> None:
    content = bytearray(whole(legacy)[:end])
    for place, byte in changes:
        if content:
            content[place % len(content)] = byte
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.pt"
        path.write_bytes(content + more)
        refusal(path)


OPCODES = st.one_of(st.sampled_from([bytes([code]) for code in b"(.0125INRaXebcdhjlo}t]qrsu\x80\x81\x85\x86\x87\x88\x8a\x93\x94"]), st.binary(max_size=3), st.just(b"ctorch._utils\n_rebuild_tensor_v2\n"))  # fmt: skip # noqa: E501


@settings(derandomize=True, deadline=None, max_examples=300)
@given(
    st.booleans(),
    st.one_of(
        st.binary(max_size=60),
        st.lists(OPCODES, max_size=20).map(lambda ops: b"\x80\x02" + b"".join(ops)),
    ),
)
def test_any_pickle_is_read_or_refused(zipped: bool, content: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.pt"
        path.write_bytes(content)
        if zipped:
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("archive/data.pkl", content)
                archive.writestr("archive/version", "3\n")
        assert refusal(path)


# Content


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.binary(max_size=5),
    st.sampled_from(
        [
            torch.float32,
            torch.Size([1]),
            torch.zeros(2),
            torch.zeros(0),
            nn.Parameter(torch.ones(1)),
            torch.float,
        ]
    ),
)
KEYS = st.one_of(
    st.text(max_size=9),
    st.sampled_from(["state_dict", "a\nb", "x" * 10_000, "{}", "conv1.weight"]),
    st.integers(),
)
CONTENTS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=6,
)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(CONTENTS, st.booleans())
@example({torch.zeros(3, 3): 1}, False)
@example({(1, (2, "x" * 9999)): torch.zeros(1)}, False)
def test_any_content_is_a_state_dict_or_refused(content: Any, legacy: bool) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.pt"
        path.write_bytes(saved(content, legacy=legacy))
        refusal(path)


def odd_tensors() -> dict[str, Tensor]:
    shape = (6, 3, 7, 7)
    return {
        "complex": torch.zeros(shape, dtype=torch.complex64),
        "sparse": torch.zeros(shape).to_sparse(),
        "meta": torch.zeros(shape, device="meta"),
        "quantized": torch.quantize_per_tensor(torch.zeros(shape), 0.1, 0, torch.qint8),
    }


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["complex", "sparse", "meta", "quantized"])
def test_a_tensor_that_is_no_plain_numbers_is_refused(
    kind: str, tiny: Recipe, tmp_path: Path
) -> None:
    network = build(tiny, 3)
    state = {**network.torchvision_state_dict(), "conv1.weight": odd_tensors()[kind]}
    (tmp_path / "a.pt").write_bytes(saved(state))
    line = refusal(tmp_path / "a.pt", network)
    assert line
    assert "a.pt" in line


@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int8, torch.bool]
)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1])
def test_any_finite_real_numbers_load(
    dtype: torch.dtype, value: float, tiny: Recipe, tmp_path: Path
) -> None:
    network = build(tiny, 3)
    weight = torch.full((6, 3, 7, 7), value).to(dtype)
    (tmp_path / "a.pt").write_bytes(
        saved({**network.torchvision_state_dict(), "conv1.weight": nn.Parameter(weight, False)})
    )
    line = refusal(tmp_path / "a.pt", network)
    if weight.isfinite().all():
        assert line is None
        assert torch.equal(network.torchvision_state_dict()["conv1.weight"], weight.float())
    else:
        assert "must hold finite real numbers, but 'conv1.weight' has NaN or infinity" in str(line)


# Code


class Call:
    """Unpickled, it calls."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def zipped(content: object, name: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(f"{name}/data.pkl", pickle.dumps(content, 2))
        archive.writestr(f"{name}/version", "3\n")
        archive.writestr(f"{name}/constants.pkl", pickle.dumps(content, 2))
        archive.writestr(f"{name}/code/__torch__.py", "open('witness', 'w')")
    return file.getvalue()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("place", ["bare", "value", "key", "nested", "argument of a tensor"])
def test_code_never_runs_wherever_it_is(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    witness, path = tmp_path / "witness", tmp_path / "a.pt"
    calls = [
        (os.system, f"touch {witness}"),
        (builtins.eval, f"open({str(witness)!r}, 'w')"),
        (builtins.exec, f"open({str(witness)!r}, 'w')"),
        (Path.touch, witness),
        (torch.save, torch.zeros(1), str(witness)),
        (getattr, OrderedDict, "fromkeys"),
    ]
    for function, *arguments in calls:
        call = Call(function, *arguments)
        content: Any = {
            "bare": call,
            "value": {"conv1.weight": call},
            "key": {call: torch.zeros(1)},
            "nested": {"state_dict": OrderedDict(a=[call])},
            "argument of a tensor": {
                "a": Call(
                    torch._utils._rebuild_tensor_v2, call, 0, (1,), (1,), False, OrderedDict()
                )
            },
        }[place]
        files = [pickle.dumps(content, protocol) for protocol in range(6)]
        files += [saved(content, legacy=legacy) for legacy in (False, True)]
        files += [zipped(content, name) for name in ("archive", "a", "..")]
        for file in files:
            path.write_bytes(file)
            assert refusal(path)
            assert not witness.exists()
    pickle.loads(pickle.dumps(Call(*calls[0])))
    assert witness.exists()  # what another reader would have done


# Names


def test_a_name_with_a_line_break_is_refused_on_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a\nb.pt"
    path.write_bytes(b"no weights")
    assert "a\\nb.pt" in str(refusal(path))
    path.write_bytes(saved({"epoch\n": 3}))
    assert "a\\nb.pt must hold" in str(refusal(path))


@pytest.mark.parametrize(
    "weights", ["x" * 5000, "~no-such-user-here/a.pt", "\ud800", "a\0b", "", "/dev/zero", "a\nb"]
)
def test_a_path_that_is_none_is_refused_on_one_line(weights: str) -> None:
    with pytest.raises(WeightsError) as error:
        locate(weights, "resnet18")
    assert str(error.value).isprintable()
    assert "weights for resnet18 must be in a" in str(error.value)


def test_a_pipe_and_a_folder_under_a_weights_name_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "resnet18.pt").mkdir()
    os.mkfifo(tmp_path / "resnet34.pt")
    for name in ("resnet18", "resnet34"):
        with pytest.raises(WeightsError, match=f"there is no {tmp_path / name}.pt"):
            locate(str(tmp_path), name)
