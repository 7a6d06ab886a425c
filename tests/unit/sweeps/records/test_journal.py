"""The journal keeps every event that it took, whatever happens to the process or the disk."""

import errno
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from sweeps.records.journal import Journal, JournalError, events_from, read, size

EVENTS = [
    {"event": "sweep", "study": "depth_vs_tricks", "sweep_name": "s1"},
    {"event": "trial", "trial_id": "resnet18/tricks/000", "recipe": {"lr": 0.1, "weights": None}},
    {
        "event": "epochs",
        "trial_id": "resnet18/tricks/000",
        "epochs": [{"epoch": 1, "score": 0.5, "val/loss": float("inf")}],
    },
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "trials.jsonl"


def test_what_is_appended_is_read_with_its_time(path: Path) -> None:
    offsets = _write(path)
    found = read(path)
    assert [_untimed(event) for event in found] == EVENTS
    assert all(
        isinstance(event["time"], int) and event["time"] > 1_600_000_000_000 for event in found
    )
    assert [offset for _, offset in events_from(path, 0)] == offsets
    assert offsets[-1] == size(path)


def test_a_time_that_is_given_is_kept(path: Path) -> None:
    journal = Journal(path)
    journal.append({"event": "sweep", "time": 5})
    assert read(path) == [{"event": "sweep", "time": 5}]


def test_reading_goes_on_from_an_offset_and_stops_at_one(path: Path) -> None:
    offsets = _write(path)
    assert [_untimed(event) for event, _ in events_from(path, offsets[0])] == EVENTS[1:]
    assert [_untimed(event) for event, _ in events_from(path, offsets[0], offsets[1])] == EVENTS[
        1:2
    ]
    assert list(events_from(path, offsets[-1])) == []


def test_a_last_line_that_was_torn_at_any_byte_is_dropped_and_cut_off(path: Path) -> None:
    offsets = _write(path)
    whole = path.read_bytes()
    for end in range(offsets[1], offsets[2]):
        path.write_bytes(whole[:end])
        assert [_untimed(event) for event in read(path)] == EVENTS[:2]
        journal = Journal(path)
        assert size(path) == journal.end == offsets[1]
        assert journal.append({"event": "finish"}) == size(path)
        journal.close()
        assert [event["event"] for event in read(path)] == ["sweep", "trial", "finish"]


@pytest.mark.parametrize(
    "last", [b"\0" * 40, b"\0" * 40 + b"\n", b"[1]\n", b"\n", b'{"time": 1}\n', b"\xff\n"]
)
def test_a_last_line_that_is_no_event_is_dropped_and_cut_off(path: Path, last: bytes) -> None:
    offsets = _write(path)
    with path.open("ab") as file:
        file.write(last)
    assert len(read(path)) == 3
    assert Journal(path).end == size(path) == offsets[-1]


@pytest.mark.parametrize("damage", [b"no event", b"", b'{"event": 5}'])
def test_a_damaged_line_elsewhere_is_named(path: Path, damage: bytes) -> None:
    _write(path)
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([lines[0], damage, lines[2], b""]))
    with pytest.raises(
        JournalError, match=r"must hold one event in JSON, but line 2 does not: delete that line"
    ) as error:
        read(path)
    assert str(path) in str(error.value)
    after_first = len(lines[0]) + 1
    with pytest.raises(JournalError, match="line 2"):
        list(events_from(path, after_first))


def test_a_missing_journal_is_no_empty_one(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read(path)


@pytest.mark.parametrize("written", [0, 1, 30])
def test_a_full_disk_leaves_no_half_line(
    path: Path, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    journal = Journal(path)
    end = journal.append(EVENTS[0])
    write, budget = os.write, written

    def full(file: int, data: bytes) -> int:
        nonlocal budget
        if budget == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        done = write(file, data[:budget])
        budget -= done
        return done

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        with pytest.raises(OSError, match="No space left"):
            journal.append(EVENTS[1])
    assert size(path) == journal.end == end
    journal.append(EVENTS[2])
    assert [event["event"] for event in read(path)] == ["sweep", "epochs"]


def test_a_disk_that_fails_to_sync_took_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(path)
    journal.append(EVENTS[0])

    def broken(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", broken)
        with pytest.raises(OSError, match="Input/output"):
            journal.append(EVENTS[1])
    assert len(read(path)) == 1


def test_threads_that_append_at_once_do_not_mix_their_lines(path: Path) -> None:
    journal = Journal(path)

    def tell(thread: int) -> None:
        for number in range(100):
            journal.append(
                {"event": "epochs", "thread": thread, "number": number, "filling": "x" * 500}
            )

    threads = [threading.Thread(target=tell, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = read(path)
    assert len(found) == 800
    for thread in range(8):
        assert [event["number"] for event in found if event["thread"] == thread] == list(range(100))
    assert journal.end == size(path)


def test_what_was_appended_outlives_a_kill(path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from sweeps.records.journal import Journal\n"
        "journal = Journal(Path(sys.argv[1]))\n"
        "for number in range(50): journal.append({'event': 'epochs', 'number': number})\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(path)], check=False, cwd=Path(__file__).parents[4]
    )
    assert [event["number"] for event in read(path)] == list(range(50))


def test_frequent_events_are_not_each_forced_to_the_disk(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", synced.append)
    journal = Journal(path)
    journal.append(EVENTS[0])
    for _ in range(100):
        journal.append(EVENTS[2])
    assert len(synced) <= 2
    journal.append({"event": "end"})
    assert len(synced) <= 3


def test_a_closed_journal_takes_nothing(path: Path) -> None:
    journal = Journal(path)
    journal.append(EVENTS[0])
    journal.close()
    journal.close()
    with pytest.raises(ValueError, match="must be open"):
        journal.append(EVENTS[1])
    assert journal.end == size(path)


def test_numbers_of_numpy_and_paths_are_plain(path: Path) -> None:
    class Number:
        def item(self) -> float:
            return 0.5

    Journal(path).append({"event": "epochs", "score": Number(), "path": Path("/tmp/x")})
    assert json.loads(path.read_text())["score"] == 0.5
    assert json.loads(path.read_text())["path"] == "/tmp/x"


def _write(path: Path) -> list[int]:
    journal = Journal(path)
    offsets = [journal.append(event) for event in EVENTS]
    journal.close()
    return offsets


def _untimed(event: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name != "time"}
