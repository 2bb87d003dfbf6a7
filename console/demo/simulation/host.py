"""The host of a simulated node: what the agent's HostReader tells, made up to fit the cards' work."""

from __future__ import annotations

from typing import Any

from console.agent import columns
from console.agent.kernel import parse_xid
from console.demo.simulation.load import noise, wave
from console.demo.simulation.node import SimulatedNode

GIB = 1 << 30


class SimulatedKernel:
    """The kernel's log of a simulated node, for one reader."""

    source = "kmsg"

    def __init__(self, node: SimulatedNode) -> None:
        self._node = node
        self._seen = -1.0

    def poll(self) -> list[tuple[float, str, int, str]]:
        """New XIDs: (second since boot, pci, code, text)."""
        out = []
        for at, text in list(self._node.kernel):
            found = parse_xid(text)
            if at > self._seen and found is not None:
                out.append((at, found[0], found[1], text))
        if out:
            self._seen = out[-1][0]
        return out

    def close(self) -> None:
        """Nothing to let go of."""


class SimulatedHost:
    """Answers as console.agent.host.HostReader does."""

    def __init__(self, node: SimulatedNode) -> None:
        self._node = node
        self._started = node.wall()
        self._jobs = {c.job.pid: c.job for c in node.cards if c.job is not None}

    def kernel_log(self) -> SimulatedKernel:
        """The simulated kernel's log."""
        return SimulatedKernel(self._node)

    def facts(self) -> dict[str, str]:
        """Facts, marked as simulated."""
        return {
            "hostname": self._node.plan.name,
            "boot_id": self._node.boot_id(),
            "cpu": "Intel(R) Xeon(R) Platinum 8480C",
            "cores": "224",
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

    def fast(self, _now: float, cost: dict[str, float]) -> tuple[list[Any], str | None]:
        """Values in the order of columns.HOST_FAST."""
        node = self._node
        node.advance()
        t, seed = node.t, node.plan.seed
        busy = sum(c.doing.busy for c in node.cards) / max(1, len(node.cards))
        traffic = sum(c.doing.links for c in node.cards)
        found = {
            "cpu_utilization": round(6.0 + 24.0 * busy + 5.0 * wave(seed, t, 5.0), 1),
            "load1": round(4.0 + 60.0 * busy + 6.0 * wave(seed + 1, t, 30.0), 2),
            "host_memory_used": int((90 + 700 * busy + 20 * noise(seed, int(t / 60))) * GIB),
            "host_memory_total": 2015 * GIB,
            "swap_used": 0,
            "net_rx": int(2.0e6 + 6.0e7 * wave(seed + 2, t, 8.0)),
            "net_tx": int(1.0e6 + 3.0e7 * wave(seed + 3, t, 8.0)),
            "ib_rx": int(traffic * 3.1e9),
            "ib_tx": int(traffic * 3.0e9),
            "disk_read": int(5.0e7 * wave(seed + 4, t, 12.0) + 2.4e9 * sum(c.doing.host > 0.5 for c in node.cards)),
            "disk_write": int(1.0e7 * wave(seed + 5, t, 12.0)),
            "agent_cpu": 0.4,
            "agent_fast_ms": cost.get("fast"),
            "agent_medium_ms": cost.get("medium"),
            "agent_slow_ms": cost.get("slow"),
        }
        return [found[name] for name in columns.HOST_FAST], None

    def slow(self, _now: float) -> tuple[list[Any], str | None]:
        """Values in the order of columns.HOST_SLOW."""
        seed = self._node.plan.seed
        found = {
            "disk_used": round(38.0 + 45.0 * noise(seed, 8), 1),
            "net_errors": int(4 * noise(seed, 9)),
            "ib_errors": 0,
            "file_handles": 0.2,
            "uptime": self.uptime(),
            "ntp_synchronised": self.is_clock_synchronised(),
        }
        return [found[name] for name in columns.HOST_SLOW], None

    def detail(self, _now: float) -> dict[str, Any]:
        """Disks and ports."""
        seed = self._node.plan.seed
        share = 0.38 + 0.45 * noise(seed, 8)
        size = 3520 * GIB
        ports = [
            {"name": "eno1", "kind": "net", "state": "up", "speed": "25000 Mb/s", "rx": 3.1e7, "tx": 1.4e7, "errors": 0}
        ]
        ports += [
            {
                "name": f"mlx5_{i}/1",
                "kind": "ib",
                "state": "4: ACTIVE",
                "speed": "400 Gb/sec (4X NDR)",
                "rx": 2.0e9 * noise(seed, 20 + i),
                "tx": 2.0e9 * noise(seed, 30 + i),
                "errors": 0,
            }
            for i in range(4)
        ]
        disks = [
            {"mount": "/", "device": "/dev/md0", "fstype": "ext4", "size": 878 * GIB, "used": int(878 * GIB * 0.31)},
            {"mount": "/raid", "device": "/dev/md1", "fstype": "xfs", "size": size, "used": int(size * share)},
        ]
        return {"disks": disks, "ports": ports}

    def process_start(self, pid: int) -> float | None:
        """Unix second."""
        if pid not in self._jobs:
            return None
        return self._started - 3600.0 * (1 + pid % 5)

    def process(self, pid: int) -> dict[str, str]:
        """Owner, command line and cgroup of a job's process."""
        job = self._jobs.get(pid)
        if job is None:
            return {"user": "", "command": "", "cgroup": ""}
        cgroup = "0::/user.slice"
        if job.slurm_job:
            cgroup = f"0::/system.slice/slurmstepd.scope/job_{job.slurm_job}/step_0/user/task_0"
        elif job.pod:
            pod = job.pod.replace("-", "_")
            cgroup = f"0::/kubepods.slice/kubepods-pod{pod}.slice/cri-containerd-{job.container}.scope"
        return {"user": job.user, "command": job.command, "cgroup": cgroup}
