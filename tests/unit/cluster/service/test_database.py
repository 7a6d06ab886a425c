"""A database that does not open is said in one line, without its password, before any start."""

from __future__ import annotations

import importlib.util

import pytest

from cluster.service.database import problem


def test_a_file_is_left_to_mlflow() -> None:
    assert problem("sqlite:////nowhere/mlflow.db", "--flag") == ""


@pytest.mark.skipif(
    importlib.util.find_spec("MySQLdb") is not None, reason="MySQL's driver is installed"
)
def test_a_driver_that_is_not_installed_is_named() -> None:
    assert problem("mysql://team:5ecre7@127.0.0.1/mlflow", "--flag").startswith(
        "needs MySQLdb, which is not installed"
    )


@pytest.mark.parametrize(
    "uri", ["postgresql://team:5ecre7@127.0.0.1:1/mlflow", "postgresql+odd://team:5ecre7@h/mlflow"]
)
def test_what_does_not_open_is_one_line_without_the_password(uri: str) -> None:
    said = problem(uri, "--flag")
    assert said.startswith("does not open (")
    assert "\n" not in said
    assert "5ecre7" not in said
    assert "correct --flag" in said
