"""A study's flags are refused before they are sent to a cluster as the study itself would refuse them."""

import pytest

from sweeps.runner.checking import main, problems


def test_good_flags_have_no_problems() -> None:
    assert (
        problems("x", ["--gpus", "4", "--address", "auto", "--tracking-uri", "http://there:5000"])
        == ()
    )


def test_all_that_a_study_would_refuse_is_said_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["x", "--gpus", "many", "--presett", "demo"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[0] for line in lines] == ["error:", "error:"]


@pytest.mark.parametrize(
    "uri",
    ["http://user:5ecre7@there:5000", "postgresql://a:5ecre7@b/c", "http://there/?token=5ecre7"],
)
def test_a_password_would_be_on_record_and_is_refused_without_saying_it(uri: str) -> None:
    (problem,) = problems("x", ["--tracking-uri", uri])
    assert "must hold no password" in problem
    assert "5ecre7" not in problem


def test_a_job_runs_on_the_cluster_that_it_is_sent_to() -> None:
    (problem,) = problems("x", ["--address", "there:6379"])
    assert "goes before the --" in problem


def test_help_is_the_studys(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["x", "--help"]) == 0
    assert "--stuck-after" in capsys.readouterr().out
