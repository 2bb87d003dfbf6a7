"""NVML as pynvml offers it, over simulated cards: the same function names, structs' attributes and errors."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pynvml

from console.demo.simulation.facts import Facts
from console.demo.simulation.handles import FUNCTION_NOT_FOUND, fail
from console.demo.simulation.health import Health
from console.demo.simulation.readings import Readings


class SimulatedNvml(Facts, Readings, Health):
    """Stands in for the pynvml module on one node. Functions are named as there; any thread."""

    NVMLError = pynvml.NVMLError
    nvmlMemory_v2 = pynvml.nvmlMemory_v2
    NVML_GPM_METRICS_GET_VERSION = pynvml.NVML_GPM_METRICS_GET_VERSION
    nvmlEccSramErrorStatus_v1 = pynvml.nvmlEccSramErrorStatus_v1
    c_nvmlEccSramErrorStatus_v1_t = SimpleNamespace
    c_nvmlGpuFabricInfo_v2_t = SimpleNamespace

    def __getattr__(self, name: str) -> Any:
        if name.startswith("nvml") and hasattr(pynvml, name):  # a function this driver does not have
            return lambda *_, **__: fail(FUNCTION_NOT_FOUND)
        raise AttributeError(name)

    @staticmethod
    def c_nvmlGpmMetricsGet_t() -> Any:
        """The struct that GPM's answer is asked with."""
        return SimpleNamespace(metrics=[SimpleNamespace(metricId=0) for _ in range(8)])
