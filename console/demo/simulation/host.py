"""The host of a simulated node: what the agent's HostReader tells, made up to fit the cards' work."""

from __future__ import annotations

import time
from typing import Any

from console.agent import columns
from console.agent.kernel import parse_xid
from console.demo.simulation.load import noise, wave
from console.demo.simulation.node import SimulatedNode

GIB = 1 << 30
_IB_PORTS = 4


class SimulatedKernel:
    """The kernel's log of a simulated node, for one reader."""

    source = "kmsg"

    def __init__(self, node: SimulatedNode) -> None:
        self._node = node
        self._seen = float("-inf")

    def poll(self) -> list[tuple[float, str, int, str]]:
        """New XIDs: (second since boot, pci, code, text)."""
        out = []
        for xid in self._node.xids(self._seen):
            self._seen = xid.at
            bus = self._node.cards[xid.card].pci[4:].lower().rsplit(".", 1)[0]
            text = f"NVRM: Xid (PCI:{bus}): {xid.code}, {xid.text}"
            found = parse_xid(text)
            if found is not None:
                out.append((xid.at - self._node.booted, found[0], found[1], text))
        return out

    def close(self) -> None:
        """Nothing to let go of."""


class SimulatedHost:
    """Answers as console.agent.host.HostReader does, to one agent."""

    def __init__(self, node: SimulatedNode) -> None:
        self._node = node
        self._has_ib = node.plan.sku.nvlinks > 0
        self._spent: tuple[float, float] | None = None

    def kernel_log(self) -> SimulatedKernel:
        """The simulated kernel's log."""
        return SimulatedKernel(self._node)

    def facts(self) -> dict[str, str]:
        """Facts, marked as simulated."""
        return {
            "hostname": self._node.plan.name,
            "boot_id": self._node.boot_id(),
            "cpu": "Intel(R) Xeon(R) Platinum 8480C" if self._has_ib else "AMD EPYC 9354 32-Core Processor",
            "cores": "224" if self._has_ib else "64",
            "kernel": "6.8.0-51-generic",
            "os": "Ubuntu 24.04.2 LTS",
            "simulated": "yes",
        }

    def uptime(self) -> float:
        """Seconds."""
        return self._node.uptime()

    def is_clock_synchronised(self) -> int:
        """Not on the node whose clock is off."""
        return int(self._node.plan.skew_s == 0.0)

    def fast(self, now: float, cost: dict[str, float]) -> tuple[list[Any], str | None]:
        """Values in the order of columns.HOST_FAST. The agent's own cost is the true one, simulation included."""
        node = self._node
        node.advance()
        t, seed = node.t, node.plan.seed
        busy = sum(c.doing.busy for c in node.cards) / max(1, len(node.cards))
        received, sent = self._ethernet(t)
        ib = self._infiniband()
        total = (2015 if self._has_ib else 503) * GIB
        found = {
            "cpu_utilization": round(6.0 + 24.0 * busy + 5.0 * wave(seed, t, 5.0), 1),
            "load1": round(4.0 + 60.0 * busy + 6.0 * wave(seed + 1, t, 30.0), 2),
            "host_memory_used": int((0.045 + 0.35 * busy + 0.01 * wave(seed + 6, t, 60.0)) * total),
            "host_memory_total": total,
            "swap_used": 0,
            "net_rx": received,
            "net_tx": sent,
            "disk_read": int(5.0e7 * wave(seed + 4, t, 12.0)),
            # A checkpoint is written by all cards of a job at once.
            "disk_write": int(1.0e7 * wave(seed + 5, t, 12.0) + 6.0e8 * sum(c.doing.host > 0.5 for c in node.cards)),
            "agent_cpu": self._own_share(now),
            "agent_fast_ms": cost.get("fast"),
            "agent_medium_ms": cost.get("medium"),
            "agent_slow_ms": cost.get("slow"),
        }
        if self._has_ib:
            found |= {"ib_rx": int(ib * _IB_PORTS), "ib_tx": int(ib * _IB_PORTS * 0.98)}
        return _row(columns.HOST_FAST, found)

    def _ethernet(self, t: float) -> tuple[int, int]:
        seed = self._node.plan.seed
        return int(2.0e6 + 6.0e7 * wave(seed + 2, t, 8.0)), int(1.0e6 + 3.0e7 * wave(seed + 3, t, 8.0))

    def _infiniband(self) -> float:
        """B/s a port."""
        return 3.1e9 * sum(c.doing.links for c in self._node.cards) / _IB_PORTS

    def _own_share(self, now: float) -> float | None:
        """Percent of a core that this agent's thread took since the call before."""
        spent, before = time.thread_time(), self._spent
        self._spent = (spent, now)
        if before is None or now <= before[1]:
            return None
        return round(max(0.0, 100.0 * (spent - before[0]) / (now - before[1])), 3)

    def slow(self, _now: float) -> tuple[list[Any], str | None]:
        """Values in the order of columns.HOST_SLOW."""
        found = {
            "disk_used": max(round(100.0 * d["used"] / d["size"], 1) for d in self._disks()),
            "net_errors": self._ethernet_errors(),
            "uptime": self.uptime(),
            "file_handles": 0.2,
            "ntp_synchronised": self.is_clock_synchronised(),
        }
        if self._has_ib:
            found |= {"ib_errors": 0, "ib_link_downed": 0, "ib_ports_active": _IB_PORTS}
        return _row(columns.HOST_SLOW, found)

    def _ethernet_errors(self) -> int:
        return int(4 * noise(self._node.plan.seed, 9))

    def _disks(self) -> list[dict[str, Any]]:
        size = 3520 * GIB
        share = 0.38 + 0.4 * noise(self._node.plan.seed, 8)
        return [
            {"mount": "/", "device": "/dev/md0", "fstype": "ext4", "size": 878 * GIB, "used": int(878 * GIB * 0.31)},
            {"mount": "/raid", "device": "/dev/md1", "fstype": "xfs", "size": size, "used": int(size * share)},
        ]

    def detail(self, _now: float) -> dict[str, Any]:
        """Disks and ports."""
        received, sent = self._ethernet(self._node.t)
        ports: list[dict[str, Any]] = [
            {"name": "eno1", "kind": "net", "state": "up", "speed": "25000 Mb/s", "rx": received, "tx": sent}
            | {"errors": self._ethernet_errors()}
        ]
        if self._has_ib:
            ib = self._infiniband()
            ports += [
                {"name": f"mlx5_{i}/1", "kind": "ib", "state": "4: ACTIVE", "speed": "400 Gb/sec (4X NDR)"}
                | {"rx": ib, "tx": ib * 0.98, "errors": 0}
                for i in range(_IB_PORTS)
            ]
        return {"disks": self._disks(), "ports": ports}

    def process_start(self, pid: int) -> float | None:
        """Unix second by the node's clock."""
        job = self._running().get(pid)
        return None if job is None else self._node.wall_at(self._node.job_began(job))

    def process(self, pid: int) -> dict[str, str]:
        """Owner, command line and cgroup of a job's process."""
        job = self._running().get(pid)
        if job is None:
            return {"user": "", "command": "", "cgroup": ""}
        cgroup = "0::/user.slice"
        if job.slurm_job:
            cgroup = f"0::/system.slice/slurmstepd.scope/job_{job.slurm_job}/step_0/user/task_0"
        elif job.pod:
            pod = job.pod.replace("-", "_")
            cgroup = f"0::/kubepods.slice/kubepods-pod{pod}.slice/cri-containerd-{job.container}.scope"
        return {"user": job.user, "command": job.command, "cgroup": cgroup}

    def _running(self) -> dict[int, Any]:
        cards = self._node.cards
        jobs = [c.running for c in cards] + [s.running for c in cards for s in c.slices]
        return {j.pid: j for j in jobs if j is not None}


def _row(names: tuple[str, ...], found: dict[str, Any]) -> tuple[list[Any], str | None]:
    letters = "".join("." if name in found else "n" for name in names)
    return [found.get(name) for name in names], None if "n" not in letters else letters
