"""XIDs and their kin, from NVML's event set and the kernel's log, each told once."""

from .mig import as_text
from .verdict import error_letter

XID_CRITICAL = 0x8  # nvmlEventTypeXidCriticalError
DUPLICATE_WITHIN_S = 10.0
_TIMEOUT = 10


class EventSet(object):
    """NVML's event set over all cards. Events from before its making are lost; the kernel's log has those.

    Attributes:
        reason: why there is none, or "".
    """

    def __init__(self, nvml, cards):
        self._nvml = nvml
        self._set = None
        self.reason = ""
        try:
            self._set = nvml.nvmlEventSetCreate()
        except Exception as exc:
            self.reason = str(exc)
            return
        registered = 0
        for card in cards:
            if card.parent:
                continue
            try:
                wanted = XID_CRITICAL & nvml.nvmlDeviceGetSupportedEventTypes(card.handle)
                if wanted:
                    nvml.nvmlDeviceRegisterEvents(card.handle, wanted, self._set)
                    registered += 1
            except Exception as exc:
                self.reason = "%s: %s" % (card.uuid, exc)
        if not registered:
            self.close()

    @property
    def is_open(self):
        """Whether `wait` can tell anything."""
        return self._set is not None

    def wait(self, timeout_ms):
        """(uuid, XID) or None at the time-out. Closes itself when NVML says that a card is lost or fails."""
        if self._set is None:
            return None
        try:
            data = self._nvml.nvmlEventSetWait_v2(self._set, timeout_ms)
        except Exception as exc:
            if getattr(exc, "value", None) != _TIMEOUT:
                self.reason = str(exc)
                self.close()
            return None
        if not data.eventType & XID_CRITICAL:
            return None
        try:
            uuid = as_text(self._nvml.nvmlDeviceGetUUID(data.device))
        except Exception as exc:
            self.reason = error_letter(exc)
            uuid = ""
        return uuid, int(data.eventData)

    def close(self):
        """Free the set."""
        if self._set is not None:
            chosen, self._set = self._set, None
            try:
                self._nvml.nvmlEventSetFree(chosen)
            except Exception as exc:
                self.reason = str(exc)


class XidLog(object):
    """Tells apart an XID seen twice (event set and kernel log) from one that came twice."""

    def __init__(self):
        self._told = []

    def is_new(self, uuid, code, at, source):
        """Whether this XID was not told by the other source within DUPLICATE_WITHIN_S of `at` (wall seconds)."""
        # By number, not by age: the kernel's log since boot must not push out what NVML just told.
        del self._told[:-500]
        for place, (u, c, t, s) in enumerate(self._told):
            if u == uuid and c == code and s != source and abs(t - at) <= DUPLICATE_WITHIN_S:
                del self._told[place]
                return False
        self._told.append((uuid, code, at, source))
        return True
