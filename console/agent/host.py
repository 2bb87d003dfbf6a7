"""The host around the cards: /proc and /sys, never a command, never a network file system."""

import ctypes
import os
import platform
import re
import socket
import time

from . import columns
from .kernel import KernelLog
from .processes import command_line, user_name
from .rates import Rates
from .verdict import FRESH, NOT_SUPPORTED

# On a block device as /proc/filesystems tells it, and yet waiting for other machines or of no interest.
_NOT_LOCAL = ("gfs2", "ocfs2", "fuseblk", "squashfs", "iso9660", "gpfs", "mmfs")
_IB_ERRORS = ("symbol_error", "link_error_recovery", "link_downed", "port_rcv_errors", "local_link_integrity_errors")
_STA_UNSYNC = 0x40
_UID = re.compile(r"^Uid:\s+(\d+)", re.MULTILINE)
_ESCAPE = re.compile(r"\\([0-7]{3})")  # how /proc/mounts writes a space, a tab, a newline and a backslash


class HostReader(object):
    """Readings of one host, below `root` ("/" on a node)."""

    def __init__(self, root="/"):
        self._root = root
        self._rates = Rates()
        self._cpu = None
        self._self_before = None
        self._boot_wall = None
        self._hardware = {}

    def read_text(self, path, limit=1 << 20):
        """The text of a file below the root, or "" where it cannot be read."""
        try:
            with open(os.path.join(self._root, path), "rb") as file:
                return file.read(limit).decode("utf-8", "replace")
        except (OSError, ValueError):
            return ""

    def facts(self):
        """Facts that do not change while the host is up."""
        cpu = ""
        for line in self.read_text("proc/cpuinfo").splitlines():
            if line.startswith(("model name", "Model")):
                cpu = line.partition(":")[2].strip()
                break
        pairs = [line.split("=", 1) for line in self.read_text("etc/os-release").splitlines() if "=" in line]
        release = dict(pairs)
        return {
            "hostname": socket.gethostname(),
            "boot_id": self.boot_id(),
            "cpu": cpu,
            "cores": str(os.cpu_count() or ""),
            "kernel": platform.release(),
            "os": release.get("PRETTY_NAME", "").strip('"'),
        }

    def kernel_log(self):
        """The reader of the kernel's log, or None."""
        return KernelLog()

    def boot_id(self):
        """The kernel's id of this boot."""
        return self.read_text("proc/sys/kernel/random/boot_id").strip()

    def uptime(self):
        """Seconds since boot, or None."""
        return _first_float(self.read_text("proc/uptime"))

    def fast(self, now, cost):
        """(values, letters) of columns.HOST_FAST. `cost`: {"fast": ms, ...} of the agent's last passes."""
        found = {"load1": _first_float(self.read_text("proc/loadavg")), "cpu_utilization": self._cpu_share()}
        found.update(self._memory())
        found.update(self._network(now))
        found.update(self._infiniband(now))
        found.update(self._disks(now))
        found["agent_cpu"] = self._own_share(now)
        for tier in ("fast", "medium", "slow"):
            found["agent_%s_ms" % tier] = cost.get(tier)
        return _row(columns.HOST_FAST, found)

    def slow(self, now):
        """(values, letters) of columns.HOST_SLOW."""
        shares = [100.0 * d["used"] / d["size"] for d in self.disks() if d["size"]]
        handles = self.read_text("proc/sys/fs/file-nr").split()
        found = {
            "disk_used": max(shares) if shares else None,
            "net_errors": sum(p["errors"] for p in self.net_ports(None)),
            "uptime": self.uptime(),
            "ntp_synchronised": self.is_clock_synchronised(),
        }
        if len(handles) == 3 and all(h.isdigit() for h in handles) and int(handles[2]):
            found["file_handles"] = min(100.0, 100.0 * int(handles[0]) / int(handles[2]))
        ib = self.ib_ports(None)
        if ib:
            found["ib_errors"] = sum(p["errors"] for p in ib)
            found["ib_ports_active"] = sum("ACTIVE" in p["state"] for p in ib)
            found["ib_link_downed"] = sum(self._ib_downed(p["name"]) for p in ib)
        return _row(columns.HOST_SLOW, {k: v for k, v in found.items() if v is not None})

    def _cpu_share(self):
        parts = self.read_text("proc/stat", 4096).split("\n", 1)[0].split()
        if len(parts) < 5 or parts[0] != "cpu":
            return None
        ticks = [int(p) for p in parts[1:9]]
        total, idle = sum(ticks), ticks[3] + (ticks[4] if len(ticks) > 4 else 0)
        before, self._cpu = self._cpu, (total, idle)
        if before is None or total <= before[0]:
            return None
        return min(100.0, max(0.0, 100.0 * (1.0 - (idle - before[1]) / float(total - before[0]))))

    def _memory(self):
        kib = {}
        for line in self.read_text("proc/meminfo").splitlines():
            name, _, rest = line.partition(":")
            number = rest.split()
            if number and number[0].isdigit():
                kib[name] = int(number[0])
        out = {}
        if "MemTotal" in kib:
            free = kib.get("MemAvailable", kib.get("MemFree", 0))
            out = {"host_memory_total": kib["MemTotal"] * 1024, "host_memory_used": (kib["MemTotal"] - free) * 1024}
        if "SwapTotal" in kib:
            out["swap_used"] = (kib["SwapTotal"] - kib.get("SwapFree", 0)) * 1024
        return out

    def _network(self, now):
        rx = tx = 0
        for _, counts in self._own_interfaces():
            rx, tx = rx + counts[0], tx + counts[8]
        return {"net_rx": self._rates.rate("net_rx", rx, now), "net_tx": self._rates.rate("net_tx", tx, now)}

    def _net_dev(self):
        for line in self.read_text("proc/net/dev").splitlines()[2:]:
            name, _, rest = line.partition(":")
            counts = rest.split()
            if name.strip() != "lo" and len(counts) >= 16 and all(c.isdigit() for c in counts):
                yield name.strip(), [int(c) for c in counts]

    def _own_interfaces(self):
        """Interfaces with hardware behind them: bonds, bridges and containers' ends would count the same bytes twice.

        All but lo where none has hardware: inside a container.
        """
        found = list(self._net_dev())
        real = [f for f in found if self._has_hardware(f[0])]
        return real or found

    def _has_hardware(self, name):
        if name not in self._hardware:
            if len(self._hardware) > 4096:  # nodes make and drop interfaces of containers for months
                self._hardware.clear()
            self._hardware[name] = os.path.exists(os.path.join(self._root, "sys/class/net", name, "device"))
        return self._hardware[name]

    def net_ports(self, now):
        """Network interfaces with state, speed, rates (None where `now` is) and errors since boot."""
        out = []
        for name, counts in self._own_interfaces():
            speed = self.read_text("sys/class/net/%s/speed" % name).strip()
            out.append(
                {
                    "name": name,
                    "kind": "net",
                    "state": self.read_text("sys/class/net/%s/operstate" % name).strip() or "unknown",
                    "speed": "" if not speed or speed.startswith("-") else speed + " Mb/s",
                    "rx": None if now is None else self._rates.rate("r" + name, counts[0], now),
                    "tx": None if now is None else self._rates.rate("t" + name, counts[8], now),
                    "errors": counts[2] + counts[3] + counts[10] + counts[11],
                }
            )
        return out

    def _infiniband(self, now):
        ports = self._ib_counters()
        if not ports:
            return {}
        rx, tx = sum(p[1] for p in ports), sum(p[2] for p in ports)
        return {"ib_rx": self._rates.rate("ib_rx", rx, now), "ib_tx": self._rates.rate("ib_tx", tx, now)}

    def _ib_counters(self):
        """[("mlx5_0/1", received bytes, sent bytes)]. The kernel's data counters count 4-byte words."""
        out = []
        base = os.path.join(self._root, "sys/class/infiniband")
        for device in _names(base):
            for port in _names(os.path.join(base, device, "ports")):
                at = "sys/class/infiniband/%s/ports/%s/counters/" % (device, port)
                rx, tx = self.read_text(at + "port_rcv_data").strip(), self.read_text(at + "port_xmit_data").strip()
                if rx.isdigit() and tx.isdigit():
                    out.append((device + "/" + port, int(rx) * 4, int(tx) * 4))
        return out

    def ib_ports(self, now):
        """InfiniBand ports with state, rate, B/s (None where `now` is) and errors."""
        out = []
        for name, rx, tx in self._ib_counters():
            at = "sys/class/infiniband/%s/" % name.replace("/", "/ports/")
            errors = [self.read_text(at + "counters/" + e).strip() for e in _IB_ERRORS]
            out.append(
                {
                    "name": name,
                    "kind": "ib",
                    "state": self.read_text(at + "state").strip() or "unknown",
                    "speed": self.read_text(at + "rate").strip(),
                    "rx": None if now is None else self._rates.rate("r" + name, rx, now),
                    "tx": None if now is None else self._rates.rate("t" + name, tx, now),
                    "errors": sum(int(e) for e in errors if e.isdigit()),
                }
            )
        return out

    def _ib_downed(self, name):
        """How often a port's link went down since boot; a count that cannot be read is none."""
        at = "sys/class/infiniband/%s/counters/link_downed" % name.replace("/", "/ports/")
        text = self.read_text(at).strip()
        return int(text) if text.isdigit() else 0

    def _disks(self, now):
        read = written = 0
        for line in self.read_text("proc/diskstats").splitlines():
            parts = line.split()
            if len(parts) < 10 or parts[2].startswith(("loop", "ram", "zram", "dm-", "md")):
                continue
            if os.path.isdir(os.path.join(self._root, "sys/block", parts[2])):
                read, written = read + int(parts[5]) * 512, written + int(parts[9]) * 512
        return {
            "disk_read": self._rates.rate("disk_read", read, now),
            "disk_write": self._rates.rate("disk_write", written, now),
        }

    def disks(self):
        """Local file systems with size and use in bytes. Network ones are left out: a dead server would hang us."""
        out, seen = [], set()
        # A kind on a block device of this machine; whatever else there is may be served by a machine that is down.
        kinds = [line.split() for line in self.read_text("proc/filesystems").splitlines()]
        local = ({k[0] for k in kinds if len(k) == 1} | {"zfs"}) - set(_NOT_LOCAL)
        for line in self.read_text("proc/mounts").splitlines():
            parts = line.split()
            if len(parts) < 3 or parts[0] in seen or parts[2] not in local:
                continue
            mount = _ESCAPE.sub(lambda found: chr(int(found.group(1), 8)), parts[1])
            try:
                space = os.statvfs(os.path.join(self._root, mount.lstrip("/")))
            except (OSError, ValueError):
                continue
            seen.add(parts[0])
            size = space.f_blocks * space.f_frsize
            used = (space.f_blocks - space.f_bfree) * space.f_frsize
            out.append({"mount": mount, "device": parts[0], "fstype": parts[2], "size": size, "used": used})
        return out[:64]

    def detail(self, now):
        """Disks and ports for the detail line."""
        return {"disks": self.disks(), "ports": self.net_ports(now)[:64] + self.ib_ports(now)[:64]}

    def is_clock_synchronised(self):
        """1 or 0 as the kernel's clock discipline says, None where it cannot be asked."""
        try:
            libc = ctypes.CDLL(None)
            buffer = ctypes.create_string_buffer(512)  # struct timex with modes = 0: read only
            if libc.adjtimex(buffer) < 0:
                return None
            # struct timex on 64-bit: modes(4+4) offset freq maxerror esterror (4 x 8) status(4)
            at = 40 if ctypes.sizeof(ctypes.c_long) == 8 else 20
            status = ctypes.c_int.from_buffer(buffer, at).value
            return 0 if status & _STA_UNSYNC else 1
        except (OSError, AttributeError, ValueError):
            return None

    def _own_share(self, now):
        # os.times() counts hundredths of a second, which is a whole percent at 1 Hz; it is only good for children.
        spent = time.process_time() + sum(os.times()[2:4])
        before, self._self_before = self._self_before, (spent, now)
        if before is None or now <= before[1]:
            return None
        return max(0.0, 100.0 * (spent - before[0]) / (now - before[1]))

    def process_start(self, pid):
        """Unix second at which a process started, or None."""
        stat = self.read_text("proc/%d/stat" % pid, 4096)
        parts = stat.rpartition(")")[2].split()
        if len(parts) < 20:
            return None
        if self._boot_wall is None:
            for line in self.read_text("proc/stat").splitlines():
                if line.startswith("btime "):
                    self._boot_wall = int(line.split()[1])
        if self._boot_wall is None:
            return None
        return self._boot_wall + int(parts[19]) / float(os.sysconf("SC_CLK_TCK"))

    def process(self, pid):
        """{"user", "command", "cgroup"} of a process; a pid of another namespace gives empty texts."""
        # Not the owner of /proc/PID: that is root for a process that may not be dumped.
        uid = _UID.search(self.read_text("proc/%d/status" % pid, 4096))
        if uid is None:
            return {"user": "", "command": "", "cgroup": ""}
        name = user_name(int(uid.group(1)))
        command = command_line(self.read_text("proc/%d/cmdline" % pid, 4096).encode("utf-8", "replace"))
        if not command:
            command = self.read_text("proc/%d/comm" % pid, 256).strip()
        return {"user": name, "command": command, "cgroup": self.read_text("proc/%d/cgroup" % pid, 65536)}


def _names(path):
    try:
        return sorted(os.listdir(path))
    except OSError:
        return []


def _first_float(text):
    try:
        return float(text.split()[0])
    except (IndexError, ValueError):
        return None


def _row(names, found):
    """Values and letters: what was not found at all is not supported here, None has no value yet."""
    values = [round(v, 3) if isinstance(v, float) else v for v in (found.get(name) for name in names)]
    letters = "".join(FRESH if name in found else NOT_SUPPORTED for name in names)
    return values, (None if letters.count(FRESH) == len(letters) else letters)
