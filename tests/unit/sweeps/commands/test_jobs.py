"""What `dvt jobs` shows of a job."""

from sweeps.commands.jobs import row


def test_a_row_of_the_table() -> None:
    ended = {
        "submission_id": "s",
        "status": "FAILED",
        "driver_exit_code": 2,
        "metadata": {"study": "sweeps/x.py"},
        "start_time": 60_000,
        "end_time": 3_785_000,
    }
    assert row(ended)[:4] == ("s", "sweeps/x.py", "failed", "2")
    assert row(ended)[5] == "1h02m"
    nothing_known = {"submission_id": "raw", "status": "PENDING"}
    assert row(nothing_known) == ("raw", "-", "pending", "-", "-", "-")
