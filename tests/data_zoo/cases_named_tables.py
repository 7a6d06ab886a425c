"""Public data sets whose labels are in a table, in the names of files, or of another task."""

from __future__ import annotations

from tests.data_zoo.build import Content, Pics
from tests.data_zoo.case import Case, Reads, Refused
from tests.data_zoo.cases_named_sets import WORD, WORDS, case, no_classes


def labels(header: str, count: int = 20) -> str:
    """A table of ids 000 to 019 and labels 0 and 1."""
    return "\n".join([header, *(f"{n:03},{n % 2}" for n in range(count))])


def table(name: str, tree: dict[str, Content], *says: str) -> Case:
    """A table of another name: read, or refused with the name that is expected."""
    found = Reads(classes=("0", "1"), images={"train": 20}, says=says[:1])
    return case(
        name,
        tree,
        found,
        Refused(says=(*says, "labels.csv"), never=("add images", "sort the images")),
    )


TABLES = (
    table(
        "aptos",
        {
            "train_images": Pics(count=20, name="{:03}.png"),
            "train.csv": labels("id_code,diagnosis"),
            "test_images": 5,
            "test.csv": "id_code\n",
            "sample_submission.csv": "id_code,diagnosis\n",
        },
        "train.csv",
    ),
    table(
        "cassava",
        {
            "train_images": 20,
            "train.csv": "image_id,label\n" + "".join(f"{n:03}.jpg,{n % 2}\n" for n in range(20)),
            "test_images": 5,
            "train_tfrecords/ld_train00-1338.tfrec": b"x",
            "label_num_to_disease_map.json": "{}",
        },
        "train.csv",
    ),
    table(
        "ham10000",
        {
            "HAM10000_images_part_1": 10,
            "HAM10000_images_part_2": Pics(count=10, start=10),
            "HAM10000_metadata.csv": "lesion_id,image_id,dx,age\n"
            + "".join(f"H{n // 2},{n:03},{n % 2},40\n" for n in range(20)),
        },
        "HAM10000_metadata.csv",
    ),
    table(
        "isic_2019",
        {
            "ISIC_2019_Training_Input": 20,
            "ISIC_2019_Training_GroundTruth.csv": "image,0,1\n"
            + "".join(f"{n:03},{1 - n % 2}.0,{n % 2}.0\n" for n in range(20)),
        },
        "GroundTruth.csv",
    ),
    table(
        "diabetic_retinopathy",
        {"resized_train": 20, "trainLabels.csv": labels("image,level")},
        "trainLabels.csv",
    ),
    case(
        "dog_breeds",
        {
            "train": 20,
            "labels.csv": labels("id,breed"),
            "test": 6,
            "sample_submission.csv": "id,0,1\n",
        },
        Reads(classes=("0", "1"), images={"train": 20}, says=("test", "dvt predict")),
    ),
    case(
        "gtsrb",
        {
            "Train/{0,1,2}": Pics(count=10, name="{:05}.png"),
            "Test": Pics(count=7, name="{:05}.png"),
            "Meta": Pics(count=3, name="{}.png"),
            "{Train,Test,Meta}.csv": "Width,Height,ClassId,Path\n",
        },
        Reads(classes=("0", "1", "2"), images={"train": 30}, says=("Test", "dvt predict", "Meta")),
        no_classes("Meta"),
    ),
)

OTHERS = (
    case(
        "oxford_pets",
        {
            "images": Pics(count=12, name="Abyssinian_{}.jpg"),
            "annotations/{list,trainval,test}.txt": "Abyssinian_1 1\n",
            "annotations/trimaps": Pics(count=12, name="Abyssinian_{}.png"),
        },
        no_classes("annotations", "images"),
    ),
    case(
        "dogs_vs_cats",
        {
            "train": Pics(count=12, name="cat.{}.jpg"),
            "test1": 6,
            "sampleSubmission.csv": "id,label\n",
        },
        no_classes("train", "cat.0.jpg"),
    ),
    case(
        "flowers_102",
        {"jpg": Pics(count=12, name="image_{:05}.jpg"), "{imagelabels,setid}.mat": b"MATLAB"},
        no_classes("jpg", ".mat"),
    ),
    case(
        "stanford_cars",
        {"cars_train": 12, "cars_test": 12, "devkit/cars_meta.mat": b"MATLAB"},
        no_classes("cars_train"),
    ),
    case(
        "fgvc_aircraft",
        {"data/images": 12, "data/images_variant_train.txt": "000 707-320\n"},
        no_classes("data/images"),
    ),
    case(
        "celeba",
        {
            "img_align_celeba": 24,
            "list_attr_celeba.csv": "image_id,Male,Smiling\n"
            + "".join(f"{n:03}.jpg,{2 * (n % 2) - 1},1\n" for n in range(24)),
        },
        no_classes("list_attr_celeba.csv"),
    ),
    case(
        "fairface",
        {f"{part}": 24 for part in ("train", "val")}
        | {
            f"fairface_label_{part}.csv": "file,age,gender\n"
            + "".join(
                f"{part}/{n:03}.jpg,{20 + n % 2},{('Male', 'Female')[n % 4 // 2]}\n"
                for n in range(24)
            )
            for part in ("train", "val")
        },
        no_classes("fairface_label_train.csv"),
    ),
    case(
        "covid_radiography",
        {
            "{COVID,Normal}/{images,masks}": Pics(count=10, name="{:03}.png"),
            "COVID.metadata.xlsx": b"PK",
        },
        no_classes("masks"),
        Reads(classes=("COVID", "Normal"), images={"train": 20}, says=("masks", "20")),
    ),
    case(
        "ilsvrc",
        {f"ILSVRC2012_img_train/{WORD}": 10, "ILSVRC2012_img_val": 8},
        no_classes("ILSVRC2012_img_val"),
        Reads(classes=WORDS, images={"train": 20}, says=("ILSVRC2012_img_val",)),
    ),
    case(
        "market_1501",
        {"{bounding_box_train,bounding_box_test,query}": 12, "readme.txt": "x"},
        no_classes("bounding_box_train"),
    ),
    case(
        "cifar_archive",
        {"cifar-10-python.tar.gz": b"\x1f\x8b"},
        no_classes("cifar-10-python.tar.gz", "tar -xf"),
    ),
    case(
        "stl10",
        {"stl10_binary/{train,test}_{X,y}.bin": b"x", "stl10_binary/class_names.txt": "bird"},
        no_classes(".bin"),
    ),
)

CASES = (*TABLES, *OTHERS)
