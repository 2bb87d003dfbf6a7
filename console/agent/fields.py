"""NVML field values: one batched call a tier, each with a verdict of its own.

nvmlDeviceGetFieldValues returns success if any field was filled, so each field's nvmlReturn decides.
"""

from .verdict import FRESH, NOT_SUPPORTED, code_letter

UINT_MAX = 0xFFFFFFFF

MEMORY_TEMP = 82
POWER_INSTANT = 186
PCIE_TX_BYTES = 197
PCIE_RX_BYTES = 198
NVLINK_DATA_TX = 138
NVLINK_DATA_RX = 139
PERF_POLICY_POWER = 74
PERF_POLICY_THERMAL = 75
HW_THERM_SLOWDOWN = 270
HW_POWER_BRAKE = 271
PCIE_REPLAY = 94
PCIE_CORRECTABLE = 173
PCIE_FATAL = 180
NVLINK_CRC = 38
NVLINK_REPLAY = 52
NVLINK_RECOVERY = 59
RECOVERY_ACTION = 230

# NVLink throughput counts all links when the scope is UINT_MAX (nvml.h, nvmlFieldValue_t.scopeId).
FAST = (
    MEMORY_TEMP,
    POWER_INSTANT,
    PCIE_TX_BYTES,
    PCIE_RX_BYTES,
    (NVLINK_DATA_TX, UINT_MAX),
    (NVLINK_DATA_RX, UINT_MAX),
)
MEDIUM = (PERF_POLICY_POWER, PERF_POLICY_THERMAL, HW_THERM_SLOWDOWN, HW_POWER_BRAKE)
SLOW = (
    PCIE_REPLAY,
    PCIE_CORRECTABLE,
    PCIE_FATAL,
    NVLINK_CRC,
    NVLINK_REPLAY,
    NVLINK_RECOVERY,
    RECOVERY_ACTION,
)
BY_TIER = {"fast": FAST, "medium": MEDIUM, "slow": SLOW}

# nvmlValueType_t -> member of nvmlValue_t
_MEMBER = {0: "dVal", 1: "uiVal", 2: "ulVal", 3: "ullVal", 4: "sllVal", 5: "siVal", 6: "usVal"}


class FieldBatch(object):
    """The fields of one tier of one card. Fields that are not supported leave the batch for RETRY_S."""

    RETRY_S = 600.0

    def __init__(self, nvml, handle, wanted):
        self._nvml = nvml
        self._handle = handle
        self._wanted = tuple(wanted)
        self._asked = self._wanted
        self._retry_at = 0.0

    def read(self, now):
        """{field id: (value or None, letter)} for every wanted field.

        Raises whatever the call itself raises; the caller gives that verdict to all of them.
        """
        if now >= self._retry_at:
            self._asked = self._wanted
        out = {_id(f): (None, NOT_SUPPORTED) for f in self._wanted}
        if not self._asked:
            return out
        rows = self._nvml.nvmlDeviceGetFieldValues(self._handle, list(self._asked))
        kept = []
        for field, row in zip(self._asked, rows):
            letter = code_letter(row.nvmlReturn)
            value = None
            if letter == FRESH:
                member = _MEMBER.get(row.valueType)
                value = getattr(row.value, member) if member else None
                letter = FRESH if member else NOT_SUPPORTED
            if letter != NOT_SUPPORTED:
                kept.append(field)
            out[_id(field)] = (value, letter)
        if len(kept) != len(self._asked):
            self._asked = tuple(kept)
            self._retry_at = now + self.RETRY_S
        return out


def _id(field):
    return field[0] if isinstance(field, tuple) else field
