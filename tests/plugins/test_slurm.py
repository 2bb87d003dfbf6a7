"""What Slurm says, read as it writes it; what cannot be read is an error, never an empty node."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from plugins.slurm import PLUGIN, expand, fields_of

NODE = (
    "NodeName=gpu01 Arch=x86_64 CoresPerSocket=2 CPUAlloc=2 CPUEfctv=4 CPUTot=4 CPULoad=0.31 AvailableFeatures=(null) "
    "ActiveFeatures=(null) Gres=gpu:h100:8(S:0-1) NodeAddr=10.0.0.1 NodeHostName=gpu01 Version=22.05.8 OS=Linux 6.1 #1 "
    "SMP RealMemory=1000 AllocMem=0 FreeMem=2 Sockets=2 Boards=1 State={state} ThreadsPerCore=1 TmpDisk=0 Weight=1 "
    "Owner=N/A MCS_label=N/A Partitions=gpu BootTime=2026-11-01T00:00:00 CfgTRES=cpu=4,mem=1000M,billing=4 "
    "AllocTRES=cpu=2 CapWatts=n/a{reason}"
)
JOB = "123_4|amal|proj|RUNNING|gres/gpu:h100:4|train|v2"


def state(text="IDLE", reason="", jobs="", reservations=""):
    why = f" Reason={reason}" if reason else ""
    return PLUGIN.state("gpu01", (NODE.format(state=text, reason=why), jobs, reservations))


@pytest.mark.parametrize(
    ("text", "is_blocked", "is_empty"),
    [
        ("IDLE", False, True),
        ("IDLE*", False, True),
        ("MIXED", False, False),
        ("ALLOCATED", False, False),
        ("IDLE+DRAIN", True, True),
        ("ALLOCATED+DRAIN", True, False),
        ("MIXED+DRAIN*", True, False),
        ("COMPLETING+DRAIN", True, False),
        ("DOWN+DRAIN+INVALID_REG", True, True),
        ("DOWN*", True, True),
        ("IDLE+REBOOT_REQUESTED", False, True),
        ("FAIL", True, True),
    ],
)
def test_states(text, is_blocked, is_empty):
    found = state(text)
    assert (found.text, found.is_blocked, found.is_empty) == (text, is_blocked, is_empty)


def test_a_reason_is_all_of_it_whatever_a_person_wrote():
    found = state("IDLE+DRAIN", "xid 79 State=IDLE a=b [note] [root@2026-01-01T00:00:00]")
    assert found.reason == "xid 79 State=IDLE a=b [note]"
    assert found.text == "IDLE+DRAIN"


def test_jobs_that_run_there():
    found = state("MIXED", jobs=f"{JOB}\n77|bea|(null)|PENDING|N/A|waits\n78|bea|x|COMPLETING|gres:gpu:2|ends\n")
    assert [(j.id, j.user, j.account, j.cards, j.name) for j in found.jobs] == [
        ("123_4", "amal", "proj", 4, "train|v2"),
        ("78", "bea", "x", 2, "ends"),
    ]
    assert not found.is_empty
    assert state("IDLE", jobs="1|u|a|RUNNING|N/A|n").jobs[0].cards is None


@pytest.mark.parametrize(
    "outputs", [("", "", ""), ("slurm_load_node error: Unable to contact slurm controller", "", "")]
)
def test_silence_is_an_error(outputs):
    with pytest.raises(ValueError, match="knows no node gpu01"):
        PLUGIN.state("gpu01", outputs)
    with pytest.raises(ValueError, match="knows no node gpu02"):
        PLUGIN.state("gpu02", (NODE.format(state="IDLE", reason=""), "", ""))
    with pytest.raises(ValueError, match="squeue said"):
        state(jobs="slurm_load_jobs error: Unable to contact slurm controller")


def test_reservations_of_the_node():
    lines = (
        "ReservationName=maint StartTime=2026-01-01T00:00:00 Nodes=gpu[01-04,07] NodeCnt=5 Flags=MAINT\n"
        "ReservationName=other Nodes=gpu[05-06] NodeCnt=2\nNo reservations in the system\n"
    )
    assert state(reservations=lines).reservations == ("maint",)


@given(st.integers(0, 900), st.integers(0, 60), st.integers(1, 4))
def test_host_lists(low, more, width):
    text = f"gpu[{low:0{width}d}-{low + more:0{width}d}],login1"
    assert expand(text) == {f"gpu{n:0{width}d}" for n in range(low, low + more + 1)} | {"login1"}


@pytest.mark.parametrize("text", ["gpu[0-99999999]", "gpu[a-b]", "gpu[1-]"])
def test_nonsense_host_lists_are_nobody(text):
    assert not any(len(n) > 40 for n in expand(text))
    assert len(expand(text)) <= 65_536


ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)


@settings(max_examples=500, deadline=1000)
@given(st.lists(st.sampled_from(NODE.split()) | ANY, max_size=30).map(" ".join), ANY | st.just(JOB), ANY)
def test_whatever_it_says_is_read_or_an_error_and_never_a_free_node_by_accident(node, jobs, reservations):
    assert all(isinstance(v, str) for v in fields_of(node).values())
    try:
        found = PLUGIN.state("gpu01", (node, jobs, reservations))
    except ValueError:
        return
    assert fields_of(node)["NodeName"] == "gpu01"
    assert found.text == fields_of(node)["State"]
    if JOB in jobs.splitlines():
        assert not found.is_empty


@settings(max_examples=500)
@given(ANY, ANY)
def test_whatever_a_person_writes_is_one_argument_without_a_field_in_it(by, reason):
    argv = PLUGIN.drain("gpu01", "abcd1234", by, reason)
    assert argv[:4] == ("scontrol", "update", "NodeName=gpu01", "State=DRAIN")
    assert len(argv) == 5
    text = argv[4].removeprefix("Reason=")
    assert text.startswith("cardkeeper:abcd1234:")
    assert text.isascii()
    assert text.isprintable()
    assert not set("=\"'\\[]") & set(text)
    assert len(text) <= 200
    read = fields_of(NODE.format(state="IDLE+DRAIN", reason=f" {argv[4]} [root@2026-01-01T00:00:00]"))
    assert read["State"] == "IDLE+DRAIN"


@settings(max_examples=500)
@given(ANY)
@example("0\n")
def test_names_that_are_none_reach_no_command(name):
    for make in (
        lambda: PLUGIN.looks(name),
        lambda: PLUGIN.undrain(name),
        lambda: PLUGIN.drain(name, "abcd", "a", "r"),
    ):
        try:
            argvs = make()
        except ValueError:
            continue
        assert argvs
        assert name.isascii()
        assert name[0].isalnum()
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")


def test_reservations_are_for_logins_only():
    assert "Users=amal,bea" in PLUGIN.reserve("gpu01", "abcd", ("amal", "bea"), 90.0)
    assert "Duration=2" in PLUGIN.reserve("gpu01", "abcd", ("amal",), 90.0)
    assert "Duration=UNLIMITED" in PLUGIN.reserve("gpu01", "abcd", ("amal",), None)
    for users in ((), ("a b",), ("-u",), ("x=y",), ("ok", "a,b")):
        with pytest.raises(ValueError, match="login"):
            PLUGIN.reserve("gpu01", "abcd", users, None)
