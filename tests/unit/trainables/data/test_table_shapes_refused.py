"""Tables that have no one reading are refused, with what could be it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.trainables.data.test_table_shapes import ABC
from trainables.data.table_ids import Files
from trainables.data.tables import read_table

REFUSED: dict[str, tuple[str, list[str], list[str]]] = {
    "ISIC 2020, two labels": (
        "image_name,patient_id,diagnosis,target\na,1,nevus,0\nb,2,melanoma,1\nc,3,unknown,0\n",
        ABC,
        ["'diagnosis', 'target' could be it", "--columns image_name,diagnosis"],
    ),
    "CelebA": (
        "image_id,Male,Young,Smiling\na.jpg,1,1,-1\nb.jpg,-1,-1,-1\nc.jpg,1,-1,-1\n",
        ABC,
        ["single 1 per row", "has several in 1 and none in 1, such as line 2", "--columns"],
    ),
    "CUB's images.txt": (
        "1 001.Albatross/a.jpg\n2 001.Albatross/b.jpg\n3 002.Albatross/c.jpg\n4 "
        "002.Albatross/d.jpg\n",
        [
            "001.Albatross/a.jpg",
            "001.Albatross/b.jpg",
            "002.Albatross/c.jpg",
            "002.Albatross/d.jpg",
        ],
        ["all 4 are different"],
    ),
    "CUB's image_class_labels.txt": (
        "1 1\n2 1\n3 2\n4 2\n",
        ["001.Albatross/a_0046_18.jpg"],
        ["--columns"],
    ),
    "Stanford cars, boxes without a header": (
        "00001.jpg,39,116,569,375,14\n00002.jpg,36,116,868,587,3\n",
        ["00001.jpg", "00002.jpg"],
        ["one column of labels, but has '2', '3', '4', '5', '6'", "--columns 1,2"],
    ),
    "Stanford cars' names": (
        "AM General Hummer SUV 2000\nAcura RL Sedan 2012\nAcura TL\n",
        ["00001.jpg"],
        ["must have columns"],
    ),
    "Oxford pets' list": (
        "#Image CLASS-ID SPECIES BREED ID\n#ID: 1:37 class ids\nAbyssinian_100 1 1 1\n"
        "Abyssinian_101 1 1 1\n",
        ["Abyssinian_100.jpg", "Abyssinian_101.jpg"],
        ["one column of labels, but has '2', '3', '4'", "--columns 1,2"],
    ),
    "Galaxy Zoo's shares": (
        "GalaxyID,Class1.1,Class1.2\na,0.3,0.7\nb,0.1,0.9\n",
        ABC,
        ["one column of labels", "'Class1.1'"],
    ),
    "Planet's tags": (
        "image_name,tags\na,haze primary\nb,clear\nc,haze primary\n",
        ABC,
        ["one column of labels, but has 'tags'", "--columns image_name,tags"],
    ),
    "boxes only": ("id,xmin,ymin\na,1,2\nb,1,2\n", ABC, ["one column of labels", "'xmin', 'ymin'"]),
    "a width only": ("id,width\na,1\nb,2\n", ABC, ["one column of labels", "'width'"]),
    "no column of images": (
        "breed,size\npug,1\nlab,2\n",
        ABC,
        ["one column of names of images", "'breed', 'size'"],
    ),
    "a list of ids": ("id\na\nb\n", ABC, ["must have columns, separated by", "line 2 is ['a']"]),
    "no labels": ("id,breed\na,\nb,NaN\n", ABC, ["2 of 2 rows have none"]),
    "no rows": ("id,breed\n", ABC, ["has none: add them"]),
    "nothing": ("", ABC, ["has none: add them"]),
    "an open quote": ('id,breed\na,"pug\nb,lab\n', ABC, ["quote its cells", "from line 2"]),
    "text after a quote": (
        'id,breed\na,"pug" x\nb,lab\n',
        ABC,
        ["quote its cells", "from line 2"],
    ),
    "a comma in a label": (
        "id,breed\na,pug\nb,lab, black\nc,pug\n",
        ABC,
        ["2 cells in each line", "line 3 is ['b', 'lab', 'black']"],
    ),
    "a short line": ("id,breed\na,pug\nb\nc,pug\n", ABC, ["line 3 is ['b']"]),
    "a half of a split": (
        "id,breed,split\na,pug,train\nb,lab,hold\n",
        ABC,
        ["'split'", "train, val or test in each row, but has 'hold'"],
    ),
    "a split of numbers": (
        "id,breed,split\na,pug,0\nb,lab,1\n",
        ABC,
        ["'split'", "but has '0', '1'"],
    ),
    "two splits": (
        "id,breed,split,subset\na,pug,train,train\nb,lab,train,test\n",
        ABC,
        ["one column of splits, but has 'split' and 'subset'"],
    ),
    "an empty name": (
        "id,breed\na,pug\n,lab\nc,pug\n",
        ABC,
        ["name an image in each row", "line 3"],
    ),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED.keys())
def test_other_tables_are_refused_in_one_line(
    tmp_path: Path, case: tuple[str, list[str], list[str]]
) -> None:
    text, files, said = case
    (tmp_path / "labels.csv").write_text(text, encoding="utf-8", newline="")
    (line,) = read_table(tmp_path / "labels.csv", files=Files(files)).problems
    assert all(words in line for words in [*said, "labels.csv"]), line
    assert len(line) - len(str(tmp_path)) < 400
