"""Weights that a path cannot lead to are refused by rule, value and mend."""

import pytest

from search_spaces.depth_vs_tricks import SPACE
from sweeps.runner.options import Refused
from sweeps.runner.pretrained import check_weights


@pytest.mark.parametrize("arms", [True, False], ids=["with arms", "without arms"])
@pytest.mark.parametrize("chosen", ["x" * 300, "/tmp/" + "y" * 300, "/".join(["z" * 200] * 30)])
def test_a_path_that_is_too_long_is_one_line(chosen: str, arms: bool) -> None:
    space = SPACE.with_fixed(weights=chosen, image_size=32, epochs=6, batch_size=32, seed=0).matching("*") if arms else ()
    with pytest.raises(Refused) as refused:
        check_weights(chosen, space)
    (line,) = refused.value.problems
    assert line.startswith("--weights must be a path that can be read, but '")
    assert "…' cannot (File name too long): pass imagenet, none, a file, or a folder of <backbone>.pt." in line
    assert len(line) < 250


def test_a_path_that_is_not_there_is_shown() -> None:
    with pytest.raises(Refused, match=r"--weights must be .* or an existing path, but got 'gone\.pt'"):
        check_weights("gone.pt", ())
