"""Tests that run two at a time: their drivers wait for Ray, for imports and for each other's end more than they compute."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import TypeAlias

Story: TypeAlias = Callable[..., None]
Told: TypeAlias = Mapping[Story, "Future[None]"]

AT_ONCE = 2


def story(tell: Story) -> Callable[[Told], None]:
    """A test that passes if the function does, which begins with the first story's test, whichever that is.

    The function may take `make`, `tmp_path` and `whole`, as a test's fixtures; they are its own, but for `whole`.
    """

    def test(told: Told) -> None:
        told[tell].result()

    test.__name__, test.__doc__, test.story = tell.__name__, tell.__doc__, tell  # type: ignore[attr-defined]
    return test
