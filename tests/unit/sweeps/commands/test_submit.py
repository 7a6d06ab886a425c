"""What a study is given on the cluster: its flags, and the service's places for those left out."""

from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest

from cluster.refused import Refused
from cluster.service import jobs
from cluster.service import state as service
from cluster.service.jobserver import Job, JobServer
from cluster.session import RESUME
from sweeps.commands import kit, logs, submit
from sweeps.runner.description import resume_command
from sweeps.runner.options import Options
from sweeps.runner.typed import Typed
from tests.unit.cluster.service.test_state import STATE

OWN = JobServer(address=STATE.dashboard, token_file=Path("/t"), state=STATE, token="5ecre7")
FOREIGN = JobServer(address="http://there:8265", token_file=None, state=None, token="")


def arguments(server: JobServer, flags: list[str], sweep: str) -> list[str]:
    """What a study is given on the cluster, where it was submitted with these flags."""
    return submit._arguments(server, submit.flags_of("x", flags), sweep)


def given(flags: list[str], flag: str) -> list[str]:
    """All values of a flag: there must be one."""
    return [value for before, value in pairwise(flags) if before == flag]


def test_storage_mlflow_and_name_are_the_services_where_they_are_left_out() -> None:
    flags = arguments(OWN, ["--preset", "demo"], "sweep-1")
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
    flags = arguments(OWN, flags, "sweep-1")
    assert given(flags, "--data") == [str(tmp_path / "photos")]
    assert given(flags, "--weights") == ["imagenet"]
    assert given(flags, "--storage") == [str(tmp_path / "here")]
    assert given(flags, "--tracking-uri") == ["http://else"]
    assert given(flags, "--address") == ["auto"]
    assert not [flag for flag in flags if "=" in flag]


def test_a_resumed_sweep_has_its_name_already() -> None:
    flags = arguments(OWN, ["--resume", "sweep-1", "--trials=9"], "sweep-1")
    assert flags[:4] == ["--resume", "sweep-1", "--trials", "9"]
    assert "--name" not in flags


def test_another_clusters_storage_must_be_named_and_absolute() -> None:
    with pytest.raises(Refused, match="--storage must be given after the --"):
        arguments(FOREIGN, [], "s")
    with pytest.raises(Refused, match="absolute path"):
        arguments(FOREIGN, ["--storage", "mlruns"], "s")
    flags = arguments(FOREIGN, ["--storage", "/shared", "--data", "photos"], "s")
    assert given(flags, "--storage") == ["/shared"]
    assert given(flags, "--data") == ["photos"]
    assert "--tracking-uri" not in flags


def test_a_sweep_can_have_several_jobs() -> None:
    name, sweep = submit._names("stages", {})
    assert name == sweep
    assert sweep.startswith("stages-")
    jobs = {
        submit._names("stages", flags)[0]
        for flags in ({"--name": "a"}, {"--resume": "a"}, {"--resume": "a"})
    }
    assert len(jobs) == 3
    assert all(job.startswith("a.") for job in jobs)


@pytest.mark.parametrize(
    ("flags", "given"),
    [
        ([], {}),
        (["--name", "a"], {"--name": "a"}),
        (["--name=a"], {"--name": "a"}),
        (["--name=a", "--gpus", "1", "--name", "b"], {"--name": "b", "--gpus": "1"}),
        (["--ablate", "--time-limit=1h30m"], {"--ablate": None, "--time-limit": "1h30m"}),
        (["-v", "--verbose"], {"--verbose": None}),
    ],
)
def test_flags_are_read_as_they_were_given(flags: list[str], given: Typed) -> None:
    read = submit.flags_of("x", flags)
    assert list(read.items()) == list(given.items())


def test_a_job_is_on_record_without_the_token(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(service.FOLDER, str(tmp_path))
    monkeypatch.setenv("DVT_CACHE_DIR", "/cache")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "other")
    sent: dict[str, object] = {}
    monkeypatch.setattr(JobServer, "submit", lambda self, **record: sent.update(record))
    flags = arguments(OWN, ["--arms", "resnet18/*"], "s")
    jobs.send(
        OWN,
        "s",
        ["sweeps/x.py", *flags],
        root=tmp_path,
        packages=submit.PACKAGES,
        resume="dvt submit …",
        variables=submit._variables(OWN),
    )
    assert (
        sent["entrypoint"] == f"exec python sweeps/x.py --arms 'resnet18/*' {' '.join(flags[2:])}"
    )
    assert sent["variables"] == {
        "RAY_JOB_STOP_WAIT_TIME_S": "180",
        "DVT_RESUME": "dvt submit …",
        "DVT_CACHE_DIR": "/cache",
    }
    assert sent["metadata"] == {"study": "sweeps/x.py", "resume": "dvt submit …"}
    assert "5ecre7" not in repr(sent)
    assert submit._variables(FOREIGN) == {}


