"""The cards of a node: NVML opened, cards and slices found, facts read; or the reason why there are none."""

from .card import Card
from .events import _text
from .verdict import error_letter


class NvmlAbsent(Exception):
    """NVML cannot be used; the text is the reason for a person."""


_REASONS = {
    9: "the NVIDIA driver is not loaded (NVML: driver not loaded)",
    12: "libnvidia-ml.so.1 was not found: no NVIDIA driver is installed",
    4: "no permission to use the NVIDIA driver (NVML: insufficient permissions)",
    18: "the driver and libnvidia-ml.so.1 have different versions: reload the driver or reboot",
}


def open_nvml(nvml):
    """Initialise NVML.

    Raises:
        NvmlAbsent: with the reason.
    """
    if nvml is None:
        raise NvmlAbsent("the NVML binding could not be loaded")
    try:
        nvml.nvmlInit()
    except Exception as exc:
        code = getattr(exc, "value", None)
        raise NvmlAbsent(_REASONS.get(code, "NVML did not start: %s" % exc))


def versions(nvml):
    """{"driver", "cuda", "nvml"} as far as NVML tells them."""
    out = {}
    for name, call in (
        ("driver", "nvmlSystemGetDriverVersion"),
        ("nvml", "nvmlSystemGetNVMLVersion"),
        ("cuda", "nvmlSystemGetCudaDriverVersion_v2"),
    ):
        value = _ask(nvml, call)
        if isinstance(value, int):
            value = "%d.%d" % (value // 1000, value % 1000 // 10)
        if value is not None:
            out[name] = str(value)
    return out


def find_cards(nvml):
    """[Card, ...]: every card followed by its slices. A card that cannot be opened is left out and told in `lost`.

    Returns:
        (cards, lost): `lost` holds texts like "index 3: GPU is lost".
    """
    cards, lost = [], []
    for index in range(nvml.nvmlDeviceGetCount()):
        try:
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
            uuid = _text(nvml.nvmlDeviceGetUUID(handle))
            name = _text(nvml.nvmlDeviceGetName(handle))
        except Exception as exc:
            lost.append("index %d: %s" % (index, exc))
            continue
        mig_on = _is_mig_on(nvml, handle)
        card = Card(nvml, handle, uuid, index, name, mig_on=mig_on)
        card.facts.update(_facts(nvml, handle))
        cards.append(card)
        if mig_on:
            cards.extend(_slices(nvml, handle, uuid))
    return cards, lost


def layout_of(nvml, cards):
    """What a MIG change would change, cheap enough for the slow tier: [(uuid, mig mode, slice uuids), ...]."""
    out = []
    for card in cards:
        if not card.parent and not card.lost:
            on = _is_mig_on(nvml, card.handle)
            uuids = [u for u, _, _, _ in _slice_handles(nvml, card.handle)] if on else []
            out.append((card.uuid, on, tuple(uuids)))
    return out


def _is_mig_on(nvml, handle):
    try:
        return bool(nvml.nvmlDeviceGetMigMode(handle)[0])
    except Exception as exc:
        error_letter(exc)
        return False


def _slice_handles(nvml, handle):
    out = []
    try:
        count = nvml.nvmlDeviceGetMaxMigDeviceCount(handle)
    except Exception:  # no MIG on this card
        return out
    for place in range(count):
        try:
            child = nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, place)
            out.append((_text(nvml.nvmlDeviceGetUUID(child)), place, child, _text(nvml.nvmlDeviceGetName(child))))
        except Exception:  # an empty place
            continue
    return out


def _slices(nvml, handle, parent):
    out = []
    for uuid, place, child, name in _slice_handles(nvml, handle):
        instance = _ask(nvml, "nvmlDeviceGetGpuInstanceId", child)
        made = Card(nvml, child, uuid, place, name, parent=parent, gpu_instance=instance, mig_on=True)
        # GPM samples of a slice are taken on the card's handle with the instance's id.
        made._gpm._handle = handle
        made.facts["gpu_instance"] = "" if instance is None else str(instance)
        out.append(made)
    return out


_ARCHITECTURES = {
    2: "Kepler",
    3: "Maxwell",
    4: "Pascal",
    5: "Volta",
    6: "Turing",
    7: "Ampere",
    8: "Ada",
    9: "Hopper",
    10: "Blackwell",
}


def _facts(nvml, handle):
    facts = {}
    for name, call in (
        ("serial", "nvmlDeviceGetSerial"),
        ("vbios", "nvmlDeviceGetVbiosVersion"),
        ("inforom", "nvmlDeviceGetInforomImageVersion"),
        ("part_number", "nvmlDeviceGetBoardPartNumber"),
        ("minor", "nvmlDeviceGetMinorNumber"),
        ("numa_node", "nvmlDeviceGetNumaNodeId"),
        ("pcie_generation_max", "nvmlDeviceGetMaxPcieLinkGeneration"),
        ("pcie_width_max", "nvmlDeviceGetMaxPcieLinkWidth"),
    ):
        value = _ask(nvml, call, handle)
        if value is not None:
            facts[name] = _text(value) if isinstance(value, bytes) else str(value)
    pci = _ask(nvml, "nvmlDeviceGetPciInfo", handle)
    if pci is not None:
        facts["pci_bus_id"] = _text(pci.busId).lower()
    architecture = _ask(nvml, "nvmlDeviceGetArchitecture", handle)
    if architecture is not None:
        facts["architecture"] = _ARCHITECTURES.get(int(architecture), str(architecture))
    for name, kind in (("clock_sm_max", 1), ("clock_memory_max", 2)):
        clock = _ask(nvml, "nvmlDeviceGetMaxClockInfo", handle, kind)
        if clock is not None:
            facts[name] = "%d MHz" % clock
    capability = _ask(nvml, "nvmlDeviceGetCudaComputeCapability", handle)
    if capability is not None:
        facts["compute_capability"] = "%d.%d" % tuple(capability)
    return facts


def short_pci(card):
    """ "dddd:bb:dd" as the kernel's log writes it, or ""."""
    domain, _, rest = card.facts.get("pci_bus_id", "").partition(":")
    try:
        return "%04x:%s" % (int(domain, 16), rest.split(".")[0])
    except ValueError:
        return ""


def _ask(nvml, name, *arguments):
    try:
        return getattr(nvml, name)(*arguments)
    except Exception:  # a fact that cannot be had is left out
        return None
