"""What does not change while a card is there: identity, place, limits."""

from .mig import as_text

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


def facts_of(nvml, handle):
    """{name: text} of a card; a fact that cannot be had is left out."""
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
        value = ask(nvml, call, handle)
        if value is not None:
            facts[name] = as_text(value) if isinstance(value, bytes) else str(value)
    pci = ask(nvml, "nvmlDeviceGetPciInfo", handle)
    if pci is not None:
        facts["pci_bus_id"] = as_text(pci.busId).lower()
    architecture = ask(nvml, "nvmlDeviceGetArchitecture", handle)
    if architecture is not None:
        facts["architecture"] = _ARCHITECTURES.get(int(architecture), str(architecture))
    for name, kind in (("clock_sm_max", 1), ("clock_memory_max", 2)):
        clock = ask(nvml, "nvmlDeviceGetMaxClockInfo", handle, kind)
        if clock is not None:
            facts[name] = "%d MHz" % clock
    capability = ask(nvml, "nvmlDeviceGetCudaComputeCapability", handle)
    if capability is not None:
        facts["compute_capability"] = "%d.%d" % tuple(capability)
    return facts


def ask(nvml, name, *arguments):
    """What an NVML call answers, or None."""
    try:
        return getattr(nvml, name)(*arguments)
    except Exception:  # a fact that cannot be had is left out
        return None
