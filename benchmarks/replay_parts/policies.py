"""Policies: what a sweep leaves out of its full plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ray.tune.experiment import Trial
from ray.tune.schedulers import ASHAScheduler

from search_spaces.space import Arm
from sweeps.runner.scheduler import ArmScheduler
from sweeps.runner.screening import Screening


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What is left out.

    Attributes:
        name: In tables.
        screening: When trials are ranked inside their arm, and stopped; None stops none.
        looks: Whether seeds end where comparisons are decided, or all are trained.
        few_defaults: Whether each arm's default gets the seeds of the first round alone, or all.
        across: Whether trials are ranked against those of other arms: the planted unfair one.
    """

    name: str
    screening: Screening | None = None
    looks: bool = False
    few_defaults: bool = False
    across: bool = False

    def scheduler(self, arms: Sequence[Arm], epochs: int) -> ArmScheduler | None:
        """Return what stops trials early."""
        if self.screening is None:
            return None
        if self.across:
            return AcrossArms(arms, epochs, screening=self.screening)
        return ArmScheduler(arms, epochs, screening=self.screening)


class AcrossArms(ArmScheduler):
    """The mistake that arms exist to prevent: one ranking for all of them.

    The arm bias that `replay.py` prints must show it.
    """

    def _arm(self, trial: Trial) -> ASHAScheduler:
        return next(iter(self.by_arm.values()))


FULL = Policy(name="full")
SCREENINGS = {
    "halves": Screening(0.25, 2),
    "early halves": Screening(0.05, 2),
    "early thirds": Screening(0.05, 3),
    "early quarters": Screening(0.05, 4),
}
LOOKS = Policy(name="looks", looks=True)
FEW = Policy(name="looks, few defaults", looks=True, few_defaults=True)
POLICIES = (
    LOOKS,
    FEW,
    *(Policy(name=name, screening=when) for name, when in SCREENINGS.items()),
    *(
        replace(FEW, name=f"{name}, {FEW.name}", screening=when)
        for name, when in SCREENINGS.items()
    ),
)
ACROSS = Policy(name="across arms", screening=Screening(0.05, 2), across=True)
