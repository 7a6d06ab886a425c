"""The command line says where and how much, refuses bad values, and imports nothing heavy."""

import subprocess
import sys
from pathlib import Path

import click
import pytest

from cluster.refused import Refused
from sweeps.runner.options import Options, command, parse

STUDY = command("study", "A question?")

# Frozen: a hyperparameter is a field of the recipe and a line in a search space, never a flag.
FLAGS = {
    "--gpus", "--gpus-per-trial", "--trials", "--arms", "--data", "--weights", "--preset",
    "--score", "--name", "--storage", "--tracking-uri", "--address", "--seed", "--time-limit",
    "--stuck-after", "--resume", "--accept-changes", "--ablate", "--dry-run", "-v", "--verbose",
    "--layout", "--columns", "--group", "--keep-copies",
    "--seeds", "--draws", "--exact", "--max-ms", "--max-mb", "--json", "--keep", "--notify",
}  # fmt: skip

WHOLE = (
    "",
    " ",
    "-1",
    "1.5",
    "nan",
    "inf",
    "1e3",
    "one",
    "9" * 40,
    "1\n",
    "1_000",
    "٣",
    "0x1",
    "None",
    "True",
    "--seed",
)
POSITIVE = (
    *("", "0", "0.0", "-1", "nan", "inf", "1e3", "1,5", "1_0", " 2", "2\n", "٣", ".", "1 ms"),
    *("1.2.3", "twenty"),
)
SHARE = ("nan", "inf", "-inf", "0.5\n", " 0.5", "0.2_5", "0.٣")
TEXT = ("", "   ", "a\nb", "a\n", "\t", "a\x00b", "a\u2028b", "a\x85b")
BAD = {
    "--gpus": WHOLE,
    "--gpus-per-trial": (*SHARE, "", "0", "-0.5", "2", "1.01", "0.001", "1e400", "half"),
    "--trials": (*WHOLE, "0", "10001"),
    "--arms": TEXT,
    "--weights": TEXT,
    "--preset": ("", "tiny", "Demo", "demo\n", "demo,full"),
    "--seeds": (*WHOLE, "0", "1001"),
    "--draws": ("", "none", "New", "fixed\n", "new,fixed"),
    "--keep": ("", "none", "Best", "champion,best", "all\n"),
    "--max-ms": POSITIVE,
    "--max-mb": POSITIVE,
    "--score": ("", "acc", "Accuracy", "balanced accuracy", "auto\n", "loss"),
    "--name": ("", ".", "..", "-a", "a/b", "a b", "a\n", "a" * 81, "../x", "ä", "_a"),
    "--data": (*TEXT, "~no-such-user-here/x"),
    "--layout": ("", "flat", "Classes", "auto\n"),
    "--columns": (*TEXT, "image", "image,", ",label", "a,b,c", "a,a"),
    "--group": (*TEXT, "(patient", "[", "*"),
    "--storage": (*TEXT, "~no-such-user-here/x"),
    "--tracking-uri": TEXT,
    "--notify": TEXT,
    "--address": TEXT,
    "--seed": (*WHOLE, "-0x", str(2**31)),
    "--resume": ("", "..", "-a", "a/b", "a b", "../x"),
    "--stuck-after": ("", "0", "-1m", "5", "never"),
    "--time-limit": (
        "",
        "0",
        "0s",
        "-1h",
        "2",
        "2 h",
        "h",
        "1.5h",
        "inf",
        "nan",
        "30m1h",
        "2h\n",
        "9" * 30 + "h",
        "1d",
    ),
}
RULES = {
    "--gpus": "a whole number from 0 to 100000",
    "--gpus-per-trial": (
        "over 0 and at most 1, since a trial trains on one GPU or a share of one",
        "at least 0.01",
    ),
    "--trials": "a whole number from 1 to 10000",
    "--preset": "one of demo, laptop, full",
    "--columns": (
        "a value without line breaks, not an empty one",
        "the names of two columns of the table, such as image,label",
    ),
    "--group": (
        "a value without line breaks, not an empty one",
        "a column of the table or a regular expression",
    ),
    "--layout": "one of auto, classes, leaves, splits, class-first, table",
    "--seeds": "a whole number from 1 to 1000",
    "--draws": "one of new, fixed",
    "--keep": "one of champion, best, all",
    "--max-ms": "a number over 0, such as 20 or 0.5",
    "--max-mb": "a number over 0, such as 20 or 0.5",
    "--score": "one of auto, accuracy, balanced_accuracy, macro_f1",
    "--name": "at most 80 letters, digits",
    "--seed": "a whole number from 0 to 2147483647",
    "--resume": "at most 80 letters, digits",
    "--stuck-after": "a time such as 90s, 45m, 2h or 1h30m",
    "--time-limit": "a time such as 90s, 45m, 2h or 1h30m",
}


