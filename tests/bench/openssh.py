"""The yardstick of the collector: OpenSSH clients running the same agent, their lines split and decoded by one loop.

`python -m tests.bench.openssh` reads {"commands": [...], "first": base64} from standard input, prints the clients' process
ids as JSON and decodes until its standard input ends.
"""

from __future__ import annotations

import base64
import json
import os
import selectors
import subprocess
import sys

from console.telemetry.wire import FrameError, LineSplitter, decode


def main() -> int:
    """Run the loop."""
    order = json.loads(sys.stdin.buffer.readline())
    first = base64.b64decode(order["first"])
    children = []
    loop = selectors.DefaultSelector()
    for command in order["commands"]:
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(first)
        child.stdin.flush()
        os.set_blocking(child.stdout.fileno(), False)
        loop.register(child.stdout, selectors.EVENT_READ, LineSplitter())
        children.append(child)
    loop.register(sys.stdin.buffer, selectors.EVENT_READ, None)
    sys.stdout.write(json.dumps([c.pid for c in children]) + "\n")
    sys.stdout.flush()
    try:
        _decode_until_told(loop)
    finally:
        for child in children:
            child.kill()
            child.wait()
    return 0


def _decode_until_told(loop: selectors.BaseSelector) -> None:
    while True:
        for key, _ in loop.select():
            if key.data is None:
                return
            data = os.read(key.fd, 65536)
            if not data:
                loop.unregister(key.fileobj)
                continue
            for line in key.data.feed(data):
                try:
                    decode(line)
                except FrameError:
                    continue  # a login banner


if __name__ == "__main__":
    sys.exit(main())
