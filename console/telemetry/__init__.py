"""The frame: schema, decoding, live rings in shared memory, the collector process and its reader."""
