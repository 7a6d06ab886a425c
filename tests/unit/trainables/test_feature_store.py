from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import trainables.feature_store
from trainables.feature_store import ArraySpec, FeatureStore

SPAWN = multiprocessing.get_context("spawn")
SAMPLES = 40
SPECS = {
    "layer3": ArraySpec((SAMPLES, 8, 8, 4), "<f4"),
    "layer4": ArraySpec((SAMPLES, 4, 4, 4), "<f4"),
    "fc": ArraySpec((SAMPLES, 6), "<u2"),
}
VIEW: dict[str, Any] = {
    "data": "0123",
    "backbone": "resnet18",
    "split": "train",
    "augmentation": "crop_flip",
    "epoch": 3,
}

Array = np.ndarray[Any, Any]


def activations(cut: str) -> Array:
    spec = SPECS[cut]
    rows = np.random.default_rng(len(cut)).integers(0, 2**16, spec.shape)
    return rows.astype(spec.dtype)


class Computation:
    """Counts what it was asked for, and does `between` after the first chunk."""

    def __init__(self, between: Callable[[], object] = lambda: None) -> None:
        self.asked: list[list[str]] = []
        self._between = between

    def __call__(self, cuts: Sequence[str]) -> Iterator[Mapping[str, Array]]:
        self.asked.append(sorted(cuts))
        for start in range(0, SAMPLES, 16):
            yield {cut: activations(cut)[start : start + 16] for cut in cuts}
            self._between()


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path / "prefix", sweep="night")


def filled(
    store: FeatureStore, view: Mapping[str, Any] = VIEW, specs: Mapping[str, ArraySpec] = SPECS
) -> None:
    assert store.fill(view, specs, Computation(), wait=True) == "filled"


def read(store: FeatureStore, cut: str) -> Array:
    array = store.open(VIEW, cut)
    assert array is not None
    return array


def folders(store: FeatureStore) -> list[Path]:
    """Entries, and what is unfinished or being dropped."""
    return sorted(
        path for path in store._folder.iterdir() if path.name not in ("locks", "decisions")
    )


def entry(store: FeatureStore, cut: str) -> Path:
    return next(
        path
        for path in folders(store)
        if json.loads((path / "meta.json").read_text())["cut"] == cut
    )


def test_arrays_come_back_as_they_were_written(store: FeatureStore) -> None:
    computation = Computation()
    assert store.missing(VIEW, SPECS) == list(SPECS)
    assert store.open(VIEW, "fc") is None
    assert store.fill(VIEW, SPECS, computation, wait=False) == "filled"
    assert computation.asked == [sorted(SPECS)]  # one pass for all
    assert store.missing(VIEW, [*SPECS, "layer2"]) == ["layer2"]
    for cut, spec in SPECS.items():
        array = read(store, cut)
        assert isinstance(array, np.memmap)
        assert (array.shape, array.dtype.str) == (spec.shape, spec.dtype)
        assert (array == activations(cut)).all()
        assert (np.load(entry(store, cut) / "activations.npy", allow_pickle=False) == array).all()
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_what_is_there_is_not_computed_again(store: FeatureStore) -> None:
    filled(store, specs={"layer4": SPECS["layer4"]})
    computation = Computation()
    for _ in range(2):
        assert store.fill(VIEW, SPECS, computation, wait=False) == "filled"
    assert computation.asked == [["fc", "layer3"]]
    assert FeatureStore(store._folder, sweep="another").missing(VIEW, SPECS) == []


@pytest.mark.parametrize("part", VIEW)
def test_each_part_of_a_view_makes_another_entry(store: FeatureStore, part: str) -> None:
    filled(store)
    for other in (
        VIEW | {part: "other"},
        {name: value for name, value in VIEW.items() if name != part},
    ):
        assert store.missing(other, SPECS) == list(SPECS)
    assert store.missing(dict(reversed(VIEW.items())), SPECS) == []


def test_a_store_can_be_sent_to_another_process(store: FeatureStore) -> None:
    filled(store)
    assert (read(pickle.loads(pickle.dumps(store)), "fc") == activations("fc")).all()


@pytest.mark.parametrize("share", [0, -0.1, 1.01, float("nan")])
def test_a_share_must_be_one(tmp_path: Path, share: float) -> None:
    with pytest.raises(ValueError, match=f"more than 0 and at most 1, but got {share}"):
        FeatureStore(tmp_path, sweep="night", share=share)


@pytest.mark.parametrize("sweep", ["", "a/b", "..", ".night", "a b", "night\n"])
def test_a_sweep_must_be_a_file_name(tmp_path: Path, sweep: str) -> None:
    with pytest.raises(ValueError, match="sweep must be letters"):
        FeatureStore(tmp_path, sweep=sweep)


def worker(
    folder: Path, barrier: Barrier | threading.Barrier, seen: SimpleQueue[tuple[str, int, bool]]
) -> None:
    store, computation = FeatureStore(folder, sweep="night"), Computation(lambda: time.sleep(0.05))
    barrier.wait()
    outcome = store.fill(VIEW, SPECS, computation, wait=True)
    seen.put(
        (
            outcome,
            len(computation.asked),
            all((read(store, cut) == activations(cut)).all() for cut in SPECS),
        )
    )


def test_of_processes_and_threads_that_ask_at_once_one_computes(tmp_path: Path) -> None:
    barrier, seen = SPAWN.Barrier(4), SPAWN.SimpleQueue()
    arguments = (tmp_path / "prefix", barrier, seen)
    workers = [SPAWN.Process(target=worker, args=arguments, daemon=True) for _ in range(2)]
    threads = [threading.Thread(target=worker, args=arguments, daemon=True) for _ in range(2)]
    for each in (*workers, *threads):
        each.start()
    outcomes = [seen.get() for _ in range(4)]
    for each in (*workers, *threads):
        each.join()
    assert sum(computed for _, computed, _ in outcomes) == 1
    assert {(outcome, same) for outcome, _, same in outcomes} == {("filled", True)}


