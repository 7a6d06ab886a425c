"""How to call a registered model, as MLflow shows it."""

from __future__ import annotations

from sweeps.tracking.calling import OURS, about_model, how_to_call

MODEL = "models:/study-digits-demo/3"


def test_it_says_python_the_command_line_and_http() -> None:
    said = how_to_call(MODEL, "sqlite:////data/mlflow.db")
    assert f'mlflow.pyfunc.load_model("{MODEL}")' in said
    assert f"dvt predict --model {MODEL} --tracking-uri sqlite:////data/mlflow.db photos/" in said
    assert f"mlflow models serve -m {MODEL} --env-manager local" in said
    assert "/invocations" in said


def test_a_password_is_not_in_it() -> None:
    assert "secret" not in how_to_call(MODEL, "http://ann:secret@mlflow.example:5000")


def test_the_registered_model_is_called_by_its_alias() -> None:
    said = about_model("study-digits-demo", "sqlite:////data/mlflow.db")
    assert said.startswith(OURS)
    assert "models:/study-digits-demo@champion" in said


def test_commands_are_as_a_shell_takes_them() -> None:
    said = how_to_call(MODEL, "sqlite:////my data/mlflow.db")
    assert 'mlflow.set_tracking_uri("sqlite:////my data/mlflow.db")' in said
    assert "--tracking-uri 'sqlite:////my data/mlflow.db' photos/" in said
    assert "export MLFLOW_TRACKING_URI='sqlite:////my data/mlflow.db' " in said
