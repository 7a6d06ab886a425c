"""What is shipped: what git would keep, nothing else, and never more than a cluster takes."""

import subprocess
import zipfile
from pathlib import Path

import pytest

from cluster import package
from cluster.refused import Refused

ROOT = Path(__file__).parents[3]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository with a tracked, a new, an ignored and a deleted file."""
    root = tmp_path / "project"
    for name, text in {
        "sweeps/tracked.py": "1",
        "sweeps/gone.py": "2",
        ".gitignore": "*.pt\nmlruns/\n",
        "weights.pt": "3",
        "mlruns/service/token": "4",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    git = ["git", "-C", str(root), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    subprocess.run([*git, "add", "sweeps"], check=True)
    subprocess.run([*git, "commit", "-qm", "x"], check=True)
    (root / "sweeps" / "gone.py").unlink()
    (root / "sweeps" / "naïve new.py").write_text("5")
    return root


def names(root: Path, *without: Path) -> list[str]:
    return [str(path) for path in package.files(root, ["sweeps", "cluster"], without)]


def test_tracked_and_new_files_are_shipped_ignored_and_deleted_ones_are_not(project: Path) -> None:
    assert names(project) == [".gitignore", "sweeps/naïve new.py", "sweeps/tracked.py"]


def test_a_storage_that_git_does_not_ignore_stays(project: Path) -> None:
    (project / "out").mkdir()
    (project / "out" / "token").write_text("secret")
    assert "out/token" in names(project)
    assert "out/token" not in names(project, project / "out")


def test_without_git_only_the_packages_are_shipped(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "photos").mkdir()
    (project / "photos" / "a.py").write_text("")
    monkeypatch.setenv("PATH", str(project))
    assert names(project) == ["sweeps/naïve new.py", "sweeps/tracked.py"]


def test_without_git_all_that_the_packages_hold_is_shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page's template and style are no Python."""
    of_git = set(names(ROOT))
    monkeypatch.setenv("PATH", "")
    without = [path.as_posix() for path in package.files(ROOT, ["sweeps"])]
    held = {name for name in of_git if name.startswith("sweeps/")}
    assert held == set(without)


def test_equal_files_give_equal_archives_whenever_they_were_written(
    project: Path, tmp_path: Path
) -> None:
    first, second = tmp_path / "1.zip", tmp_path / "2.zip"
    package.pack(project, package.files(project, ["sweeps"]), first)
    (project / "sweeps" / "tracked.py").touch()
    package.pack(project, package.files(project, ["sweeps"]), second)
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as packed:
        assert packed.read("sweeps/naïve new.py") == b"5"
        assert (packed.getinfo("sweeps/tracked.py").external_attr >> 16) & 0o777 == 0o644


def test_too_much_is_refused_with_the_five_largest(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package, "MOST_BYTES", 2**20)
    for number in range(7):
        (project / f"{number}.bin").write_bytes(bytes((number + 1) * 2**18))
    with pytest.raises(Refused) as refused:
        package.pack(project, package.files(project, ["sweeps"]), project / "x.zip")
    (problem,) = refused.value.problems
    assert "at most 1.0 MB, but has 7.0 MB" in problem
    assert problem.endswith(
        "The largest: 6.bin (1.8 MB), 5.bin (1.5 MB), 4.bin (1.2 MB), 3.bin (1.0 MB), "
        "2.bin (0.8 MB)."
    )


def test_this_project_fits() -> None:
    root = Path(__file__).parents[3]
    shipped = package.files(root, ["sweeps"])
    assert sum((root / name).stat().st_size for name in shipped) < package.MOST_BYTES / 5
