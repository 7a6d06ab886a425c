"""What a caller sends the registered model is read as the images it holds, or refused in a line."""

from __future__ import annotations

import ast
import inspect
import re
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sweeps.tracking import pyfunc as mlflow_model
from sweeps.tracking.environment import prepare_process
from sweeps.tracking.pyfunc import RegisteredModel, rgb
from sweeps.tracking.store import TrackingError
from trainables.data.decode import to_rgb

prepare_process()  # before a test imports MLflow

RNG = np.random.default_rng(0)
COLOR = RNG.integers(0, 256, (2, 5, 7, 3), dtype=np.uint8)
GREY = RNG.integers(0, 256, (2, 5, 7), dtype=np.uint8)
IN_COLOR = GREY[..., None].repeat(3, axis=3)


class Brightness:
    """A graph that answers the mean of each image, and takes what the exported one takes."""

    def predict(self, data: np.ndarray) -> np.ndarray:
        number, height, width, channels = data.shape
        assert number >= 1
        assert min(height, width) >= 2
        assert channels == 3
        assert data.dtype == np.uint8
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return torch.from_numpy(data).float().mean((1, 2)).numpy()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (COLOR, COLOR),
        (COLOR[0], COLOR[:1]),
        (COLOR[:, ::-1, ::-1], COLOR[:, ::-1, ::-1]),
        (GREY, IN_COLOR),
        (GREY[..., None], IN_COLOR),
        (GREY[0], IN_COLOR[:1]),
        (GREY[0][..., None], IN_COLOR[:1]),
        (COLOR.tolist(), COLOR),
        (list(COLOR), COLOR),
        (COLOR.astype(np.int64), COLOR),
        (COLOR.astype(">u2"), COLOR),
        (COLOR.astype(np.float32), COLOR),
        (COLOR / 255, COLOR),
        ((COLOR / 255).astype(np.float32), COLOR),
        ((COLOR / 255).tolist(), COLOR),
        (GREY > 99, np.where(IN_COLOR > 99, 255, 0)),
        (GREY[:1] // 200 * 1.0, IN_COLOR[:1] // 200 * 255),
    ],
    ids=[
        *(
            "uint8",
            "one image",
            "reversed axes",
            "grey",
            "grey with its channel",
            "one grey image",
            "one with its channel",
        ),
        *(
            "lists",
            "a list of arrays",
            "int64",
            "other byte order",
            "whole floats",
            "float64 in 0..1",
            "float32 in 0..1",
        ),
        *("lists of floats", "booleans", "only 0.0 and 1.0"),
    ],
)
def test_numbers_of_any_kind_are_the_images_they_hold(given: object, expected: np.ndarray) -> None:
    found = rgb(given)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, expected)


def test_float16_in_0_to_1_is_right_within_its_own_steps() -> None:
    assert np.abs(rgb((COLOR / 255).astype(np.float16)).astype(int) - COLOR).max() <= 1


def test_transparent_pixels_come_over_white_as_those_of_files() -> None:
    alpha, color = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8))
    pixels = np.stack([color, color[::-1], color, alpha], axis=2)  # every color with every alpha
    expected = np.asarray(to_rgb(Image.fromarray(pixels, "RGBA")))
    np.testing.assert_array_equal(rgb(pixels), expected[None])
    np.testing.assert_array_equal(rgb(pixels[None] / 255), expected[None])


def test_of_a_side_of_one_pixel_the_center_is_seen() -> None:
    row = RNG.integers(0, 256, (2, 1, 40, 3), dtype=np.uint8)
    for given in (row, row.transpose(0, 2, 1, 3)):
        found = rgb(given)
        assert found.shape == (2, 2, 2, 3)
        assert (found == row[:, :, 19:20]).all()
    assert (rgb(row[:, :, :1]) == row[:, :, :1]).all()


def test_read_only_arrays_are_copied_and_others_are_not() -> None:
    closed = COLOR.copy()
    closed.flags.writeable = False
    assert rgb(closed).flags.writeable
    np.testing.assert_array_equal(
        RegisteredModel(Brightness()).predict(closed), COLOR.astype(np.float32).mean((1, 2))
    )
    assert rgb(COLOR) is COLOR


