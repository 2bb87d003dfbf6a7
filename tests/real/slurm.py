"""A real Slurm on loopback: munge with its own socket, one controller, several slurmd with eight fake GPUs each."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.real.openssh import free_port

PROGRAMS = ("/usr/sbin/slurmctld", "/usr/sbin/slurmd", "/usr/sbin/munged", "/usr/bin/scontrol", "/usr/bin/sbatch")


def why_not() -> str:
    """Why a real Slurm cannot be run here, or ""."""
    missing = [p for p in PROGRAMS if not Path(p).exists()]
    if missing:
        return f"{', '.join(missing)} is not installed"
    return "" if os.geteuid() == 0 else "slurmd needs root"


@dataclass
class Cluster:
    """`nodes` slurmds in `folder`; use as a context."""

    folder: Path
    nodes: int = 2
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def env(self) -> dict[str, str]:
        return {**os.environ, "SLURM_CONF": str(self.folder / "slurm.conf")}

    def name(self, number: int) -> str:
        return f"gpu{number:02d}"

    def __enter__(self) -> Cluster:
        self.folder.mkdir(parents=True)
        for path in (self.folder, *self.folder.parents):
            if path == Path("/tmp"):
                break
            path.chmod(0o755)
        try:
            self._munge()
            self._slurm()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _munge(self) -> None:
        place = self.folder / "munge"
        place.mkdir(mode=0o755)
        (place / "key").write_bytes(os.urandom(1024))
        (place / "key").chmod(0o400)
        shutil.chown(place, "munge", "munge")
        shutil.chown(place / "key", "munge", "munge")
        self._start([
            "runuser", "-u", "munge", "--", "/usr/sbin/munged", "--foreground", f"--key-file={place}/key",
            f"--socket={place}/munge.sock", f"--pid-file={place}/pid", f"--log-file={place}/log",
            f"--seed-file={place}/seed", "--force",
        ])  # fmt: skip
        self._wait(lambda: (place / "munge.sock").exists(), "munge")

    def _slurm(self) -> None:
        host, folder = socket.gethostname().split(".")[0], self.folder
        names = [self.name(i + 1) for i in range(self.nodes)]
        for name in names:
            (folder / "spool" / name).mkdir(parents=True)
        (folder / "state").mkdir()
        for i in range(8):
            (folder / f"nv{i}").touch()
        lines = [
            "ClusterName=test", f"AuthInfo=socket={folder}/munge/munge.sock", f"SlurmctldHost={host}(127.0.0.1)",
            f"SlurmctldPort={free_port()}", "SlurmUser=root", "SlurmdUser=root", f"StateSaveLocation={folder}/state",
            f"SlurmdSpoolDir={folder}/spool/%n", f"SlurmctldPidFile={folder}/ctld.pid",
            f"SlurmdPidFile={folder}/slurmd.%n.pid", f"SlurmctldLogFile={folder}/ctld.log",
            f"SlurmdLogFile={folder}/slurmd.%n.log", "ProctrackType=proctrack/linuxproc", "TaskPlugin=task/none",
            "SelectType=select/cons_tres", "SelectTypeParameters=CR_Core", "GresTypes=gpu", "ReturnToService=2",
            "MailProg=/bin/true", "KillWait=2", "RebootProgram=/bin/true",
        ]  # fmt: skip
        lines += [
            f"NodeName={n} NodeHostname={host} NodeAddr=127.0.0.1 Port={free_port()} CPUs=2 RealMemory=500 Gres=gpu:8"
            for n in names
        ]
        lines.append("PartitionName=main Nodes=ALL Default=YES State=UP OverSubscribe=FORCE:8")
        (folder / "slurm.conf").write_text("\n".join(lines) + "\n")
        gres = [f"NodeName={n} Name=gpu File={folder}/nv[0-7]" for n in names]
        (folder / "gres.conf").write_text("\n".join(gres) + "\n")
        self._start(["/usr/sbin/slurmctld", "-D", "-f", str(folder / "slurm.conf")])
        for name in names:
            self._start(["/usr/sbin/slurmd", "-D", "-N", name, "-f", str(folder / "slurm.conf")])
        self._wait(lambda: self.run("sinfo", "-h", "-o", "%T").split() == ["idle"], "idle nodes")

    def _start(self, command: list[str]) -> None:
        with (self.folder / "out").open("ab") as out:
            self.processes.append(
                subprocess.Popen(command, stdout=out, stderr=out, env=self.env, start_new_session=True)
            )

    def _wait(self, is_so: object, what: str, seconds: float = 60.0) -> None:
        end = time.monotonic() + seconds
        while not is_so():  # type: ignore[operator]
            if time.monotonic() > end:
                raise TimeoutError(f"Slurm: no {what} within {seconds:.0f} s; see {self.folder}")
            time.sleep(0.2)

    def run(self, *command: str) -> str:
        """The output of a Slurm command."""
        done = subprocess.run(command, capture_output=True, text=True, env=self.env, timeout=30, check=False)
        return done.stdout + done.stderr

    def job(self, node: str, cards: int = 2, seconds: int = 300) -> str:
        """A job that runs on a node; its id."""
        out = self.run(
            "sbatch", "--parsable", "-o", "/dev/null", f"--gres=gpu:{cards}", "-w", node, "--wrap", f"sleep {seconds}"
        )
        self._wait(lambda: self.run("squeue", "-h", "-j", out.strip(), "-o", "%T").strip() == "RUNNING", "running job")
        return out.strip()

    def __exit__(self, *_: object) -> None:
        for process in reversed(self.processes):
            try:
                os.killpg(process.pid, signal.SIGTERM)
                process.wait(5)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                process.kill()
                process.wait()
        self.processes.clear()
