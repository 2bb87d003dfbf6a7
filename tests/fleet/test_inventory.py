"""Inventories of other tools."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.fleet.fleetfile import node_block, parse_fleet
from console.fleet.inventory import InventoryError, expand, parse_hosts, parse_ini, parse_yaml

INI = """
[gpu]
gpu[01:03] ansible_port=2222
gpu09 ansible_host=10.0.0.9 ansible_user=root
[gpu:vars]
ansible_user=ops
[all:vars]
ansible_ssh_private_key_file=~/.ssh/fleet
[site:children]
gpu
"""

YAML = """
all:
  vars: {ansible_user: ops}
  children:
    gpu:
      hosts:
        gpu[1:2]:
        gpu9: {ansible_host: 10.0.0.9, ansible_port: 2200}
"""


def test_ini():
    nodes = parse_ini(INI, "hosts.ini").nodes
    assert [(n.name, n.host, n.port, n.user, n.identity) for n in nodes] == [
        ("gpu01", "gpu01", 2222, "ops", "~/.ssh/fleet"),
        ("gpu02", "gpu02", 2222, "ops", "~/.ssh/fleet"),
        ("gpu03", "gpu03", 2222, "ops", "~/.ssh/fleet"),
        ("gpu09", "10.0.0.9", None, "root", "~/.ssh/fleet"),
    ]
    assert nodes[0].labels == {"group": "gpu"}


def test_yaml():
    nodes = parse_yaml(YAML, "hosts.yml").nodes
    assert [(n.name, n.host, n.port, n.user) for n in nodes] == [
        ("gpu1", "gpu1", None, "ops"),
        ("gpu2", "gpu2", None, "ops"),
        ("gpu9", "10.0.0.9", 2200, "ops"),
    ]


def test_a_plain_list():
    found = parse_hosts("# ours\nops@gpu01:2222\ngpu[02-03]\n\nbad host; rm\n10.0.0.7\n", "hosts")
    assert [(n.name, n.user, n.port) for n in found.nodes] == [
        ("gpu01", "ops", 2222), ("gpu02", None, None), ("gpu03", None, None), ("bad", None, None), ("10.0.0.7", None, None),
    ]  # fmt: skip
    assert any("line 5" in w for w in found.warnings)


def test_ranges():
    assert list(expand("r[1:2]-n[a:b]")) == ["r1-na", "r1-nb", "r2-na", "r2-nb"]
    assert list(expand("g[08:11:3]")) == ["g08", "g11"]
    for bad in ("g[1:99999999]", "g[3:1]", "g[x;y]"):
        with pytest.raises(InventoryError):
            list(expand(bad))


@given(st.text(max_size=300))
def test_any_text_gives_good_nodes_or_warnings(text):
    for parse in (parse_hosts, parse_ini):
        found = parse(text, "x")
        for node in found.nodes:
            assert parse_fleet(node_block(node), "x").nodes[0].name == node.name
    try:
        told = str(parse_yaml(text, "x").nodes)
    except InventoryError as exc:
        told = str(exc)
    assert told
