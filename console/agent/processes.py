"""Processes on cards: who they are and to which job, pod or container they belong. Text read here is hostile."""

import re

from .verdict import FRESH, NOT_SUPPORTED, error_letter

MAX_COMMAND = 512

_SLURM = re.compile(r"/job_(\d{1,12})(?:/|$)")
_POD = re.compile(r"pod([0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12})")
_CONTAINER = re.compile(r"(?:^|[/-])([0-9a-f]{64})(?:\.scope)?(?:/|$)", re.MULTILINE)


def owners_of(cgroup):
    """{"slurm_job", "pod", "container"}: ids found in the text of /proc/PID/cgroup (v1 and v2), "" where none is.

    Slurm: /slurm/uid_1000/job_4411/ and /system.slice/slurmstepd.scope/job_4411/. Kubernetes: ...pod<uid>... with `_`
    for `-` under systemd. Docker, containerd, CRI-O, podman: a 64-digit hexadecimal id.
    """
    slurm = _SLURM.search(cgroup) if "slurm" in cgroup else None
    pod = _POD.search(cgroup) if "kubepods" in cgroup else None
    container = _CONTAINER.search(cgroup)
    return {
        "slurm_job": slurm.group(1) if slurm else "",
        "pod": pod.group(1).replace("_", "-") if pod else "",
        "container": container.group(1) if container else "",
    }


class ProcessReader(object):
    """Lists the processes of a card with the newest call the driver knows. Facts of a pid are read once."""

    KINDS = (
        ("compute", "nvmlDeviceGetComputeRunningProcesses"),
        ("graphics", "nvmlDeviceGetGraphicsRunningProcesses"),
        ("mps", "nvmlDeviceGetMPSComputeRunningProcesses"),
    )

    def __init__(self, nvml, host):
        self._nvml = nvml
        self._host = host
        self._calls = {}
        self._known = {}
        self._seen_us = {}

    def read(self, card):
        """([process dict, ...], letter) of one card or slice; letter `.` when the list is complete."""
        rows, letter, found_any = {}, FRESH, False
        for kind, name in self.KINDS:
            try:
                found = self._list(kind, name, card.handle)
                found_any = True
            except Exception as exc:
                bad = error_letter(exc)
                if bad != NOT_SUPPORTED:
                    letter = bad
                continue
            for row in found:
                rows.setdefault(int(row.pid), (kind, row))
        if not found_any and letter == FRESH:
            letter = NOT_SUPPORTED
        busy = self._utilization(card) if rows and not card.parent else {}
        return [self._describe(card, pid, kind, row, busy) for pid, (kind, row) in sorted(rows.items())], letter

    def forget(self, living):
        """Drop facts of pids that are not in `living`."""
        for key in [k for k in self._known if k[0] not in living]:
            del self._known[key]

    def _list(self, kind, name, handle):
        chosen = self._calls.get(kind)
        if chosen is not None:
            return chosen(handle)
        last = None
        # The unversioned call binds to _v3 only and raises a bare Exception where the driver lacks it.
        for suffix in ("_v3", "_v2"):
            call = getattr(self._nvml, name + suffix, None)
            if call is None:
                continue
            try:
                rows = call(handle)
            except Exception as exc:
                last = exc
                if error_letter(exc) != NOT_SUPPORTED:
                    raise
                continue
            self._calls[kind] = call
            return rows
        raise last if last is not None else NotImplementedError(name)

    def _utilization(self, card):
        """{pid: newest SM utilisation in percent}. An idle card answers NOT_FOUND, which is no error."""
        since = self._seen_us.get(card.uuid, 0)
        try:
            rows = self._nvml.nvmlDeviceGetProcessUtilization(card.handle, since)
        except Exception:  # absence of a sample says nothing about the card
            return {}
        newest = {}
        for row in rows:
            stamp, share = int(row.timeStamp), int(row.smUtil)
            if share > 100 or stamp <= since:
                continue
            if row.pid not in newest or newest[row.pid][0] < stamp:
                newest[row.pid] = (stamp, share)
        if newest:
            self._seen_us[card.uuid] = max(stamp for stamp, _ in newest.values())
        return {pid: share for pid, (_, share) in newest.items()}

    def _describe(self, card, pid, kind, row, busy):
        memory = row.usedGpuMemory
        facts = self._facts(pid)
        out = {"uuid": card.uuid, "pid": pid, "kind": kind, "memory": None if memory is None else int(memory)}
        out.update(facts)
        if pid in busy:
            out["util"] = busy[pid]
        return out

    def _facts(self, pid):
        start = self._host.process_start(pid)
        key = (pid, start)
        if key not in self._known:
            facts = self._host.process(pid)
            facts.update(owners_of(facts.pop("cgroup", "")))
            if start is not None:
                facts["started"] = start
            self._known[key] = facts
        return self._known[key]


def command_line(raw):
    """The text of /proc/PID/cmdline: arguments with spaces between, bounded."""
    text = raw.replace(b"\0", b" ").strip().decode("utf-8", "replace")
    return text[:MAX_COMMAND]


def user_name(uid):
    """The name of a uid, or the number itself where the node does not know it."""
    try:
        import pwd

        return pwd.getpwuid(uid).pw_name
    except (ImportError, KeyError, OSError):
        return str(uid)
