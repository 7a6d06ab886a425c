"""Words to files, files to answers: in order, each once, a batch at a time."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sweeps.predict import images
from sweeps.predict.model import Model, Probabilities
from trainables.data.listing import Images


def untracked(chunks: Sequence[Sequence[Path]], _: str) -> Iterator[Sequence[Path]]:
    yield from chunks


def grey_of_the_centre(pixels: Images) -> Probabilities:
    """A classifier whose answer says which image it saw."""
    middle = pixels.shape[1] // 2
    value = pixels[:, middle, middle, 0].astype(np.float32) / 255
    return np.stack([value, 1 - value], axis=1)


def model(image_size: int = 32, stored_side: int | None = None) -> Model:
    return Model(
        name="m", classes=("white", "black"), image_size=image_size, stored_side=stored_side, probabilities=grey_of_the_centre
    )


def grey(path: Path, value: int, size: tuple[int, int] = (40, 50)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value, value, value)).save(path)
    return path


def test_files_of_a_folder_are_sorted_and_each_is_there_once(tmp_path: Path) -> None:
    names = ["b/2.png", "b/10.png", "a.jpg", "b/.hidden.png", ".cache/1.png", "notes.txt", "b/c/UPPER.PNG"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found, problems = images.find([str(tmp_path / "b/2.png"), str(tmp_path), str(tmp_path / "notes.txt")])
    assert [str(path.relative_to(tmp_path)) for path in found] == ["b/2.png", "a.jpg", "b/10.png", "b/c/UPPER.PNG", "notes.txt"]
    assert problems == []


def test_words_that_are_no_images_are_a_line_each(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    whole = grey(tmp_path / "whole.png", 0)
    words = ["gone.png", str(tmp_path / "empty"), "a\0b", "x" * 5000, "two\nlines.png", str(whole)]
    found, problems = images.find(words)
    assert found == [whole]
    assert len(problems) == 5
    assert all("\n" not in line for line in problems)


def test_headers_are_checked_before_anything_is_decoded(tmp_path: Path) -> None:
    whole, empty, text, pipe = (tmp_path / name for name in ("whole.png", "empty.png", "text.png", "pipe.png"))
    grey(whole, 0)
    empty.touch()
    text.write_text("no image")
    os.mkfifo(pipe)
    bomb = tmp_path / "bomb.pgm"
    bomb.write_bytes(b"P5 30000 30000 255\n")
    lines = images.check([whole, empty, text, pipe, bomb], untracked)
    assert [line.split()[0] for line in lines] == [str(path) for path in (empty, text, pipe, bomb)]
    for line, said in zip(lines, ("is empty", "no image's", "a pipe", "decompression bomb"), strict=True):
        assert said in line


@pytest.mark.parametrize("stored_side", [None, 40])
def test_answers_come_in_order_whatever_the_sizes(tmp_path: Path, stored_side: int | None) -> None:
    rng = np.random.default_rng(0)
    paths = [grey(tmp_path / f"{n}.png", n, (int(rng.integers(1, 60)), int(rng.integers(1, 60)))) for n in range(50)]
    answered = list(images.answers(paths, model(stored_side=stored_side), untracked))
    assert [path for path, _ in answered] == paths
    assert [round(255 * found[0]) for _, found in answered if not isinstance(found, str)] == list(range(50))


def test_a_damaged_file_has_a_line_and_the_others_an_answer(tmp_path: Path) -> None:
    paths = [grey(tmp_path / f"{n}.png", n) for n in range(5)]
    paths[2].write_bytes(paths[2].read_bytes()[:60])
    assert images.check(paths, untracked) == []
    answered = dict(images.answers(paths, model(), untracked))
    line = answered.pop(paths[2])
    assert isinstance(line, str)
    assert "undamaged" in line
    assert [round(255 * found[0]) for found in answered.values() if not isinstance(found, str)] == [0, 1, 3, 4]


def test_where_all_are_damaged_the_model_is_not_asked(tmp_path: Path) -> None:
    path = grey(tmp_path / "1.png", 1)
    path.write_bytes(path.read_bytes()[:60])
    assert [type(found) for _, found in images.answers([path], model(), untracked)] == [str]


def test_a_batch_is_bounded_by_its_pixels_and_the_next_one_waits(tmp_path: Path) -> None:
    paths = [grey(tmp_path / f"{n}.png", n, (8, 8)) for n in range(100)]
    begun: list[int] = []

    def watched(chunks: Sequence[Sequence[Path]], _: str) -> Iterator[Sequence[Path]]:
        for chunk in chunks:
            begun.append(len(chunk))
            yield chunk

    answers = images.answers(paths, model(image_size=224), watched)
    next(answers)
    assert begun == [32]
    assert len(list(answers)) == 99
    assert begun == [32, 32, 32, 4]
    assert len(list(images.answers(paths[:3], model(image_size=2048), watched))) == 3
    assert begun[4:] == [1, 1, 1]
