"""Processes on cards: who they are and to which job, pod or container they belong. Text read here is hostile."""

import json
import re

from .verdict import FRESH, LOST, NOT_SUPPORTED, error_letter

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


class CardProcesses(object):
    """Lists the processes of one card or slice with the newest call the driver knows.

    A kind that is not supported is not asked again for RETRY_S: the graphics list is the dearest call there is.
    """

    KINDS = (
        ("compute", "nvmlDeviceGetComputeRunningProcesses"),
        ("graphics", "nvmlDeviceGetGraphicsRunningProcesses"),
        ("mps", "nvmlDeviceGetMPSComputeRunningProcesses"),
    )
    RETRY_S = 600.0

    def __init__(self, nvml, handle, is_slice):
        self._nvml = nvml
        self._handle = handle
        self._is_slice = is_slice
        self._calls = {}
        self._skip = {}
        self._seen_us = 0

    def read(self, now):
        """([(pid, kind, bytes or None, percent or None), ...], letter); letter `.` when the list is complete.

        Raises what NVML raises when the card is lost.
        """
        rows, letter, found_any = {}, FRESH, False
        for kind, name in self.KINDS:
            if self._skip.get(kind, 0.0) > now:
                continue
            try:
                found = self._list(kind, name)
                found_any = True
            except Exception as exc:
                bad = error_letter(exc)
                if bad == LOST:
                    raise
                if bad == NOT_SUPPORTED:
                    self._skip[kind] = now + self.RETRY_S
                else:
                    letter = bad
                continue
            for row in found:
                rows.setdefault(int(row.pid), (kind, row.usedGpuMemory))
        if not found_any and letter == FRESH:
            letter = NOT_SUPPORTED
        busy = self._utilization() if rows and not self._is_slice else {}
        listed = [
            (pid, kind, None if memory is None else int(memory), busy.get(pid))
            for pid, (kind, memory) in sorted(rows.items())
        ]
        return listed, letter

    def _list(self, kind, name):
        chosen = self._calls.get(kind)
        if chosen is not None:
            return chosen(self._handle)
        last = None
        # The unversioned call binds to _v3 only and raises a bare Exception where the driver lacks it.
        for suffix in ("_v3", "_v2"):
            call = getattr(self._nvml, name + suffix, None)
            if call is None:
                continue
            try:
                rows = call(self._handle)
            except Exception as exc:
                last = exc
                if error_letter(exc) != NOT_SUPPORTED:
                    raise
                continue
            self._calls[kind] = call
            return rows
        raise last if last is not None else NotImplementedError(name)

    def _utilization(self):
        """{pid: newest SM utilisation in percent}. An idle card answers NOT_FOUND, which is no error."""
        try:
            rows = self._nvml.nvmlDeviceGetProcessUtilization(self._handle, self._seen_us)
        except Exception:  # absence of a sample says nothing about the card
            return {}
        newest = {}
        for row in rows:
            stamp, share = int(row.timeStamp), int(row.smUtil)
            if share > 100 or stamp <= self._seen_us:
                continue
            if row.pid not in newest or newest[row.pid][0] < stamp:
                newest[row.pid] = (stamp, share)
        if newest:
            self._seen_us = max(stamp for stamp, _ in newest.values())
        return {pid: share for pid, (_, share) in newest.items()}


class Owners(object):
    """Who a process is: facts of a pid are read once. Reads /proc and the user database."""

    def __init__(self, host):
        self._host = host
        self._known = {}

    def describe(self, listed):
        """[process dict, ...] of [(uuid, pid, kind, bytes, percent), ...]; facts of pids not in it are dropped."""
        out, known = [], {}
        for uuid, pid, kind, memory, share in listed:
            key = (pid, self._host.process_start(pid))
            facts = known[key] = self._known.get(key) or self._facts(*key)
            out.append(dict(facts, uuid=uuid, pid=pid, kind=kind, memory=memory, util=share))
        self._known = known
        return out

    def _facts(self, pid, start):
        facts = self._host.process(pid)
        facts.update(owners_of(facts.pop("cgroup", "")))
        if start is not None:
            facts["started"] = start
        return facts


def fitting(rows, limit):
    """As many of the process dicts as stay within `limit` bytes of JSON."""
    room, out = limit, []
    for row in rows:
        room -= 240 + sum(len(json.dumps(v)) for v in row.values() if isinstance(v, str))
        if room < 0:
            break
        out.append(row)
    return out


def command_line(raw):
    """The text of /proc/PID/cmdline: arguments with spaces between, bounded."""
    text = raw.replace(b"\0", b" ").strip().decode("utf-8", "replace")
    return text[:MAX_COMMAND]


def user_name(uid):
    """The name of a uid, or the number itself where the node does not know it."""
    try:
        import pwd

        return pwd.getpwuid(uid).pw_name.encode("utf-8", "replace").decode("utf-8")
    except (ImportError, KeyError, OSError):
        return str(uid)
