"""What runs on a card at a moment: activity as closed-form functions of time, so that any moment can be asked for."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

DAY_S = 86_400.0


class Kind(enum.StrEnum):
    """What a card is used for."""

    TRAINING = "training"
    INFERENCE = "inference"
    NOTEBOOK = "notebook"
    IDLE = "idle"


@dataclass(frozen=True, slots=True)
class Activity:
    """Shares from 0 to 1: of SM time, memory bandwidth, memory held, link traffic and host traffic."""

    busy: float
    bandwidth: float
    held: float
    links: float
    host: float


NOTHING = Activity(0.0, 0.0, 0.0, 0.0, 0.0)


def noise(seed: int, step: int) -> float:
    """A fixed pseudo-random number from 0 to 1 for a seed and a step."""
    x = (seed * 0x9E3779B1 + step * 0x85EBCA77) & 0xFFFFFFFF
    x ^= x >> 15
    x = (x * 0x2C1B3C6D) & 0xFFFFFFFF
    x ^= x >> 12
    return x / 0xFFFFFFFF


def wave(seed: int, t: float, period: float) -> float:
    """Smooth noise from 0 to 1 that changes over about `period` seconds."""
    at = t / period
    step = math.floor(at)
    part = at - step
    part = part * part * (3.0 - 2.0 * part)
    return noise(seed, step) * (1.0 - part) + noise(seed, step + 1) * part


def activity(kind: Kind, job: int, card: int, t: float) -> Activity:
    """What a card of job `job` does at second `t`; cards of one training job move together."""
    if kind is Kind.TRAINING:
        return _training(job, card, t)
    if kind is Kind.INFERENCE:
        return _inference(card, t)
    if kind is Kind.NOTEBOOK:
        return _notebook(card, t)
    return NOTHING


def _training(job: int, card: int, t: float) -> Activity:
    held = 0.86 + 0.06 * noise(job, 7)
    cycle = 540.0 + 120.0 * noise(job, 1)
    into = (t + 400.0 * noise(job, 2)) % cycle
    if into < 14.0:  # checkpoint: cards wait for the file system
        return Activity(0.03, 0.02, held, 0.0, 0.55)
    stall = wave(job + 11, t, 9.0) > 0.97
    busy = (0.55 if stall else 0.965) + 0.03 * (wave(job + 3, t, 4.0) - 0.5) - 0.015 * noise(card, int(t))
    return Activity(busy, 0.62 * busy, held, 0.7 * busy, 0.04 + 0.05 * wave(job, t, 3.0))


def _inference(card: int, t: float) -> Activity:
    day = 0.5 + 0.5 * math.sin(2.0 * math.pi * (t / DAY_S - 0.3))
    load = wave(card, t, 25.0) * (0.35 + 0.65 * day) + 0.25 * wave(card + 5, t, 3.0)
    # Public traces have two samples in three at exactly zero.
    busy = max(0.0, (load - 0.42) * 1.7)
    busy = min(1.0, busy)
    return Activity(busy, 0.5 * busy, 0.58 + 0.25 * noise(card, 3), 0.05 * busy, 0.15 * busy)


def _notebook(card: int, t: float) -> Activity:
    working = wave(card, t, 240.0) > 0.72
    busy = 0.3 + 0.4 * wave(card + 2, t, 7.0) if working else 0.0
    return Activity(busy, 0.35 * busy, 0.22 if working else 0.18, 0.0, 0.05 * busy)
