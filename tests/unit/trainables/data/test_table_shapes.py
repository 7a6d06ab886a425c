"""Tables as well-known data sets have them, with the reading beside each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from trainables.data.table_files import match
from trainables.data.table_ids import Files
from trainables.data.tables import read_table

Labels = Mapping[str, str]
Shape = tuple[str, list[str], Labels]

ABC = ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
NUMBERS = ["0.png", "1.png", "2.png", "3.png"]
PUGS = {"a.jpg": "pug", "b.jpg": "lab", "c.jpg": "pug", "d.jpg": "lab"}
ZEROS = {"0.png": "x", "1.png": "y", "2.png": "x", "3.png": "y"}

SHAPES: dict[str, Shape] = {
    "Kaggle dog breeds": (
        "id,breed\na,pug\nb,lab\nc,pug\nd,lab\n",
        [f"train/{name}" for name in ABC],
        PUGS,
    ),
    "CIFAR-10 at Kaggle": (
        "id,label\n1,frog\n2,truck\n3,frog\n",
        ["test/1.png", "test/2.png", "test/3.png", "train/1.png", "train/2.png", "train/3.png"],
        {"train/1.png": "frog", "train/2.png": "truck", "train/3.png": "frog"},
    ),
    "APTOS 2019": (
        "id_code,diagnosis\n000c1434d8d7,2\n001639a390f0,4\n0024cdab0c1e,2\n",
        [
            "train_images/000c1434d8d7.png",
            "train_images/001639a390f0.png",
            "train_images/0024cdab0c1e.png",
        ],
        {"000c1434d8d7.png": "2", "001639a390f0.png": "4", "0024cdab0c1e.png": "2"},
    ),
    "Diabetic retinopathy": (
        "image,level\n10_left,0\n10_right,1\n13_left,0\n",
        ["10_left.jpeg", "10_right.jpeg", "13_left.jpeg"],
        {"10_left.jpeg": "0", "10_right.jpeg": "1", "13_left.jpeg": "0"},
    ),
    "HAM10000": (
        "lesion_id,image_id,dx,dx_type,age,sex,localization,dataset\n"
        "HAM_0000118,ISIC_0027419,bkl,histo,80.0,male,scalp,vidir_modern\n"
        "HAM_0000118,ISIC_0025030,bkl,histo,80.0,male,scalp,vidir_modern\n"
        "HAM_0002730,ISIC_0026769,nv,histo,,male,scalp,rosendahl\n",
        [
            "HAM10000_images_part_1/ISIC_0025030.jpg",
            "HAM10000_images_part_1/ISIC_0027419.jpg",
            "part_2/ISIC_0026769.jpg",
        ],
        {"ISIC_0027419.jpg": "bkl", "ISIC_0025030.jpg": "bkl", "ISIC_0026769.jpg": "nv"},
    ),
    "ISIC 2019, one-hot": (
        "image,MEL,NV,BCC,UNK\nISIC_0,0.0,1.0,0.0,0.0\nISIC_1,1.0,0.0,0.0,0.0\n"
        "ISIC_2,0.0,1.0,0.0,0.0\n",
        ["ISIC_0.jpg", "ISIC_1.jpg", "ISIC_2.jpg"],
        {"ISIC_0.jpg": "NV", "ISIC_1.jpg": "MEL", "ISIC_2.jpg": "NV"},
    ),
    "Plant Pathology 2020, one-hot": (
        "image_id,healthy,multiple_diseases,rust,scab\nTrain_0,0,0,0,1\nTrain_1,0,1,0,0\n"
        "Train_2,1,0,0,0\n",
        ["Train_0.jpg", "Train_1.jpg", "Train_2.jpg", "Test_0.jpg"],
        {"Train_0.jpg": "scab", "Train_1.jpg": "multiple_diseases", "Train_2.jpg": "healthy"},
    ),
    "Plant Pathology 2021, words in a cell": (
        "image,labels\na.jpg,healthy\nb.jpg,scab frog_eye_leaf_spot\nc.jpg,healthy\nd.jpg,scab "
        "frog_eye_leaf_spot\n",
        ABC,
        {
            "a.jpg": "healthy",
            "b.jpg": "scab frog_eye_leaf_spot",
            "c.jpg": "healthy",
            "d.jpg": "scab frog_eye_leaf_spot",
        },
    ),
    "cassava": (
        "image_id,label\n1000015157.jpg,0\n1000201771.jpg,3\n100042118.jpg,0\n",
        [
            "train_images/1000015157.jpg",
            "train_images/1000201771.jpg",
            "train_images/100042118.jpg",
        ],
        {"1000015157.jpg": "0", "1000201771.jpg": "3", "100042118.jpg": "0"},
    ),
    "GTSRB, semicolons": (
        "Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId\n"
        "00000_00000.ppm;29;30;5;6;24;25;0\n00000_00001.ppm;30;30;5;5;25;25;1\n"
        "00000_00002.ppm;30;30;5;5;25;25;0\n",
        ["00000_00000.ppm", "00000_00001.ppm", "00000_00002.ppm"],
        {"00000_00000.ppm": "0", "00000_00001.ppm": "1", "00000_00002.ppm": "0"},
    ),
    "GTSRB at Kaggle": (
        "Width,Height,Roi.X1,Roi.Y1,Roi.X2,Roi.Y2,ClassId,Path\n"
        "27,26,5,5,22,20,20,Train/20/00020_0.png\n28,27,5,6,23,22,20,Train/20/00020_1.png\n"
        "9,9,1,1,8,8,3,Train/3/00003_0.png\n",
        ["Train/20/00020_0.png", "Train/20/00020_1.png", "Train/3/00003_0.png"],
        {"00020_0.png": "20", "00020_1.png": "20", "00003_0.png": "3"},
    ),
    "humpback whales, where Id is the label": (
        "Image,Id\na.jpg,w_f48\nb.jpg,w_c3d\nc.jpg,w_f48\n",
        ABC,
        {"a.jpg": "w_f48", "b.jpg": "w_c3d", "c.jpg": "w_f48"},
    ),
    "100 sports, with numbers and names of classes": (
        "class id,filepaths,labels,card type,data set\n"
        "0,train/air hockey/001.jpg,air hockey,ace,train\n0,train/air hockey/002.jpg,air "
        "hockey,ace,train\n"
        "1,valid/polo/001.jpg,polo,ace,valid\n",
        ["train/air hockey/001.jpg", "train/air hockey/002.jpg", "valid/polo/001.jpg"],
        {
            "air hockey/001.jpg": "air hockey",
            "air hockey/002.jpg": "air hockey",
            "polo/001.jpg": "polo",
        },
    ),
    "NIH chest": (
        "Image Index,Finding Labels,Follow-up #,Patient ID\n"
        "a.jpg,Cardiomegaly,0,1\nb.jpg,Cardiomegaly|Effusion,1,1\nc.jpg,Cardiomegaly,0,2\n",
        ABC,
        {"a.jpg": "Cardiomegaly", "b.jpg": "Cardiomegaly|Effusion", "c.jpg": "Cardiomegaly"},
    ),
    "Coronahack, with a column of row numbers": (
        ",X_ray_image_name,Label,Dataset_type\n0,a.jpg,Normal,TRAIN\n1,b.jpg,Pnemonia,TRAIN\n"
        "2,c.jpg,Normal,TEST\n",
        ABC,
        {"a.jpg": "Normal", "b.jpg": "Pnemonia", "c.jpg": "Normal"},
    ),
    "The Simpsons list without a header": (
        "a.jpg,pug\nb.jpg,lab\nc.jpg,pug\nd.jpg,lab\n",
        ABC,
        PUGS,
    ),
    "Caffe's list": (
        "a.jpg 0\nb.jpg 1\nc.jpg 0\n",
        ABC,
        {"a.jpg": "0", "b.jpg": "1", "c.jpg": "0"},
    ),
    "RVL-CDIP's list": (
        "imagesq/q/o/c/qoc54c00/80035521.tif 15\nimagese/e/j/2035.tif 1\nimagesk/k/h/0000.tif 15\n",
        ["imagesq/q/o/c/qoc54c00/80035521.tif", "imagese/e/j/2035.tif", "imagesk/k/h/0000.tif"],
        {"80035521.tif": "15", "2035.tif": "1", "0000.tif": "15"},
    ),
    "pandas' index": (",id,breed\n0,a,pug\n1,b,lab\n2,c,pug\n3,d,lab\n", ABC, PUGS),
    "pandas' index, read and written twice": (
        "Unnamed: 0.1,Unnamed: 0,id,breed\n0,0,a,pug\n1,1,b,lab\n2,2,c,pug\n3,3,d,lab\n",
        ABC,
        PUGS,
    ),
    "pandas' index beside files that are numbers": (
        ",image,label\n0,3.png,y\n1,2.png,x\n2,1.png,y\n3,0.png,x\n",
        NUMBERS,
        ZEROS,
    ),
    "pandas' shuffled index": (",id,breed\n3,a,pug\n1,b,lab\n0,c,pug\n2,d,lab\n", ABC, PUGS),
    "pandas' index of ids": (",breed\na,pug\nb,lab\nc,pug\nd,lab\n", ABC, PUGS),
    "pandas' floats": (
        "id,label\n0.0,1.0\n1.0,0.0\n2.0,1.0\n",
        NUMBERS,
        {"0.png": "1", "1.png": "0", "2.png": "1"},
    ),
    "R's write.csv": (
        '"","id","breed"\n"1","a","pug"\n"2","b","lab"\n"3","c","pug"\n"4","d","lab"\n',
        ABC,
        PUGS,
    ),
    "R's write.table": (
        '"id" "breed"\n"1" "a" "pug"\n"2" "b" "lab"\n"3" "c" "pug"\n"4" "d" "lab"\n',
        ABC,
        PUGS,
    ),
    "Excel in German": ("\ufeffid;breed\r\na;pug\r\nb;lab\r\nc;pug\r\nd;lab\r\n", ABC, PUGS),
    "Excel's sep=": ("sep=;\r\nid;breed\r\na;pug\r\nb;lab\r\nc;pug\r\nd;lab\r\n", ABC, PUGS),
    "Excel's empty cells": (
        "id,breed,,\na,pug,,\nb,lab,,\nc,pug,,\nd,lab,,\n,,,\n,,,\n",
        ABC,
        PUGS,
    ),
    "tabs": ("id\tbreed\na\tpug\nb\tlab\nc\tpug\nd\tlab\n", ABC, PUGS),
    "bars": ("id|breed\na|pug\nb|lab\nc|pug\nd|lab\n", ABC, PUGS),
    "an old Mac": ("id,breed\ra,pug\rb,lab\rc,pug\rd,lab\r", ABC, PUGS),
    "spaces around cells": ('id, breed\na, pug\nb, "lab"\n c ,pug \nd,lab\n', ABC, PUGS),
    "columns the other way around": ("breed,id\npug,a\nlab,b\npug,c\nlab,d\n", ABC, PUGS),
    "boxes before the label": (
        "id,xmin,ymin,breed\na,1,2,pug\nb,3,4,lab\nc,1,2,pug\nd,3,4,lab\n",
        ABC,
        PUGS,
    ),
    "a point and a class": (
        "id,x,y,class\na,1,2,pug\nb,3,4,lab\nc,1,2,pug\nd,3,4,lab\n",
        ABC,
        PUGS,
    ),
    "a target called y": ("file,y\na,pug\nb,lab\nc,pug\nd,lab\n", ABC, PUGS),
    "comments": (
        "# by hand, 2019\n\n# CC-BY\nid,breed\na,pug\n# second half\nb,lab\n\nc,pug\nd,lab\n",
        ABC,
        PUGS,
    ),
    "numpy.savetxt": ("# id,breed\na,pug\nb,lab\nc,pug\nd,lab\n", ABC, PUGS),
    "ids without zeros": (
        "id,label\n1,x\n2,y\n10,x\n",
        ["0001.png", "0002.png", "0010.png"],
        {"0001.png": "x", "0002.png": "y", "0010.png": "x"},
    ),
    "ids with zeros": ("id,label\n0000,x\n0001,y\n0002,x\n0003,y\n", NUMBERS, ZEROS),
    "another suffix": ("id,label\n0.jpg,x\n1.jpg,y\n2.jpg,x\n3.jpg,y\n", NUMBERS, ZEROS),
    "a suffix in capitals": ("id,label\n0.PNG,x\n1.PNG,y\n2.PNG,x\n3.PNG,y\n", NUMBERS, ZEROS),
    "DICOM's suffix": ("patientId,Target\n0.dcm,x\n1.dcm,y\n2.dcm,x\n3.dcm,y\n", NUMBERS, ZEROS),
    "paths from above": (
        "id,label\ntrain/0.png,x\ntrain/1.png,y\ntrain/2.png,x\ntrain/3.png,y\n",
        NUMBERS,
        ZEROS,
    ),
    "paths of a notebook": (
        "path,label\n../input/x/train/0.png,x\n../input/x/train/1.png,y\n../input/x/train/2.png,x\n"
        "../input/x/train/3.png,y\n",
        [*(f"train/{name}" for name in NUMBERS), *(f"test/{name}" for name in NUMBERS)],
        {f"train/{name}": label for name, label in ZEROS.items()},
    ),
    "paths of another machine": (
        "path,label\n/kaggle/input/0.png,x\n/kaggle/input/1.png,y\n/kaggle/input/2.png,x\n"
        "/kaggle/input/3.png,y\n",
        [f"images/{name}" for name in NUMBERS],
        ZEROS,
    ),
    "paths of Windows": (
        "path;label\nC:\\x\\0.png;x\nC:\\x\\1.png;y\nC:\\x\\2.png;x\nC:\\x\\3.png;y\n",
        NUMBERS,
        ZEROS,
    ),
    "paths from here": ("path,label\n./0.png,x\n./1.png,y\n./2.png,x\n./3.png,y\n", NUMBERS, ZEROS),
    "addresses": (
        "image_url,label\nhttps://x.org/a/0.png?s=1,x\nhttps://x.org/a/1.png,y\n"
        "https://x.org/b/2.png,x\n",
        NUMBERS,
        {"0.png": "x", "1.png": "y", "2.png": "x"},
    ),
    "one folder per class": (
        "filename,label\ncat/0.png,cat\ndog/0.png,dog\n",
        ["cat/0.png", "dog/0.png"],
        {"cat/0.png": "cat", "dog/0.png": "dog"},
    ),
    "another case": (
        "Image_Name,Class Name\nA.JPG,pug\nB.JPG,lab\nC.JPG,pug\nD.JPG,lab\n",
        ABC,
        PUGS,
    ),
    "another Unicode form": (
        "id,label\ncafe\u0301,x\nthe\u0301,y\n",
        ["café.png", "thé.png"],
        {"café.png": "x", "thé.png": "y"},
    ),
    "a harmless third column": (
        "id,breed,source\na,pug,web\nb,lab,web\nc,pug,own\nd,lab,own\n",
        ABC,
        PUGS,
    ),
    "ids beside file names": (
        "id,filename,label\n1,0.png,x\n2,1.png,y\n3,2.png,x\n4,3.png,y\n",
        NUMBERS,
        ZEROS,
    ),
    "numbers beside file names of another suffix": (
        "id,filename,label\n3,00.jpg,x\n2,01.jpg,y\n1,02.jpg,x\n0,03.jpg,y\n",
        ["00.png", "01.png", "02.png", "03.png"],
        {"00.png": "x", "01.png": "y", "02.png": "x", "03.png": "y"},
    ),
    "labels that are names of files too": (
        "a,b\n0.png,0\n1.png,1\n2.png,0\n3.png,1\n",
        NUMBERS,
        {"0.png": "0", "1.png": "1"},
    ),
    "numbers for both, without a header": (
        "0,1\n1,0\n2,1\n3,0\n",
        NUMBERS,
        {"0.png": "1", "1.png": "0"},
    ),
    "two classes, one-hot": ("id,pug,lab\na,1,0\nb,0,1\nc,1,0\nd,0,1\n", ABC, PUGS),
    "rows of a competition's test": (
        "id,breed\na,pug\nb,lab\nc,pug\nd,\n",
        ABC,
        {"a.jpg": "pug", "b.jpg": "lab", "c.jpg": "pug"},
    ),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_tables_of_real_data_sets_are_read(tmp_path: Path, shape: Shape) -> None:
    text, files, labels = shape
    path = tmp_path / "labels.csv"
    path.write_text(text, encoding="utf-8", newline="")
    table = read_table(path, files=Files(files))
    assert table.problems == ()
    matched = match(table, files)
    assert matched.problems == ()
    found = {
        files[file]: table.labels[row]
        for row, file in zip(matched.rows, matched.files, strict=True)
    }
    for name, label in labels.items():
        assert [found[file] for file in found if f"/{file}".endswith(f"/{name}")] == [label], name
    assert all(len(line) < 400 and line.isprintable() for line in (*table.notes, *matched.notes))
