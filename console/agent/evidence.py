"""What a vendor asks for: the driver's own report, the kernel log, topology. Fixed commands; nothing on the node changes."""

import os
import subprocess

COMMANDS = (
    ("nvidia-smi-q", ["nvidia-smi", "-q"]),
    ("nvidia-smi", ["nvidia-smi"]),
    ("topology", ["nvidia-smi", "topo", "-m"]),
    ("nvlink", ["nvidia-smi", "nvlink", "-s"]),
    ("remapped-rows", ["nvidia-smi", "--query-remapped-rows=gpu_uuid,remapped_rows.correctable,"
                       "remapped_rows.uncorrectable,remapped_rows.pending,remapped_rows.failure", "--format=csv"]),
    ("pci", ["lspci", "-vv", "-d", "10de:"]),
    ("system", ["uname", "-a"]),
    ("uptime", ["uptime"]),
)  # fmt: skip
KERNEL = (["dmesg"], ["journalctl", "-k", "-b", "-o", "short-iso", "--no-pager", "-q"])
DRIVER = "/proc/driver/nvidia/version"
COMMAND_S = 20.0
MOST = 512 * 1024


def _run(command):
    """(status, text): a driver that hangs is not waited for."""
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except OSError as exc:
        return 127, "%s: %s" % (command[0], exc.strerror)
    try:
        out, _ = process.communicate(timeout=COMMAND_S)
    except subprocess.TimeoutExpired:
        process.kill()
        try:
            process.communicate(timeout=1.0)
        except subprocess.TimeoutExpired:
            pass  # in the kernel's hands; it ends with the driver's call
        return 124, "%s did not end within %d s" % (command[0], COMMAND_S)
    return process.returncode, out.decode("utf-8", "replace")


def _kernel_log(run):
    for command in KERNEL:
        status, text = run(command)
        if status == 0 and text.strip():
            return {"command": " ".join(command), "status": 0, "text": text[-MOST:]}
    return {
        "command": " or ".join(c[0] for c in KERNEL),
        "status": 1,
        "text": "this login may not read the kernel's log",
    }


def collect(run=_run):
    """{"parts": {name: {"command", "status", "text"}}}."""
    parts = {}
    for name, command in COMMANDS:
        status, text = run(command)
        parts[name] = {"command": " ".join(command), "status": status, "text": text[:MOST]}
    parts["kernel-log"] = _kernel_log(run)
    if os.path.exists(DRIVER):
        with open(DRIVER) as file:
            parts["driver"] = {"command": "cat " + DRIVER, "status": 0, "text": file.read(4096)}
    return {"parts": parts}
