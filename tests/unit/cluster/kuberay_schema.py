"""The part of KubeRay's RayJob that cluster/kuberay/rayjob.yaml uses.

It was written by hand from KubeRay's API reference for 1.6.2.

No package index has the definition itself. A key that is not here is refused: look it up in the
reference, then add it. https://docs.ray.io/en/master/cluster/kubernetes/references/api.html
"""

from typing import Any


def _closed(required: list[str], **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "required": required,
        "properties": properties,
        "additionalProperties": False,
    }


STRING, WHOLE, SWITCH = {"type": "string"}, {"type": "integer", "minimum": 0}, {"type": "boolean"}
PARAMETERS = {"type": "object", "additionalProperties": STRING}  # of `ray start`, numbers in quotes
# Its inside: kubernetes-validate.
POD = _closed(["spec"], metadata={"type": "object"}, spec={"type": "object"})
HEAD = _closed(["rayStartParams", "template"], rayStartParams=PARAMETERS, template=POD)
WORKERS = _closed(
    ["groupName", "minReplicas", "maxReplicas", "rayStartParams", "template"],
    groupName=STRING,
    replicas=WHOLE,
    minReplicas=WHOLE,
    maxReplicas=WHOLE,
    rayStartParams=PARAMETERS,
    template=POD,
)
CLUSTER = _closed(
    ["headGroupSpec"],
    rayVersion=STRING,
    authOptions=_closed([], mode={"enum": ["disabled", "token"]}, secretName=STRING),
    headGroupSpec=HEAD,
    workerGroupSpecs={"type": "array", "items": WORKERS},
)
RAYJOB = _closed(
    ["apiVersion", "kind", "metadata", "spec"],
    apiVersion={"const": "ray.io/v1"},
    kind={"const": "RayJob"},
    metadata=_closed(["name"], name=STRING),
    spec=_closed(
        ["entrypoint", "rayClusterSpec"],
        entrypoint=STRING,
        submissionMode={"enum": ["K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"]},
        backoffLimit=WHOLE,
        shutdownAfterJobFinishes=SWITCH,
        ttlSecondsAfterFinished=WHOLE,
        rayClusterSpec=CLUSTER,
    ),
)
