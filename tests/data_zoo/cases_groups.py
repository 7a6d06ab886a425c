"""Groups of images (a patient, a video) that stay on one side of every split.

All are decoded; red says the group.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.data_zoo.case import Case, Make, Reads, Refused, Right
from tests.data_zoo.pictures import in_group, save

READ = Reads(classes=("cat", "dog"), images={"train": 48})
PATIENT = r"patient_(\d+)"


def grouped(path: Callable[[str, int, int], str], count: int = 12, shots: int = 2) -> Make:
    """Two classes, with some pictures of `count` patients in each.

    A function of class, patient and shot gives their paths.
    """

    def make(place: Path) -> str:
        for name in ("cat", "dog"):
            for patient in range(count):
                group = patient + count * (name == "dog")
                for shot in range(shots):
                    save(
                        place / "set" / path(name, group, shot),
                        in_group(name, 100 * patient + shot, group),
                    )
        return str(place / "set")

    return make


def flat(name: str, group: int, shot: int) -> str:
    """cat/patient_003_1.png."""
    return f"{name}/patient_{group:03}_{shot}.png"


def clips(name: str, group: int, shot: int) -> str:
    """cat/clip_03/1.png."""
    return f"{name}/clip_{group:02}/{shot}.png"


def splits(name: str, group: int, shot: int) -> str:
    """train/cat/patient_003_0.png, and each second picture of one patient in test."""
    part = "test" if group % 12 > 7 or (group == 0 and shot) else "train"
    return f"{part}/{name}/patient_{group:03}_{shot}.png"


def table(header: str = "id,label,patient") -> Make:
    """labels.csv with a column of patients, and train/."""

    def make(place: Path) -> str:
        lines = [header]
        for number in range(48):
            group = number // 2
            label = ("cat", "dog")[group % 2]
            save(place / "set" / "train" / f"{number:03}.png", in_group(label, number, group))
            lines.append(f"{number:03},{label},p{group}")
        (place / "set" / "labels.csv").write_text("\n".join(lines))
        return str(place / "set")

    return make


def case(name: str, make: Make, group: str, *right: Right) -> Case:
    """A decoded case, its groups compared where it is read."""
    grouped = isinstance(right[0], Reads)
    return Case(
        name=f"group_{name}",
        make=make,
        right=right,
        flags={"group": group},
        decode=True,
        grouped=grouped,
    )


CASES = (
    case(
        "by_a_pattern",
        grouped(flat),
        PATIENT,
        Reads(classes=READ.classes, images=READ.images, says=("24 groups",)),
    ),
    case("by_a_whole_match", grouped(flat), r"patient_\d+", READ),
    case("by_a_folder", grouped(clips), r"/(clip_\d+)/", READ),
    case(
        "of_four_pictures",
        grouped(flat, count=9, shots=4),
        PATIENT,
        Reads(classes=READ.classes, images={"train": 72}),
    ),
    case(
        "of_nine_patients_of_two",
        grouped(flat, count=9),
        PATIENT,
        Reads(classes=READ.classes, images={"train": 36}),
    ),
    case(
        "of_one_picture",
        grouped(flat, shots=1),
        PATIENT,
        Reads(classes=READ.classes, images={"train": 24}),
    ),
    case("by_a_column", table(), "patient", READ),
    case(
        "that_spans_train_and_test",
        grouped(splits),
        PATIENT,
        Reads(classes=READ.classes, images=None, says=("group", "test")),
        Refused(says=("group", "test", "train")),
    ),
    case("by_an_unknown_column", table(), "subject", Refused(says=("'subject'", "'patient'"))),
    case(
        "by_a_pattern_that_fits_nothing",
        grouped(flat),
        r"subject_(\d+)",
        Refused(says=("subject_", "48")),
    ),
    case(
        "by_a_pattern_that_is_broken", grouped(flat), r"patient_(\d+", Refused(says=("patient_",))
    ),
    case(
        "of_two_patients_per_class",
        grouped(flat, count=2, shots=9),
        PATIENT,
        Refused(says=("group",)),
    ),
    case("of_one_for_all", grouped(flat), "(patient)", Refused(says=("--group", "'(patient)'"))),
)
