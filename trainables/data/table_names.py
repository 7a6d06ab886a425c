"""The names that headers have for columns of images, labels, splits and boxes.

Case, spaces and underscores do not matter.
"""

from __future__ import annotations

import re


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_IMAGE = _words(
    "id image imageid imageno imageindex imagename imagepath imagefile imagefilename imagefilepath "
    "imageurl imageuri img imgid imgname imgpath imgfile imgfilename file fileid filename filepath "
    "fname path relpath relativepath relimgpath relativeimpath fullpath impath imname name uuid "
    "idcode isicid photo photoid photopath picture pictureid pic sample sampleid samplename url "
    "uri xrayimagename galaxyid key"
)
_LABEL = _words(
    "label labelid labelname labelnames labeltext class classid classindex classname classlabel "
    "classtext cls category categoryid categoryname cat breed breedid breedname species speciesid "
    "speciesname specie target targetid targetname diagnosis dx level grade y disease finding "
    "findinglabel groundtruth gt truth annotation type variety cultivar emotion expression"
)
_SPLIT = _words(
    "split splitname dataset datasplit datasplits set subset fold partition usage phase"
)
# Columns of yes and no: the split of yes, the split of no.
_FLAGS = {
    "istrain": ("train", "test"),
    "istraining": ("train", "test"),
    "istrainingimage": ("train", "test"),
    "isvalid": ("val", "train"),
    "isval": ("val", "train"),
    "isvalidation": ("val", "train"),
    "istest": ("test", "train"),
}
_BOX = _words(
    "xmin ymin xmax ymax x y x1 y1 x2 y2 x0 y0 cx cy xc yc xcenter ycenter left top right bottom w "
    "h width height area bbox boundingbox box imgwidth imgheight imagewidth imageheight bboxx "
    "bboxy bboxw bboxh bboxx1 bboxy1 bboxx2 bboxy2 roix1 roiy1 roix2 roiy2"
)
_SPLITS = {
    "train": _words("train training trainset trainingset trainimages imagestrain"),
    "val": _words(
        "val valid validation validate dev development valset validset validationset valimages "
        "imagesval"
    ),
    "test": _words("test testing testset testingset testimages imagestest"),
}
_SPLIT_OF = {word: split for split, words in _SPLITS.items() for word in words}
_YES = frozenset(("1", "1.0", "true", "yes", "t", "y"))
_NO = frozenset(("0", "0.0", "false", "no", "f", "n"))


def plain(name: str) -> str:
    """Return a header's name without case, spaces, underscores and other marks."""
    return re.sub(r"[\W_]+", "", name.casefold())


def names_image(name: str) -> bool:
    """Return whether a header calls the column of images so."""
    return _one_of(name, _IMAGE)


def names_label(name: str) -> bool:
    """Return whether a header calls the column of labels so."""
    return _one_of(name, _LABEL)


def names_split(name: str) -> bool:
    """Return whether a header calls a column of splits so; its values decide."""
    return plain(name) in _SPLIT or plain(name) in _FLAGS


def names_box(name: str) -> bool:
    """Return whether a header calls a place or a size in the image so: never a label."""
    return plain(name) in _BOX


def names_tags(name: str) -> bool:
    """Return whether a header calls a column of several labels per image so."""
    return plain(name) in ("tags", "attributes", "keywords")


def is_known(name: str) -> bool:
    """Return whether headers have this name; words of one letter are no sign of one."""
    return len(plain(name)) > 1 and (names_image(name) or names_label(name))


def split_of(word: str, column: str = "") -> str | None:
    """Return the split that a word means or, in a column of yes and no, a value."""
    flags = _FLAGS.get(plain(column))
    if flags and word.lower() in _YES:
        return flags[0]
    if flags and word.lower() in _NO:
        return flags[1]
    return _SPLIT_OF.get(plain(word))


def _one_of(name: str, names: frozenset[str]) -> bool:
    return plain(name) in names or plain(name).removesuffix("s") in names