def test_a_job_says_what_goes_on_with_its_sweep_from_where_it_was_submitted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script = Path("sweeps/x.py")
    line = submit._resume_command(None, script, {"--preset": "demo"}, "a sweep")
    assert line == "dvt submit sweeps/x.py -- --resume 'a sweep'"
    flags = {"--storage": "/shared", "--gpus": "4"}
    line = submit._resume_command("http://there:8265", script, flags, "s")
    assert line == (
        "dvt submit --address http://there:8265 sweeps/x.py -- "
        "--resume s --gpus 4 --storage /shared"
    )
    monkeypatch.setenv(RESUME, line)
    plan = SimpleNamespace(options=Options(), name="s", storage=Path("mlruns"))
    assert resume_command(plan) == line  # type: ignore[arg-type]
    assert logs.resume_command(Job(name="s", status="FAILED", resume=line)) == line


def test_a_study_that_is_not_there_or_elsewhere_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(service.FOLDER, str(tmp_path))
    assert kit.main(submit.command, ["sweeps/none.py"]) == 2
    assert (
        "there is no sweeps/none.py; those of the project: sweeps/augmentation"
        in capsys.readouterr().err
    )
    (tmp_path / "mine.py").touch()
    assert kit.main(submit.command, [str(tmp_path / "mine.py")]) == 2
    assert "copy it to sweeps/" in capsys.readouterr().err


def test_its_flags_are_checked_before_anything_is_sent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(service.FOLDER, str(tmp_path))
    assert (
        kit.main(submit.command, ["depth_vs_tricks", "--", "--gpus", "many", "--trails", "3"]) == 2
    )
    assert len(capsys.readouterr().err.splitlines()) == 2
    assert kit.main(submit.command, ["depth_vs_tricks", "--", "--address", "local"]) == 2
    assert capsys.readouterr().err.startswith("error: --address after the --")
    assert kit.main(submit.command, ["depth_vs_tricks", "--follow"]) == 2
    assert "no service is up" in capsys.readouterr().err


def test_a_flag_before_the_dashes_is_the_commands_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert kit.main(submit.command, ["depth_vs_tricks", "--folow", "--", "--gpus", "1"]) == 2
    assert "--follow" in capsys.readouterr().err
    assert kit.main(submit.command, ["depth_vs_tricks", "--gpus", "1"]) == 2
    assert "No such option '--gpus'" in capsys.readouterr().err


def test_help_after_the_dashes_is_the_studys(capsys: pytest.CaptureFixture[str]) -> None:
    assert kit.main(submit.command, ["depth_vs_tricks", "--", "--help"]) == 0
    assert "--stuck-after" in capsys.readouterr().out
    assert kit.main(submit.command, ["--help"]) == 0
    assert "--follow" in capsys.readouterr().out


@pytest.mark.parametrize(
    "uri",
    ["http://user:5ecre7@there:5000", "postgresql://a:5ecre7@b/c", "http://there/?token=5ecre7"],
)
def test_a_password_would_be_on_record_and_is_refused_without_saying_it(uri: str) -> None:
    with pytest.raises(Refused, match="must have no password") as refused:
        submit.flags_of("x", ["--tracking-uri", uri])
    assert "5ecre7" not in str(refused.value)


def test_a_service_that_is_to_be_told_would_be_on_record_and_is_refused_without_saying_it() -> None:
    with pytest.raises(Refused, match="--notify must hold no URL") as refused:
        submit.flags_of("x", ["--notify", "slack://5ecre7/5ecre7/5ecre7"])
    assert "5ecre7" not in str(refused.value)
    assert submit.flags_of("x", ["--notify", "./tell.sh"]) == {"--notify": "./tell.sh"}


def test_a_job_runs_on_the_cluster_that_it_is_sent_to() -> None:
    with pytest.raises(Refused, match="goes before the --") as refused:
        submit.flags_of("x", ["--address", "there:6379", "--tracking-uri", "http://a:b@c"])
    assert len(refused.value.problems) == 2
