"""`dvt predict`: the same answers as validation, by the champion's file and through MLflow."""

from __future__ import annotations

import copy
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from mlflow import MlflowClient
from PIL import Image

from sweeps.commands import dvt as console
from sweeps.predict.model import STORED
from sweeps.records.events import ChampionKept, DataRecord, SweepFinished, SweepStarted
from sweeps.records.folder import BEST, CHAMPION
from sweeps.records.journal import Journal
from sweeps.records.results import Outcome
from sweeps.tracking.registry import register_champion
from sweeps.tracking.tracker import Tracker
from tests.integration.test_dvt import dvt
from trainables.backbones import build
from trainables.checkpoint import best, load_best, save_best
from trainables.data.augment import plain_view
from trainables.data.dataset import Caps, prepare
from trainables.data.decode import Files
from trainables.data.reading import ReadOptions
from trainables.data.sources import find
from trainables.data.splits import choose
from trainables.recipe import Recipe

RECIPE = Recipe(weights="none", image_size=32)
MODES = ("RGB", "RGBA", "P", "L", "LA", "I;16", "1", "CMYK")
CAPS = Caps(train=4, val=12, test=4)
SHARPNESS = 30.0  # of the random head: then its probabilities differ by tenths between images
# Prediction sees the very pixels that validation sees, and adds them up in other batches: 7e-6 was
# the most on 108 images with this head. Images that were resized in one step instead of two differ
# by more than 1e-2.
SAME = 1e-4

Predict = Callable[..., list[str]]


