"""Train one recipe again, without Ray, Optuna or MLflow: `python -m trainables RECIPE.json`."""

from __future__ import annotations

import json
from pathlib import Path

import click
import torch

from trainables import checkpoint
from trainables.compute import Compute
from trainables.data.dataset import Caps, ReadOptions, prepare
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
    try:
        saved = json.loads(recipe_file.read_text())
        origin, cache, threads, score = (
            saved["data"],
            Path(saved["cache"]),
            int(saved["threads"]),
            float(saved["score"]),
        )
        source, digest, image_size, seed = (
            origin[name] for name in ("source", "digest", "image_size", "seed")
        )
        weights_file = Path(saved["weights_file"]) if saved["weights_file"] else None
        compute = (
            Compute.from_dict(saved["compute"]) if "compute" in saved else Compute()
        )  # older files: fp32
        recipe, caps = Recipe.from_sample(saved["recipe"]), Caps(**origin["caps"])
        how = ReadOptions.from_dict(origin.get("how", {}))  # older files: as they are
        place = torch.device(device or saved["device"])
        metric = saved.get("metric", "accuracy")  # older files have none
        if metric not in VAL_SCORES:
            raise ValueError(unknown_name(str(metric), VAL_SCORES, "score"))
    except (
        LookupError,
        TypeError,
        AttributeError,
        RuntimeError,
        UnicodeDecodeError,
        json.JSONDecodeError,
    ) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise _Refused(
            f"{recipe_file} must be the recipe.json of a sweep's champion, but {reason}."
        ) from error
    except ValueError as error:
        raise _Refused(str(error)) from error
    if place.type == "cuda" and not torch.cuda.is_available():
        raise _Refused(
            "the recipe was trained on a GPU, but torch sees none here: pass --device cpu."
        )
    if checkpoint.unfinished(out):
        raise _Refused(f"{out} holds an unfinished run: give another folder with --out.")
    try:
        data = prepare(source, image_size=image_size, caps=caps, seed=seed, cache=cache, how=how)
        if data.digest != digest:
            raise _Refused(
                f"the data have changed: digest {data.digest}, but the sweep had {digest}."
            )
        torch.set_num_threads(threads)
        finetune(
            recipe,
            data,
            place,
            _show,
            weights=Weights.of(weights_file),
            checkpoints=out,
            compute=compute,
            score=metric,
        )
    except ValueError as error:
        raise _Refused(str(error)) from error
    except (DivergedError, OSError) as error:
        raise click.ClickException(str(error)) from error
    if (best := checkpoint.best(out)) is None:
        raise click.ClickException(
            f"{out} must hold the best checkpoint, but it is damaged or gone: train again."
        )
    best = best.replace(out / checkpoint.BEST)
    checkpoint.drop_last(out)
    click.echo(f"{best}: the sweep's score was {score:.4f}")


class _Refused(click.ClickException):
    exit_code = 2  # as click's own refusals


def _show(metrics: dict[str, float]) -> None:
    click.echo(
        f"epoch {metrics[EPOCH]:3}   train loss {metrics[TRAIN_LOSS]:.4f} accuracy {metrics[TRAIN_ACCURACY]:.4f}   "
        f"val loss {metrics[VAL_LOSS]:.4f} accuracy {metrics[VAL_ACCURACY]:.4f} "
        f"balanced {metrics[VAL_BALANCED_ACCURACY]:.4f} macro F1 {metrics[VAL_MACRO_F1]:.4f}   score {metrics[SCORE]:.4f}"
    )


if __name__ == "__main__":
    main()
