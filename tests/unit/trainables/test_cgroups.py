"""Limits of control groups: both versions, groups in groups, a container's view of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainables import cgroups, cpus, memory


class Groups:
    """Control groups in a folder, and the files by which the kernel says where they are."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.top = folder / "a place" / "cgroup"
        self.top.mkdir(parents=True)

    def at(self, group: str, mount: str, *, root: str = "/") -> None:
        """Put the process into a group, and mount the controller."""
        place = str(self.top).replace(" ", "\\040")
        (self.folder / "cgroup").write_text(f"1:name=systemd:/\n{group}\n")
        lines = [
            "30 23 0:28 / / rw - ext4 /dev/vda rw\n",
            f"31 30 0:9 {root} {place} rw - {mount}\n",
        ]
        (self.folder / "mountinfo").write_text("".join(lines))

    def write(self, path: str, text: str) -> None:
        file = self.top / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Groups:
    monkeypatch.setattr(cgroups, "PROCESS", tmp_path)
    return Groups(tmp_path)


def test_version_2_counts_the_groups_around(groups: Groups) -> None:
    groups.at("0::/batch/job/step", "cgroup2 cgroup2 rw")
    groups.write("batch/job/step/memory.max", "max")
    groups.write("batch/job/step/cpu.max", "max 100000")
    groups.write("batch/job/memory.max", "2000000000")
    groups.write("batch/memory.max", "3000000000")
    groups.write("batch/cpu.max", "150000 100000")
    groups.write("batch/pids.max", "100")
    groups.write("batch/pids.current", "30")
    assert cgroups.memory_limit() == 2 * 10**9
    assert cgroups.cpu_limit() == 1.5
    assert cgroups.process_room() == 70


def test_version_1_counts_them_too(groups: Groups) -> None:
    groups.at("4:memory:/docker/abc", "cgroup cgroup rw,memory")
    groups.write("docker/abc/memory.limit_in_bytes", "9223372036854771712")
    groups.write("docker/memory.limit_in_bytes", "2000000000")
    assert cgroups.memory_limit() == 2 * 10**9
    assert cgroups.cpu_limit() is None
    groups.at("5:cpu,cpuacct:/docker/abc", "cgroup cgroup rw,cpu,cpuacct")
    groups.write("docker/abc/cpu.cfs_quota_us", "50000")
    groups.write("docker/abc/cpu.cfs_period_us", "100000")
    groups.write("docker/cpu.cfs_quota_us", "-1")
    groups.write("docker/cpu.cfs_period_us", "100000")
    assert cgroups.cpu_limit() == 0.5


@pytest.mark.parametrize("root", ["/docker/abc", "/"])
def test_a_container_that_sees_its_own_group_as_the_top(groups: Groups, root: str) -> None:
    groups.at("4:memory:/docker/abc", "cgroup cgroup rw,memory", root=root)
    groups.write("memory.limit_in_bytes", "2000000000")
    assert cgroups.memory_limit() == 2 * 10**9


def test_without_control_groups_there_is_no_limit(groups: Groups) -> None:
    assert cgroups.memory_limit() is None
    assert cgroups.cpu_limit() is None
    assert memory.available_memory() == memory.machine_memory()


def test_half_a_cpu_is_one(groups: Groups) -> None:
    groups.at("0::/", "cgroup2 cgroup2 rw")
    groups.write("cpu.max", "50000 100000")
    assert cpus.available_cpus() == 1
