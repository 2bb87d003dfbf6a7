"""Answers one question of the console and ends: the card book, the proof that a card is idle, a fixed privileged verb."""

import json
import os
import pwd
import re
import struct
import subprocess
import sys

from .book import Refused, answer_book

HELPER = "/usr/local/sbin/cardkeeper-node"
DEVICE = "/dev/nvidia%d"
UUID = re.compile(r"(GPU|MIG)-[A-Za-z0-9/-]{1,80}")
MODES = {"default": "0", "prohibited": "2", "exclusive_process": "3"}
HELPER_S = 60.0
PROGRAMS = ("scontrol", "squeue", "sinfo")
USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}")
MOST_OUTPUT = 1 << 20


def _known_uuid(value):
    text = str(value)
    if not UUID.fullmatch(text):
        raise Refused("bad", "%r is not the UUID of a card" % text[:80])
    return text


def _run(arguments, timeout=HELPER_S, most=2000):
    """(status, output) of a program; never through a shell."""
    try:
        process = subprocess.Popen(
            arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
    except OSError as exc:
        return 127, "%s: %s" % (arguments[0], exc.strerror)
    try:
        out, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return 124, "%s did not end within %d s" % (arguments[0], timeout)
    return process.returncode, out.decode("utf-8", "replace").strip()[-most:]


def helper_command(helper=HELPER):
    """How this login reaches the privileged helper: [] where it cannot."""
    if not os.path.isfile(helper):
        return []
    if os.geteuid() == 0:
        return [helper]
    status, _ = _run(["sudo", "-n", "-l", helper], 10.0)
    return ["sudo", "-n", helper] if status == 0 else []


def _privileged(request, helper, nvml=None):
    verb = request["do"]
    if verb == "compute-mode":
        mode = MODES.get(str(request.get("mode")))
        if mode is None:
            raise Refused("bad", "there is no compute mode %r" % str(request.get("mode"))[:40])
        arguments = [verb, _known_uuid(request["uuid"]), mode]
    elif verb == "reset":
        arguments = [verb, _known_uuid(request["uuid"])]
    elif verb == "devices":
        users = [str(u) for u in request["users"]]
        if not all(USER.fullmatch(u) for u in users):
            raise Refused("bad", "not a login: %r" % users[:4])
        arguments = [verb, str(_minor_of(_known_uuid(request["uuid"]), nvml)), ",".join(users) or "all"]
    elif verb == "kill":
        arguments = [verb, str(int(request["pid"])), str(int(request["started"]))]
    elif verb == "reboot":
        arguments = [verb]
    else:
        raise Refused("bad", "there is no privileged verb %r" % str(verb)[:40])
    command = helper_command(helper)
    if not command:
        text = "this login may not run %s; see: cardkeeper sudoers" % helper
        raise Refused("no_right", text)
    status, output = _run(command + arguments)
    return {"status": status, "output": output}


def _minor_of(uuid, nvml):
    if nvml is None:
        import pynvml as nvml
    nvml.nvmlInit()
    handle = _handle_of(nvml, uuid)
    if handle is None:
        raise Refused("gone", "the driver does not show this card now")
    return int(nvml.nvmlDeviceGetMinorNumber(handle))


def _device_users(path):
    """The logins that alone may open a device file, besides root; [] where everybody may.

    Reads the POSIX access list as the kernel keeps it: version 2, then (tag, permissions, id) records; tag 2 is a user.
    """
    if os.stat(path).st_mode & 0o007:
        return []
    try:
        data = os.getxattr(path, "system.posix_acl_access")
    except OSError:
        return ["root"]
    users = []
    for place in range(4, len(data) - 7, 8):
        tag, rights, number = struct.unpack_from("<HHI", data, place)
        if tag == 2 and rights & 6 == 6:
            try:
                users.append(pwd.getpwuid(number).pw_name)
            except KeyError:
                users.append(str(number))
    return sorted(users) or ["root"]


def _exec(request):
    """Run programs of a scheduler, each an argument vector of its own; never a shell's line."""
    calls = [[str(word) for word in call] for call in request["calls"][:8]]
    if not all(call and call[0] in PROGRAMS for call in calls):
        raise Refused("bad", "only these are run: %s" % ", ".join(PROGRAMS))
    out = []
    for call in calls:
        status, output = _run(call, 20.0, MOST_OUTPUT)
        out.append({"status": status, "output": output})
    return {"calls": out}


def started_of(pid):
    """When a process began, in clock ticks since boot; None where there is none. A zombie has ended."""
    try:
        with open("/proc/%d/stat" % pid) as file:
            fields = file.read().rpartition(")")[2].split()
    except (IOError, OSError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def open_devices(minor):
    """(pids with /dev/nvidiaMINOR open, whether every process could be looked at)."""
    wanted = DEVICE % minor
    found, all_seen = [], True
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        folder = "/proc/%s/fd" % name
        try:
            for fd in os.listdir(folder):
                try:
                    if os.readlink(os.path.join(folder, fd)) == wanted:
                        found.append(int(name))
                        break
                except (IOError, OSError):
                    continue
        except (IOError, OSError) as exc:
            # A process that ended meanwhile has nothing open; one that may not be read is unknown.
            if os.path.isdir("/proc/" + name) and getattr(exc, "errno", 0) == 13:
                all_seen = False
    return found, all_seen


def _handle_of(nvml, uuid):
    for index in range(nvml.nvmlDeviceGetCount()):
        try:
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
            found = nvml.nvmlDeviceGetUUID(handle)
        except nvml.NVMLError:
            continue
        if (found.decode() if isinstance(found, bytes) else found) == uuid:
            return handle
    return None


def _idle_of(nvml, uuid):
    from .processes import CardProcesses

    handle = _handle_of(nvml, uuid)
    if handle is None:
        return {"error": "the driver does not show this card now"}
    handles, is_mig = [(handle, False)], False
    try:
        is_mig = nvml.nvmlDeviceGetMigMode(handle)[0] == 1
    except nvml.NVMLError:
        pass
    if is_mig:
        for place in range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
            try:
                handles.append((nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, place), True))
            except nvml.NVMLError:
                continue
    pids, complete = [], True
    for one, is_slice in handles:
        rows, letter = CardProcesses(nvml, one, is_slice).read(0.0)
        pids += [int(row[0]) for row in rows]
        complete = complete and letter == "."
    devices, all_seen = open_devices(nvml.nvmlDeviceGetMinorNumber(handle))
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    found = {
        "pids": sorted(set(pids)), "complete": complete, "open": devices, "open_complete": all_seen,
        "memory_used": int(memory.used), "mode": None,
    }  # fmt: skip
    try:
        found["mode"] = int(nvml.nvmlDeviceGetComputeMode(handle))
    except nvml.NVMLError:
        pass
    return found


def idle(request, nvml=None):
    """What runs on the cards `uuids` now: {uuid: evidence or {"error"}}."""
    if nvml is None:
        import pynvml as nvml
    nvml.nvmlInit()
    out = {}
    for uuid in request["uuids"][:128]:
        try:
            out[uuid] = _idle_of(nvml, _known_uuid(uuid))
        except nvml.NVMLError as exc:
            out[uuid] = {"error": str(exc)}
    return {"cards": out}


def answer(request, shared, helper, nvml=None):
    """The reply to one request, as a dict with "ok"."""
    try:
        verb = request["verb"]
        if verb in ("book.read", "book.change"):
            reply = answer_book(request, shared)
            reply["can"] = bool(helper_command(helper)) if request.get("rights") else None
        elif verb == "idle":
            reply = idle(request, nvml)
        elif verb == "do":
            reply = _privileged(request, helper, nvml)
        elif verb == "devices":
            reply = {"users": _device_users(DEVICE % _minor_of(_known_uuid(request["uuid"]), nvml))}
        elif verb == "alive":
            reply = {"started": dict((str(int(p)), started_of(int(p))) for p in request["pids"][:256])}
        elif verb == "exec":
            reply = _exec(request)
        elif verb == "evidence":
            from .evidence import collect

            reply = collect()
        else:
            raise Refused("bad", "there is no verb %r" % str(verb)[:40])
    except Refused as exc:
        return {"ok": False, "code": exc.code, "text": str(exc)}
    except (KeyError, TypeError, ValueError) as exc:
        return {"ok": False, "code": "bad", "text": "the request is not understood: %s" % exc}
    except Exception as exc:
        # Whatever it is, the console must hear of it rather than guess.
        return {"ok": False, "code": "failed", "text": "%s: %s" % (type(exc).__name__, exc)}
    reply["ok"] = True
    return reply


def main(config):
    """Entry: `config` has "request", and "shared" and "helper" where they lie elsewhere than usual."""
    reply = answer(config["request"], config.get("shared") or "/var/lib/cardkeeper", config.get("helper") or HELPER)
    sys.stdout.write(json.dumps(reply) + "\n")
    sys.stdout.flush()