@pytest.fixture
def predict(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Predict:
    """Run the command in this process, which has torch loaded already.

    Returns the lines that it says, on stdout if it exits with 0.
    """

    def run(cwd: Path, *arguments: object, code: int = 0, note: bool = False) -> list[str]:
        monkeypatch.chdir(cwd)
        found = console.run(["predict", *map(str, arguments)])
        said = capfd.readouterr()
        assert found == code, said
        assert "Traceback" not in said.err
        notes = said.err.splitlines()
        assert code or all(
            re.match(r"note: (\d+ images in |.* does not say at which size)", line)
            for line in notes
        ), said.err
        assert code or any("does not say at which size" in line for line in notes) == note
        return (said.err if code else said.out).splitlines()

    return run


def photos(
    folder: Path,
    low: int,
    high: int,
    images: int = 60,
    classes: tuple[str, ...] = ("bee", "cat", "dog"),
) -> Path:
    """Smooth images of many sizes, modes, formats and orientations."""
    rng = np.random.default_rng(low)
    for number in range(images * len(classes)):
        size = tuple(rng.integers(low, high + 1, 2).tolist())
        image = Image.fromarray(rng.integers(0, 256, (6, 6, 4), dtype=np.uint8), "RGBA").resize(
            size, Image.Resampling.BICUBIC
        )
        place = folder / classes[number % len(classes)] / f"{number}"
        place.parent.mkdir(parents=True, exist_ok=True)
        if number % 3 == 0:
            exif = Image.Exif()
            exif[0x0112] = number % 8 + 1
            image.convert("RGB").save(place.with_suffix(".jpg"), exif=exif, quality=80)
        else:
            mode = MODES[number % len(MODES)]
            whole = image.convert("L").convert("I;16") if mode == "I;16" else image.convert(mode)
            whole.save(place.with_suffix(".tif" if mode == "CMYK" else ".png"))
    return folder


def champion(storage: Path, name: str, classes: tuple[str, ...], stored_side: int | None) -> Path:
    """What a sweep leaves of its champion, here a random network."""
    folder = storage / "sweeps" / name
    network = build(RECIPE, len(classes))
    with torch.no_grad():
        network.get_parameter("fc.head.weight").mul_(SHARPNESS)
    save_best(folder / "checkpoints", network, RECIPE, classes, epoch=1, score=0.5)
    made = best(folder / "checkpoints")
    assert made
    (folder / CHAMPION).mkdir()
    made.replace(folder / CHAMPION / BEST)
    data = {"source": "photos"} | ({STORED: stored_side} if stored_side else {})
    (folder / "champion" / "recipe.json").write_text(
        json.dumps({"trial": "a/000", "score": 0.5, "data": data})
    )
    (folder / "sweep.json").write_text(json.dumps({"study": "depth_vs_tricks"}))
    return folder / CHAMPION / BEST


def validated(data: Path, cache: Path, checkpoint: Path) -> tuple[int, dict[Path, np.ndarray]]:
    """Return the side of the stored squares, and what the checkpoint says of validation files.

    Those files hold the images as they are stored.
    """
    stored = (
        prepare(str(data), image_size=RECIPE.image_size, caps=CAPS, seed=0, cache=cache)
        .split("val")
        .images
    )
    listing, pixels = find(str(data), cache, ReadOptions()).load()
    assert isinstance(pixels, Files)
    rows = choose(listing, caps=CAPS, seed=0).rows["val"]
    network, recipe, _ = load_best(checkpoint)
    with torch.inference_mode():
        logits = network.logits(plain_view(torch.from_numpy(np.array(stored)), recipe.image_size))
    return stored.shape[1], dict(
        zip([pixels.paths[row] for row in rows], logits.softmax(1).numpy(), strict=True)
    )


def told(lines: list[str]) -> dict[Path, np.ndarray]:
    said = list(map(json.loads, lines))
    assert all(
        line["class"] == max(line["probabilities"], key=line["probabilities"].get) for line in said
    )
    return {
        Path(line["file"]): np.array(list(line["probabilities"].values()), np.float32)
        for line in said
    }


@pytest.mark.parametrize(
    ("low", "high", "side"),
    [(12, 30, None), (12, 120, 40), (41, 400, 40)],
    ids=["small", "mixed", "large"],
)
def test_the_files_of_a_data_set_are_answered_as_validation_answers_them(
    tmp_path: Path, predict: Predict, low: int, high: int, side: int | None
) -> None:
    data, storage = photos(tmp_path / "photos", low, high), tmp_path / "mlruns"
    file = champion(storage, "known", ("bee", "cat", "dog"), None)
    stored, expected = validated(data, tmp_path / "cache", file)
    assert side in (None, stored)
    file.with_name("recipe.json").write_text(json.dumps({"data": {STORED: stored}}))
    found = told(predict(tmp_path, "--sweep", "known", "--json", *expected))
    assert list(found) == list(expected)
    assert len(found) == 36
    assert _furthest(found, expected) < SAME
    assert [row.argmax() for row in found.values()] == [row.argmax() for row in expected.values()]
    assert np.ptp(np.array(list(expected.values())), axis=0).max() > 0.1  # images do differ
    if low < 40:  # else the size at which they are stored does not depend on the others
        file.with_name("recipe.json").unlink()
        assert (
            _furthest(
                told(predict(tmp_path, "--sweep", "known", "--json", *expected, note=True)),
                expected,
            )
            > 1e-2
        )


def test_a_registered_model_answers_as_the_champions_file(
    tmp_path: Path, predict: Predict, store: tuple[str, Path]
) -> None:
    uri, storage = store
    file = champion(storage, "one", ("bee", "cat", "dog"), None)
    _register(uri, storage, file)
    data = photos(tmp_path / "photos", 5, 90, images=4)
    by_file = told(
        predict(tmp_path, "--storage", storage, "--sweep", "one", "--json", data, note=True)
    )
    ours = ("--model", "models:/study-photos@champion", "--json", data)
    for place in (("--storage", storage), ("--tracking-uri", uri)):
        by_mlflow = told(predict(tmp_path, *place, *ours, note=True))
        assert list(by_mlflow) == list(by_file)
        assert _furthest(by_mlflow, by_file) < SAME
    local = next((storage / "artifacts").rglob("MLmodel")).parent  # a path needs no store
    assert (
        _furthest(told(predict(tmp_path, "--model", local, "--json", data, note=True)), by_file)
        < SAME
    )
    (said,) = predict(tmp_path, *place, "--model", "models:/study-photo@champion", data, code=2)
    assert "Did you mean 'study-photos'?" in said
    (said,) = predict(tmp_path, *place, "--model", "models:/study-photos/7", data, code=2)
    assert "--model models:/study-photos/7 must load, but does not" in said


def test_only_the_graph_of_a_registered_model_is_loaded(
    tmp_path: Path, predict: Predict, store: tuple[str, Path]
) -> None:
    uri, storage = store
    file = champion(storage, "one", ("bee", "cat", "dog"), None)
    _register(uri, storage, file)
    data = photos(tmp_path / "photos", 5, 90, images=4)
    by_file = told(
        predict(tmp_path, "--storage", storage, "--sweep", "one", "--json", data, note=True)
    )
    local = next((storage / "artifacts").rglob("MLmodel")).parent
    written = yaml.safe_load((local / "MLmodel").read_text())
    assert written["flavors"]["python_function"]["code"] == "code"
    for code in (local / "code").iterdir():
        code.write_text("raise SystemExit('code of the model runs')")
    asked = ("--model", local, "--json", data)
    assert _furthest(told(predict(tmp_path, *asked, note=True)), by_file) < SAME

    # as models were registered before they read what they are sent
    earlier = copy.deepcopy(written)
    earlier["flavors"]["python_function"] |= {"loader_module": "mlflow.pytorch", "code": None}
    del earlier["is_signature_from_type_hint"]
    (local / "MLmodel").write_text(yaml.safe_dump(earlier))
    assert _furthest(told(predict(tmp_path, *asked, note=True)), by_file) < SAME

    written["flavors"]["pytorch"]["code"] = "code"
    (local / "MLmodel").write_text(yaml.safe_dump(written))
    (said,) = predict(tmp_path, *asked, code=2)
    assert "must have a graph without code" in said
    written["flavors"]["sklearn"] = written["flavors"].pop("pytorch")
    (local / "MLmodel").write_text(yaml.safe_dump(written))
    (said,) = predict(tmp_path, *asked, code=2)
    assert "must be a model that a sweep registered" in said


@pytest.mark.parametrize("key", ["expr_str", "guards_code", "target"])
def test_a_graph_whose_text_is_code_is_refused_before_it_runs(
    tmp_path: Path, predict: Predict, store: tuple[str, Path], key: str
) -> None:
    uri, storage = store
    _register(uri, storage, champion(storage, "one", ("bee", "cat", "dog"), None))
    graph = next((storage / "artifacts").rglob("model.pt2"))
    ran = tmp_path / "ran"
    command = f"('touch {ran}')"
    code = {"expr_str": f"sympify.__globals__['__builtins__']['__import__']('os').system{command}"}
    code["guards_code"] = f"torch.os.system{command} == 0"
    with zipfile.ZipFile(graph) as file:
        held = {name: file.read(name) for name in file.namelist()}
    told = json.loads(held["model/models/model.json"])
    _poison(told, key, code.get(key, "torch.os.system"))
    held["model/models/model.json"] = json.dumps(told).encode()
    with zipfile.ZipFile(graph, "w") as file:
        for name, content in held.items():
            file.writestr(name, content)
    photos(tmp_path / "photos", 5, 90, images=1)
    asked = ("--storage", storage, "--model", "models:/study-photos@champion", "photos")
    (said,) = predict(tmp_path, *asked, code=2)
    assert "must have a graph of arithmetic alone" in said
    assert not ran.exists()


def test_a_table_has_a_row_a_file(tmp_path: Path, predict: Predict) -> None:
    champion(tmp_path / "mlruns", "one", ("bee", "cat", "dog"), 40)
    photos(tmp_path / "photos", 5, 90, images=4)
    said = predict(tmp_path, "--sweep", "one", "photos", "photos/bee/0.jpg")
    assert [line.split()[0] for line in said if "photos/" in line] == [
        str(path.relative_to(tmp_path)) for path in sorted((tmp_path / "photos").rglob("*.*"))
    ]
    assert said[0].split() == ["file", "class", "%", "second", "%", "third", "%"]


def test_all_that_is_wrong_is_said_at_once_and_nothing_is_answered(
    tmp_path: Path, predict: Predict
) -> None:
    file = champion(tmp_path / "mlruns", "first", ("bee", "cat"), 40)
    image = next(photos(tmp_path / "photos", 20, 30, images=1).rglob("*.jpg"))
    (tmp_path / "empty.png").touch()
    said = predict(
        tmp_path, "--sweep", "frist", "gone.png", "empty.png", image, "--out", "x", code=2
    )
    about = [line.removeprefix("error: ") for line in said]
    assert [line.split()[0] for line in about] == ["--out", "no", "gone.png", "empty.png"]
    assert about[1].startswith("no sweep named 'frist' in ")
    assert "Did you mean 'first'?" in said[1]
    said = predict(
        tmp_path, "--model", "models:/m/1", "--sweep", "first", "--json", "--kaggle", "bird", code=2
    )
    assert len(said) == 4
    assert "mlflow.db" in predict(tmp_path, "--model", "models:/m/1", image, code=2)[0]
    assert not (tmp_path / "mlruns" / "mlflow.db").exists()
    assert "dvt predict" in predict(tmp_path, "--sweeep", "first", image, code=2)[0]
    assert len(predict(tmp_path, code=2)) == 2
    file.write_bytes(file.read_bytes()[:1000])
    assert "must be a whole checkpoint" in predict(tmp_path, "--sweep", "first", image, code=2)[0]
    file.unlink()
    assert "train it again by" in predict(tmp_path, "--sweep", "first", image, code=2)[0]
    file.with_name("recipe.json").unlink()
    assert "dvt list" in predict(tmp_path, "--sweep", "first", image, code=2)[0]
    assert (
        "no sweeps in"
        in predict(tmp_path, "--storage", "elsewhere", "--sweep", "first", image, code=2)[0]
    )


def test_an_image_that_is_damaged_behind_its_header_leaves_the_others_answered(
    tmp_path: Path,
) -> None:
    champion(tmp_path / "mlruns", "one", ("bee", "cat", "dog"), 40)
    damaged = tmp_path / "photos" / "bee" / "0.jpg"
    photos(tmp_path / "photos", 30, 60, images=3)
    damaged.write_bytes(damaged.read_bytes()[:-100])
    done = dvt(tmp_path, "predict", "--sweep", "one", "--json", "photos")
    assert done.code == 1
    assert len(done.out.splitlines()) == 8
    note, line = done.err.splitlines()
    assert note == "note: 9 images in photos."
    assert line.startswith("error: photos/bee/0.jpg must be an undamaged image")


def test_what_is_passed_over_is_said_beside_the_answers(tmp_path: Path, predict: Predict) -> None:
    champion(tmp_path / "mlruns", "one", ("bee", "cat", "dog"), 40)
    photos(tmp_path / "photos", 30, 60, images=3)
    for name in ("bee/a.svg", "notes.txt", "Thumbs.db"):
        (tmp_path / "photos" / name).write_text("?")
    done = dvt(tmp_path, "predict", "--sweep", "one", "--json", "photos")
    assert (done.code, len(done.out.splitlines())) == (0, 9)
    assert done.err.startswith("note: 9 images in photos; passed over: ")
    assert "1 ending in .svg (such as photos/bee/a.svg)" in done.err
    assert predict(tmp_path, "--sweep", "one", "--json", "photos/bee/0.jpg")  # a file needs no note


def _furthest(found: dict[Path, np.ndarray], expected: dict[Path, np.ndarray]) -> float:
    return float(max(np.abs(found[path] - expected[path]).max() for path in expected))


def _poison(told: object, key: str, code: str) -> None:
    """Replace all text under a key."""
    if isinstance(told, list):
        for item in told:
            _poison(item, key, code)
    elif isinstance(told, dict):
        for name, item in told.items():
            if name == key:
                told[name] = [code] if isinstance(item, list) else code
            else:
                _poison(item, key, code)


def _register(uri: str, storage: Path, checkpoint: Path) -> None:
    journal = Journal(checkpoint.with_name("trials.jsonl"))
    tracker = Tracker(uri, storage, journal)
    data = DataRecord(name="photos", digest="0" * 16, source="photos", num_images={"train": 1})
    tracker.tell(
        SweepStarted(
            study="study", sweep_name="one", tags={}, params={}, dataset=data, description="?"
        )
    )
    kept = ChampionKept(
        name="study-photos",
        checkpoint=str(checkpoint),
        recipe=RECIPE.as_dict(),
        classes=("bee", "cat", "dog"),
        move_alias=True,
        time=1,
    )
    assert tracker.flush()
    client = MlflowClient(uri)
    (run,) = client.search_runs([client.get_experiment_by_name("study").experiment_id])
    register_champion(uri, run.info.run_id, kept, tags={})
    tracker.tell(SweepFinished(outcome=Outcome.COMPLETED))
    assert tracker.close() is None
    journal.close()
