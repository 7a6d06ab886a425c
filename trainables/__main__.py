"""Train one recipe again, without Ray, Optuna or MLflow: `python -m trainables RECIPE.json`."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click
import torch

from trainables import checkpoint
from trainables.compute import Compute
from trainables.data.dataset import Caps, Dataset, ReadOptions, prepare
from trainables.finetune import DivergedError, finetune
from trainables.metrics import (
    EPOCH,
    SCORE,
    TRAIN_ACCURACY,
    TRAIN_LOSS,
    VAL_ACCURACY,
    VAL_BALANCED_ACCURACY,
    VAL_LOSS,
    VAL_MACRO_F1,
    VAL_SCORES,
    Score,
)
from trainables.problems import unknown_name
from trainables.recipe import Recipe
from trainables.weights import Weights


@click.command()
@click.argument(
    "recipe_file",
    metavar="RECIPE.json",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("retrained"),
    help="Folder for best.pt.",
)
@click.option("--device", type=click.Choice(["cpu", "cuda"]), help="Default: what the sweep used.")
def main(recipe_file: Path, out: Path, device: str | None) -> None:
    """Train the recipe that a sweep left in RECIPE.json on the same data and write OUT/best.pt."""
    champion = _read(recipe_file)
    place = torch.device(device or champion.device)
    if place.type == "cuda" and not torch.cuda.is_available():
        raise _Refused(
            "the recipe was trained on a GPU, but torch sees none here: pass --device cpu."
        )
    if checkpoint.unfinished(out):
        raise _Refused(f"{out} holds an unfinished run: give another folder with --out.")
    # Train.
    try:
        data = champion.data()
        if data.digest != champion.digest:
            raise _Refused(
                f"the data have changed: digest {data.digest}, but the sweep had {champion.digest}."
            )
        torch.set_num_threads(champion.threads)
        finetune(
            champion.recipe,
            data,
            place,
            _show,
            weights=Weights.of(champion.weights_file),
            checkpoints=out,
            compute=champion.compute,
            score=champion.metric,
        )
    except ValueError as error:
        raise _Refused(str(error)) from error
    except (DivergedError, OSError) as error:
        raise click.ClickException(str(error)) from error
    # Leave the best checkpoint alone.
    best = checkpoint.best(out)
    if best is None:
        raise click.ClickException(
            f"{out} must hold the best checkpoint, but it is damaged or gone: train again."
        )
    best = best.replace(out / checkpoint.BEST)
    checkpoint.drop_last(out)
    click.echo(f"{best}: the sweep's score was {champion.score:.4f}")


class _Refused(click.ClickException):
    exit_code = 2  # as click's own refusals


@dataclass(frozen=True, kw_only=True, slots=True)
class _Champion:
    """A sweep's recipe.json: the best recipe, and all that is needed to train it again."""

    recipe: Recipe
    data: Callable[[], Dataset]
    digest: str  # of the data
    weights_file: Path | None
    compute: Compute
    device: str
    threads: int
    metric: Score
    score: float


def _read(recipe_file: Path) -> _Champion:
    try:
        saved = json.loads(recipe_file.read_text())
        origin = saved["data"]
        data = partial(
            prepare,
            origin["source"],
            image_size=origin["image_size"],
            caps=Caps(**origin["caps"]),
            seed=origin["seed"],
            cache=Path(saved["cache"]),
            # Older files: as they are.
            how=ReadOptions.from_dict(origin.get("how", {})),
            draw=origin.get("draw"),
        )
        metric = saved.get("metric", "accuracy")  # older files have none
        if metric not in VAL_SCORES:
            raise ValueError(unknown_name(str(metric), VAL_SCORES, "score"))
        weights_file = saved["weights_file"]
        return _Champion(
            recipe=Recipe.from_sample(saved["recipe"]),
            data=data,
            digest=origin["digest"],
            weights_file=Path(weights_file) if weights_file else None,
            # Older files: fp32.
            compute=Compute.from_dict(saved["compute"]) if "compute" in saved else Compute(),
            device=str(torch.device(saved["device"])),
            threads=int(saved["threads"]),
            metric=metric,
            score=float(saved["score"]),
        )
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise _no_champion(recipe_file, str(error)) from error
    except ValueError as error:
        raise _Refused(str(error)) from error
    except KeyError as error:
        raise _no_champion(recipe_file, f"it lacks {error}") from error
    except (LookupError, TypeError, AttributeError, RuntimeError) as error:
        raise _no_champion(recipe_file, str(error)) from error


def _no_champion(recipe_file: Path, reason: str) -> _Refused:
    return _Refused(f"{recipe_file} must be the recipe.json of a sweep's champion, but {reason}.")


def _show(metrics: dict[str, float]) -> None:
    click.echo(
        f"epoch {metrics[EPOCH]:3}   "
        f"train loss {metrics[TRAIN_LOSS]:.4f} accuracy {metrics[TRAIN_ACCURACY]:.4f}   "
        f"val loss {metrics[VAL_LOSS]:.4f} accuracy {metrics[VAL_ACCURACY]:.4f} "
        f"balanced {metrics[VAL_BALANCED_ACCURACY]:.4f} macro F1 {metrics[VAL_MACRO_F1]:.4f}   "
        f"score {metrics[SCORE]:.4f}"
    )


if __name__ == "__main__":
    main()
