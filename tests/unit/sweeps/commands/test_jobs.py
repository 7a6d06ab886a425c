"""What `dvt jobs` shows of a job."""

from cluster.service.jobserver import Job
from sweeps.commands.jobs import row


def test_a_row_of_the_table() -> None:
    ended = Job(
        name="s", status="FAILED", exit_code=2, study="sweeps/x.py", started=60.0, ended=3785.0
    )
    assert row(ended)[:4] == ("s", "sweeps/x.py", "failed", "2")
    assert row(ended)[5] == "1h02m"
    assert row(Job(name="raw", status="PENDING")) == ("raw", "-", "pending", "-", "-", "-")
