"""Whatever is in an `.npz` is data, or is refused in lines that name it."""

from __future__ import annotations

import io
import struct
import zipfile
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.unit.trainables.data.test_any_path import KEYS, answer, damaged, tried

pytestmark = pytest.mark.timeout(60)


# .npz


class Intruder:
    """Unpickled, it makes a file."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.witness,)


@cache
def whole_npz(compressed: bool = False) -> bytes:
    images = np.random.default_rng(0).integers(0, 256, (24, 6, 6, 3), np.uint8)
    file = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(
        file, x_train=images, y_train=np.arange(24) % 2, classes=["a", "b"]
    )
    return file.getvalue()


@tried(max_examples=80)
@given(st.one_of(st.binary(max_size=99), damaged(whole_npz()), damaged(whole_npz(compressed=True))))
def test_any_bytes_may_be_an_npz(content: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.npz"
        path.write_bytes(content)
        answer(path)


DTYPES = st.one_of(
    hnp.scalar_dtypes(), hnp.byte_string_dtypes(max_len=3), hnp.unicode_string_dtypes(max_len=3)
)
ARRAYS = st.one_of(
    hnp.arrays(
        np.uint8, st.sampled_from([(24, 5, 4, 3), (24, 5, 4), (24, 3, 5, 4), (0, 4, 4), (24,)])
    ),
    hnp.arrays(np.int64, 24, elements=st.integers(0, 1)),
    hnp.arrays(np.uint64, 24, elements=st.sampled_from([0, 2**64 - 1])),
    st.just(np.array(["cat", "a\nb"] * 12)),
    st.just(np.array([b"\xff", b"a"] * 12)),
    hnp.arrays(DTYPES, hnp.array_shapes(min_dims=0, max_side=4)),
    st.just("object"),
)


@tried(max_examples=60)
@given(
    st.dictionaries(
        st.one_of(st.sampled_from(KEYS), st.text(max_size=4).map(lambda text: f"/{text}")), ARRAYS
    ),
    st.sampled_from(
        [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
    ),
)
def test_any_arrays_may_be_in_an_npz_and_code_never_runs(
    arrays: dict[str, Any], compression: int
) -> None:
    with TemporaryDirectory() as folder:
        path, witness = Path(folder) / "a.npz", Path(folder) / "witness"
        with zipfile.ZipFile(path, "w", compression) as archive:
            for name, values in arrays.items():
                member = io.BytesIO()
                np.save(
                    member,
                    np.array([Intruder(witness)] * 24, object)
                    if isinstance(values, str)
                    else values,
                )
                archive.writestr(f"{name}.npy", member.getvalue())
        problems = answer(path)
        assert not witness.exists()
        assert problems or {"x_train", "y_train"} <= arrays.keys()


HEADERS = st.one_of(
    st.binary(max_size=40),
    st.builds(
        "{{'descr': {}, 'fortran_order': {}, 'shape': {}, }}\n".format,
        st.sampled_from(
            [
                "'|u1'",
                "'<U0'",
                "'<U3'",
                "'|O'",
                "'(1(,)f'",
                "[('a', '<i8')]",
                "('|u1', (3,))",
                "'f0'",
                "None",
                "5",
                "'<M8[ns]'",
            ]
        ),
        st.sampled_from(["False", "True", "0", "(", "1L"]),
        st.sampled_from(
            [
                "(24, 4, 4, 3)",
                "(24,)",
                "()",
                "(-24, -4, 4, 3)",
                "(10**9,)",
                "(999999999999,)",
                "(True,)",
                "(24L,)",
            ]
        ),
    ).map(str.encode),
    st.sampled_from(
        [b"-" * 9000 + b"1", b"(" * 9000, b"[" * 150 + b"]" * 150, b"{'a': (", b"\\\n", b"'" * 3]
    ),
)


@tried(max_examples=60)
@given(
    st.sampled_from(KEYS),
    st.sampled_from([(1, 0), (2, 0), (3, 0), (9, 9)]),
    HEADERS,
    st.one_of(st.none(), st.integers(0, 2**32 - 1)),
    st.binary(max_size=200),
)
def test_any_header_may_be_in_an_npz(
    key: str, version: tuple[int, int], header: bytes, length: int | None, rest: bytes
) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.npz"
        with (
            zipfile.ZipFile(io.BytesIO(whole_npz())) as whole,
            zipfile.ZipFile(path, "w") as archive,
        ):
            for name in whole.namelist():
                if name != f"{key}.npy":
                    archive.writestr(name, whole.read(name))
            size = len(header) if length is None else length
            field = (
                struct.pack("<H", size % 2**16) if version == (1, 0) else struct.pack("<I", size)
            )
            archive.writestr(f"{key}.npy", b"\x93NUMPY" + bytes(version) + field + header + rest)
        answer(path)
