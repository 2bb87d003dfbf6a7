"""The program that runs on a node: streamed over SSH, reads NVML and /proc, writes frames, leaves nothing behind.

Standard library and pynvml only, Python 3.6 syntax, relative imports: on the node this package is called
`cardkeeper_agent` and never lies on a disk.
"""

AGENT_VERSION = "1"
