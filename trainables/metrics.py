"""Names of metrics, one spelling everywhere, and which of them may decide what is best."""

from __future__ import annotations

from typing import Literal

# `val/loss` is the multi-class log loss, lower is better.
VAL_ACCURACY = "val/accuracy"
VAL_BALANCED_ACCURACY = "val/balanced_accuracy"  # mean of the classes' recalls
VAL_MACRO_F1 = "val/macro_f1"  # mean of the classes' F1
VAL_LOSS = "val/loss"
TRAIN_ACCURACY = "train/accuracy"
TRAIN_LOSS = "train/loss"
LR = "lr"
STAGE = "stage"
# Of finalists alone, beside the checkpoint's number of parameters and the milliseconds per image.
TEST_ACCURACY = "test/accuracy"
TEST_BALANCED_ACCURACY = "test/balanced_accuracy"
TEST_MACRO_F1 = "test/macro_f1"
TEST_LOSS = "test/loss"
PARAMETERS = "parameters"
INFERENCE_MS = "inference_ms"
TEST_PASSES = "test_passes"
TESTED = (
    TEST_ACCURACY,
    TEST_BALANCED_ACCURACY,
    TEST_MACRO_F1,
    TEST_LOSS,
    PARAMETERS,
    INFERENCE_MS,
    TEST_PASSES,
)
# What an epoch took; `image_passes` says what a pass is.
EPOCH_PASSES = "epoch_passes"
EPOCH_SECONDS = "epoch_seconds"
IMAGES_PER_SECOND = "images_per_second"
# What searcher and scheduler read of a report, and nothing else.
EPOCH = "epoch"
SCORE = "score"
# In a report of several epochs: each one's metrics, with its epoch and score, in order.
HISTORY = "history"
TEST = "test"  # in a finalist's last report: what came of the test split
# In a report, where memory was short: the size of the pieces in which a batch went through.
MICRO_BATCH = "micro_batch"

Score = Literal["accuracy", "balanced_accuracy", "macro_f1"]
VAL_SCORES: dict[Score, str] = {
    "accuracy": VAL_ACCURACY,
    "balanced_accuracy": VAL_BALANCED_ACCURACY,
    "macro_f1": VAL_MACRO_F1,
}
"""What may decide which epoch, trial and recipe is best, with its metric on val."""
TEST_SCORES: dict[Score, str] = {
    "accuracy": TEST_ACCURACY,
    "balanced_accuracy": TEST_BALANCED_ACCURACY,
    "macro_f1": TEST_MACRO_F1,
}
