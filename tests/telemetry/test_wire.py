"""Lines and their limits."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.telemetry.wire import Beat, FrameError, LineSplitter, Sample, decode
from tests.node_stream import NodeStream


def test_a_stream_decodes():
    stream = NodeStream("a", cards=2, slices=1)
    frames = [decode(line) for line in stream.everything().splitlines()]
    assert [f.n for f in frames] == [0, 1, 2, 3]
    assert isinstance(frames[1], Sample)
    assert len(frames[1].c) == 3


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (b"", "syntax"),
        (b"{", "syntax"),
        (b"[1]", "type"),
        (b'{"t":"beat","n":"1","w":1,"m":1}', "type"),
        (b'{"t":"beat","n":1,"w":1,"m":1', "syntax"),
        (b'{"t":"other","n":1,"w":1,"m":1}', "type"),
        (b'{"t":"beat","n":-1,"w":1,"m":1}', "range"),
        (b'{"t":"beat","n":1,"w":1e300,"m":1}', "range"),
        (b'{"t":"s","n":1,"w":1,"m":1,"k":"fast","c":[["x"]]}', "type"),
        (b'{"t":"beat","n":1,"w":1,"m":1,"x":' + b"[" * 100_000, "syntax"),
        (b'{"t":"beat","n":1,"w":1,"m":1,"x":"' + b"a" * (1 << 20) + b'"}', "long"),
    ],
)
def test_bad_lines_name_their_kind(line, kind):
    with pytest.raises(FrameError) as caught:
        decode(line)
    assert caught.value.kind == kind


def test_one_uuid_twice_is_refused():
    stream = NodeStream("a", cards=2)
    stream.entities[1]["uuid"] = stream.entities[0]["uuid"]
    with pytest.raises(FrameError):
        decode(stream.hello())


@given(st.binary(max_size=300))
def test_decode_raises_nothing_else(line):
    try:
        kind = decode(line) and "frame"
    except FrameError as exc:
        kind = exc.kind
    assert kind in {"frame", "long", "syntax", "type", "range"}


@given(st.lists(st.binary(max_size=40).filter(lambda b: b"\n" not in b)), st.lists(st.integers(1, 9)))
def test_chunking_does_not_change_lines(lines, cuts):
    data = b"".join(line + b"\n" for line in lines)
    splitter, out, at = LineSplitter(limit=30), [], 0
    for cut in [*cuts, len(data)]:
        out += splitter.feed(data[at : at + cut])
        at += cut
    out += splitter.feed(data[at:])
    assert out == [line for line in lines if line.strip() and len(line) <= 30]
    assert splitter.overlong == sum(len(line) > 30 for line in lines)


def test_unknown_fields_are_ignored_so_that_newer_agents_can_be_read():
    line = json.dumps({"t": "beat", "n": 1, "w": 1.0, "m": 2.0, "later": {"x": 1}}).encode()
    assert decode(line) == Beat(1, 1.0, 2.0)
