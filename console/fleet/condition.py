"""How well each card is, in one word with its reasons. Which word follows from what is console.health's business."""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


class Condition(enum.IntEnum):
    """From good to bad; UNKNOWN stands apart and is never drawn as well."""

    WELL = 0
    UNKNOWN = 1
    NOTICE = 2
    WARNING = 3
    CRITICAL = 4


@dataclass(frozen=True, slots=True)
class Judged:
    """Conditions [n] and for each row its reasons, worst first."""

    conditions: npt.NDArray[np.uint8]
    reasons: list[tuple[str, ...]]
