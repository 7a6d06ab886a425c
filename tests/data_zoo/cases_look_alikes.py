"""Folders of other tasks and of other libraries: their folders are no classes."""

from __future__ import annotations

from tests.data_zoo.build import Pics, folder
from tests.data_zoo.case import Case, Mend, Reads, Refused

PNG = Pics(count=10, name="{:03}.png")
XML = "<annotation><object><name>cat</name></object></annotation>"
BOXES = "0 0.5 0.5 0.2 0.2\n"
NUMBERS = "{000,001,002,003,004,005,006,007,008,009}"


def refused(name: str, tree: dict[str, int | Pics | str | bytes], *says: str) -> Case:
    """A folder that must be refused, and not be taken for classes that lack images."""
    return Case(
        name=name,
        make=folder(tree),
        right=Refused(says=says, never=("add images", "sort the images")),
    )


DETECTION = (
    refused(
        "yolo",
        {"images/{train,val}": 10, f"labels/train/{NUMBERS}.txt": BOXES, "data.yaml": "nc: 2"},
        "detection",
    ),
    refused(
        "yolo_flat",
        {"images": 10, f"labels/{NUMBERS}.txt": BOXES, "classes.txt": "cat\ndog"},
        "detection",
    ),
    refused(
        "yolo_of_roboflow",
        {
            "{train,valid,test}/images": 10,
            f"{{train,valid,test}}/labels/{NUMBERS}.txt": BOXES,
            "data.yaml": "nc: 2",
        },
        "detection",
    ),
    refused(
        "yolo_boxes_beside_images", {".": 10, f"{NUMBERS}.txt": BOXES, "obj.names": "cat"}, "10"
    ),
    refused(
        "voc",
        {
            "JPEGImages": 10,
            f"Annotations/{NUMBERS}.xml": XML,
            "ImageSets/Main/train.txt": "000\n",
            "SegmentationClass": PNG,
            "SegmentationObject": PNG,
        },
        "detection",
    ),
    refused(
        "voc_wrapped",
        {"VOC2012/JPEGImages": 10, f"VOC2012/Annotations/{NUMBERS}.xml": XML},
        "detection",
    ),
    refused(
        "coco",
        {
            "train2017": 10,
            "val2017": 10,
            "annotations/instances_train2017.json": '{"images": [], "annotations": []}',
        },
        "detection",
    ),
    refused(
        "coco_of_roboflow",
        {"{train,valid}": 10, "{train,valid}/_annotations.coco.json": '{"images": []}'},
        "detection",
    ),
    refused(
        "images_beside_annotations",
        {"images": 10, f"annotations/{NUMBERS}.xml": XML},
        "annotations",
    ),
    refused(
        "images_beside_json_per_image", {"img": 10, f"ann/{NUMBERS}.json": '{"objects": []}'}, "img"
    ),
)

SEGMENTATION = (
    refused("masks_beside_images", {"images": 10, "masks": PNG}, "masks"),
    refused(
        "masks_of_other_names",
        {"images": 10, "masks": Pics(count=10, name="{:03}_mask.png")},
        "masks",
    ),
    refused("masks_called_labels", {"images": PNG, "labels": PNG}, "labels"),
    refused("masks_called_annotations", {"images": 10, "annotations": PNG}, "annotations"),
    refused("masks_called_ground_truth", {"imgs": 10, "gts": PNG}, "gts"),
    refused("masks_in_splits", {"{train,val}/images": 10, "{train,val}/masks": PNG}, "masks"),
    refused(
        "masks_of_camvid", {"{train,val,test}": PNG, "{train,val,test}_labels": PNG}, "train_labels"
    ),
    refused("masks_annot_of_segnet", {"{train,val}": PNG, "{train,val}annot": PNG}, "trainannot"),
    refused("pairs_of_input_and_target", {"input": PNG, "target": PNG}, "target"),
    Case(
        name="masks_beside_each_image_of_classes",
        make=folder(
            {
                "{benign,malignant}": PNG,
                "{benign,malignant}/.": Pics(count=10, name="{:03}_mask.png", start=0),
            }
        ),
        right=(
            Refused(says=("_mask.png",)),
            Reads(classes=("benign", "malignant"), images={"train": 20}, says=("_mask", "20")),
        ),
    ),
    Case(
        name="masks_in_each_class_folder",
        make=folder({"{covid,normal}/{images,masks}": PNG}),
        right=(
            Refused(says=("masks",)),
            Reads(classes=("covid", "normal"), images={"train": 20}, says=("masks", "20")),
        ),
    ),
    Case(
        name="classes_called_mask_and_no_mask",
        make=folder({"{with_mask,without_mask}": 10}),
        right=Reads(classes=("with_mask", "without_mask"), images={"train": 20}),
    ),
    Case(
        name="classes_called_face_and_face_mask",
        make=folder({"face": 10, "face_mask": Pics(count=10, start=20)}),
        right=Reads(classes=("face", "face_mask"), images={"train": 20}),
    ),
    Case(
        name="classes_called_road_and_roadmap",
        make=folder({"{road,roadmap,tree}": 10}),
        right=Reads(classes=("road", "roadmap", "tree"), images={"train": 30}),
    ),
    Case(
        name="classes_called_face_and_face_mask_with_the_same_names",
        make=folder({"{face,face_mask}": 10}),
        right=Refused(
            says=("face_mask",),
            mends=(
                Mend(
                    printed="--data {data} --layout classes",
                    flags={"layout": "classes"},
                    reads=Reads(classes=("face", "face_mask"), images={"train": 20}),
                ),
            ),
        ),
    ),
    Case(
        name="masks_of_scans_called_alike",
        make=folder({"scan": 10, "scan_mask": Pics(count=10, name="{:03}_L.png")}),
        right=Refused(says=("scan_mask", "segmentation")),
    ),
    Case(
        name="images_over_classes_beside_label_lists",
        make=folder(
            {
                "images/{banded,dotted}": 10,
                "labels/{train1,test1}.txt": "banded/000.jpg\n",
                "imdb/imdb.mat": b"x",
            }
        ),
        right=(
            Refused(
                mends=(
                    Mend(
                        printed="{data}/images",
                        data="images",
                        reads=Reads(classes=("banded", "dotted"), images={"train": 20}),
                    ),
                )
            ),
            Reads(classes=("banded", "dotted"), images={"train": 20}, says=("images", "labels")),
        ),
    ),
)

