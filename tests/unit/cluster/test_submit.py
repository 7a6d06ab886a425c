"""What a study is given on the cluster: its own flags, and the service's places for those left out."""

from itertools import pairwise
from pathlib import Path

import pytest

from cluster import logs, submit
from cluster import state as service
from cluster.commandline import RESUME, Refused, answer
from cluster.jobserver import JobServer
from sweeps.runner.description import resume_command
from tests.unit.cluster.test_state import STATE

OWN = JobServer(address=STATE.dashboard, token_file=Path("/t"), state=STATE, token="5ecre7")
FOREIGN = JobServer(address="http://there:8265", token_file=None, state=None, token="")


def given(flags: list[str], flag: str) -> list[str]:
    """All values of a flag: there must be one."""
    return [value for before, value in pairwise(flags) if before == flag]


def test_storage_mlflow_and_name_are_the_services_where_they_are_left_out() -> None:
    flags = submit._arguments(OWN, ["--preset", "demo"], "sweep-1")
    assert flags[:2] == ["--preset", "demo"]
    assert given(flags, "--storage") == ["/srv/mlruns"]
    assert given(flags, "--tracking-uri") == ["http://127.0.0.1:5000"]
    assert given(flags, "--name") == ["sweep-1"]
    assert given(flags, "--address") == ["auto"]


def test_what_is_given_stays_and_paths_of_this_machine_are_made_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    flags = [
        "--data=photos",
        "--weights",
        "imagenet",
        "--storage",
        "here",
        "--tracking-uri",
        "http://else",
        "--address=auto",
    ]
    flags = submit._arguments(OWN, [*flags, "--resume", "sweep-1"], "sweep-1")
    assert given(flags, "--data") == [str(tmp_path / "photos")]
    assert given(flags, "--weights") == ["imagenet"]
    assert given(flags, "--storage") == [str(tmp_path / "here")]
    assert given(flags, "--tracking-uri") == ["http://else"]
    assert given(flags, "--address") == ["auto"]
    assert "--name" not in flags
    assert not [flag for flag in flags if "=" in flag]


def test_another_clusters_storage_must_be_named_and_absolute() -> None:
    with pytest.raises(Refused, match="--storage must be given after the --"):
        submit._arguments(FOREIGN, [], "s")
    with pytest.raises(Refused, match="absolute path"):
        submit._arguments(FOREIGN, ["--storage", "mlruns"], "s")
    flags = submit._arguments(FOREIGN, ["--storage", "/shared", "--data", "photos"], "s")
    assert given(flags, "--storage") == ["/shared"]
    assert given(flags, "--data") == ["photos"]
    assert "--tracking-uri" not in flags


def test_a_sweep_can_have_several_jobs() -> None:
    name, sweep = submit._names("stages", [])
    assert name == sweep
    assert sweep.startswith("stages-")
    jobs = {
        submit._names("stages", flags)[0]
        for flags in (["--name=a"], ["--resume", "a"], ["--resume", "a"])
    }
    assert len(jobs) == 3
    assert all(job.startswith("a.") for job in jobs)


@pytest.mark.parametrize(
    ("flags", "value"),
    [
        ([], None),
        (["--name", "a"], "a"),
        (["--name=a"], "a"),
        (["--name=a", "--name", "b"], "b"),
        (["--names", "a"], None),
    ],
)
def test_a_flags_value_is_found_in_both_forms(flags: list[str], value: str | None) -> None:
    assert submit.value_of("--name", flags) == value


def test_a_job_is_on_record_without_the_token(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(service.FOLDER, str(tmp_path))
    monkeypatch.setenv("DVT_CACHE_DIR", "/cache")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "other")
    sent: dict[str, object] = {}
    monkeypatch.setattr(JobServer, "submit", lambda self, **record: sent.update(record))
    flags = submit._arguments(OWN, ["--arms", "resnet18/*"], "s")
    submit._send(OWN, tmp_path / "x.zip", "s", Path("sweeps/x.py"), flags, "dvt submit …")
    assert (
        sent["entrypoint"] == f"exec python sweeps/x.py --arms 'resnet18/*' {' '.join(flags[2:])}"
    )
    assert sent["variables"] == {
        "RAY_JOB_STOP_WAIT_TIME_S": "180",
        "DVT_RESUME": "dvt submit …",
        "DVT_CACHE_DIR": "/cache",
    }
    assert "5ecre7" not in repr(sent)


def test_a_job_says_what_goes_on_with_its_sweep_from_where_it_was_submitted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script = Path("sweeps/x.py")
    line = submit._resume_command(None, script, ["--preset", "demo"], "a sweep")
    assert line == "dvt submit sweeps/x.py -- --resume 'a sweep'"
    flags = ["--storage=/shared", "--gpus", "4"]
    line = submit._resume_command("http://there:8265", script, flags, "s")
    assert (
        line
        == "dvt submit --address http://there:8265 sweeps/x.py -- --resume s --gpus 4 --storage /shared"
    )
    monkeypatch.setenv(RESUME, line)
    assert resume_command(None) == line  # type: ignore[arg-type]
    assert logs.resume_command({"metadata": {"resume": line}}) == line


def test_a_study_that_is_not_there_or_elsewhere_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(service.FOLDER, str(tmp_path))
    assert answer(submit.command, ["sweeps/none.py"]) == 2
    assert (
        "there is no sweeps/none.py; those of the project: sweeps/augmentation"
        in capsys.readouterr().err
    )
    (tmp_path / "mine.py").touch()
    assert answer(submit.command, [str(tmp_path / "mine.py")]) == 2
    assert "copy it to sweeps/" in capsys.readouterr().err


def test_its_flags_are_checked_before_anything_is_sent(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(service.FOLDER, str(tmp_path))
    assert answer(submit.command, ["depth_vs_tricks", "--", "--gpus", "many", "--trails", "3"]) == 2
    assert len(capfd.readouterr().err.splitlines()) == 2
    assert answer(submit.command, ["depth_vs_tricks", "--", "--address", "local"]) == 2
    assert capfd.readouterr().err.startswith("error: --address after the --")
    assert answer(submit.command, ["depth_vs_tricks", "--follow"]) == 2
    assert "no service is up" in capfd.readouterr().err
