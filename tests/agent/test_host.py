"""The host's readings over made-up /proc and /sys, hostile texts included."""

import itertools
import os
import string

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from console.agent import columns
from console.agent.host import HostReader
from console.agent.kernel import KernelLog
from console.agent.processes import MAX_COMMAND, Owners, fitting, user_name
from console.telemetry.wire import MAX_LINE

NET = "Inter-|   Receive |  Transmit\n face |bytes packets errs drop fifo frame compressed multicast|bytes ...\n"


class Root:
    """A root folder; `put` writes a file below it."""

    def __init__(self, path):
        self.path = path

    def put(self, name, text):
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())

    def reader(self):
        return HostReader(str(self.path))


@pytest.fixture
def root(tmp_path):
    return Root(tmp_path)


def interface(name, rx, tx, errors=0):
    return f"{name}: {rx} 1 {errors} 0 0 0 0 0 {tx} 1 0 0 0 0 0 0\n"


def fast(reader, now):
    values, letters = reader.fast(now, {"fast": 1.0})
    letters = letters or "." * len(values)
    return {n: (v, q) for n, v, q in zip(columns.HOST_FAST, values, letters, strict=True)}


def test_bonds_bridges_and_containers_do_not_count_bytes_twice(root):
    for name in ("eth0", "eth1"):
        root.put(f"sys/class/net/{name}/device/vendor", "0x15b3")
    root.put("proc/net/dev", NET + "".join(interface(n, 0, 0) for n in ("lo", "eth0", "eth1", "bond0", "veth1")))
    reader = root.reader()
    assert fast(reader, 10.0)["net_rx"] == (None, ".")
    rows = [interface("lo", 9e9, 9e9), *(interface(n, 1000, 500) for n in ("eth0", "eth1", "veth1"))]
    root.put("proc/net/dev", NET + "".join(rows).replace("9000000000.0", "9000000000") + interface("bond0", 2000, 1000))
    second = fast(reader, 12.0)
    assert (second["net_rx"], second["net_tx"]) == ((1000.0, "."), (500.0, "."))
    assert [p["name"] for p in reader.net_ports(1.0)] == ["eth0", "eth1"]


def test_in_a_container_every_interface_but_lo_counts(root):
    root.put("proc/net/dev", NET + interface("lo", 1, 1) + interface("eth0", 7, 8, errors=3))
    assert [(p["name"], p["errors"]) for p in root.reader().net_ports(None)] == [("eth0", 3)]


def test_a_counter_that_goes_back_gives_no_rate_once(root):
    reader = root.reader()
    seen = []
    for now, count in enumerate((1000, 3000, 10, 60)):
        root.put("proc/net/dev", NET + interface("eth0", count, 0))
        seen.append(fast(reader, float(now))["net_rx"][0])
    assert seen == [None, 2000.0, None, 50.0]


def test_infiniband_counts_words_of_four_bytes(root):
    reader = root.reader()
    assert fast(reader, 0.0)["ib_rx"] == (None, "n")
    for now, words in ((1.0, 0), (2.0, 250)):
        for name, text in (("port_rcv_data", str(words)), ("port_xmit_data", "7")):
            root.put(f"sys/class/infiniband/mlx5_0/ports/1/counters/{name}", text)
        found = fast(reader, now)
    assert (found["ib_rx"], found["ib_tx"]) == ((1000.0, "."), (0.0, "."))


def test_only_file_systems_on_this_machines_disks_are_asked(root, monkeypatch):
    asked = []
    real = os.statvfs
    monkeypatch.setattr(os, "statvfs", lambda path: asked.append(path) or real(path if "\0" in path else root.path))
    root.put(
        "proc/filesystems",
        "nodev\tproc\nnodev\tnfs4\n\text4\n\txfs\nnodev\tfuse\n\tfuseblk\nnodev\twekafs\nnodev\tzfs\n",
    )
    root.put(
        "proc/mounts",
        "/dev/sda1 / ext4 rw 0 0\n/dev/sda1 /again ext4 rw 0 0\nfiler:/x /home nfs4 rw 0 0\n/dev/sdb /a\\040b xfs rw 0 0\n"
        "/dev/fuse /f fuse.sshfs rw 0 0\n/dev/sdc /w fuseblk rw 0 0\n/x /weka wekafs rw 0 0\ntank/data /tank zfs rw 0 0\n"
        "/dev/sdd /nul\\000 ext4 rw 0 0\n/new /new futurefs rw 0 0\n",
    )
    assert [(d["mount"], d["fstype"]) for d in root.reader().disks()] == [
        ("/", "ext4"),
        ("/a b", "xfs"),
        ("/tank", "zfs"),
    ]
    assert [p for p in asked if "home" in p or "weka" in p or "/f" in p or "new" in p] == []


