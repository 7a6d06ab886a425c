"""The imports of a worker that waits for its first trial.

They take 3 s on the CPU instead of 4, and 0.3 s for each later round.
"""

from trainables.quick_imports import quick_imports

with quick_imports():
    import trainables.ray_trial  # noqa: F401
