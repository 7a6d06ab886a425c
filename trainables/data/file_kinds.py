"""Kinds of files: images by their suffix or their first bytes, or else something with a name."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


def _suffixes(*lines: str) -> frozenset[str]:
    """Return the words of some lines as suffixes."""
    return frozenset(f".{word}" for word in " ".join(lines).split())


IMAGE_SUFFIXES = _suffixes(
    "jpg jpeg jpe jif jfif jfi pjpeg pjp mpo png apng webp bmp dib gif tif tiff pbm pgm ppm pnm",
    "jp2 j2k j2c jpc jpx jpf avif heic heif hif ico jxl",
)
OTHER_SUFFIXES = _suffixes(
    # text, tables and code
    "txt csv tsv json jsonl xml yaml yml toml ini cfg log md rst html htm css js py pyc ipynb sh m",
    # arrays, weights and databases
    "npy npz mat h5 hdf5 pkl pickle pt pth ckpt safetensors onnx parquet arrow feather tfrecord",
    "db sqlite",
    # archives, documents, sound and video
    "zip gz tgz bz2 xz zst 7z rar tar pdf doc docx xls xlsx ppt pptx wav mp3 flac",
    "mp4 m4v mov avi mkv webm 3gp mpg",
    # drawings, scans and a camera's raw files: often beside the same picture as JPEG or PNG; some
    # begin as a TIFF does
    "svg eps ps ai psd xcf exr hdr dcm nii mha nrrd fits fit svs ndpi scn",
    "cr2 cr3 nef nrw arw dng orf rw2 pef raf srw xmp aae",
    # unfinished and former copies, links, programs
    "bak old orig tmp part partial crdownload download lnk url exe dll so",
)

READ = frozenset(
    {"JPEG", "PNG", "WebP", "BMP", "GIF", "TIFF", "PPM", "AVIF", "HEIC", "JPEG 2000", "ICO"}
)
FIRST_BYTES = 64  # enough to know an image
HEAD = 4096  # enough to know all else

AGAIN = "download it again or remove it"
COPY = "copy it again or remove it"
CONVERT = "convert it to JPEG or PNG, or remove it"
REMOVE = "remove it"

# The first bytes of image formats.
IMAGES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),  # the form for more than 4 GB, as the next
    (b"MM\0+", "TIFF"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"\xff\x0a", "JPEG XL"),
)
LFS = b"version https://git-lfs.github.com/spec/"
# Place, bytes there, what such a file is, what to do about it.
OTHERS = (
    (0, LFS, "a git LFS pointer in place of the image", "run git lfs pull"),
    (0, b"%PDF-", "a PDF document", CONVERT),
    (0, b"%!PS", "a PostScript file", CONVERT),
    (0, b"PK\3\4", "a zip archive", "unpack it, then remove it"),
    (0, b"\x1f\x8b", "a gzip archive", "unpack it, then remove it"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it, then remove it"),
    (0, b"Rar!\x1a\7", "a RAR archive", "unpack it, then remove it"),
    (257, b"ustar", "a tar archive", "unpack it, then remove it"),
    (0, b"8BPS", "a Photoshop file", CONVERT),
    (0, b"gimp xcf", "a GIMP file", CONVERT),
    (0, b"v/1\1", "an OpenEXR image", CONVERT),
    (0, b"#?RADIANCE", "a Radiance HDR image", CONVERT),
    (0, b"DDS ", "a DirectDraw texture", CONVERT),
    (0, b"FUJIFILMCCD-RAW", "a camera's raw file (RAF)", CONVERT),
    (0, b"IIRO", "a camera's raw file (ORF)", CONVERT),
    (0, b"IIU\0", "a camera's raw file (RW2)", CONVERT),
    (128, b"DICM", "a DICOM file", "convert it to PNG with a window of your choice, or remove it"),
    (344, b"n+1\0", "a NIfTI volume", "save its slices as PNG, or remove it"),
    (344, b"ni1\0", "a NIfTI volume", "save its slices as PNG, or remove it"),
    (0, b"SIMPLE  =", "a FITS file", "convert it to PNG with a scale of your choice, or remove it"),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file", REMOVE),
    (0, b"\x93NUMPY", "a NumPy array", "save it as PNG, or remove it"),
    (0, b"\x1aE\xdf\xa3", "a Matroska or WebM video", "save its frames as JPEG, or remove it"),
    (0, b"\0\5\x16\7", "a macOS side file of an image (AppleDouble)", REMOVE),
    (0, b"\0\5\x16\0", "a macOS side file of an image (AppleSingle)", REMOVE),
    (0, b"L\0\0\0\1\x14\2\0", "a Windows shortcut", "copy the image itself, or remove it"),
)
HEIC_BRANDS = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
)
# Lengths in use of the second header of a BMP, in bytes.
BMP_HEADERS = frozenset({12, 16, 40, 52, 56, 64, 108, 124})


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """A file's kind, to be said after "it is", and what a person can do about it."""

    what: str
    mend: str


def is_image(path: Path) -> bool:
    """Return whether a visible file is an image, by its suffix or else by its first bytes.

    A suffix of images, or one of other things, is believed without opening the file: what fails to
    decode is named later.
    """
    name = path.name
    suffix = path.suffix.lower()
    if name.startswith("."):
        return False
    if suffix in IMAGE_SUFFIXES:
        return True
    if suffix in OTHER_SUFFIXES or name.endswith("~"):
        return False
    try:
        if not path.is_file():  # a pipe would never end
            return False
        return image_format(_first(path, FIRST_BYTES)) in READ
    except OSError:
        return False


