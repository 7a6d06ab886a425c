"""A sweep that is finished: resumed, extended, and extended after its study changed."""

from __future__ import annotations

import pytest

from benchmarks.audit import audit
from tests.faults.conftest import Make
from tests.faults.processes import write_study

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_a_finished_sweep_does_nothing_until_it_is_extended_even_where_its_study_has_changed(
    make: Make,
) -> None:
    sweep = make(slots=2, finalist_seeds=0)
    sweep.start(1)
    assert sweep.ended() == 0, sweep.log
    before = sweep.events
    done = sweep.command("--resume", sweep.name)
    assert (done.code, done.err) == (0, "")
    assert f"{sweep.name} is finished" in done.out
    assert sweep.events == before

    extended = sweep.command("--resume", sweep.name, "--trials", "2")
    assert extended.code == 0, extended
    assert audit(sweep.folder, sweep.uri)["ended"] == {"completed": 2}

    write_study(sweep.study, high=2e-2)
    refused = sweep.command("--resume", sweep.name, "--trials", "3")
    assert refused.code == 2, refused
    assert "tuned stage2_lr" in refused.err
    accepted = sweep.command("--resume", sweep.name, "--trials", "3", "--accept-changes")
    assert accepted.code == 0, accepted
    assert "Changed since it began" in accepted.out
    found = audit(sweep.folder, sweep.uri)
    assert found["lost"] == 0, found
    assert found["ended"] == {"completed": 3}
