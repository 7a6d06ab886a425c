"""When trials of a search are ranked inside their arm, and how many of them go on."""

from __future__ import annotations

from dataclasses import dataclass

from search_spaces.space import Arm
from sweeps.runner.plan import Plan


@dataclass(frozen=True, slots=True)
class Screening:
    """Rungs: epochs at which trials are ranked against others of their arm.

    Attributes:
        first: The first, as a share of the epochs, from the end of the longest stage 1 on.
        factor: Of so many one goes on; then as many times the epochs are trained to the next.
    """

    first: float = 0.25
    factor: int = 2

    def first_rung(self, arm: Arm, epochs: int) -> int:
        """Return the epoch of the first rung."""
        longest_stage1 = int(max(arm.possible("stage1_epochs")))
        return min(epochs, longest_stage1 + max(1, round(epochs * self.first)))

    def least(self, arm: Arm, epochs: int, trials: int) -> int:
        """Return what a search of so many trials trains at least, in epochs.

        One where all come to each rung before any goes on: those that are ranked early find fewer
        peers, and more of them go on.
        """
        trained = 0
        at = 0
        rung = self.first_rung(arm, epochs)
        going = trials
        while at < epochs:
            trained += going * (min(rung, epochs) - at)
            at = rung
            rung *= self.factor
            going = max(min(1, trials), going // self.factor)
        return trained


# At each rung the worse half stops. Ray's default of 4 would stop three of four after a quarter of
# the epochs.
HALVES = Screening()


def screening_of(plan: Plan) -> Screening | None:
    """Return how a plan's trials are ranked; None where all of them run to their end."""
    return HALVES if plan.study.asha and not plan.options.exact else None
