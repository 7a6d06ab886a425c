"""Images that are decoded, each once, before it is settled which split they come into."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from trainables.data.copies import Prints
from trainables.data.listing import Images, Pixels, Progress, Rows, silent
from trainables.data.looks import Floats, brightness_of
from trainables.data.problems import DataError
from trainables.problems import once_per_cause, shortened

# Images decoded at a time: bounds memory, keeps all cores busy.
CHUNK = 256


class Pool:
    """Decoded squares in a file, in the order in which they were asked for, with their prints.

    Args:
        path: The file, which is made.
        pixels: The pixels of the source.
        side: The side of the squares, in pixels.
        progress: Is called after each chunk that is decoded.
    """

    def __init__(self, path: Path, pixels: Pixels, side: int, progress: Progress = silent) -> None:
        self.pixels = pixels
        self.side = side
        self.rows: Rows = np.zeros(0, np.int64)
        self._order: Rows = np.zeros(0, np.int64)
        self._brightness: Floats = np.zeros((0, 3), np.float32)
        self._progress = progress
        self._prints: list[Prints] = []
        self._path = path
        self._file = path.open("w+b")

    @property
    def prints(self) -> Prints:
        """The prints of all rows, in their order."""
        return Prints.joined(self._prints)

    def add(self, rows: Rows) -> bool:
        """Decode those rows that are not there yet; return whether there were any.

        Raises:
            DataError: One line for each image that does not decode.
            OSError: The disk is full, for one.
        """
        new = rows[~np.isin(rows, self.rows)]
        problems: list[str] = []
        brightness = [self._brightness]
        for start in range(0, len(new), CHUNK):
            images, damaged = self.pixels.squares(new[start : start + CHUNK], self.side)
            problems += damaged
            self._file.write(images.data)
            self._prints.append(Prints.of(images))
            brightness.append(brightness_of(images))
            self._progress(min(start + CHUNK, len(new)), len(new))
        if problems:
            raise DataError(shortened(once_per_cause(problems), "files are damaged images"))
        self._file.flush()
        self.rows = np.concatenate([self.rows, new])
        self._order = np.argsort(self.rows)
        self._brightness = np.concatenate(brightness)
        return len(new) > 0

    def images(self, rows: Rows) -> Images:
        """Return some of them, uint8 [N, side, side, 3]."""
        shape = (len(self.rows), self.side, self.side, 3)
        images: Images = np.memmap(self._path, np.uint8, "r", shape=shape)[self._places(rows)]
        return images

    def brightness(self, rows: Rows) -> Floats:
        """Return the darkest value, mean and brightest value of some of them, [N, 3]."""
        return self._brightness[self._places(rows)]

    def close(self) -> None:
        """Delete the file."""
        self._file.close()
        self._path.unlink(missing_ok=True)

    def _places(self, rows: Rows) -> Rows:
        """Return where some rows are in the file."""
        places: Rows = self._order[np.searchsorted(self.rows, rows, sorter=self._order)]
        return places
