"""What a notebook reads of a sweep's folder: tables, the champion that answers, and the page."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sweeps.report.page import write
from sweeps.runner.notebook.errors import SweepRefused
from sweeps.runner.notebook.result import SweepResult
from tests.unit.sweeps.journals import ALL, finished, write_sweep
from tests.unit.sweeps.runner.trained import RECIPE
from trainables.backbones import build
from trainables.checkpoint import best, save_best


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_sweep(tmp_path, "one", [*ALL, finished(partial=False)])


@pytest.fixture
def champion(folder: Path) -> Path:
    """Keep a small network as the champion; its folder."""
    kept = folder / "champion"
    save_best(kept, build(RECIPE, 2), RECIPE, ("x", "y"), epoch=1, score=0.5)
    made = best(kept)
    assert made
    made.replace(kept / "best.pt")
    recipe = {"trial": "a/000", "score": 0.5, "metric": "accuracy", "recipe": RECIPE.as_dict()}
    (kept / "recipe.json").write_text(json.dumps({**recipe, "data": {"stored_side": 40}}))
    return kept


def test_tables_are_those_of_the_files(folder: Path) -> None:
    result = SweepResult(folder)
    rows = pd.concat([result.trials, result.finalists])
    write(folder)
    written = pd.read_csv(folder / "results.csv")
    assert list(rows.columns) == list(written.columns)
    assert list(rows["trial_id"]) == list(written["trial_id"])
    compared = pd.read_csv(folder / "comparisons.csv")
    assert list(result.comparisons.columns) == list(compared.columns)
    assert (result.name, result.status, repr(result)) == (
        "one",
        "finished",
        "<sweep one, finished>",
    )


def test_it_shows_the_verdict_the_arms_and_a_link_to_the_page(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    shown = SweepResult(folder)._repr_html_()
    assert "<b>one</b>, finished: <a href='one/report.html'" in shown
    assert "<th>arm</th>" in shown
    assert "resnet18/plain" in shown
    assert (folder / "report.html").is_file()


def test_a_sweep_without_a_champion_has_none(folder: Path) -> None:
    assert SweepResult(folder).champion is None


def test_the_champion_answers_alike_for_a_file_an_array_and_an_image(
    folder: Path, champion: Path, tmp_path: Path
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (50, 60, 3), dtype=np.uint8)
    path = tmp_path / "photos" / "a.png"
    path.parent.mkdir()
    Image.fromarray(pixels).save(path)
    found = SweepResult(folder).champion
    assert found
    assert (found.recipe, found.classes, found.score) == (RECIPE, ("x", "y"), 0.5)
    asked = [path, str(path.parent), pixels, Image.open(path), pixels / 255, pixels[None]]
    answers = found.predict(asked)
    assert list(answers.columns) == ["predicted", "probability", "x", "y"]
    assert list(answers.index) == [str(path), str(path), 2, 3, 4, 5]
    assert np.ptp(answers["x"]) == 0
    assert (answers["x"] + answers["y"]).to_numpy() == pytest.approx(1)
    assert answers["predicted"].iloc[0] == answers[["x", "y"]].iloc[0].idxmax()
    assert len(found.predict(np.stack([pixels] * 3))) == 3
    assert len(found.predict(pixels.tolist())) == 1
    assert len(found.predict(path)) == 1
    assert len(found.predict([])) == 0


def test_what_is_no_image_is_a_line_each(folder: Path, champion: Path, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    found = SweepResult(folder).champion
    assert found
    with pytest.raises(SweepRefused) as refused:
        found.predict([tmp_path / "text.png", "gone.png", np.zeros((4, 4, 3)) + 300, {"a": 1}])
    assert len(refused.value.problems) == 4
    (champion / "best.pt").unlink()
    gone = SweepResult(folder).champion
    assert gone
    with pytest.raises(SweepRefused, match=r"weights are gone: train it again by .*recipe\.json"):
        gone.predict(tmp_path)
