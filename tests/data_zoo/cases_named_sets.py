"""Well-known public data sets, as they lie on the disk once they are unpacked, in small."""

from __future__ import annotations

from tests.data_zoo.build import Content, Pics, copied, folder
from tests.data_zoo.case import LEAVES, Case, Mend, Reads, Refused, Right

JPEG = Pics(count=4, name="{:03}.JPEG")
WORD = "{n01443537,n01629819}"
WORDS = ("n01443537", "n01629819")


def case(name: str, tree: dict[str, Content], *right: Right) -> Case:
    """A data set and its right readings."""
    return Case(name=f"set_{name}", make=folder(tree), right=right)


def inside(part: str, reads: Reads) -> tuple[Right, ...]:
    """Refused with the folder to give, or read with that folder named."""
    mend = Mend(printed=f"{{data}}/{part}", data=part, reads=reads)
    said = Reads(classes=reads.classes, images=reads.images, says=(part, *reads.says))
    return Refused(mends=(mend,), never=("add images", "sort the images")), said


def no_classes(*says: str) -> Refused:
    """A refusal that does not ask to add images to what are no classes."""
    return Refused(says=says, never=("add images",))


def flat(*classes: str, count: int = 10) -> Reads:
    """A flat set of ten images per class."""
    return Reads(classes=classes, images={"train": count * len(classes)})


def split(
    classes: tuple[str, ...], train: int, other: int, part: str = "test", *says: str
) -> Reads:
    """Train and one other split, by images per class."""
    return Reads(
        classes=classes,
        images={"train": train * len(classes), part: other * len(classes)},
        says=says,
    )


SCENES = ("forest", "glacier", "sea")
TUMORS = ("glioma", "notumor", "pituitary")
FOODS = ("apple_pie", "ramen")
BIRDS = ("001.Black_footed_Albatross", "002.Laysan_Albatross")