FRAME = Pics(count=5, name="frame_{:04}.jpg")

FRAMES = (
    Case(
        name="frames_of_clips_below_classes",
        make=folder({"run/clip_{01,02,03}": FRAME, "walk/clip_{04,05,06}": FRAME}),
        right=Reads(classes=("run", "walk"), images={"train": 30}),
    ),
    Case(
        name="frames_of_videos_without_classes",
        make=folder({"video_{01,02,03,04,05}": Pics(count=12, name="frame_{:04}.jpg")}),
        right=(
            Refused(says=("video_01",)),
            Reads(
                classes=tuple(f"video_{n:02}" for n in range(1, 6)),
                images={"train": 60},
                says=("video_01",),
            ),
        ),
    ),
    refused(
        "videos_not_frames", {"{run,walk}/{1,2,3}.mp4": b"\0\0\0\x18ftypmp42" + bytes(40)}, ".mp4"
    ),
)

LIBRARIES = (
    refused(
        "hub_parquet", {"data/train-00000-of-00001.parquet": b"PAR1", "README.md": "---"}, "parquet"
    ),
    refused(
        "hub_arrow",
        {"dataset_dict.json": "{}", "train/data-00000-of-00001.arrow": b"ARROW1"},
        "arrow",
    ),
    refused(
        "tfds",
        {"1.0.0/set-train.tfrecord-00000-of-00001": b"x", "1.0.0/dataset_info.json": "{}"},
        "tfrecord",
    ),
    refused("tfrecords", {"{train,test}.tfrec": b"x"}, "tfrec"),
    refused("webdataset", {"shard-{000000,000001}.tar": b"x"}, ".tar"),
    refused("lmdb", {"train/data.mdb": b"x", "train/lock.mdb": b"x"}, ".mdb"),
    refused("hdf5", {"train.h5": b"\x89HDF\r\n\x1a\n", "test.h5": b"\x89HDF\r\n\x1a\n"}, ".h5"),
    refused(
        "mat_files", {"train_32x32.mat": b"MATLAB 5.0", "test_32x32.mat": b"MATLAB 5.0"}, ".mat"
    ),
    refused("idx_files", {"{train,t10k}-{images-idx3,labels-idx1}-ubyte.gz": b"\x1f\x8b"}, "idx"),
    refused("npy_files", {"{x,y}_{train,test}.npy": b"\x93NUMPY"}, ".npy"),
    refused("npy_per_image", {"{cat,dog}/{1,2,3}.npy": b"\x93NUMPY"}, ".npy"),
    refused("dicom", {"{ill,well}/{1,2,3}.dcm": bytes(128) + b"DICM"}, "dicom"),
    refused(
        "archives_not_unpacked",
        {"{train,test}.zip": b"PK\3\4", "labels.csv.zip": b"PK\3\4"},
        ".zip",
    ),
    refused("an_archive_per_class", {"{cat,dog}.tar.gz": b"\x1f\x8b"}, ".tar.gz"),
    refused("pickles", {"train.pickle": b"\x80\4", "meta.pkl": b"\x80\4"}, ".pickle"),
)

CASES = (*DETECTION, *SEGMENTATION, *FRAMES, *LIBRARIES)
