"""The Slurm job.

Shellcheck reads it, its options are sbatch's, and it runs here against stand-ins of what it calls.
"""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sweeps.runner.options import command, parse

SCRIPT = Path(__file__).parents[3] / "cluster" / "slurm.sbatch"
# Of sbatch's manual, Slurm 22.05 and later; without those that take a secret, another user or
# another script.
SBATCH = """
account array begin chdir comment constraint cpus-per-gpu cpus-per-task dependency deadline error
exclude exclusive export gpus gpus-per-node gpus-per-task gres hint input job-name licenses
mail-type mail-user mem mem-per-cpu mem-per-gpu mincpus nice no-requeue nodefile nodelist nodes
ntasks ntasks-per-core ntasks-per-gpu ntasks-per-node open-mode output oversubscribe partition
prefer priority qos requeue reservation signal switches time time-min tmp wait-all-nodes
"""
# Each stand-in writes down how it was called, and which token it saw. What serves waits to be
# ended.
STAND_IN = """#!/bin/bash
mode=$(stat -c %a "${{RAY_AUTH_TOKEN_PATH:-/nowhere}}" 2> /dev/null)
echo "{name} $* | $RAY_AUTH_MODE ${{RAY_AUTH_TOKEN_PATH:-}} $mode" >> "$CALLS"
{then}
"""
SERVES = (
    'trap \'echo "{name} ended" >> "$CALLS"; exit 0\' TERM; for _ in {{1..600}}; do sleep 0.05; '
    "done"
)
PYTHON = f"""case "$*" in
  -c*urllib*)  # as the real one: once the server answers, and here once all that serves has begun
    for _ in {{{{1..600}}}}; do
      [[ $(grep -cE "^(mlflow server|srun)" "$CALLS") -ge 3 ]] && exit 0; sleep 0.05
    done; exit 1 ;;
  -c*) exec {sys.executable} "$@" ;;
  *depth_vs_tricks*) echo $$ > "$CALLS.sweep"; {{sweep}} ;;
esac"""


