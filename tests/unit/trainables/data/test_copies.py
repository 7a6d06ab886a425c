from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from trainables.data import look_alikes as search
from trainables.data.alignment import one_picture
from trainables.data.copies import CHANGE, Prints, copies, groups
from trainables.data.prints import spectra

Images = npt.NDArray[np.uint8]
SIDE = 40


def photos(number: int, seed: int = 0, side: int = 80) -> list[Image.Image]:
    """Smooth fields with shapes on them.

    Low frequencies dominate and edges are sharp, as in photographs.
    """
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(number):
        field = rng.uniform(0, 255, (5, 5, 3)).astype(np.uint8)
        image = Image.fromarray(field).resize((side, side), Image.Resampling.BICUBIC)
        draw = ImageDraw.Draw(image)
        for _ in range(6):
            corner, size = rng.uniform(0, 0.8, 2) * side, rng.uniform(0.1, 0.4, 2) * side
            color = tuple(int(value) for value in rng.integers(0, 256, 3))
            shape = draw.ellipse if rng.random() < 0.5 else draw.rectangle
            shape((*corner, *(corner + size)), fill=color)
        found.append(image)
    return found


def stored(images: list[Image.Image], side: int = SIDE) -> Images:
    return np.stack(
        [np.asarray(image.resize((side, side), Image.Resampling.BILINEAR)) for image in images]
    )


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def stamped(image: Image.Image) -> Image.Image:
    image = image.copy()
    ImageDraw.Draw(image).rectangle((4, 66, 34, 72), fill=(255, 255, 255))
    return image


EDITS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "re-encoded": lambda image: jpeg(image, 30),
    "halved": lambda image: jpeg(image.resize((40, 40)), 75),
    "doubled": lambda image: jpeg(image.resize((160, 160)), 75),
    "brighter": lambda image: jpeg(ImageEnhance.Brightness(image).enhance(1.15), 75),
    "less contrast": lambda image: jpeg(ImageEnhance.Contrast(image).enhance(0.85), 75),
    "gamma": lambda image: jpeg(
        image.point([round(255 * (value / 255) ** 1.15) for value in range(256)] * 3), 75
    ),
    "stamped": lambda image: jpeg(stamped(image), 75),
    "cropped": lambda image: jpeg(image.crop((3, 0, 80, 78)), 75),
    "greyscale": lambda image: jpeg(image.convert("L").convert("RGB"), 75),
    "blurred": lambda image: jpeg(image.filter(ImageFilter.GaussianBlur(1.25)), 75),
    "mirrored": lambda image: jpeg(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), 75),
}


def lines(pairs: npt.NDArray[np.int64]) -> set[tuple[int, int]]:
    return {(int(one), int(other)) for one, other in pairs}


def test_the_same_pixels_are_chained_in_order_and_nothing_else_is() -> None:
    images = stored(photos(6))[[0, 1, 0, 2, 3, 0, 4, 3, 5]]
    found = copies(Prints.of(images))
    assert found.pairs.tolist() == [[0, 2], [2, 5], [4, 7]]
    assert found.exact.all()
    assert not found.mirrored.any()


@pytest.mark.parametrize("kind", EDITS)
def test_an_edited_copy_is_found_and_no_other_image(kind: str) -> None:
    originals = photos(60, seed=1)
    edited = [EDITS[kind](image) for image in originals]
    found = copies(Prints.of(np.concatenate([stored(originals), stored(edited)])))
    planted = {(row, row + 60) for row in range(60)}
    assert lines(found.pairs) <= planted
    assert len(found.pairs) >= 54  # 90%; the issue asks for 80%
    assert not found.exact.any()
    assert (found.mirrored == (kind == "mirrored")).all()


def test_images_without_copies_give_no_pairs() -> None:
    assert len(copies(Prints.of(stored(photos(600, seed=2)))).pairs) == 0


def test_noise_in_one_hue_is_never_a_near_copy() -> None:
    rng = np.random.default_rng(0)
    images = []
    for row in range(600):
        size = int(rng.integers(16, 65))
        pixels = rng.normal((200, 60, 40), 10 + row % 50, (size, size, 3))
        images.append(Image.fromarray(pixels.clip(0, 255).astype(np.uint8)))
    assert len(copies(Prints.of(stored(images))).pairs) == 0


def test_a_nearly_uniform_image_has_exact_copies_only() -> None:
    rng = np.random.default_rng(0)
    flat = np.full((4, SIDE, SIDE, 3), 128, np.uint8)
    flat[:2] += np.linspace(0, 8, SIDE).astype(np.uint8)[:, None]
    flat[1] += rng.integers(0, 2, flat[1].shape, dtype=np.uint8)
    flat[3] += np.uint8(1)
    flat = np.concatenate([flat, flat[3:]])
    found = copies(Prints.of(flat))
    assert found.pairs.tolist() == [[3, 4]]
    assert found.exact.all()


def test_one_shape_in_other_colors_is_no_copy_but_its_grey_version_is() -> None:
    shape = np.asarray(photos(1, seed=3)[0].convert("L")).astype(np.float64) / 255
    red = (shape[..., None] * (230, 80, 60)).astype(np.uint8)
    blue = (shape[..., None] * (70, 120, 250)).astype(np.uint8)
    grey = np.repeat((shape * 120).astype(np.uint8)[..., None], 3, 2)
    found = copies(Prints.of(stored([Image.fromarray(image) for image in (red, blue, grey)])))
    assert found.pairs.tolist() == [[0, 2], [1, 2]]


