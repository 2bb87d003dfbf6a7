"""The card book of a node: who holds which card, in one small file that changes under a lock, by compare-and-set.

The book is JSON: {"v", "generation", "node", "head", "entries": {target: entry}, "applied": {key: generation}}. A target
is a card's UUID or "node". What an entry means is the console's business; this program holds three rules: an entry is
replaced only if its "gen" is the one expected; no hold of another operation is dropped; the same key is applied once.
"""

import errno
import fcntl
import json
import os
import random
import tempfile
import time

VERSION = 1
SHARED = "/var/lib/cardkeeper"
MAX_BYTES = 1 << 20
MAX_ENTRIES = 4096
KEPT_KEYS = 256
LOCK_S = 5.0


class Refused(Exception):
    """The book was not changed: `code` for the console, the text for a person."""

    def __init__(self, code, text):
        super(Refused, self).__init__(text)
        self.code = code


def own_folder():
    """The folder of this login's own book."""
    home = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return os.path.join(home, "cardkeeper")


def folder_of(shared=SHARED):
    """(folder, whether all logins share it): the shared one, or the login's own on a node that has none.

    Raises Refused where there is a shared one that this login may not write.
    """
    if not os.path.isdir(shared):
        if os.geteuid() != 0:
            return own_folder(), False
        os.makedirs(shared, 0o750)
    if not os.access(shared, os.R_OK | os.W_OK | os.X_OK):
        # A second book beside the shared one would let two consoles give away the same card.
        text = "%s is there, but this login may not write it: join its group, or ask whoever owns the node" % shared
        raise Refused("no_right", text)
    return shared, True


def boot_id():
    """The kernel's boot id, "" where there is none."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return file.read().strip()
    except (IOError, OSError):
        return ""


def _fresh(node):
    return {"v": VERSION, "generation": 0, "node": node, "head": "", "entries": {}, "applied": {}}


def load(folder, node):
    """The book in `folder`; a new one where there is none.

    Raises Refused for a book that is damaged, newer, or too large: it is not overwritten.
    """
    path = os.path.join(folder, "book.json")
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (IOError, OSError) as exc:
        if exc.errno == errno.ENOENT:
            return _fresh(node)
        raise Refused("unreadable", "%s cannot be read: %s" % (path, exc.strerror))
    if len(data) > MAX_BYTES:
        raise Refused("damaged", "%s is larger than a card book may be" % path)
    try:
        book = json.loads(data.decode("utf-8"))
        if book["v"] > VERSION:
            raise Refused("newer", "%s was written by a newer Cardkeeper; update this one" % path)
        if not (isinstance(book["generation"], int) and isinstance(book["entries"], dict)):
            raise ValueError("no entries")
        if not all(isinstance(e, dict) and isinstance(e.get("gen"), int) for e in book["entries"].values()):
            raise ValueError("an entry without its gen")
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        text = "%s is damaged (%s); look at it, then move it away: its holds are not known until then" % (path, exc)
        raise Refused("damaged", text)
    return book


def save(folder, book):
    """Replace the book in one step, so that whoever reads sees the old or the new one, whole."""
    handle, name = tempfile.mkstemp(prefix="book.", dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(json.dumps(book, sort_keys=True, separators=(",", ":")).encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o640)
        os.rename(name, os.path.join(folder, "book.json"))
    except Exception:
        if os.path.exists(name):
            os.unlink(name)
        raise
    directory = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def locked(folder):
    """An open file that holds the book's lock; close it to let go. Raises Refused when another holds it too long."""
    if not os.path.isdir(folder):
        os.makedirs(folder, 0o750)
    handle = open(os.path.join(folder, "lock"), "a")
    deadline = time.time() + LOCK_S
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return handle
        except (IOError, OSError):
            if time.time() > deadline:
                handle.close()
                raise Refused("locked", "another console holds the card book's lock for more than %d s" % LOCK_S)
            # Uneven, so that two that wait do not keep step; short, so that neither starves.
            time.sleep(random.uniform(0.001, 0.008))


def change(book, request):
    """The book after a compare-and-set; raises Refused. `request`: {"key", "ops", "changes", "head"}.

    A change is {"target", "gen", "entry"}: the entry that shall stand instead of the one with that gen (0: none yet);
    "entry" null takes it away.
    """
    key = str(request["key"])
    if key in book["applied"]:
        return book, True
    mine = set(request.get("ops") or ())
    for one in request["changes"]:
        target, new = str(one["target"]), one["entry"]
        old = book["entries"].get(target) or {"gen": 0, "holds": []}
        if old["gen"] != one["gen"]:
            text = "%s changed since it was looked at (it is %d now, %d was expected)" % (
                target,
                old["gen"],
                one["gen"],
            )
            raise Refused("stale", text)
        kept = set(h.get("op") for h in (new or {}).get("holds") or ())
        lost = [h for h in old.get("holds") or () if h.get("op") not in kept and h.get("op") not in mine]
        if lost:
            text = "%s is held by %s (%s); another's hold is not dropped" % (
                target, lost[0].get("owner"), lost[0].get("reason"),
            )  # fmt: skip
            raise Refused("foreign", text)
    after = json.loads(json.dumps(book))
    after["generation"] += 1
    for one in request["changes"]:
        if one["entry"] is None:
            after["entries"].pop(str(one["target"]), None)
        else:
            entry = dict(one["entry"])
            entry["gen"] = after["generation"]
            after["entries"][str(one["target"])] = entry
    if len(after["entries"]) > MAX_ENTRIES:
        raise Refused("full", "the card book has no room for more entries")
    after["head"] = str(request.get("head") or after["head"])
    after["applied"][key] = after["generation"]
    newest = sorted(after["applied"].items(), key=lambda item: item[1])[-KEPT_KEYS:]
    after["applied"] = dict(newest)
    return after, False


def answer_book(request, shared=SHARED):
    """Answer "book.read" or "book.change"."""
    node = str(request.get("node", ""))
    folder, is_shared = folder_of(shared)
    if request["verb"] == "book.read":
        book, again = load(folder, node), False
    else:
        lock = locked(folder)
        try:
            book, again = change(load(folder, node), request)
            if not again:
                save(folder, book)
                # What counts is what the next reader will find.
                if load(folder, node) != book:
                    raise Refused("unsure", "the card book does not read back as it was written")
        finally:
            lock.close()
    return {
        "book": book,
        "again": again,
        "folder": folder,
        "shared": is_shared,
        "boot_id": boot_id(),
        "now": time.time(),
    }