def test_shellcheck_takes_the_script() -> None:
    shellcheck = str(Path(sys.executable).with_name("shellcheck"))
    done = subprocess.run(
        [shellcheck, "--enable=all", "--exclude=SC2250", "--severity=style", SCRIPT],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_sbatch_knows_every_option_and_none_comes_after_the_first_command() -> None:
    text = SCRIPT.read_text()
    options = re.findall(r"(?m)^#SBATCH --([a-z-]+)(?:=\S+)?$", text)
    assert len(options) == text.count("\n#SBATCH")
    assert set(options) <= set(SBATCH.split())
    assert len(set(options)) == len(options)
    assert text.rindex("#SBATCH") < text.index("\nset -euo pipefail"), (
        "sbatch reads none behind a command"
    )


def test_head_workers_and_sweep_share_one_closed_token_that_goes_with_the_job(
    tmp_path: Path,
) -> None:
    job = _start(tmp_path, sweep="sleep 0.2; exit 0")
    assert job.wait(30) == 0
    calls = _calls(tmp_path)
    (head,), (workers,) = (
        [call for call in calls if f"ray start --{mark}" in call] for mark in ("head", "address")
    )
    assert "--nodelist=n1 " in head
    assert (
        "ray start --head --port=6379 --include-dashboard=false --num-cpus=8 --num-gpus=1 --block"
        in head
    )
    assert "--nodes=3 --exclude=n1 " in workers
    assert (
        "--cpus-per-task=8 --gpus-per-node=1 ray start --address=n1:6379 --num-cpus=8 --num-gpus=1 "
        "--block" in workers
    )
    token = tmp_path / "shared" / "jobs" / "77" / "auth_token"
    seen = [
        call.split(" | ")[1]
        for call in calls
        if " | " in call and not call.startswith(("python -c", "scontrol"))
    ]
    assert len(seen) == 5, "head, workers, MLflow, the wait for GPUs and the sweep"
    assert set(seen) == {f"token {token} 600"}
    assert not token.parent.exists()
    assert sorted(call for call in calls if call.endswith(" ended")) == [
        "mlflow ended",
        "srun ended",
        "srun ended",
    ]


def test_the_study_understands_its_command_and_gets_the_users_flags(tmp_path: Path) -> None:
    assert _start(tmp_path, "--resume", "yesterday", sweep="exit 3").wait(30) == 3, (
        "the job ends as the sweep does"
    )
    calls = _calls(tmp_path)
    (sweep,) = [call.split(" | ")[0] for call in calls if "depth_vs_tricks" in call]
    options = parse(command("depth_vs_tricks", ""), sweep.split()[2:])
    assert (options.address, options.gpus, options.resume) == ("auto", 4, "yesterday")
    assert options.storage == tmp_path / "shared" / "mlruns"
    (server,) = [call for call in calls if call.startswith("mlflow server")]
    assert options.tracking_uri == "http://127.0.0.1:5000"
    assert "--host 127.0.0.1 --port 5000" in server
    assert f"sqlite:///{tmp_path}/shared/mlflow.db" in server
    asked = next(index for index, call in enumerate(calls) if "cluster.nodes 4" in call)
    assert asked < next(index for index, call in enumerate(calls) if "depth_vs_tricks" in call)


def test_a_job_whose_time_is_up_lets_the_sweep_stop_in_order(tmp_path: Path) -> None:
    patient = (
        "trap 'sleep 0.3; echo saved >> \"$CALLS\"; exit 130' TERM; for _ in {1..600}; do sleep "
        "0.05; done"
    )
    job = _start(tmp_path, sweep=patient)
    deadline = time.monotonic() + 20
    while not (tmp_path / "calls.sweep").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(0.2)  # until the stand-in has set its trap
    job.send_signal(signal.SIGTERM)
    assert job.wait(30) == 130
    calls = _calls(tmp_path)
    assert calls.index("saved") < min(
        calls.index(call) for call in calls if call.endswith(" ended")
    )


def test_two_jobs_do_not_open_one_database(tmp_path: Path) -> None:
    first = _start(tmp_path, sweep="sleep 2; exit 0")
    while not (tmp_path / "calls.sweep").exists():
        time.sleep(0.02)
    second = _start(tmp_path, sweep="exit 0", job="78")
    assert second.wait(30) == 2
    assert (
        "but another has it: wait, or set another DVT_SHARED" in (tmp_path / "78.log").read_text()
    )
    assert first.wait(30) == 0


@pytest.mark.parametrize("name", ["DVT_SHARED", "SLURM_GPUS_ON_NODE"])
def test_what_is_missing_is_said(tmp_path: Path, name: str) -> None:
    assert _start(tmp_path, sweep="exit 0", without=name).wait(30) != 0
    assert f"{name}: must be" in (tmp_path / "77.log").read_text()


def _start(
    tmp_path: Path, *flags: str, sweep: str, job: str = "77", without: str = ""
) -> "subprocess.Popen[bytes]":
    tools = tmp_path / "bin"
    tools.mkdir(exist_ok=True)
    programs = {
        "srun": SERVES.format(name="srun"),
        "mlflow": SERVES.format(name="mlflow"),
        "python": PYTHON.format(sweep=sweep),
        "scontrol": "printf 'n1\\nn2\\nn3\\nn4\\n'",
    }
    for name, then in programs.items():
        (tools / name).write_text(STAND_IN.format(name=name, then=then))
        (tools / name).chmod(0o755)
    slurm = {
        "JOB_ID": job,
        "NNODES": "4",
        "CPUS_PER_TASK": "8",
        "GPUS_ON_NODE": "1",
        "JOB_NODELIST": "n[1-4]",
    }
    environment = {f"SLURM_{name}": value for name, value in slurm.items()}
    environment |= {
        "SLURM_SUBMIT_DIR": str(tmp_path),
        "DVT_SHARED": str(tmp_path / "shared"),
        "CALLS": str(tmp_path / "calls"),
    }
    environment |= {"PATH": f"{tools}:{os.environ['PATH']}", "USER": "somebody"}
    environment.pop(without, None)
    (tmp_path / "shared").mkdir(exist_ok=True)
    with (tmp_path / f"{job}.log").open("wb") as log:
        return subprocess.Popen(["bash", SCRIPT, *flags], env=environment, stdout=log, stderr=log)


def _calls(tmp_path: Path) -> list[str]:
    return (tmp_path / "calls").read_text().splitlines()
