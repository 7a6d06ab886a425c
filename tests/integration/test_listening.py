"""A Ray of a sweep's own listens on the loopback alone: no other machine reaches any of it."""

import json
import secrets
import subprocess
import sys

import pytest

from cluster.service.listeners import listeners
from cluster.service.processes import family, process
from tests.integration.conftest import ROOT, environment

# As a sweep starts it, with a worker, which listens too; it stays until its input ends.
DRIVER = """
import json, sys
from cluster.session import environment, session
with environment("local"), session("local", cpus=1, gpus=0):
    import os, ray
    worker = ray.get(ray.remote(lambda: os.getpid()).remote())
    print(json.dumps([os.getpid(), worker]), flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("mode", ["token", "disabled"])
def test_no_process_of_a_local_ray_listens_on_another_interface(mode: str) -> None:
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER],
        cwd=ROOT,
        env=environment(RAY_AUTH_MODE=mode if mode == "disabled" else ""),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with driver:
        assert driver.stdout
        ours, worker = json.loads(driver.stdout.readline())
        known = process(ours)
        assert known
        of_ray = family(secrets.token_hex(), [known])
        found = listeners(of_ray)
        driver.communicate(timeout=60)
    assert {ours, worker} < {one.pid for one in of_ray}
    assert {ours, worker} < {listener.pid for listener in found}
    assert [listener for listener in found if not listener.local] == []