def test_of_a_fixed_cameras_frames_no_copy_is_named() -> None:
    scene = np.asarray(photos(1, seed=4)[0])
    frames = np.repeat(scene[None], search.MOST + 10, 0)
    for row, frame in enumerate(frames):
        frame[row % 70, row // 70 : row // 70 + 5] ^= 128
    assert len(copies(Prints.of(frames)).pairs) == 0


def test_the_order_of_images_does_not_matter() -> None:
    originals = photos(80, seed=5)
    images = np.concatenate(
        [stored(originals), stored([EDITS["cropped"](image) for image in originals[:40]])]
    )
    images = np.concatenate([images, images[:10]])
    order = np.random.default_rng(0).permutation(len(images))
    group = groups(copies(Prints.of(images)).pairs, len(images))
    shuffled = groups(copies(Prints.of(images[order])).pairs, len(images))
    assert ((group[order][:, None] == group[order]) == (shuffled[:, None] == shuffled)).all()
    assert len(np.unique(group)) < 85


def test_prints_of_chunks_join_to_the_prints_of_all() -> None:
    images = stored(photos(50, seed=6), side=53)
    whole = Prints.of(images)
    joined = Prints.joined([Prints.of(images[:1]), Prints.of(images[1:20]), Prints.of(images[20:])])
    assert (whole.exact == joined.exact).all()
    assert (whole.greys == joined.greys).all()
    assert (whole.colors == joined.colors).all()


@pytest.mark.parametrize("side", [1, 7, 16, 40, 280])
def test_thumbnails_are_those_of_pillow(side: int) -> None:
    image = photos(1, seed=7)[0].resize((side, side))
    of_ours = Prints.of(np.asarray(image)[None]).greys[0].astype(int)
    of_pillow = np.asarray(image.resize((16, 16), Image.Resampling.BILINEAR).convert("L")).astype(
        int
    )
    assert abs(of_ours - of_pillow).max() <= 2


def test_no_pair_is_named_twice_and_each_ascends() -> None:
    originals = photos(20, seed=8)
    symmetric = [
        Image.fromarray(np.concatenate([half := np.asarray(image)[:, :40], half[:, ::-1]], 1))
        for image in originals
    ]
    images = np.concatenate([stored(symmetric), stored([jpeg(image, 60) for image in symmetric])])
    found = copies(Prints.of(images))
    assert (found.pairs[:, 0] < found.pairs[:, 1]).all()
    assert len(lines(found.pairs)) == len(found.pairs) >= 18
    assert not found.mirrored.any()  # alike upright and mirrored: upright is said
    assert sorted(found.pairs.tolist()) == found.pairs.tolist()


def test_the_search_finds_what_comparing_all_with_all_finds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(search, "BUCKET", 4)  # 7 bits for 480 images
    originals = photos(160, seed=9)
    images = stored(
        [*originals, *map(EDITS["cropped"], originals), *map(EDITS["mirrored"], originals)]
    )
    greys = Prints.of(images).greys
    found = search.look_alikes(greys)

    expected, others = set(), np.zeros(len(greys), int)
    turned = [greys, greys[:, :, ::-1]]
    vectors = [spectra(half.astype(np.float32), search.LOW, 0.5) for half in turned]
    for mirrored in (False, True):
        apart = 1 - vectors[mirrored] @ vectors[0].T
        np.fill_diagonal(apart, 2)
        others += (apart < search.ALIKE).sum(1)
        expected |= {
            (one, other, mirrored, apart[one, other])
            for one, other in np.argwhere(apart < search.APART)
        }
    reaches = search.APART * search.reach(others)
    brute = {(one, other, mirrored) for one, other, mirrored, apart in expected
             if one < other and apart <= min(reaches[one], reaches[other])}  # fmt: skip
    ours = {
        (*pair, mirrored)
        for pair, mirrored in zip(found.pairs.tolist(), found.mirrored.tolist(), strict=True)
    }
    assert len(brute) > 250  # at most 8 per image
    assert ours <= brute
    assert len(ours) >= 0.98 * len(brute)


def test_alignment_does_not_ask_which_image_is_the_original() -> None:
    originals = photos(100, seed=10)
    ones = Prints.of(stored(originals)).greys.astype(np.float32)
    others = Prints.of(
        stored([EDITS["stamped"](EDITS["cropped"](image)) for image in originals])
    ).greys.astype(np.float32)
    bounds = np.full(100, CHANGE, np.float32)
    assert (one_picture(ones, others, bounds) == one_picture(others, ones, bounds)).all()


def test_many_images_with_the_same_pixels_are_one_chain() -> None:
    one = Prints.of(stored(photos(1)))
    many = Prints(
        one.exact.repeat(10_000, 0), one.greys.repeat(10_000, 0), one.colors.repeat(10_000, 0)
    )
    found = copies(many)
    assert (found.pairs == np.stack([np.arange(9_999), np.arange(1, 10_000)], 1)).all()
    assert len(np.unique(groups(found.pairs, 10_000))) == 1


def test_none_and_one_image_have_no_copies() -> None:
    images = stored(photos(1))
    for few in (images[:0], images):
        found = copies(Prints.of(few))
        assert found.pairs.shape == (0, 2)
        assert groups(found.pairs, len(few)).tolist() == list(range(len(few)))


def test_groups_connect_over_any_number_of_steps() -> None:
    group = groups(np.array([[0, 3], [3, 4], [1, 5]]), 6)
    assert group[0] == group[3] == group[4]
    assert group[1] == group[5]
    assert len({int(group[0]), int(group[1]), int(group[2])}) == 3