def what_is(path: Path) -> Kind:
    """Name what a file is that could not be read as an image, by its first bytes."""
    try:
        head = _first(path, HEAD)
    except OSError:  # it was there a moment ago
        return _unknown()
    if not head:
        return Kind(what="empty", mend=AGAIN)
    if not head.strip(b"\0"):
        return Kind(what="all zero bytes, as after a failed copy", mend=COPY)
    return _by_start(head) or _image_kind(head) or _container(head) or _text(head) or _unknown()


def image_format(head: bytes) -> str | None:
    """Return the image format that a file's first `FIRST_BYTES` bytes are of, or None."""
    for start, name in IMAGES:
        if head.startswith(start):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    checks: tuple[tuple[Callable[[bytes], bool], str], ...] = (
        (_is_avif, "AVIF"),
        (_is_heic, "HEIC"),
        (_is_ppm, "PPM"),
        (_is_bmp, "BMP"),
        (_is_ico, "ICO"),
    )
    for check, name in checks:
        if check(head):
            return name
    return None


def _first(path: Path, count: int) -> bytes:
    with path.open("rb", buffering=0) as file:
        return file.read(count)


def _is_avif(head: bytes) -> bool:
    """Return whether it is an MP4 box of brands, one of which is AVIF's.

    That is the first or, after a general one, another.
    """
    if head[4:8] != b"ftyp":
        return False
    if head[8:12] in (b"avif", b"avis"):
        return True
    size = min(int.from_bytes(head[:4]), len(head))
    more = head[16:size]
    return head[8:12] in (b"mif1", b"msf1") and (b"avif" in more or b"avis" in more)


def _is_heic(head: bytes) -> bool:
    return head[4:8] == b"ftyp" and head[8:12] in HEIC_BRANDS


def _is_ppm(head: bytes) -> bool:
    """Return whether it is `P1` to `P6`, white space, then a number or a comment.

    A sentence seldom begins so.
    """
    if head[:1] != b"P" or head[1:2] not in b"123456":
        return False
    return head[2:3].isspace() and head[3:4] in b"#0123456789"


def _is_bmp(head: bytes) -> bool:
    """Return whether it begins as a BMP: many a word begins with `BM`, so the length counts too."""
    return head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in BMP_HEADERS


def _is_ico(head: bytes) -> bool:
    """Return whether it is an icon's directory: a count, and a first entry that lies behind it."""
    if head[:4] != b"\0\0\1\0" or head[9:10] != b"\0":
        return False
    count = int.from_bytes(head[4:6], "little")
    first = int.from_bytes(head[18:22], "little")
    return 0 < count < 256 and first >= 6 + 16 * count


def _by_start(head: bytes) -> Kind | None:
    for place, start, what, mend in OTHERS:
        if head[place:].startswith(start):
            return Kind(what=what, mend=mend)
    return None


def _image_kind(head: bytes) -> Kind | None:
    """Return the kind of an image that should have been read, or cannot be."""
    name = image_format(head)
    if name is None:
        return None
    # Images by their first bytes that are not read all the same.
    if head[8:11] == b"CR\2":
        return Kind(what="a camera's raw file (CR2)", mend=CONVERT)
    if name == "HEIC":
        lacks = "a HEIC image for which pillow-heif is missing, or a damaged one"
        return Kind(what=lacks, mend="pip install pillow-heif, or convert it to JPEG")
    if name not in READ:
        return Kind(what=f"a {name} image, which is not read", mend=CONVERT)
    # One that Pillow reads, but not this one.
    article = "an" if name in ("AVIF", "ICO") else "a"
    return Kind(
        what=f"{article} {name} file that is damaged, cut off or of a rare kind",
        mend="convert, replace or remove it",
    )


def _container(head: bytes) -> Kind | None:
    """Return the kind of a container of raw data or videos."""
    if head[4:8] == b"ftyp" and head[8:11] == b"crx":
        return Kind(what="a camera's raw file (CR3)", mend=CONVERT)
    is_avi = head[:4] == b"RIFF" and head[8:11] == b"AVI"
    if head[4:8] in (b"ftyp", b"moov") or is_avi:
        return Kind(what="a video (MP4, MOV or AVI)", mend="save its frames as JPEG, or remove it")
    return None


def _text(head: bytes) -> Kind | None:
    """Return the kind of a text that was downloaded in place of an image, in UTF-8 or UTF-16."""
    # Incremental, because the last character may be cut.
    encoding = "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(head).strip()
    except UnicodeDecodeError:
        return None
    if not all(character.isprintable() or character.isspace() for character in text):
        return None

    # Pages that say so, and else the words themselves.
    begin = text[:512].lower()
    if begin.startswith(("<!doctype html", "<html", "<head", "<body")):
        return Kind(what="an HTML page", mend=AGAIN)
    if begin.startswith("<") and "<svg" in begin:
        return Kind(what="an SVG drawing", mend=CONVERT)
    if begin.startswith("<?xml"):
        return Kind(what="an XML document", mend=AGAIN)
    return Kind(what=f"text that begins with {text[:24]!r}", mend=AGAIN)


def _unknown() -> Kind:
    return Kind(what="of no known image format by its first bytes", mend="replace or remove it")
