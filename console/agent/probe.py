"""What `fleet check` asks of a node once the connection stands."""

import platform

from .node import NvmlAbsent, open_nvml, versions


def probe(nvml, host, wall):
    """[{"name", "status" ok|warn|fail|unknown, "text"}, ...] in the order a person would look."""
    checks = [_check("python", "ok", "Python %s" % platform.python_version())]
    facts = host.facts()
    checks.append(_check("host", "ok", "%s, %s, up %s s" % (facts["hostname"], facts["os"], int(host.uptime() or 0))))
    try:
        open_nvml(nvml)
    except NvmlAbsent as exc:
        checks.append(_check("nvml", "fail", str(exc)))
        for name in ("driver", "cards", "persistence"):
            checks.append(_check(name, "unknown", "not asked: NVML is not there"))
    else:
        found = versions(nvml)
        checks.append(_check("nvml", "ok", "NVML %s" % found.get("nvml", "of unknown version")))
        checks.append(_check("driver", "ok", "driver %s, CUDA %s" % (found.get("driver", "?"), found.get("cuda", "?"))))
        checks.extend(_cards(nvml))
    synchronised = host.is_clock_synchronised()
    if synchronised is None:
        checks.append(_check("ntp", "unknown", "the kernel does not say whether the clock is synchronised"))
    else:
        text = "the clock is synchronised" if synchronised else "the clock is not synchronised"
        checks.append(_check("ntp", "ok" if synchronised else "warn", text))
    checks.append(_check("clock", "ok", "%.6f" % wall()))
    return checks


def _cards(nvml):
    try:
        count = nvml.nvmlDeviceGetCount()
    except Exception as exc:
        yield _check("cards", "fail", "NVML cannot count the cards: %s" % exc)
        yield _check("persistence", "unknown", "not asked: there are no cards to ask")
        return
    names, off, bad = {}, 0, []
    for index in range(count):
        try:
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
            name = nvml.nvmlDeviceGetName(handle)
            name = name.decode("utf-8", "replace") if isinstance(name, bytes) else name
            names[name] = names.get(name, 0) + 1
            off += 0 if nvml.nvmlDeviceGetPersistenceMode(handle) else 1
        except Exception as exc:
            bad.append("card %d: %s" % (index, exc))
    text = ", ".join("%d x %s" % (n, name) for name, n in sorted(names.items())) or "no cards"
    yield _check("cards", "fail" if bad or not count else "ok", "; ".join([text] + bad))
    if off:
        yield _check("persistence", "warn", "persistence mode is off on %d of %d cards" % (off, count))
    else:
        yield _check("persistence", "ok" if count else "unknown", "persistence mode is on")


def _check(name, status, text):
    return {"name": name, "status": status, "text": text[:500]}
