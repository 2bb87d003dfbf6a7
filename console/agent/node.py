"""The cards of a node: NVML opened, cards and slices found, facts read; or the reason why there are none."""

from . import mig
from .card import Card
from .facts import ask


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
        value = ask(nvml, call)
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
            uuid = mig.as_text(nvml.nvmlDeviceGetUUID(handle))
            name = mig.as_text(nvml.nvmlDeviceGetName(handle))
        except Exception as exc:
            lost.append("index %d: %s" % (index, exc))
            continue
        card = Card(nvml, handle, uuid, index, name, mig_on=mig.is_on(nvml, handle))
        cards.append(card)
        if card.layout[0]:
            slices = list(_slices(nvml, handle, uuid))
            card.layout = (True, tuple(s.uuid for s in slices))
            cards.extend(slices)
    return cards, lost


def _slices(nvml, handle, parent):
    for uuid, place, child, name in mig.slices_of(nvml, handle):
        instance = ask(nvml, "nvmlDeviceGetGpuInstanceId", child)
        # GPM samples of a slice are taken on the card's handle with the instance's id.
        made = Card(nvml, child, uuid, place, name, parent, instance, mig_on=True, gpm_handle=handle)
        made.facts["gpu_instance"] = "" if instance is None else str(instance)
        yield made


def short_pci(card):
    """ "dddd:bb:dd" as the kernel's log writes it, or ""."""
    domain, _, rest = card.facts.get("pci_bus_id", "").partition(":")
    try:
        return "%04x:%s" % (int(domain, 16), rest.split(".")[0])
    except ValueError:
        return ""
