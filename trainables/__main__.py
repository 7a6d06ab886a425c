"""Train one recipe again, without Ray, Optuna or MLflow: `python -m trainables RECIPE.json`."""

from __future__ import annotations

import json
from pathlib import Path

import click
import torch

from trainables.checkpoint import BEST, LAST
from trainables.data.dataset import Caps, prepare
from trainables.finetune import finetune
from trainables.recipe import EPOCH, SCORE, TRAIN_ACCURACY, TRAIN_LOSS, VAL_ACCURACY, VAL_LOSS, Recipe


@click.command()
@click.argument("recipe_file", metavar="RECIPE.json", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), default=Path("retrained"), help="Folder for best.pt.")
@click.option("--device", help="cpu or cuda; default: what the sweep used.")
def main(recipe_file: Path, out: Path, device: str | None) -> None:
    """Train the recipe that a sweep left in RECIPE.json on the same data and write OUT/best.pt."""
    saved = json.loads(recipe_file.read_text())
    try:
        recipe = Recipe.from_sample(saved["recipe"])
        origin = saved["data"]
        caps = Caps(**origin["caps"])
        cache = Path(saved["cache"])
        data = prepare(origin["source"], image_size=origin["image_size"], caps=caps, seed=origin["seed"], cache=cache)
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    if data.digest != origin["digest"]:
        raise click.ClickException(f"the data have changed: digest {data.digest}, but the sweep had {origin['digest']}.")
    if (out / LAST).exists():
        raise click.ClickException(f"{out} holds an unfinished run: give another folder with --out.")
    torch.set_num_threads(saved["threads"])
    weights = Path(saved["weights_file"]) if saved["weights_file"] else None
    finetune(recipe, data, torch.device(device or saved["device"]), _show, weights=weights, checkpoints=out)
    (out / LAST).unlink()
    click.echo(f"{out / BEST}: the sweep's score was {saved['score']:.4f}")


def _show(metrics: dict[str, float]) -> None:
    click.echo(
        f"epoch {metrics[EPOCH]:3}   train loss {metrics[TRAIN_LOSS]:.4f} accuracy {metrics[TRAIN_ACCURACY]:.4f}   "
        f"val loss {metrics[VAL_LOSS]:.4f} accuracy {metrics[VAL_ACCURACY]:.4f}   score {metrics[SCORE]:.4f}"
    )


if __name__ == "__main__":
    main()
