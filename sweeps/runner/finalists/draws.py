"""The images that finalists train on: for each seed a draw of its own, the same for all arms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sweeps.records.results import seed_number
from sweeps.runner.plan import Materials, Plan, prepared
from trainables.data.dataset import DataError, Dataset
from trainables.data.problems import PartedError

# Draws that are tried for a seed, and the distance of their numbers, more than there are seeds.
ATTEMPTS = 5
APART = 10_000


class Draws:
    """Data of finalists, decoded when their seed comes; all have the test split of the search.

    Args:
        plan: Says whether seeds have draws of their own.
        materials: The search's data.
        earlier: What an earlier run of the sweep had, by number of a seed: `History.draws`.
    """

    def __init__(
        self, plan: Plan, materials: Materials, earlier: Mapping[str, Mapping[str, str]]
    ) -> None:
        self._plan = plan
        self._base = materials.data
        self._earlier = earlier
        self._known: dict[int, Dataset] = {}

    def data(self, seed: int | None) -> Dataset:
        """Return the data of a finalist's seed, by its number; None is the search.

        Raises:
            DataError: The draw leaves a class without images, cannot be written, or is not what an
                earlier run had.
        """
        if seed is None or self._plan.options.draws == "fixed":
            return self._base
        if seed not in self._known:
            data = self._prepared(seed)
            self._check(seed, data)
            self._known[seed] = data
        return self._known[seed]

    def of(self, trial_id: str) -> Dataset:
        """Return the data of a trial or finalist, by its name."""
        return self.data(seed_number(trial_id))

    def told(self, seeds: Iterable[int]) -> dict[str, dict[str, str]]:
        """Return what the journal keeps of the seeds' draws; nothing where they have none."""
        told = {}
        for seed in sorted(set(seeds)):
            data = self.data(seed)
            if data is not self._base:
                told[str(seed)] = {"digest": data.digest, "path": str(data.path)}
        return told

    def _prepared(self, seed: int) -> Dataset:
        """Decode the draw of a seed: the first that leaves no class without images.

        Where groups are few, one in some hundred does. The next one tried is the same each time.
        """
        numbers = range(seed, seed + ATTEMPTS * APART, APART)
        for number in numbers[:-1]:
            try:
                return prepared(self._plan, number)
            except PartedError:
                continue
        return prepared(self._plan, numbers[-1])

    def _check(self, seed: int, data: Dataset) -> None:
        """Refuse a draw of other images than the runs of its seed that are there had."""
        before = self._earlier.get(str(seed), {}).get("digest", data.digest)
        if before != data.digest and not self._plan.options.accept_changes:
            raise DataError(
                [
                    f"{self._plan.data} must stay as it is while a sweep runs, but the images of "
                    f"seed {seed} had the digest {before} and have {data.digest}: put them back, "
                    "or pass --accept-changes."
                ]
            )
