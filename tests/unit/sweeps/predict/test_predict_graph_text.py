"""Text of a graph that torch would run as Python is found.

What `torch.export` itself writes is not taken for such.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
import torch
from torch.export import Dim

from sweeps.predict.graph_text import suspicious_text

HONEST = {
    "expr_str": "FloorDiv(Add(Symbol('s14', positive=True, integer=True), Mul(Integer(-1), s90)), "
    "Integer(2))",
    "guards_code": "(1 % (3*torch.sym_min(L['images'].size()[2], L['images'].size()[1]))) != 0",
    "target": "torch.ops.aten.upsample_bilinear2d.vec",
    "as_operator": "_operator.floordiv",
    "in_spec": '[1, {"type": "builtins.tuple", "context": "null", "children_spec": []}]',
    "torch_version": "2.15.0+cu132",
    "name": "p_fc_head_weight",
}


def archive(folder: Path, told: object, name: str = "model/models/model.json") -> Path:
    path = folder / "model.pt2"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(name, json.dumps({"graph_module": [told]}))
    return path


@pytest.mark.parametrize("key", HONEST)
def test_what_torch_writes_is_taken(tmp_path: Path, key: str) -> None:
    assert suspicious_text(archive(tmp_path, {key: HONEST[key]})) is None


def test_notes_on_where_a_node_came_from_may_hold_anything(tmp_path: Path) -> None:
    assert (
        suspicious_text(
            archive(tmp_path, {"metadata": {"stack_trace": 'File "a.py", line 1: f(x)'}})
        )
        is None
    )
    hidden = {"metadata": {"expr": {"expr_str": "f(1)"}}}
    assert suspicious_text(archive(tmp_path, hidden)) == "f(1)"


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("expr_str", "sympify.__globals__['__builtins__']['__import__']('os').system('true')"),
        ("expr_str", "eval(chr(49)+chr(43)+chr(49))"),
        ("expr_str", "Symbol('s0').func"),
        ("expr_str", "Symbol('open(1)')"),
        ("expr_str", "(lambda: 1)()"),
        ("expr_str", "[s0 for s0 in L]"),
        ("expr_str", "Integer(2)#\n"),
        ("expr_str", "("),
        ("guards_code", "print(1)"),
        ("guards_code", "L['images'].size()[1] != 0, 1) or print(1"),
        ("guards_code", "torch.os.system('true')"),
        ("target", "torch.os.system"),
        ("target", "_operator.methodcaller"),
        ("target", "torch.ops.aten.__class__"),
        ("as_operator", "torch.load"),
        ("name", "x=print(1)"),
        ("in_spec", '[1, {"type": "builtins.dict", "context": "[\\"x=print(1)\\"]"}]'),
    ],
)
def test_code_is_found_wherever_torch_would_run_it(tmp_path: Path, key: str, text: str) -> None:
    assert suspicious_text(archive(tmp_path, {key: text})) == text
    assert suspicious_text(archive(tmp_path, {key: [text]}, "model/models/model")) == text


def test_a_name_of_a_field_is_no_code_either(tmp_path: Path) -> None:
    assert suspicious_text(archive(tmp_path, {"f(1)": 1})) == "f(1)"


def test_a_file_that_is_there_twice_is_not_taken(tmp_path: Path) -> None:
    path = archive(tmp_path, {})
    with zipfile.ZipFile(path, "a") as file, pytest.warns(UserWarning, match="Duplicate name"):
        file.writestr("model/models/model.json", "{}")
    assert suspicious_text(path) == "model/models/model.json"


class Halves(torch.nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        side = torch.sym_min(images.shape[1], images.shape[2])
        return images[:, (images.shape[1] - side) // 2 :, : side // 2].float().mean((1, 2))


def test_a_graph_with_free_sizes_is_taken(tmp_path: Path) -> None:
    free = {"images": {0: Dim.DYNAMIC, 1: Dim.DYNAMIC, 2: Dim.DYNAMIC}}
    exported = torch.export.export(Halves(), (torch.zeros(2, 48, 64, 3),), dynamic_shapes=free)
    torch.export.save(exported, tmp_path / "model.pt2")
    with zipfile.ZipFile(tmp_path / "model.pt2") as file:
        assert "FloorDiv(" in file.read("model/models/model.json").decode()
    assert suspicious_text(tmp_path / "model.pt2") is None
