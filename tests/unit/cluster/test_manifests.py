"""What `cluster/` gives to AWS, Kubernetes and Docker.

The strictest readers that can be had without them read it.
"""

import copy
import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import requires
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import ray.autoscaler
import yaml
from botocore.session import Session
from botocore.validate import ParamValidator
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from ray.autoscaler._private.util import prepare_config, validate_config

from sweeps.runner.options import Options, command, parse
from tests.unit.cluster.kuberay_schema import RAYJOB

ROOT = Path(__file__).parents[3]
CLUSTER = ROOT / "cluster"
MANIFESTS = ("Dockerfile", "aws.yaml", "kuberay/rayjob.yaml", "slurm.sbatch")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINS = dict(re.findall(r"(?m)^([\w.-]+)==(\S+)", (ROOT / "constraints.txt").read_text()))
IMAGE = f"registry.example.com/depth-vs-tricks:{PROJECT['version']}"
AWS = yaml.safe_load((CLUSTER / "aws.yaml").read_text())
JOB = yaml.safe_load((CLUSTER / "kuberay" / "rayjob.yaml").read_text())
RAY_SCHEMA = json.loads((Path(ray.autoscaler.__file__).parent / "ray-schema.json").read_text())
TRACKED = "http://127.0.0.1:5000"


def _options(line: str) -> Options:
    """The flags of the study's command in a line of shell, as the study itself reads them."""
    (found,) = re.findall(r"python \S*sweeps/depth_vs_tricks\.py ([^;&]*)", " ".join(line.split()))
    return parse(command("depth_vs_tricks", ""), found.split())


def test_each_manifest_says_that_it_was_parsed_only_and_has_a_readme_of_five_lines() -> None:
    readme = (CLUSTER / "README.md").read_text()
    for name in MANIFESTS:
        (section,) = re.findall(
            rf"^## {re.escape(name)} \(parsed, not run here\)\n\n((?:.+\n)+)", readme, re.MULTILINE
        )
        assert len(section.splitlines()) <= 5
        if not name.endswith("Dockerfile"):
            assert re.search(r"(?i)parsed.* not run", (CLUSTER / name).read_text())


@pytest.mark.parametrize("name", MANIFESTS)
def test_versions_have_one_source(name: str) -> None:
    """Whatever looks like a version in a manifest is this project's, or constraints.txt's."""
    text = re.sub(r"\b\d+\.\d+\.\d+\.\d+\b", "", (CLUSTER / name).read_text())  # addresses
    # The last: KubeRay's, which pip does not install.
    known = {
        PROJECT["version"],
        PINS["ray"],
        "1.5.1",
    }
    assert set(re.findall(r"\b\d+\.\d+\.\d+\b", text)) <= known
    assert set(re.findall(r"registry\.example\.com/\S+[^.,\s]", text)) <= {IMAGE}


@pytest.mark.parametrize("name", MANIFESTS)
def test_no_secret_is_in_a_manifest(name: str) -> None:
    text = (CLUSTER / name).read_text()
    named = r"RAY_AUTH_TOKEN\b(?!_PATH)|(?i:passw|secret[-_]?key|access[-_]?key|api[-_]?key)"
    assert not re.search(named + r"|://[^/\s\"]*:[^/\s\"]*@", text)
    assert not re.search(r"\b[0-9a-f]{32,}\b|AKIA[0-9A-Z]{16}", text)


def test_rays_own_schema_and_checks_take_aws_yaml() -> None:
    jsonschema.Draft7Validator(RAY_SCHEMA).validate(AWS)
    config = prepare_config(copy.deepcopy(AWS))
    validate_config(config)
    assert config["available_node_types"]["head"]["max_workers"] == 0
    left = AWS.keys() ^ RAY_SCHEMA["properties"].keys()
    assert left <= {
        "cluster_synced_files",
        "file_mounts_sync_continuously",
        "rsync_exclude",
        "rsync_filter",
        "no_restart",
    }, "what is left out comes from Ray's example, which installs another Ray"


