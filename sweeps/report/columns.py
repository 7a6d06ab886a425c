"""The columns of `results.csv`, with what each says."""

from __future__ import annotations

from trainables.metrics import (
    INFERENCE_MS,
    PARAMETERS,
    TEST_ACCURACY,
    TEST_BALANCED_ACCURACY,
    TEST_LOSS,
    TEST_MACRO_F1,
    VAL_ACCURACY,
    VAL_BALANCED_ACCURACY,
    VAL_MACRO_F1,
)

COLUMNS = {
    "trial_id": "the name of the training run, unique in the sweep",
    "role": "trial (of the search) or finalist (a recipe retrained with several seeds)",
    "arm": "the arm it belongs to",
    "number": (
        "of the trial in its arm, or of the trial whose recipe is retrained; 0 is the arm's "
        "default recipe"
    ),
    "group": "of finalists: the trial whose recipe is retrained",
    "without": (
        "of the champion's ablations, which are finalists too: the recipe field that is set to "
        "where it does nothing"
    ),
    "seed_number": "of finalists: the number of its seed in the sweep, from 0",
    "draw": (
        "of finalists: the digest of the data whose train and val images it had; empty where those "
        "were the search's"
    ),
    "outcome": (
        "completed, pruned (stopped early), diverged, failed or interrupted; empty while it runs"
    ),
    "reason": "why it diverged or failed",
    "score": (
        "what decides: the best of the last stage, on val, of the metric that options.score in "
        "sweep.json names"
    ),
    "best_epoch": "the epoch of the score",
    "val_accuracy": "at that epoch, on val, as are the next two; 0 to 1",
    "val_balanced_accuracy": "mean of the classes' recalls",
    "val_macro_f1": "mean of the classes' F1",
    "epochs_done": "epochs that were trained",
    "image_passes": (
        "what it took: an image through the trained layers is 1 forward, 3 forward and backward; "
        "empty where the sweep is of an earlier version"
    ),
    "wall_seconds": "from start to end",
    "device_seconds": "wall time, multiplied by the share of a device it had",
    "test_accuracy": "of finalists: on the test split, 0 to 1",
    "test_balanced_accuracy": "of finalists: mean of the classes' recalls on the test split",
    "test_macro_f1": "of finalists: mean of the classes' F1 on the test split",
    "test_loss": "of finalists: log loss on the test split, lower is better",
    "parameters": "of finalists: numbers in the network",
    "inference_ms": "of finalists: milliseconds per image",
}
"""Columns before the recipe's fields."""

OF_EPOCH = {
    "val_accuracy": VAL_ACCURACY,
    "val_balanced_accuracy": VAL_BALANCED_ACCURACY,
    "val_macro_f1": VAL_MACRO_F1,
}
"""Columns that the epoch of the score fills, by the metrics' names."""

OF_TEST = {
    "test_accuracy": TEST_ACCURACY,
    "test_balanced_accuracy": TEST_BALANCED_ACCURACY,
    "test_macro_f1": TEST_MACRO_F1,
    "test_loss": TEST_LOSS,
    "parameters": PARAMETERS,
    "inference_ms": INFERENCE_MS,
}
"""Columns that the test split fills."""

COUNTS = ("number", "seed_number", "best_epoch", "epochs_done", "image_passes", "parameters")
TEXTS = ("trial_id", "role", "arm", "group", "without", "draw", "outcome", "reason")

COMPARISONS = {
    "comparison": "its name in the study",
    "estimate": "difference of the arms' test scores, 0.01 is a point; empty where not known",
    "low": "lower end of its 95% interval: other recipes of such a search, seeds and images",
    "high": "upper end",
    "verdict": "better, worse, no difference that matters, or cannot tell",
    "decided": "after how many seeds; 0 where it is open",
    "n": "seeds that all its arms have",
    "p": "of no difference, at the last look, adjusted by Holm",
    "of_seeds": "standard error from seeds and draws of images",
    "of_recipes": "standard error from the recipes that the search found",
    "of_images": "standard error from the test images",
    "more_seeds": "how many more would decide it, if the difference stays; empty where none would",
    "more_images": "how many more test images would",
    "binds": (
        "the largest of the three: seeds, recipes or images; seeds or recipes where one seed of each "
        "recipe cannot tell"
    ),
}
"""Columns of `comparisons.csv`."""