def _problems(*arguments: str) -> tuple[str, ...]:
    with pytest.raises(Refused) as refused:
        parse(STUDY, arguments)
    assert str(refused.value) == "\n".join(refused.value.problems)
    return refused.value.problems


def test_the_list_of_flags_does_not_grow() -> None:
    assert {
        flag for param in STUDY.params for flag in (*param.opts, *param.secondary_opts)
    } == FLAGS
    assert set(Options.__dataclass_fields__) == {
        flag[2:].replace("-", "_") for flag in FLAGS - {"-v"}
    }


@pytest.mark.parametrize(
    ("flag", "value"), [(flag, value) for flag, values in BAD.items() for value in values]
)
def test_a_bad_value_is_one_line_with_flag_rule_and_value(flag: str, value: str) -> None:
    for arguments in ((flag, value), (f"{flag}={value}",)):
        (problem,) = _problems(*arguments)
        rules = RULES.get(
            flag,
            (
                "a value without line breaks, not an empty one",
                "a path of a user who has a home, where it begins with '~'",
            ),
        )
        assert any(
            problem.startswith(f"{flag} must be {rule}")
            for rule in ((rules,) if isinstance(rules, str) else rules)
        )
        assert problem.endswith(f", but got {value!r}.")
        assert len(problem.splitlines()) == 1


@pytest.mark.parametrize("flag", BAD)
def test_a_flag_without_its_value_is_refused(flag: str) -> None:
    (problem,) = _problems(flag)
    assert flag in problem
    assert len(problem.splitlines()) == 1


def test_all_problems_come_at_once_contradictions_too() -> None:
    problems = _problems(
        *(
            "--trials",
            "0",
            "--seed",
            "x",
            "--trails",
            "3",
            "--preset",
            "demo",
            "--data",
            "cifar10",
            "--gpus",
            "0",
        ),
        *("--gpus-per-trial", "0.5", "--lr", "0.1"),
    )
    assert [problem.removeprefix("unknown option ").split()[0] for problem in problems] == [
        *("--trials", "--seed", "'--trails'.", "'--lr'.", "--data", "--gpus-per-trial"),
    ]


@pytest.mark.parametrize(
    ("given", "nearest"),
    [
        ("--trails", "--trials"),
        ("--gpu", "--gpus"),
        ("--dry-runs=1", "--dry-run"),
        ("--tracking_uri", "--tracking-uri"),
    ],
)
def test_an_unknown_flag_names_the_nearest(given: str, nearest: str) -> None:
    (problem,) = _problems(given, "3")
    assert problem.startswith(
        f"unknown option {given.partition('=')[0]!r}. Did you mean {nearest!r}?"
    )


def test_an_unknown_flag_without_a_near_one_lists_all() -> None:
    (problem,) = _problems("--zzz", "3")
    assert all(flag in problem for flag in FLAGS)


@pytest.mark.parametrize("given", ["--lr", "--epochs", "--batch-size", "--stage2_lr"])
def test_a_hyperparameter_is_no_flag(given: str) -> None:
    assert _problems(given, "1")[0].startswith(f"unknown option {given!r}.")


def test_stray_words_are_refused() -> None:
    first, second = _problems("resnet18", "--trials", "2", "34")
    assert first == "unexpected argument 'resnet18'."
    assert second == "unexpected argument '34'."


def test_contradictions_say_the_mend() -> None:
    (problem,) = _problems("--preset", "demo", "--data", "x.npz")
    assert "--data with --preset demo needs --weights" in problem
    assert "pass imagenet, none" in problem
    (problem,) = _problems("--gpus", "0", "--gpus-per-trial", "1")
    assert problem == "--gpus-per-trial needs a GPU, but --gpus is 0: leave one of the two out."


def test_a_bad_value_is_no_contradiction_as_well() -> None:
    (problem,) = _problems("--preset", "demo", "--data", "x.npz", "--weights", "")
    assert problem.startswith("--weights must be")
    (problem,) = _problems("--gpus", "0x", "--gpus-per-trial", "1")
    assert problem.startswith("--gpus must be")


