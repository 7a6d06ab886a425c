"""A trial whose files are damaged or gone says which. Starts no Ray."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.integration.test_ray_trial import DATA, WEIGHTS, config, data, reports  # noqa: F401  fixtures
from trainables.ray_trial import train


def test_real_faults_of_files_are_named(config: Any, reports: list[Any], tmp_path: Path) -> None:  # noqa: F811
    weights = tmp_path / "weights.pt"
    weights.write_bytes(b"no weights")
    train(config | {"weights": WEIGHTS | {"path": str(weights)}})
    train(config | {"data": DATA | {"path": str(tmp_path / "gone")}})
    train(config | {"recipe": config["recipe"] | {"epochs": 0}})
    assert [report["kind"] for report in reports] == ["error"] * 3
    for report, word in zip(
        reports,
        ("weights.pt", "unknown data set or path 'gone'", "ValueError: epochs must be"),
        strict=True,
    ):
        assert word in report["reason"]