def test_who_does_not_wait_is_told_that_another_writes(store: FeatureStore) -> None:
    other, outcomes = FeatureStore(store._folder, sweep="another"), list[str]()
    never = Computation(lambda: pytest.fail("it computed"))
    fc = {"fc": SPECS["fc"]}
    computation = Computation(lambda: outcomes.append(other.fill(VIEW, fc, never, wait=False)))
    assert store.fill(VIEW, fc, computation, wait=False) == "filled"
    assert set(outcomes) == {"busy"}
    assert never.asked == []
    assert other.fill(VIEW, fc, never, wait=False) == "filled"


def stuck(folder: Path, writing: Any) -> None:
    def hang() -> None:
        writing.set()
        time.sleep(60)

    FeatureStore(folder, sweep="night").fill(VIEW, SPECS, Computation(hang), wait=True)


def test_a_killed_writer_leaves_nothing_that_counts(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing = SPAWN.Event()
    process = SPAWN.Process(target=stuck, args=(store._folder, writing), daemon=True)
    process.start()
    assert writing.wait(30)
    with monkeypatch.context() as patch:
        # It has reserved 52,064, written half.
        patch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=20_000))
        other = FeatureStore(store._folder, sweep="another", share=1)
        never = Computation(lambda: pytest.fail("it computed"))
        assert other.fill(VIEW | {"epoch": 4}, {"fc": SPECS["fc"]}, never, wait=False) == "full"
        assert [path.suffix for path in folders(store)] == [".tmp"] * 3  # a live writer's are kept
        process.kill()
        process.join()
        assert store.missing(VIEW, SPECS) == list(SPECS)
        filled(other, VIEW | {"epoch": 4}, {"fc": SPECS["fc"]})
        assert [path.suffix for path in folders(store)] == [""]
    filled(store)
    assert (read(store, "layer3") == activations("layer3")).all()


def test_the_next_writer_of_a_view_removes_what_a_killed_one_left(store: FeatureStore) -> None:
    filled(store)
    lock = next(path.stem for path in (store._folder / "locks").iterdir() if path.stem != "store")
    for path in folders(store):
        path.rename(path.with_name(f".{path.name}.{lock}.1000.01234567.tmp"))
    filled(store, specs={"fc": SPECS["fc"]})
    assert [path.name for path in folders(store)] == [entry(store, "fc").name]


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 4
    path.write_bytes(data)


def change(path: Path, **parts: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | parts))


DAMAGES: dict[str, Callable[[Path, Path], object]] = {
    "no array": lambda array, meta: array.unlink(),
    "short": lambda array, meta: os.truncate(array, array.stat().st_size - 1),
    "empty": lambda array, meta: os.truncate(array, 0),
    "long": lambda array, meta: array.write_bytes(array.read_bytes() + b"1"),
    "a bit of the data": lambda array, meta: flip(array, -7),
    "a bit of the header": lambda array, meta: flip(array, 20),
    "no meta": lambda array, meta: meta.unlink(),
    "half a meta": lambda array, meta: meta.write_bytes(meta.read_bytes()[:40]),
    "a meta that is no text": lambda array, meta: meta.write_bytes(b"\xff\xfe\xfd"),
    "a meta that is no object": lambda array, meta: meta.write_text("[1]"),
    "another format": lambda array, meta: change(meta, format=0),
    "another view": lambda array, meta: change(meta, view={"epoch": 4}),
    "another checksum": lambda array, meta: change(meta, crc32=1),
    "nothing there": lambda array, meta: (shutil.rmtree(array.parent), array.parent.mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_entry_is_dropped_and_made_again(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    filled(store)
    read(store, "layer4")
    damaged, before = entry(store, "layer4"), len(folders(store))
    DAMAGES[damage](damaged / "activations.npy", damaged / "meta.json")
    # As in a process that has not read it yet.
    monkeypatch.setattr(trainables.feature_store, "_checked", set())
    assert store.open(VIEW, "layer4") is None
    assert len(folders(store)) == before - 1
    computation = Computation()
    assert store.fill(VIEW, SPECS, computation, wait=False) == "filled"
    assert computation.asked == [["layer4"]]
    assert (read(store, "layer4") == activations("layer4")).all()


def test_damage_that_shows_without_reading_is_repaired_without_opening(store: FeatureStore) -> None:
    filled(store)
    os.truncate(entry(store, "fc") / "activations.npy", 9)
    assert store.missing(VIEW, SPECS) == ["fc"]
    filled(store)
    assert (read(store, "fc") == activations("fc")).all()
    assert len(folders(store)) == 3


def test_a_checksum_is_computed_once_in_a_process(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(store)
    read(store, "fc")
    monkeypatch.setattr(
        trainables.feature_store.zlib, "crc32", lambda *_: pytest.fail("it read the data")
    )
    read(FeatureStore(store._folder, sweep="another"), "fc")


def test_a_cache_deleted_while_it_is_used_is_made_again(store: FeatureStore) -> None:
    filled(store)
    array = read(store, "layer3")
    shutil.rmtree(store._folder)
    assert (array == activations("layer3")).all()
    assert store.open(VIEW, "layer3") is None
    assert store.missing(VIEW, SPECS) == list(SPECS)
    filled(store)
    assert (read(store, "layer3") == activations("layer3")).all()
