"""Folders with a table, by the flags that say how to read them."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainables.data.problems import DataError
from trainables.data.reading import ReadOptions
from trainables.data.table_layout import read_tree
from trainables.data.tree import PassedOver, walk


def test_columns_contradict_a_layout_without_a_table(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("a,b\n1,cat\n2,dog\n")
    how = ReadOptions(layout="classes", columns=("a", "b"))
    with pytest.raises(DataError) as refused:
        read_tree(walk(tmp_path)[0], how, PassedOver())
    assert refused.value.problems == (
        "--columns must go with --layout table, but is a,b beside --layout classes: leave one of "
        "them out.",
    )