def test_the_owner_is_the_processs_uid_not_that_of_its_folder(root):
    root.put("proc/77/status", "Name:\tx\nUid:\t54321\t54321\t54321\t54321\n")
    root.put("proc/77/cmdline", b"train\0--lr\x001e-3\0")
    root.put("proc/77/cgroup", "0::/system.slice/slurmstepd.scope/job_9/step_0")
    found = Owners(root.reader()).describe([("GPU-1", 77, "compute", 5, None), ("GPU-1", 78, "mps", None, 3)])
    assert [(p["user"], p["command"], p["slurm_job"]) for p in found] == [
        ("54321", "train --lr 1e-3", "9"),
        ("", "", ""),
    ]
    assert [(p["memory"], p["util"]) for p in found] == [(5, None), (None, 3)]
    assert user_name(0) == "root"


def test_the_agents_own_share_is_finer_than_a_clock_tick(root):
    reader = root.reader()
    fast(reader, 0.0)
    for _ in itertools.repeat(None, 20000):
        pass
    share = fast(reader, 1.0)["agent_cpu"][0]
    assert share > 0.0
    assert share != round(share)


_texts = st.one_of(st.binary(max_size=200), st.text(string.digits + " :,.-\n/abcx", max_size=200).map(str.encode))
_FILES = (
    "proc/stat", "proc/loadavg", "proc/meminfo", "proc/net/dev", "proc/diskstats", "proc/mounts", "proc/filesystems",
    "proc/uptime", "proc/sys/fs/file-nr", "proc/9/stat", "proc/9/status", "proc/9/cgroup", "proc/9/cmdline", "etc/os-release",
)  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_texts, min_size=len(_FILES), max_size=len(_FILES)))
def test_no_text_in_proc_stops_the_reader(root, texts):
    for name, text in zip(_FILES, texts, strict=True):
        root.put(name, text)
    reader = root.reader()
    for now in (1.0, 2.0):
        assert len(reader.fast(now, {})[0]) == len(columns.HOST_FAST)
        assert len(reader.slow(now)[0]) == len(columns.HOST_SLOW)
    reader.detail(3.0)
    reader.facts()
    assert len(Owners(reader).describe([("u", 9, "compute", 1, None)])[0]["command"]) <= MAX_COMMAND


def test_as_many_processes_as_fit_a_line():
    row = {"uuid": "GPU-" + "0" * 36, "pid": 1, "kind": "compute", "command": "\U0001f600" * MAX_COMMAND, "user": "u"}
    kept = fitting([row] * 4096, 900000)
    assert 50 < len(kept) < 4096
    import json

    assert len(json.dumps(kept)) < MAX_LINE


def kernel_log(outputs):
    asked = []

    def run(command):
        asked.append(command[0])
        return outputs.get(command[0])

    return KernelLog("/nonexistent/kmsg", run), asked


LINE = "[ 12.500000] NVRM: Xid (PCI:0000:3b:00): 79, pid=1, GPU has fallen off the bus.\n"


def test_dmesg_first_then_the_journal_each_line_once():
    outputs = {"dmesg": LINE}
    log, asked = kernel_log(outputs)
    assert [(x[0], x[1], x[2]) for x in log.poll()] == [(12.5, "0000:3b:00", 79)]
    assert (log.source, log.poll()) == ("dmesg", [])
    outputs["dmesg"] = None
    outputs["journalctl"] = LINE + LINE.replace("12.5", "13.5").replace("] ", "] node kernel: ")
    assert [x[0] for x in log.poll()] == [13.5]
    assert (log.source, asked[-1]) == ("journal", "journalctl")


def test_an_empty_answer_is_no_source():
    log, _ = kernel_log({"dmesg": None, "journalctl": ""})
    assert (log.poll(), log.source) == ([], "")