@pytest.mark.parametrize(
    "nothing",
    [[], np.zeros((0, 8, 8, 3), np.uint8), np.zeros((0, 0, 0, 3)), COLOR[:0]],
    ids=["list", "array", "no sides", "slice"],
)
def test_no_images_have_no_answers(nothing: object) -> None:
    answer = RegisteredModel(Brightness()).predict(nothing)
    assert answer.shape == (0, 3)
    assert answer.dtype == np.float32


@pytest.mark.parametrize(
    ("given", "rule", "mend"),
    [
        (COLOR.astype(np.float64) / 255 - 0.5, "from -0.5 to 0.", "undo their normalization"),
        (COLOR * 1.0 + 0.25, "some of them fractions", "round them"),
        (COLOR.astype(np.int64) - 1, "from -1 to", "scale them to 0..255"),
        (COLOR.astype(np.uint16) * 257, "uint16", "scale them to 0..255"),
        (np.full((1, 2, 2, 3), np.nan), "nan", "replace what is not finite"),
        (np.where(COLOR > 99, np.inf, 0.5), "inf", "replace what is not finite"),
        ([[[[0.5, None, 0.5]]]], "numbers", "[N, H, W, 3]"),
        ([[[["a", "b", "c"]]]], "numbers", "[N, H, W, 3]"),
        (COLOR.astype(complex), "numbers", "[N, H, W, 3]"),
        ([COLOR[0].tolist(), COLOR[0, :2].tolist()], "one size", "one by one"),
        ({"a": COLOR}, "dict", "convert them"),
        (Image.fromarray(COLOR[0]).convert("P"), "Image", "convert them"),
        (COLOR.transpose(0, 3, 1, 2), "[2, 3, 5, 7]", ".transpose(0, 2, 3, 1)"),
        (COLOR[0].transpose(2, 0, 1), "two readings", ".transpose(1, 2, 0)"),
        (COLOR[..., :2], "[2, 5, 7, 2]", "reshape"),
        (COLOR[None], "[1, 2, 5, 7, 3]", "reshape"),
        (COLOR[0, 0, 0], "[3]", "reshape"),
        (np.uint8(3), "numpy array", "convert"),
        (np.array(3, np.uint8), "[]", "reshape"),
        (np.zeros((2, 0, 5, 3), np.uint8), "[2, 0, 5, 3]", "at least 1 pixel"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(given: object, rule: str, mend: str) -> None:
    with pytest.raises(ValueError, match=re.escape(rule)) as refused:
        rgb(given)
    line = str(refused.value)
    assert mend in line
    assert "\n" not in line
    assert len(line) < 300


def test_each_mend_in_code_is_one() -> None:
    np.testing.assert_array_equal(rgb(COLOR.transpose(0, 3, 1, 2).transpose(0, 2, 3, 1)), COLOR)
    np.testing.assert_array_equal(rgb(COLOR[0].transpose(2, 0, 1).transpose(1, 2, 0)), COLOR[:1])
    np.testing.assert_array_equal(
        rgb(GREY[:1].repeat(3, axis=0)[..., None]), IN_COLOR[:1].repeat(3, axis=0)
    )


def test_the_file_runs_where_this_project_is_not() -> None:
    tree = ast.parse(Path(mlflow_model.__file__).read_text())
    froms = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names = [
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    ]
    needed = {name.partition(".")[0] for name in (*froms, *names)}
    assert needed - set(sys.stdlib_module_names) == {"numpy", "mlflow"}


def test_mlflow_still_has_the_private_names_that_a_registered_model_needs() -> None:
    import mlflow.pytorch
    from mlflow.models import ModelSignature

    assert isinstance(ModelSignature._is_signature_from_type_hint, property)
    assert ModelSignature._is_signature_from_type_hint.fset is not None
    assert list(inspect.signature(mlflow.pytorch._load_pyfunc).parameters)[:2] == [
        "path",
        "model_config",
    ]


@pytest.mark.parametrize(
    "written", ["", "is_signature_from_type_hint: false\n", "signature:\n  inputs: '[]'\n"]
)
def test_a_model_whose_input_mlflow_would_change_is_not_stored(written: str) -> None:
    from sweeps.tracking.registry import check_sent_as_is

    check_sent_as_is(
        f"flavors:\n{written.replace('false', 'true')}is_signature_from_type_hint: true\n"
    )
    with pytest.raises(
        TrackingError,
        match=r"must say is_signature_from_type_hint: true, but MLflow \d.* leaves it out",
    ):
        check_sent_as_is(f"flavors:\n{written}")
