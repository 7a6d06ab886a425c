"""How to call a registered model: the words of its descriptions in MLflow, in Markdown."""

from __future__ import annotations

import json
import shlex

from cluster.addresses import without_password

# The first words of a registered model's description: one that begins otherwise is a person's.
OURS = "Champions of sweeps, a version per sweep."


def about_model(name: str, tracking_uri: str) -> str:
    """Return the description of a registered model.

    Args:
        name: The model's.
        tracking_uri: Of the store that has it.
    """
    best = f"models:/{name}@champion"
    return (
        f"{OURS} `{best}` is the best so far; the tag `sweep.promotion` of each version says why "
        f"it is, or is not.\n\n{how_to_call(best, tracking_uri)}"
    )


def how_to_call(model: str, tracking_uri: str) -> str:
    """Return how a model answers: in Python, on the command line, over HTTP.

    Args:
        model: Its URI, such as `models:/NAME@champion`.
        tracking_uri: Of the store that has it; a password in it is not shown.
    """
    store = without_password(tracking_uri)
    quoted = shlex.quote(store)
    return f"""### How to call it

It takes uint8 images `[N, H, W, 3]` of any size and returns a probability per class. In Python:

```python
import mlflow, numpy as np

mlflow.set_tracking_uri({json.dumps(store)})
model = mlflow.pyfunc.load_model("{model}")
print(model.metadata.metadata["classes"])
print(model.predict(np.zeros((1, 48, 64, 3), np.uint8)))
```

Of files, on the command line:

```
dvt predict --model {model} --tracking-uri {quoted} photos/
```

Over HTTP:

```
export MLFLOW_TRACKING_URI={quoted} MLFLOW_DEFAULT_PREDICTION_DEVICE=cpu
mlflow models serve -m {model} --env-manager local -h 127.0.0.1 -p 5001
curl http://127.0.0.1:5001/invocations -H 'Content-Type: application/json' \\
  -d '{{"inputs": [[[[0, 0, 0], [255, 255, 255]]]]}}'
```
"""
