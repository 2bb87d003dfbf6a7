"""The card models of the demo fleet, with what each supports. Figures from the vendors' data sheets, rounded."""

from __future__ import annotations

from dataclasses import dataclass

GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Sku:
    """A card model. Watts, MHz, degC, bytes; `architecture` is NVML_DEVICE_ARCH_*.

    `cooling` is degC a watt from inlet to die at full fan. `has_fields`: memory temperature, byte counters and kin come
    as field values, which consumer cards lack.
    """

    name: str
    architecture: int
    vbios: str
    memory: int
    idle_w: float
    limit_w: float
    sm_mhz: int
    memory_mhz: int
    cooling: float
    slowdown_c: int
    pcie: int
    nvlinks: int
    has_ecc: bool = True
    has_fan: bool = False
    has_gpm: bool = False
    has_memory_temp: bool = True
    has_fields: bool = True

    @property
    def pcie_sent(self) -> float:
        """Most that the card sends to the host, B/s."""
        return 1.8e9 * self.pcie

    @property
    def pcie_received(self) -> float:
        """Most that the card receives from the host, B/s."""
        return 4.2e9 * self.pcie


H100 = Sku("NVIDIA H100 80GB HBM3", 9, "96.00.99.00.01", 80 * GIB, 68, 700, 1980, 2619, 0.052, 87, 5, 18, has_gpm=True)
H200 = Sku("NVIDIA H200", 9, "96.00.bc.00.02", 141 * GIB, 74, 700, 1980, 3201, 0.054, 87, 5, 18, has_gpm=True)
A100 = Sku("NVIDIA A100-SXM4-80GB", 7, "92.00.45.00.06", 80 * GIB, 55, 400, 1410, 1593, 0.085, 85, 4, 12)
L40S = Sku("NVIDIA L40S", 8, "95.02.66.00.01", 48 * GIB, 34, 350, 2520, 9001, 0.1, 88, 4, 0, has_memory_temp=False)
RTX4090 = Sku(
    "NVIDIA GeForce RTX 4090", 8, "95.02.3c.40.c0", 24 * GIB, 18, 450, 2520, 10501, 0.09, 84, 4, 0,
    has_ecc=False, has_fan=True, has_memory_temp=False, has_fields=False,
)  # fmt: skip
