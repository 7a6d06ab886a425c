"""The registered champion behind `mlflow models serve`, and `dvt predict` beside it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from tests.integration.conftest import environment, run
from tests.integration.test_dvt import dvt

MODEL = "models:/depth_vs_tricks-digits-demo@champion"
STARTS_WITHIN_S = 240.0


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_served_champion_answers_as_predict_does(tmp_path: Path, cache: str) -> None:
    done = run(
        tmp_path,
        *("--preset", "demo", "--arms", "resnet18/plain", "--trials", "1", "--name", "one"),
        timeout=600,
        DVT_CACHE_DIR=cache,
    )
    assert done.code == 0, done.err
    # [8, 8, 3]
    pixels = np.repeat((load_digits().images[5] * 15.9).astype(np.uint8)[..., None], 3, axis=2)
    Image.fromarray(pixels).save(tmp_path / "five.png")
    answers = []
    for model in (("--sweep", "one"), ("--model", MODEL)):
        said = dvt(tmp_path, "predict", *model, "--json", "five.png")
        assert (said.code, said.err) == (0, ""), said.err
        answers.append(json.loads(said.out))
    with _served(tmp_path) as address:
        grey = pixels[..., 0]
        for same in (pixels[None], pixels, pixels[None] / 255, grey[None], (grey / 255).round(9)):
            code, answer = _asked(address, same.tolist())
            assert code == 200, answer
            answers.append(
                {"probabilities": dict(zip("56789", answer["predictions"][0], strict=True))}
            )
        assert _asked(address, [[[[0.2, 0.2, 0.2]]]])[0] == 200  # one pixel
        assert _asked(address, []) == (200, {"predictions": []})
        scaled = {
            "normalization": pixels / 255 - 0.5,
            "0..255": pixels.astype(int) + 300,
            "fractions": pixels * 0.99,
        }
        for mend, wrong in scaled.items():
            code, answer = _asked(address, wrong[None].tolist())
            assert code == 400
            assert answer["message"].startswith(
                "Pixels must be whole numbers in 0..255 or fractions in 0..1, but got "
            )
            assert mend in answer["message"]
            assert len(answer["message"]) < 200
        code, answer = _asked(address, pixels[None].transpose(0, 3, 1, 2).tolist())
        assert (code, "the channels last" in answer["message"]) == (400, True)
    first, *others = (list(answer["probabilities"].items()) for answer in answers)
    assert [name for name, _ in first] == list("56789")
    for other in others:
        assert [name for name, _ in other] == list("56789")
        np.testing.assert_allclose(
            [value for _, value in other], [value for _, value in first], rtol=0, atol=1e-5
        )


def _asked(address: str, inputs: list[Any]) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(
        f"{address}/invocations",
        data=json.dumps({"inputs": inputs}).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=120) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as refused:
        return refused.code, json.load(refused)


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    """The model's address, while `mlflow models serve` runs.

    It has a session of its own, whose processes end with it.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    scripts = Path(sys.executable).parent
    command = [
        str(scripts / "mlflow"),
        "models",
        "serve",
        "-m",
        MODEL,
        "--env-manager",
        "local",
        "-h",
        "127.0.0.1",
        "-p",
        str(port),
    ]
    more = {
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlruns/mlflow.db",
        "MLFLOW_DEFAULT_PREDICTION_DEVICE": "cpu",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",  # it starts `uvicorn`
    }
    with (folder / "serve.log").open("w") as log:
        server = subprocess.Popen(
            command,
            cwd=folder,
            env={**environment(), **more},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            deadline = time.monotonic() + STARTS_WITHIN_S
            while not _up(port):
                assert server.poll() is None, (folder / "serve.log").read_text()
                assert time.monotonic() < deadline, (folder / "serve.log").read_text()
                time.sleep(0.5)
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            try:
                server.wait(30)
            finally:
                with suppress(ProcessLookupError):  # its children may outlive it
                    os.killpg(server.pid, signal.SIGKILL)
                server.wait()


def _up(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=5):
            return True
    except (urllib.error.URLError, OSError):
        return False