FOLDERS = (
    case(
        "tiny_imagenet",
        {
            f"train/{WORD}/images": Pics(count=9, name="x_{}.JPEG"),
            f"train/{WORD}/boxes.txt": "x_0.JPEG\t0\t0\t9\t9\n",
            "val/images": Pics(count=6, name="val_{}.JPEG"),
            "val/val_annotations.txt": "".join(
                f"val_{n}.JPEG\t{WORDS[n % 2]}\t0\t0\t9\t9\n" for n in range(6)
            ),
            "test/images": Pics(count=7, name="test_{}.JPEG"),
            "wnids.txt": "\n".join(WORDS),
            "words.txt": "n01443537\tgoldfish\n",
        },
        Reads(classes=WORDS, images={"train": 18}, says=("val", "test", "dvt predict")),
        Reads(
            classes=WORDS,
            images={"train": 18, "val": 6},
            says=("val_annotations.txt", "test", "dvt predict"),
        ),
    ),
    case(
        "imagenette",
        {
            f"train/{WORD}": Pics(count=8, name="x_{}.JPEG"),
            f"val/{WORD}": JPEG,
            "noisy_imagenette.csv": "path,noisy_labels_0\n",
        },
        split(WORDS, 8, 4, "val"),
    ),
    case(
        "intel_scenes",
        {
            "seg_train/seg_train/{forest,glacier,sea}": 8,
            "seg_test/seg_test/{forest,glacier,sea}": 4,
            "seg_pred/seg_pred": 7,
        },
        split(SCENES, 8, 4, "test", "seg_pred", "dvt predict"),
    ),
    case(
        "brain_tumor_mri",
        {"Training/{glioma,notumor,pituitary}": 8, "Testing/{glioma,notumor,pituitary}": 4},
        split(TUMORS, 8, 4),
    ),
    case(
        "chest_xray",
        {
            f"{part}/{{NORMAL,PNEUMONIA}}": count
            for part, count in (("train", 9), ("val", 3), ("test", 5))
        },
        Reads(classes=("NORMAL", "PNEUMONIA"), images={"train": 18, "val": 6, "test": 10}),
    ),
    case(
        "cats_and_dogs_filtered",
        {"train/{cats,dogs}": 8, "validation/{cats,dogs}": 4, "vectorize.py": "import os"},
        split(("cats", "dogs"), 8, 4, "val"),
    ),
    case(
        "hymenoptera",
        {"train/{ants,bees}": 8, "val/{ants,bees}": 4},
        split(("ants", "bees"), 8, 4, "val"),
    ),
    case(
        "fer2013",
        {"train/{angry,happy}": 8, "test/{angry,happy}": 4},
        split(("angry", "happy"), 8, 4),
    ),
    case("mnist_png", {"training/{0,1,2}": 8, "testing/{0,1,2}": 4}, split(("0", "1", "2"), 8, 4)),
    case(
        "fruits_360",
        {
            "Training/{Apple Red 1,Banana}": 8,
            "Test/{Apple Red 1,Banana}": 4,
            "test-multiple_fruits": 5,
            "papers/a.pdf": b"%PDF",
        },
        split(("Apple Red 1", "Banana"), 8, 4, "test", "test-multiple_fruits"),
    ),
    case(
        "eurosat",
        {"2750/{AnnualCrop,Forest,SeaLake}": 10},
        *inside("2750", flat("AnnualCrop", "Forest", "SeaLake")),
    ),
    case(
        "food_101",
        {
            "images/{apple_pie,ramen}": 10,
            "meta/{train,test}.txt": "x",
            "license_agreement.txt": "x",
        },
        *inside("images", flat(*FOODS)),
    ),
    case(
        "stanford_dogs",
        {
            "Images/{n02085620-Chihuahua,n02085782-Japanese_spaniel}": 10,
            "Annotation/{n02085620-Chihuahua,n02085782-Japanese_spaniel}/{a,b}": "<annotation/>",
            "lists/file_list.mat": b"MATLAB",
        },
        *inside("Images", flat("n02085620-Chihuahua", "n02085782-Japanese_spaniel")),
    ),
    case(
        "cub_200",
        {
            "CUB_200_2011/images/{001.Black_footed_Albatross,002.Laysan_Albatross}": 10,
            "CUB_200_2011/{images,image_class_labels,train_test_split,classes}.txt": "1 x\n",
            "CUB_200_2011/{attributes,parts}/parts.txt": "1 x\n",
            "attributes.txt": "1 x\n",
        },
        *inside("CUB_200_2011/images", flat(*BIRDS)),
    ),
    case(
        "dtd",
        {
            "images/{banded,dotted}": 10,
            "imdb/imdb.mat": b"MATLAB",
            "labels/{train1,val1}.txt": "banded/1.jpg\n",
        },
        *inside("images", flat("banded", "dotted")),
    ),
    case(
        "uc_merced",
        {
            "UCMerced_LandUse/Images/{beach,forest}": Pics(count=10, name="{:02}.tif"),
            "UCMerced_LandUse/readme.txt": "x",
        },
        *inside("UCMerced_LandUse/Images", flat("beach", "forest")),
    ),
    case(
        "caltech_101",
        {
            "101_ObjectCategories/{BACKGROUND_Google,accordion,ant}": 10,
            "Annotations/{accordion,ant}/annotation_0001.mat": b"MATLAB",
        },
        *inside("101_ObjectCategories", flat("BACKGROUND_Google", "accordion", "ant")),
    ),
    case(
        "caltech_101_itself",
        {"{BACKGROUND_Google,accordion,ant}": 10},
        Reads(
            classes=("BACKGROUND_Google", "accordion", "ant"),
            images={"train": 30},
            says=("BACKGROUND_Google",),
        ),
    ),
    case(
        "caltech_256",
        {"{001.ak47,056.dog}": 10, "056.dog/greg": 3, "056.dog/RENAME2": "x"},
        Reads(classes=("001.ak47", "056.dog"), images={"train": 23}),
    ),
    case(
        "places365",
        {"a/{abbey,airfield}": 6, "b/{beach,bridge}": 6},
        Reads(classes=("a", "b"), images={"train": 24}, says=(f"--layout {LEAVES}",)),
    ),
    case(
        "breakhis",
        {"{benign,malignant}/SOB/{x,y}/SOB_B_14-22/{40X,100X}": 3},
        Reads(classes=("benign", "malignant"), images={"train": 24}),
    ),
    case(
        "plantvillage",
        {"{color,grayscale,segmented}/{Apple_scab,Corn_rust}": 10},
        Refused(says=("color", "Apple_scab")),
    ),
    case(
        "office_31",
        {"{amazon,dslr,webcam}/images/{bike,mug}": 10},
        Refused(says=("amazon", "bike")),
    ),
    case(
        "pacs", {"{art_painting,cartoon,photo}/{dog,house}": 10}, Refused(says=("cartoon", "dog"))
    ),
    case(
        "lfw",
        {f"lfw/{{{','.join(f'Person_{n}' for n in range(30))}}}": 1},
        no_classes("{data}/lfw"),
        Refused(says=("Person_0",)),
    ),
    Case(
        name="set_malaria",
        make=folder(
            {"{Parasitized,Uninfected}": 10, "Uninfected/Thumbs.db": b"\xd0\xcf"},
            copied(".", "cell_images"),
        ),
        right=(
            Reads(
                classes=("Parasitized", "Uninfected"),
                images={"train": 20},
                says=("cell_images", "20"),
            ),
            Refused(says=("cell_images",)),
        ),
    ),
    Case(
        name="set_brain_mri",
        make=folder({"{no,yes}": 10}, copied(".", "brain_tumor_dataset")),
        right=(
            Reads(classes=("no", "yes"), images={"train": 20}, says=("brain_tumor_dataset", "20")),
            Refused(says=("brain_tumor_dataset",)),
        ),
    ),
)

CASES = FOLDERS
