"""Where trials run: what is asked for is there, or it is refused."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from cluster.refused import Refused
from cluster.resources import cpu_slots, gpu_slots
from sweeps.runner import plan
from sweeps.runner.options import Options
from sweeps.runner.plan import local_slots, slots_on


@pytest.fixture(autouse=True)
def _machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "available_cpus", lambda: 4)
    monkeypatch.setattr(plan, "count_gpus", lambda: 2)


@pytest.mark.parametrize(
    ("options", "slots"),
    [
        (Options(), gpu_slots(4, 2, 1.0)),
        (Options(gpus=1, gpus_per_trial=0.5), gpu_slots(4, 1, 0.5)),
        (Options(gpus=0), cpu_slots(4)),
    ],
)
def test_on_this_machine(options: Options, slots: object) -> None:
    assert local_slots(options) == (slots, ())


def test_more_gpus_than_there_are_is_refused_with_the_mend_or_noted_in_a_dry_run() -> None:
    with pytest.raises(
        ValueError, match=r"but 3 are asked for and 2 found: pass --gpus 2, or --address"
    ):
        local_slots(Options(gpus=3))
    slots, (note,) = local_slots(Options(gpus=3, dry_run=True))
    assert slots == gpu_slots(4, 3, 1.0)
    assert "2 of the 3 GPUs" in note


def test_training_on_the_cpu_because_no_gpu_is_there_is_one_visible_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(plan, "count_gpus", lambda: 0)
    assert local_slots(Options()) == (cpu_slots(4), ("No GPU found: training on the CPU.",))
    assert local_slots(Options(gpus=0)) == (cpu_slots(4), ())
    with pytest.raises(ValueError, match="--gpus-per-trial needs a GPU, but this machine has none"):
        local_slots(Options(gpus_per_trial=0.5))


def test_on_a_cluster() -> None:
    def slots(options: Options, cpus: int, gpus: int) -> object:
        return slots_on(SimpleNamespace(options=options), ((cpus, gpus),))

    assert slots(Options(), 16, 4) == gpu_slots(16, 4, 1.0)
    assert slots(Options(gpus=2, gpus_per_trial=0.25), 64, 4) == replace(
        gpu_slots(64, 2, 0.25), cpus=4
    )
    assert slots(Options(gpus=0), 16, 4) == slots(Options(), 16, 0) == cpu_slots(16)
    for options, cpus, gpus, line in [
        (Options(gpus=5), 16, 4, "5 are asked for and 4 found"),
        (
            Options(gpus_per_trial=0.5),
            16,
            0,
            "--gpus-per-trial needs a GPU, but the cluster has none",
        ),
        (Options(), 0, 0, "the cluster has none: add nodes"),
        (Options(gpus_per_trial=0.25), 8, 4, "a node has fewer CPUs than trials"),
    ]:
        with pytest.raises(Refused, match=line):
            slots(options, cpus, gpus)
