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
        name="m",
        classes=("white", "black"),
        image_size=image_size,
        stored_side=stored_side,
        probabilities=grey_of_the_centre,
    )


def grey(path: Path, value: int, size: tuple[int, int] = (40, 50)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value, value, value)).save(path)
    return path


def test_files_of_a_folder_are_sorted_and_each_is_there_once(tmp_path: Path) -> None:
    names = [
        "b/2.png",
        "b/10.png",
        "a.jpg",
        "b/.hidden.png",
        ".cache/1.png",
        "notes.txt",
        "b/c/UPPER.PNG",
    ]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = images.find([str(tmp_path / "b/2.png"), str(tmp_path), str(tmp_path / "notes.txt")])
    assert [str(path.relative_to(tmp_path)) for path in found.paths] == [
        "b/2.png",
        "a.jpg",
        "b/10.png",
        "b/c/UPPER.PNG",
        "notes.txt",
    ]
    assert found.problems == ()


def test_words_that_are_no_images_are_a_line_each(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    whole = grey(tmp_path / "whole.png", 0)
    words = ["gone.png", str(tmp_path / "empty"), "a\0b", "x" * 5000, "two\nlines.png", str(whole)]
    found = images.find(words)
    assert found.paths == (whole,)
    assert len(found.problems) == 5
    assert all("\n" not in line for line in found.problems)
    assert found.notes == ()


def test_what_folders_hold_and_what_is_passed_over_is_one_note(tmp_path: Path) -> None:
    names = [
        "a/1.png",
        "a/2.JPG",
        "b/3.png",
        "a/notes.txt",
        "b/more.TXT",
        "a/.hidden.png",
        ".git/config",
        "a/README",
        "b/x.svg",
    ]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (said,) = images.find([str(tmp_path)]).notes
    one = f"(such as {tmp_path}/"
    assert said == (
        f"3 images in {tmp_path}; passed over: 2 hidden {one}.git), 2 ending in .txt "
        f"{one}a/notes.txt), "
        f"1 without a suffix {one}a/README), 1 ending in .svg {one}b/x.svg)."
    )
    (both,) = images.find(
        [str(tmp_path / "a"), str(tmp_path / "b"), str(tmp_path / "a/1.png")]
    ).notes
    assert both.startswith("3 images in 2 folders; passed over: 2 ending in .txt")
    (tmp_path / "c").mkdir()
    grey(tmp_path / "c" / "1.png", 0)
    assert images.find([str(tmp_path / "c")]).notes == (f"1 image in {tmp_path / 'c'}.",)


def test_a_note_names_the_most_frequent_reasons(tmp_path: Path) -> None:
    grey(tmp_path / "1.png", 0)
    for number in range(20):
        (tmp_path / f"x.{number}").touch()
    (tmp_path / "y.19").touch()
    (said,) = images.find([str(tmp_path)]).notes
    assert "passed over: 2 ending in .19 " in said
    assert said.endswith("14 of other kinds.")


def test_a_folder_without_images_says_what_it_holds_instead(tmp_path: Path) -> None:
    (tmp_path / "1.svg").touch()
    (line,) = images.find([str(tmp_path)]).problems
    assert (
        f"holds none (passed over: 1 ending in .svg (such as {tmp_path}/1.svg)): give another "
        "folder." in line
    )


def test_links_to_folders_are_followed_once_and_loops_end(tmp_path: Path) -> None:
    file = grey(tmp_path / "a" / "1.png", 0)
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "b").symlink_to(tmp_path / "a")
    other = grey(tmp_path / "elsewhere" / "2.png", 0)
    (tmp_path / "a" / "z").symlink_to(other.parent)
    assert images.find([str(tmp_path / "a")]).paths == (
        file,
        tmp_path / "a" / "up" / "elsewhere" / "2.png",
    )
    assert images.find([str(tmp_path)]).paths == (file, tmp_path / "a" / "z" / "2.png")


def test_a_closed_folder_is_named_and_the_others_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, hidden = grey(tmp_path / "a" / "1.png", 0), grey(tmp_path / "b" / "2.png", 0)
    scan = os.scandir

    def closed(path: str) -> object:  # a test that runs as root cannot close a folder
        if Path(path) == hidden.parent:
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", closed)
    found = images.find([str(tmp_path)])
    assert found.paths == (file,)
    assert found.problems == ()
    line = (
        f"{hidden.parent} must be readable, but is not (Permission denied): change its "
        "permissions or leave it out."
    )
    assert found.closed == (line,)
    assert images.find([str(hidden.parent)]).problems == (line,)


def test_headers_are_checked_before_anything_is_decoded(tmp_path: Path) -> None:
    whole, empty, text, pipe = (
        tmp_path / name for name in ("whole.png", "empty.png", "text.png", "pipe.png")
    )
    grey(whole, 0)
    empty.touch()
    text.write_text("no image")
    os.mkfifo(pipe)
    bomb = tmp_path / "bomb.pgm"
    bomb.write_bytes(b"P5 30000 30000 255\n")
    lines = images.check([whole, empty, text, pipe, bomb], untracked)
    assert [line.split()[0] for line in lines] == [str(path) for path in (empty, text, pipe, bomb)]
    found = ("is empty", "is text that begins with 'no image'", "a pipe", "decompression bomb")
    for line, said in zip(lines, found, strict=True):
        assert said in line


@pytest.mark.parametrize("stored_side", [None, 40])
def test_answers_come_in_order_whatever_the_sizes(tmp_path: Path, stored_side: int | None) -> None:
    rng = np.random.default_rng(0)
    paths = [
        grey(tmp_path / f"{n}.png", n, (int(rng.integers(1, 60)), int(rng.integers(1, 60))))
        for n in range(50)
    ]
    answered = list(images.answers(paths, model(stored_side=stored_side), untracked))
    assert [path for path, _ in answered] == paths
    assert [round(255 * found[0]) for _, found in answered if not isinstance(found, str)] == list(
        range(50)
    )


def test_a_damaged_file_has_a_line_and_the_others_an_answer(tmp_path: Path) -> None:
    paths = [grey(tmp_path / f"{n}.png", n) for n in range(5)]
    paths[2].write_bytes(paths[2].read_bytes()[:60])
    assert images.check(paths, untracked) == []
    answered = dict(images.answers(paths, model(), untracked))
    line = answered.pop(paths[2])
    assert isinstance(line, str)
    assert "undamaged" in line
    assert [round(255 * found[0]) for found in answered.values() if not isinstance(found, str)] == [
        0,
        1,
        3,
        4,
    ]


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
