"""A working folder that was deleted, or is not ours to enter, is named in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.surroundings.commands import DVT, dvt, run

COMMANDS = ("list", "doctor", "report x", "sync x", "data digits", "clean", "predict x.png", "jobs")
STRANGER = ("unshare", "-U", "--map-user=1234", "--map-group=1234")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_folder_that_was_deleted_is_named(place: Path, command: str) -> None:
    (place / "gone").mkdir()
    script = f'cd gone && rmdir ../gone && exec "$0" {command}'
    ran = run(["sh", "-c", script, *DVT], place)
    assert ran.code == 2, ran.said
    assert ran.err == (
        "error: The working folder must exist, but it was deleted: change to another one.\n"
    )


@pytest.mark.parametrize("command", COMMANDS[:3])
@pytest.mark.parametrize("mode", [0o000, 0o444])
def test_a_folder_that_is_not_ours_to_enter_is_named(place: Path, command: str, mode: int) -> None:
    for folder in (place, *place.parents[:3]):
        folder.chmod(0o755)
    shut = place / "shut"
    shut.mkdir()
    shut.chmod(mode)
    under = ["sh", "-c", 'cd shut && exec "$@"', "sh", *STRANGER]
    ran = run(dvt(*command.split()), place, under=under)
    shut.chmod(0o755)
    assert ran.code == 2, ran.said
    assert f"The working folder must be one that can be entered, but '{shut}' cannot" in ran.err
    assert len(ran.err.splitlines()) == 1, ran.err


def test_help_needs_no_folder(place: Path) -> None:
    (place / "gone").mkdir()
    ran = run(["sh", "-c", 'cd gone && rmdir ../gone && exec "$0" list --help', *DVT], place)
    assert ran.code == 0, ran.said


def test_subcommands_refuse_all_that_is_wrong_at_once(place: Path) -> None:
    ran = run(dvt("service", "up", "--nonsense", "--cpus", "0", "--gpu", "1"), place)
    assert ran.code == 2
    lines = ran.err.splitlines()
    assert len(lines) == 3, ran.err
    assert "--cpus must be" in lines[0]
    assert "unknown option '--nonsense' of dvt service up." in lines[1]
    assert "unknown option '--gpu' of dvt service up. Did you mean '--gpus'?" in lines[2]
