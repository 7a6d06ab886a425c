"""What MLflow's store must be, and what is said of its errors."""

from pathlib import Path

import pytest

from sweeps.tracking.store import TrackingError, check_uri, one_line


def test_an_error_is_one_line_without_passwords() -> None:
    error = ValueError("cannot reach http://anna:5ecre7@host:5000/x now\nand more")
    assert one_line(error) == "cannot reach http://anna:***@host:5000/x now"


def test_a_query_without_its_uri_is_masked_too() -> None:
    assert one_line(ValueError("Max retries exceeded with url: /api/2.0?token=abc (refused)")) == (
        "Max retries exceeded with url: /api/2.0?token=*** (refused)"
    )


@pytest.mark.parametrize(
    "path",
    [
        "/proc/none/mlflow.db",
        "/dev/null/mlflow.db",
        "{here}/file/mlflow.db",
        "{here}/" + "x" * 300 + "/mlflow.db",
    ],
)
def test_a_database_where_none_can_be_is_refused_without_mlflow(path: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    path = path.format(here=tmp_path)
    with pytest.raises(
        TrackingError, match="must be in a folder that can be written, but "
    ) as refused:
        check_uri(f"sqlite:///{path}")
    assert str(Path(path).parent) in str(refused.value)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_folder_is_no_database_and_a_new_one_in_new_folders_is(tmp_path: Path) -> None:
    with pytest.raises(TrackingError, match=r"must be a file, but .* is a folder"):
        check_uri(f"sqlite:///{tmp_path}")
    check_uri(f"sqlite+pysqlite:///{tmp_path}/new/and/newer/mlflow.db?timeout=20")
    check_uri("sqlite:///mlflow.db")
    assert not list(tmp_path.iterdir())
