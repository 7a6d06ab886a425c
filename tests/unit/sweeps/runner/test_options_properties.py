"""Any list of words is options that keep their rules, or lines that say what is wrong with it."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import click
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cluster.refused import Refused
from sweeps.depth_vs_tricks import STUDY
from sweeps.runner import cli
from sweeps.runner.options import MOST_TRIALS, Options, command, parse
from sweeps.runner.study import PRESETS

COMMAND = command("study", "A question?")
SWITCHES = (
    "--keep-copies",
    "--dry-run",
    "--json",
    "--accept-changes",
    "--exact",
    "--ablate",
    "-v",
    "--verbose",
)
WITH_VALUE = [param.opts[0] for param in COMMAND.params if param.opts[0] not in SWITCHES]
FLAGS = [*WITH_VALUE, *SWITCHES]
HELP = ("-h", "--help")

SURROGATES = st.text(st.characters(categories=("Cs",)), min_size=1, max_size=4)
CONTROLS = st.text(st.characters(categories=("Cc", "Zl", "Zp", "Cf")), min_size=1, max_size=4)
NUMBERS = st.one_of(
    st.integers().map(str),
    st.floats().map(str),
    st.sampled_from(
        ["nan", "-inf", "1e400", "9" * 5000, "0x10", "1_0", "٣", "-0", "+1", "1e-2", " 1", "1 "]
    ),
)
WORDS = st.sampled_from(
    [
        "",
        " ",
        "-",
        "--",
        "=",
        "demo",
        "none",
        "auto",
        "resnet18/*",
        "1h30m",
        "0s",
        "90s",
        "a.b-C",
        "~",
        "~nobody-here/x",
        "../x",
    ]
)
VALUES = st.one_of(
    NUMBERS,
    WORDS,
    st.text(max_size=20),
    SURROGATES,
    CONTROLS,
    st.just("x" * 100_000),
    st.sampled_from(FLAGS),
)
FLAG = st.sampled_from(FLAGS)
NEARLY = st.one_of(
    st.builds(
        lambda flag, length: flag[:length], FLAG, st.integers(1, 12)
    ),  # abbreviations are no flags
    st.builds(lambda flag, more: flag + more, FLAG, st.text(min_size=1, max_size=3)),
    st.builds(str.upper, FLAG),
    st.text(max_size=8).map(lambda text: f"--{text}"),
    st.text(max_size=8).map(lambda text: f"-{text}"),
)
PIECES = st.one_of(
    st.tuples(FLAG, VALUES),
    st.builds(lambda flag, value: (f"{flag}={value}",), FLAG, VALUES),
    st.tuples(FLAG),
    st.tuples(NEARLY),
    st.tuples(NEARLY, VALUES),
    st.tuples(VALUES),
)
COMMAND_LINES = st.lists(PIECES, max_size=8).map(
    lambda pieces: [word for piece in pieces for word in piece]
)

BAD = {
    "--gpus": ["-1", "nan", "9" * 50, ""],
    "--gpus-per-trial": ["0", "nan", "inf", "1.5", "half"],
    "--trials": ["0", "10001", "1.5", "\n"],
    "--arms": ["", "a\nb", "--dry-run", "\udcff"],
    "--data": ["", "~nobody-here/x", "\x00", "-v"],
    "--weights": ["\t", "\u2028", "\udc80.pt"],
    "--preset": ["Demo", "", "demo,full"],
    "--name": ["../x", "a/b", "", "ä", "a\n"],
    "--resume": ["a/b", "-a", "x" * 81],
    "--storage": ["", "--dry-run", "a\x1b[31m", "/caf\udce9"],
    "--tracking-uri": ["", "\r", "-"],
    "--address": [" ", "a\nb"],
    "--seed": ["-1", str(2**31), "one"],
    "--time-limit": ["0s", "inf", "-1h", "2"],
    "--stuck-after": ["0", "nan", "1d"],
}


def keeps_its_rules(options: Options) -> None:
    assert options.gpus is None or (type(options.gpus) is int and 0 <= options.gpus <= 100_000)
    assert options.gpus_per_trial is None or 0.01 <= options.gpus_per_trial <= 1
    assert options.trials is None or (
        type(options.trials) is int and 1 <= options.trials <= MOST_TRIALS
    )
    assert options.preset is None or options.preset in PRESETS
    assert type(options.seed) is int
    assert 0 <= options.seed < 2**31
    for name in (options.name, options.resume):
        assert name is None or re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}", name)
    for text in (
        options.arms,
        options.data,
        options.weights,
        options.tracking_uri,
        options.address,
        str(options.storage),
    ):
        assert text is None or (text.strip() and text.splitlines() == [text] and text.encode())
    assert options.storage == Path("mlruns") or options.storage.is_absolute()
    for seconds in (options.time_limit, options.stuck_after):
        assert seconds is None or (seconds >= 1 and math.isfinite(seconds))
    assert {
        type(options.dry_run),
        type(options.verbose),
        type(options.accept_changes),
        type(options.exact),
        type(options.ablate),
    } == {bool}


def are_lines(problems: Sequence[str]) -> None:
    assert problems
    for problem in problems:
        assert problem.splitlines() == [problem]
        assert problem.encode()


def refused(arguments: Sequence[str]) -> tuple[str, ...]:
    with pytest.raises(Refused) as refusal:
        parse(COMMAND, arguments)
    are_lines(refusal.value.problems)
    return refusal.value.problems


@settings(derandomize=True, deadline=None, max_examples=300)
@given(COMMAND_LINES)
@example(["--dry-run=1", "--trials"])
@example(["--data", "\ud800"])
@example(["--storage=~\ud800"])
@example(["--", "--trials"])
@example(["-v=3", "-hx"])
@example(["--help="])
@example(["-" * 131_000, "x" * 131_000])
def test_any_words_are_options_or_lines_of_what_is_wrong(arguments: list[str]) -> None:
    before, status = list(arguments), 0
    with redirect_stdout(io.StringIO()) as shown:
        try:
            keeps_its_rules(parse(COMMAND, arguments))
        except Refused as refusal:
            are_lines(refusal.problems)
        except click.exceptions.Exit as stop:  # help was asked for
            status = stop.exit_code
    assert status == 0
    assert not shown.getvalue() or "A question?" in shown.getvalue()
    assert arguments == before


@settings(derandomize=True, deadline=None, max_examples=200)
@given(
    st.dictionaries(st.sampled_from(sorted(BAD)), st.integers(0, 9), min_size=1),
    st.lists(st.sampled_from(["--dry-run=1", "--verbose=", "--accept-changes=no"]), unique=True),
    st.lists(st.sampled_from(["--lr", "--trails=3", "--no-such"]), unique=True),
    st.sampled_from([None, *WITH_VALUE]),
    st.randoms(use_true_random=False),
)
def test_every_bad_flag_is_named_whatever_else_is_wrong(
    chosen: dict[str, int], valued: list[str], unknown: list[str], bare: str | None, random: object
) -> None:
    pieces = [
        (flag, BAD[flag][number % len(BAD[flag])])
        for flag, number in chosen.items()
        if flag != bare
    ]
    pieces = [
        (f"{flag}={value}",) if number % 2 else (flag, value)
        for number, (flag, value) in enumerate(pieces)
    ]
    pieces += [(word,) for word in (*valued, *unknown)]
    random.shuffle(pieces)  # type: ignore[attr-defined]
    problems = refused([*(word for piece in pieces for word in piece), *([bare] if bare else [])])
    wrong = [*(chosen.keys() - {bare}), *valued, *unknown, *([bare] if bare else [])]
    named = [_flag_of(problem) for problem in problems]
    assert {flag.partition("=")[0] for flag in wrong} <= set(named)
    assert len(problems) == len(set(problems))


def _flag_of(problem: str) -> str:
    """Return the flag that a refusal is about."""
    return problem.removeprefix("unknown option ").split()[0].strip("'.")


@settings(derandomize=True, deadline=None, max_examples=100)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "trials": st.integers(1, MOST_TRIALS),
            "gpus": st.integers(1, 100_000),
            "gpus_per_trial": st.floats(0.01, 1),
            "seed": st.integers(0, 2**31 - 1),
            "name": st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}", fullmatch=True),
            "address": st.sampled_from(["local", "auto", "[::1]:6379", "head:6379"]),
            "weights": st.text(st.characters(categories=("L", "N", "P")), min_size=1).filter(
                lambda text: text[0] not in "-~"
            ),
            "preset": st.sampled_from(sorted(PRESETS)),
            "dry_run": st.booleans(),
        },
    )
)
def test_good_values_arrive_as_they_were_written(fields: dict[str, object]) -> None:
    words = []
    for name, value in fields.items():
        flag = f"--{name.replace('_', '-')}"
        words += [flag] * (value is True) if isinstance(value, bool) else [flag, str(value)]
    assert parse(COMMAND, words) == Options(**fields)  # type: ignore[arg-type]


@settings(derandomize=True, deadline=None, max_examples=100)
@given(
    COMMAND_LINES.map(
        lambda words: [word for word in words if word not in (*HELP, "-v", "--verbose")]
    )
)
def test_a_refused_command_is_status_2_and_a_line_for_each_problem(arguments: list[str]) -> None:
    # -xh and -x=-h are -h, too.
    arguments = [
        "--no-such-flag",
        *(word for word in arguments if not re.match(r"-[^-].*h|-h", word)),
    ]
    with redirect_stderr(io.StringIO()) as said, redirect_stdout(io.StringIO()) as shown:
        status = cli.run(STUDY, arguments)
    assert status == cli.REFUSED
    assert shown.getvalue() == ""
    lines = said.getvalue().split("\n")
    assert lines.pop() == ""
    assert lines == [f"error: {problem}" for problem in refused(arguments)]
    assert any("--no-such-flag" in line for line in lines)


@pytest.mark.parametrize("value", ["--dry-run", "-v", "--trials=3", "-"])
@pytest.mark.parametrize("flag", ["--storage", "--data", "--arms", "--tracking-uri"])
def test_the_next_flag_is_not_taken_for_a_value(flag: str, value: str) -> None:
    assert refused([flag, value])[0].startswith(f"{flag} must be followed by its value")


def test_bytes_that_are_no_text_are_refused_and_shown_as_escapes() -> None:
    (problem,) = refused(["--storage", "/caf\udce9"])
    assert problem == "--storage must be text in UTF-8, but got '/caf\\udce9'."


def test_a_switch_with_a_value_and_a_flag_without_one_hide_nothing_else() -> None:
    problems = refused(["--dry-run=1", "--seed", "x", "--lr", "--dry-run=2", "--trials"])
    assert [_flag_of(problem) for problem in problems] == [
        "--dry-run",
        "--trials",
        "--seed",
        "--lr",
    ]
