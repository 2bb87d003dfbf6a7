"""What runs on a card at a moment: activity as closed-form functions of time, so that any moment can be asked for."""

from __future__ import annotations

import enum
import math
from typing import NamedTuple

DAY_S = 86_400.0
BEGIN_HOUR = 14.0
"""Hour of the simulated day at which a demo begins: people are at work."""


class Kind(enum.StrEnum):
    """What a card is used for."""

    TRAINING = "training"
    INFERENCE = "inference"
    NOTEBOOK = "notebook"


class Activity(NamedTuple):
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


def daylight(t: float, speed: float) -> float:
    """Demand from 0 (night) to 1 (early afternoon) at second `t` of a demo whose days pass `speed` times as fast."""
    hour = BEGIN_HOUR + t * speed / 3600.0
    return 0.5 + 0.5 * math.sin(2.0 * math.pi * (hour - 8.0) / 24.0)


def training(job: int, t: float) -> Activity:
    """What a training job does at second `t`, on all of its cards alike: steps, stalls, checkpoints, epochs."""
    held = 0.86 + 0.06 * noise(job, 7)
    epoch = 1500.0 + 900.0 * noise(job, 4)
    if (t + epoch * noise(job, 5)) % epoch < 40.0:  # evaluation at the end of an epoch: forward passes, no gradients
        busy = 0.52 + 0.08 * wave(job + 6, t, 5.0)
        return Activity(busy, 0.4 * busy, held, 0.05, 0.03)
    cycle = 540.0 + 120.0 * noise(job, 1)
    if (t + 400.0 * noise(job, 2)) % cycle < 14.0:  # checkpoint: cards wait for the file system
        return Activity(0.03, 0.02, held, 0.0, 0.55)
    stall = wave(job + 11, t, 9.0) > 0.97  # the loader is behind
    busy = (0.55 if stall else 0.965) + 0.03 * (wave(job + 3, t, 4.0) - 0.5)
    return Activity(busy, 0.62 * busy, held, 0.7 * busy, 0.04 + 0.05 * wave(job, t, 3.0))


def inference(seed: int, t: float, day: float) -> Activity:
    """A model server: bursts by the time of day, and nothing between requests."""
    load = wave(seed, t, 25.0) * (0.55 + 0.45 * day) + 0.25 * wave(seed + 5, t, 3.0)
    # Public traces of serving clusters have two samples in three at exactly zero (66.8 %); a test holds the day's share.
    busy = min(1.0, max(0.0, (load - 0.6) * 2.6))
    cache = 0.06 * wave(seed + 9, t, 90.0)
    return Activity(busy, 0.5 * busy, 0.58 + 0.25 * noise(seed, 3) + cache, 0.05 * busy, 0.15 * busy)


def notebook(seed: int, t: float) -> Activity:
    """A person trying things: minutes of work, then thought."""
    if wave(seed, t, 240.0) <= 0.72:
        return Activity(0.0, 0.0, 0.18, 0.0, 0.0)
    busy = 0.3 + 0.4 * wave(seed + 2, t, 7.0)
    return Activity(busy, 0.35 * busy, 0.22, 0.0, 0.05 * busy)
