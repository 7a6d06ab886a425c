"""The help page of a study: sections, examples that work, and a width that every terminal has."""

from __future__ import annotations

import shlex

import click
import pytest

from sweeps.runner.options import FLAGS, command, parse
from sweeps.runner.study_help import EXAMPLES, REST, SECTIONS


def page(name: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(click.exceptions.Exit):
        parse(command(name, "A question?"), ["--help"])
    return capsys.readouterr().out


def test_every_option_is_in_one_section(capsys: pytest.CaptureFixture[str]) -> None:
    said = page("dvt run mine", capsys)
    titles = [f"\n{title}:\n" for title in (*SECTIONS, REST, "Examples")]
    places = [said.index(title) for title in titles]
    assert places == sorted(places)
    for flag in FLAGS:
        assert said.count(f"\n  {flag} ") == 1, flag
    assert set().union(*SECTIONS.values()) <= set(FLAGS)


def test_it_fits_80_columns_whatever_the_study_is_called(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = page("python sweeps/augmentation_and_schedulers.py", capsys)
    assert max(map(len, said.splitlines())) <= 80


@pytest.mark.parametrize("options", [options for _, options in EXAMPLES])
def test_an_example_is_taken(options: str) -> None:
    parse(command("mine", ""), shlex.split(options))
