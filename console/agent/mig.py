"""MIG: whether it is on and which slices a card has."""


def is_on(nvml, handle):
    """Whether MIG is on now; False where the card knows no MIG."""
    try:
        return bool(nvml.nvmlDeviceGetMigMode(handle)[0])
    except Exception:  # a card without MIG
        return False


def slices_of(nvml, handle):
    """[(uuid, place, handle, name), ...] of the slices of a card, by place."""
    out = []
    try:
        count = nvml.nvmlDeviceGetMaxMigDeviceCount(handle)
    except Exception:  # no MIG on this card
        return out
    for place in range(count):
        try:
            child = nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, place)
            out.append((as_text(nvml.nvmlDeviceGetUUID(child)), place, child, as_text(nvml.nvmlDeviceGetName(child))))
        except Exception:  # an empty place
            continue
    return out


def as_text(value):
    """NVML's text as str; older bindings give bytes."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