@pytest.mark.parametrize(
    "change",
    [
        {"idle_timeout_minute": 5},
        {"max_workers": "4"},
        {"available_node_types": {"gpu": {"node_config": {}, "resources": {"GPU": 1.5}}}},
        {"docker": {"imagee": IMAGE}},
    ],
)
def test_rays_schema_refuses_what_is_misspelt(change: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(RAY_SCHEMA).validate(AWS | change)


def test_ec2_takes_each_machine_and_the_workers_are_spot() -> None:
    shape = Session().get_service_model("ec2").operation_model("RunInstances").input_shape
    for kind, node in AWS["available_node_types"].items():
        machine = node["node_config"] | {"MinCount": 1, "MaxCount": 1}
        assert not ParamValidator().validate(machine, shape).has_errors()
        assert ParamValidator().validate(machine | {"ImageID": "x"}, shape).has_errors(), (
            "an unknown parameter is seen"
        )
        assert (node["node_config"].get("InstanceMarketOptions") == {"MarketType": "spot"}) == (
            kind != AWS["head_node_type"]
        )


def test_aws_grows_from_0_to_what_the_sweep_asks_for() -> None:
    head, gpu = AWS["available_node_types"]["head"], AWS["available_node_types"]["gpu"]
    assert set(head["resources"].values()) == {0}, "no trial on the head"
    assert (gpu["min_workers"], gpu["max_workers"]) == (0, AWS["max_workers"])
    options = _options(AWS["metadata"]["command"])
    assert options.gpus == gpu["max_workers"] * gpu["resources"]["GPU"]
    assert re.findall(r"cluster\.nodes (\d+)", AWS["metadata"]["command"]) == [
        str(options.gpus),
        "0",
    ]
    assert (options.address, options.tracking_uri) == ("auto", TRACKED)


def test_aws_shares_the_storage_keeps_the_cache_local_and_the_token_in_a_closed_file() -> None:
    run, start = AWS["docker"]["run_options"], "\n".join(AWS["initialization_commands"])
    storage = _options(AWS["metadata"]["command"]).storage
    assert "--volume /shared:/shared" in run
    assert storage.is_relative_to("/shared")
    assert "nfs4" in start
    environment = dict(
        option.removeprefix("--env ").split("=") for option in run if option.startswith("--env ")
    )
    assert environment["RAY_AUTH_MODE"] == "token"
    assert not environment["DVT_CACHE_DIR"].startswith("/shared")
    (mounted,) = AWS["file_mounts"]
    assert environment["RAY_AUTH_TOKEN_PATH"].startswith(f"{mounted}/")
    assert AWS["setup_commands"] == ['test "$(stat -c %a "$RAY_AUTH_TOKEN_PATH")" = 600']


def test_mlflow_listens_on_loopback_only_and_one_process_opens_its_database() -> None:
    (server,) = [line for line in AWS["head_start_ray_commands"] if "mlflow" in line]
    (sidecar,) = [box for box in _pods()["head"]["containers"] if box["name"] == "mlflow"]
    for words in (
        server.split(),
        sidecar["command"] + sidecar["args"],
        (CLUSTER / "slurm.sbatch").read_text().split(),
    ):
        assert [words[at + 1] for at, word in enumerate(words) if word == "--host"] == ["127.0.0.1"]
        assert [words[at + 1] for at, word in enumerate(words) if word == "--workers"] == ["1"]


def test_the_rayjob_has_only_keys_that_kuberay_knows() -> None:
    validator = jsonschema.Draft202012Validator(RAYJOB)
    validator.validate(JOB)
    for path in (
        ("spec",),
        ("spec", "rayClusterSpec"),
        ("spec", "rayClusterSpec", "headGroupSpec"),
    ):
        broken = inner = copy.deepcopy(JOB)
        for key in path:
            inner = inner[key]
        inner["entryPoint"] = "x"
        assert not validator.is_valid(broken)


def test_kubernetes_takes_the_pods() -> None:
    for name, spec in _pods().items():
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
        kubernetes_validate.validate(pod, "1.34", strict=True)
        broken = copy.deepcopy(pod)
        broken["spec"]["containers"][0]["volumeMount"] = []
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(broken, "1.34", strict=True)


def test_the_pods_are_confined_share_the_storage_and_keep_the_cache_local() -> None:
    for spec in _pods().values():
        assert spec["securityContext"]["runAsNonRoot"]
        volumes = {volume["name"]: volume for volume in spec["volumes"]}
        assert "persistentVolumeClaim" in volumes["shared"]
        assert "emptyDir" in volumes["cache"]
        for box in spec["containers"]:
            assert box["image"] == IMAGE
            assert box["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
            }
            mounts = {mount["name"]: mount["mountPath"] for mount in box["volumeMounts"]}
            assert mounts.keys() <= volumes.keys()
            assert mounts["shared"] == "/shared"
            assert (
                mounts.get("cache", "/home/dvt/cache")
                == re.findall(r"DVT_CACHE_DIR=(\S+)", _dockerfile())[0]
            )


def test_the_rayjob_asks_for_the_gpus_that_it_has() -> None:
    cluster, options = JOB["spec"]["rayClusterSpec"], _options(JOB["spec"]["entrypoint"])
    (group,) = cluster["workerGroupSpecs"]
    assert cluster["rayVersion"] == PINS["ray"]
    assert cluster["authOptions"] == {"mode": "token"}
    (worker,) = group["template"]["spec"]["containers"]
    assert options.gpus == group["replicas"] * int(worker["resources"]["limits"]["nvidia.com/gpu"])
    assert (options.address, options.tracking_uri, options.storage) == (
        "auto",
        TRACKED,
        Path("/shared/mlruns"),
    )


def test_hadolint_takes_the_dockerfile(tmp_path: Path) -> None:
    hadolint = str(Path(sys.executable).with_name("hadolint"))
    done = subprocess.run([hadolint, CLUSTER / "Dockerfile"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
    assert _dockerfile().count("hadolint ignore") == 1
    (tmp_path / "Dockerfile").write_text(_dockerfile().replace("USER 1000", "USER root"))
    assert subprocess.run([hadolint, tmp_path / "Dockerfile"], capture_output=True).returncode == 1


def test_the_image_installs_what_constraints_txt_says_as_a_user_who_is_not_root() -> None:
    steps = [
        step.replace("\\\n", " ")
        for step in re.split(r"\n(?=[A-Z])", re.sub(r"(?m)^\s*#.*\n|^\n", "", _dockerfile()))
    ]
    oldest = PROJECT["requires-python"].removeprefix(">=")
    assert steps[0] == f"FROM python:{oldest}-slim"
    for step in steps:
        if "pip install" in step:
            assert "--constraint constraints.txt" in step or "--no-deps" in step
    assert [step for step in steps if step.startswith("USER")] == ["USER 1000"]
    assert not [
        step for step in steps if step.startswith("ADD") or re.search(r"(?i)token=|secret", step)
    ]


def test_all_that_is_copied_exists_and_is_in_the_context() -> None:
    allowed = {
        line[1:]
        for line in (CLUSTER / "Dockerfile.dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    copied = {
        name.rstrip("/")
        for line in re.findall(r"(?m)^COPY (.*) \S+$", _dockerfile())
        for name in line.split()
    }
    assert copied == allowed
    assert all((ROOT / name).exists() for name in copied)


def test_what_the_image_adds_is_pinned_too() -> None:
    pinned = {canonicalize_name(name) for name in PINS}
    lines = (*PROJECT["optional-dependencies"]["aws"], *(requires("ray") or ()))
    wanted = [
        wish
        for wish in map(Requirement, lines)
        if not wish.marker or wish.marker.evaluate({"extra": "default"})
    ]
    assert {canonicalize_name(wish.name) for wish in wanted} <= pinned


def _pods() -> dict[str, dict[str, Any]]:
    cluster = JOB["spec"]["rayClusterSpec"]
    workers = {
        group["groupName"]: group["template"]["spec"] for group in cluster["workerGroupSpecs"]
    }
    return {"head": cluster["headGroupSpec"]["template"]["spec"]} | workers


def _dockerfile() -> str:
    return (CLUSTER / "Dockerfile").read_text()
