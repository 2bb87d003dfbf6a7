"""The fleet file: what is read, and how every fault is named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.fleet.fleetfile import FleetError, append_node, node_block, parse_fleet, read_fleet
from console.fleet.model import Node

GOOD = """# our fleet
[defaults]
user = "ops"
interval_s = 2
[[node]]
name = "gpu01"
host = "10.0.0.11"
jump = ["bastion"]
labels = {room = "b2"}
[[node]]
name = "gpu02"
host = "gpu02.example"
port = 2222
user = "root"
[[jump]]
name = "bastion"
host = "192.0.2.1"
"""


def faults(text):
    with pytest.raises(FleetError) as caught:
        parse_fleet(text, "fleet.toml")
    return [(f.line, f.key, f.text, f.suggestion) for f in caught.value.faults]


def test_a_good_file():
    fleet = parse_fleet(GOOD, "site.toml")
    assert fleet.name == "site"
    assert fleet.nodes[0] == Node(
        "gpu01", "10.0.0.11", user="ops", interval_s=2.0, jump=("bastion",), labels={"room": "b2"}
    )
    assert (fleet.nodes[1].user, fleet.nodes[1].port) == ("root", 2222)


@pytest.mark.parametrize(
    ("old", "new", "line", "key", "words"),
    [
        ("port = 2222", "prot = 2222", 13, "prot", "did you mean `port`?"),
        ("port = 2222", "port = 0", 13, "port", "1 to 65535"),
        ("port = 2222", "port = true", 13, "port", "is not a port"),
        ("interval_s = 2", "interval_s = 0.1", 4, "interval_s", "0.5"),
        ('user = "root"', 'user = "a b"', 14, "user", "login name"),
        ('name = "gpu02"', 'name = "gpu01"', 11, "name", "two nodes are called gpu01"),
        ('name = "gpu02"', 'name = "-x"', 11, "name", "is not a name"),
        ('host = "gpu02.example"', 'host = "x; touch F #"', 12, "host", "is not a host name"),
        ('jump = ["bastion"]', 'jump = ["bation"]', 8, "jump", "did you mean `bastion`?"),
        ('labels = {room = "b2"}', "labels = {room = 2}", 9, "labels", "must be texts"),
        ("[defaults]", "[default]", 2, "default", "did you mean `defaults`?"),
    ],
)
def test_a_fault_has_its_line_key_and_a_suggestion(old, new, line, key, words):
    found = faults(GOOD.replace(old, new, 1))
    assert any(f[0] == line and f[1] == key and words in f"{f[2]} {f[3]}" for f in found), found


def test_all_faults_are_told_at_once():
    text = GOOD.replace("port = 2222", "prot = 1").replace("interval_s = 2", "interval_s = -1")
    assert {f[1] for f in faults(text)} == {"prot", "interval_s"}


def test_a_missing_file_says_how_to_begin(tmp_path):
    with pytest.raises(FleetError, match="fleet import"):
        read_fleet(tmp_path / "none.toml")


def test_broken_toml_has_its_line():
    assert faults('[[node]]\nname = "a\n')[0][0] == 2


def test_appending_keeps_what_is_there(tmp_path):
    path = tmp_path / "fleet.toml"
    path.write_text(GOOD)
    append_node(path, Node("gpu03", "10.0.0.13", rack="r1"))
    assert path.read_text().startswith(GOOD)
    assert [n.name for n in read_fleet(path).nodes] == ["gpu01", "gpu02", "gpu03"]
    with pytest.raises(FleetError):
        append_node(path, Node("gpu03", "again"))
    assert path.read_text().count("gpu03") == 1


names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)


@given(names, names, st.none() | st.integers(1, 65535), st.dictionaries(names, st.text(max_size=10), max_size=3))
def test_a_written_node_is_read_back(name, host, port, labels):
    node = Node(name, host, port=port, labels={k: v for k, v in labels.items() if v.isprintable()})
    assert parse_fleet(node_block(node), "x").nodes == (node,)


@given(st.text(max_size=200))
def test_any_text_is_a_fleet_or_a_fleet_error(text):
    try:
        found = len(parse_fleet(text, "x").nodes)
    except FleetError as exc:
        found = len(exc.faults)
    assert found >= 0