def test_good_values_become_options() -> None:
    given = (
        *(
            "--gpus",
            "4",
            "--gpus-per-trial",
            "2.5e-1",
            "--trials=12",
            "--arms",
            "resnet18/*,*/plain",
            "--data",
            "my data.npz",
        ),
        *(
            "--weights",
            "none",
            "--preset",
            "laptop",
            "--name",
            "a.b-C_9",
            "--storage",
            "/tmp/x",
            "--tracking-uri",
            "http://h",
        ),
        *(
            "--address",
            "auto",
            "--seed",
            "7",
            "--time-limit",
            "1h30m",
            "--score",
            "macro_f1",
            "--dry-run",
            "-v",
        ),
        *("--seeds", "12", "--draws", "fixed", "--max-ms", "20", "--max-mb=+.5"),
        *("--keep", "best"),
    )
    assert parse(STUDY, given) == Options(
        **{
            "gpus": 4,
            "gpus_per_trial": 0.25,
            "trials": 12,
            "arms": "resnet18/*,*/plain",
            "data": "my data.npz",
        },
        **{
            "weights": "none",
            "preset": "laptop",
            "name": "a.b-C_9",
            "storage": Path("/tmp/x"),
            "tracking_uri": "http://h",
        },
        **{
            "address": "auto",
            "seed": 7,
            "time_limit": 5400.0,
            "score": "macro_f1",
            "dry_run": True,
            "verbose": True,
        },
        **{"seeds": 12, "draws": "fixed", "max_ms": 20.0, "max_mb": 0.5, "keep": "best"},
    )


def test_without_flags_the_defaults_hold_and_given_twice_the_last_counts() -> None:
    assert parse(STUDY, []) == Options()
    unbounded = parse(STUDY, [])
    assert (unbounded.seeds, unbounded.draws, unbounded.keeps) == (None, "new", "champion")
    assert (unbounded.max_ms, unbounded.max_mb) == (None, None)
    assert parse(STUDY, ["--trials", "2", "--trials", "3"]).trials == 3


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("45m", 2700), ("2h", 7200), ("1h30m", 5400), ("1h1m1s", 3661), ("0h5s", 5)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse(STUDY, ["--time-limit", text]).time_limit == seconds


@pytest.mark.parametrize("flag", ["--max-ms", "--max-mb"])
def test_a_bound_is_a_finite_number(flag: str) -> None:
    _problems(flag, "9" * 400)


def test_a_storage_with_a_tilde_is_made_absolute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere")
    assert parse(STUDY, ["--storage", "~/runs"]).storage == Path("/somewhere/runs")


def test_a_storage_beside_the_working_folder_is_named_without_a_detour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    assert parse(STUDY, ["--storage", "../runs"]).storage == tmp_path.resolve() / "runs"
    assert parse(STUDY, ["--storage", str(tmp_path / "link")]).storage == tmp_path / "link"


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_shows_the_question_and_every_flag(
    flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(click.exceptions.Exit) as stop:
        parse(STUDY, [flag])
    assert stop.value.exit_code == 0
    shown = capsys.readouterr().out
    assert "A question?" in shown
    assert all(known in shown for known in FLAGS)


@pytest.mark.parametrize(
    "module", ["sweeps.runner.options", "sweeps.runner", "sweeps.depth_vs_tricks"]
)
def test_flags_are_checked_before_heavy_imports(module: str) -> None:
    heavy = "{'torch', 'torchvision', 'ray', 'optuna', 'mlflow', 'pandas', 'numpy', 'sklearn'}"
    code = f"import sys, {module}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_a_sweep_keeps_cannot_be_given_again_when_it_is_resumed() -> None:
    flags = {
        "--data": "digits",
        "--weights": "none",
        "--preset": "laptop",
        "--score": "auto",
        "--arms": "a",
        "--seed": "0",
        "--name": "x",
        "--draws": "new",
    }
    problems = _problems(
        "--resume", "night", "--dry-run", *(word for pair in flags.items() for word in pair)
    )
    assert {problem.split()[0] for problem in problems} == {*flags, "--dry-run"}
    assert (
        parse(
            STUDY, ["--resume", "night", "--gpus", "2", "--trials", "9", "--accept-changes"]
        ).resume
        == "night"
    )
    assert parse(STUDY, ["--resume", "night", "--seeds", "20"]).seeds == 20
    (problem,) = _problems("--accept-changes")
    assert "--resume" in problem
