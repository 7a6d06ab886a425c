"""What is printed: JSON that gives the numbers back, and a table of any file names."""

import io
import json
from pathlib import Path

import numpy as np
from rich.console import Console

from sweeps.predict.output import json_line, table

CLASSES = ("bee", "cat", "dog", "[red]\x1b[31m")


def test_a_json_line_gives_back_the_float32_numbers() -> None:
    values = np.random.default_rng(0).dirichlet(np.full(4, 0.1), 200).astype(np.float32)
    for row in values:
        line = json_line(Path("a\nb.png"), row, CLASSES)
        assert "\n" not in line
        said = json.loads(line)
        assert said["file"] == "a\nb.png"
        assert said["class"] == CLASSES[row.argmax()]
        assert np.array_equal(np.array(list(said["probabilities"].values()), np.float32), row)
        assert list(said["probabilities"]) == list(CLASSES)


def test_a_table_has_the_three_most_probable_classes_and_no_control_characters() -> None:
    rows = [
        (Path("a.png"), np.array([0.1, 0.65, 0.25, 0.0], np.float32)),
        (Path("b\x1b[2J\udcff.png"), np.array([0.0, 0.0, 0.25, 0.75], np.float32)),
    ]
    said = _printed(rows, CLASSES)
    first, second = (line for line in said.splitlines() if ".png" in line)
    assert first.split() == ["a.png", "cat", "65.0", "dog", "25.0", "bee", "10.0"]
    assert "[red]" in second
    assert "\x1b" not in said
    said.encode()


def test_two_classes_have_no_third() -> None:
    said = _printed([(Path("a.png"), np.array([0.5, 0.5], np.float32))], ("x", "y"))
    assert "second" in said
    assert "third" not in said


def _printed(rows: list[tuple[Path, np.ndarray]], classes: tuple[str, ...]) -> str:
    out = io.StringIO()
    Console(file=out, width=140).print(table(rows, classes))
    return out.getvalue()
