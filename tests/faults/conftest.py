"""What the tests of faults share: a cache, a store with tables, one sweep to which nothing happened, and the stories."""

from __future__ import annotations

import inspect
import shutil
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from sweeps.tracking.tracker import prepare_store
from tests.faults.processes import Faulty, end_all, environment
from tests.faults.stories import AT_ONCE, Story, Told

Make = Callable[..., Faulty]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Stories come last, the longest first: so nothing else runs beside them, and none is waited for long before it begins."""
    items.sort(
        key=lambda item: (story := _story(item)) is not None and (1 if _is_long(story) else 2)
    )


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with tables, made once."""
    storage = tmp_path_factory.mktemp("template")
    prepare_store(None, storage)
    return storage / "mlflow.db"


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def whole(
    tmp_path_factory: pytest.TempPathFactory, template: Path, cache: Path
) -> Iterator[Faulty]:
    """A sweep of three trials and their finalists to which nothing happens. It runs beside the test: wait for its end."""
    with _making(tmp_path_factory.mktemp("whole"), template, cache) as make:
        sweep = make()
        sweep.start(3)
        yield sweep


@pytest.fixture
def make(tmp_path: Path, template: Path, cache: Path) -> Iterator[Make]:
    """Makes a sweep of the test's own, whose processes all end with the test."""
    with _making(tmp_path, template, cache) as made:
        yield made


@pytest.fixture(scope="session")
def told(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    template: Path,
    cache: Path,
) -> Iterator[Told]:
    """All stories that were chosen for this run, by what tells them; they begin in the order of their tests."""

    def tell(story: Story, folder: Path, shared: dict[str, Faulty]) -> None:
        with _making(folder, template, cache) as make:
            story(
                **{
                    name: {"make": make, "tmp_path": folder, **shared}[name]
                    for name in inspect.signature(story).parameters
                }
            )

    stories = [story for item in request.session.items if (story := _story(item))]
    shared = {"whole": request.getfixturevalue("whole")} if any(map(_is_long, stories)) else {}
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        yield {
            story: pool.submit(tell, story, tmp_path_factory.mktemp("story"), shared)
            for story in stories
        }
    finally:
        pool.shutdown(cancel_futures=True)


def _story(item: pytest.Item) -> Story | None:
    return getattr(getattr(item, "obj", None), "story", None)


def _is_long(story: Story) -> bool:
    return "whole" in inspect.signature(story).parameters


@contextmanager
def _making(folder: Path, template: Path, cache: Path) -> Iterator[Make]:
    mark = uuid.uuid4().hex

    def made(
        storage: Path | None = None, *, cache: Path = cache, slots: int = 1, finalist_seeds: int = 1
    ) -> Faulty:
        storage = storage or folder / "runs"
        sweep = Faulty(
            storage, "hurt", environment(cache, mark), slots=slots, finalist_seeds=finalist_seeds
        )
        shutil.copyfile(template, storage / "mlflow.db")
        return sweep

    try:
        yield made
    finally:
        end_all(mark)
