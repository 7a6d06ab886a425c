from __future__ import annotations

import pickle

from trainables.data.problems import MOST, DataError
from trainables.problems import ALIKE, LISTED, once_per_cause, shortened


def test_of_many_lines_the_first_are_kept_and_the_rest_is_counted() -> None:
    lines = [f"line {number}" for number in range(40)]
    assert shortened(lines, "files are damaged") == [
        *lines[:LISTED],
        "and 35 more files are damaged.",
    ]


def test_a_rest_of_one_line_is_shown_and_not_counted() -> None:
    lines = [f"line {number}" for number in range(LISTED + 1)]
    assert shortened(lines, "files are damaged") == lines
    assert shortened([], "files are damaged") == []


def test_a_refusal_has_eight_lines_at_most_and_its_causes_come_first() -> None:
    causes = [
        shortened([f"{cause} {number}" for number in range(40)], f"of {cause}") for cause in "abc"
    ]
    error = DataError(line for lines in causes for line in lines)
    assert len(error.problems) == len(str(error).splitlines()) == MOST
    assert error.problems[LISTED:] == ("and 35 more of a.", "b 0", "and 11 more problems.")
    assert pickle.loads(pickle.dumps(error)).problems == error.problems
    assert len(DataError(map(str, range(MOST))).problems) == MOST


def test_files_with_one_cause_are_one_line_whatever_the_rule_says() -> None:
    for rule in ("must be a readable image, but is empty.", "must have 3 channels, but has 5."):
        lines = [f"cat/{number}.tif {rule}" for number in range(ALIKE + 1)]
        assert once_per_cause(lines) == [f"{lines[0]} The same holds for 3 more files."]
