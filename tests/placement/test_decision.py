"""Requests as people write them, and which cards they get: filters, order, spans, what would help, and how quickly."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.placement.decision import Decision, decide
from console.placement.errors import PlacementError
from console.placement.filters import BIT, why
from console.placement.inventory import Card, Held, Inventory, Link, Place, Region, Sku
from console.placement.mix import Mix, RequestClass, mix_of
from console.placement.price import OFFSET
from console.placement.request import DAY_US, Request, Together, parse

NOW = 1_800_000_000_000_000
H100 = Sku("h100", "NVIDIA H100 80GB HBM3", "NVIDIA", "Hopper", 81_559, 700.0, True)
A100 = Sku("a100", "NVIDIA A100-SXM4-40GB", "NVIDIA", "Ampere", 40_960, 400.0, True)
PART = Sku("h100-3g", "NVIDIA H100 MIG 3g.40gb", "NVIDIA", "Hopper", 40_000, None, None, "3g.40gb")
REGIONS = (Region("riyadh", "SA", "0.06", "USD"), Region("jeddah", "SA", "0.05", "USD"), Region("berlin", "DE"))
LINKS = {("jeddah", "riyadh"): Link(9_000, 100_000, 0), ("berlin", "riyadh"): Link(90_000, 10_000, 80_000_000)}


def pool(nodes, bars=(), held=(), skus=(H100, A100, PART), versions=None):
    """nodes: (name, region, rack, island, sku, cards)."""
    cards = [Card(f"{n}-{i}", n, sku, dict(bars).get(f"{n}-{i}", "")) for n, _, _, _, sku, k in nodes for i in range(k)]
    places = [
        Place(n, r, rack, island, "", "", dict((versions or {}).get(n, {}))) for n, r, rack, island, _, _ in nodes
    ]
    return Inventory(cards, places, skus, REGIONS, LINKS, held)


SMALL = [
    ("a1", "riyadh", "r1", "i1", "h100", 8), ("a2", "riyadh", "r1", "i1", "h100", 8), ("a3", "riyadh", "r2", "i2", "h100", 8),
    ("b1", "jeddah", "r1", "", "h100", 8), ("c1", "berlin", "r9", "", "h100", 8), ("d1", "riyadh", "r3", "", "a100", 4),
]  # fmt: skip
MIX = mix_of({(1, frozenset({"h100@riyadh", "a100@riyadh"})): 8.0, (8, frozenset({"h100@riyadh"})): 2.0}, 20.0)


def at(text):
    if text == "now":
        return NOW
    if text == "monday":
        return NOW + 3 * DAY_US
    raise ValueError(f"{text!r} is no time")


def ask(text, where=None, **more) -> Decision:
    return decide(where or pool(SMALL), parse(text, at), MIX, NOW, **more)


def chosen(text, where=None, **more):
    return ask(text, where, **more).candidates[0]


# What people write


def test_the_sentence_of_the_readme_is_understood():
    found = parse("8 x H100 80 GB, one NVLink island, riyadh or within 20 ms of it, from monday for 60 days", at)
    assert found == Request(
        8, 0, ("H100",), 80, Together.ISLAND, near="riyadh", within_us=20_000, begin=NOW + 3 * DAY_US,
        end=NOW + 63 * DAY_US,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "has"),
    [
        ("2 x 8 x h100", {"cards": 16, "per_node": 8}),
        ("4 cards", {"cards": 4, "skus": ()}),
        ("4 GPUs of a100 or h100", {"skus": ("a100", "h100")}),
        ("1 x any, at least 80 GB", {"skus": (), "memory_gb": 80}),
        ("1 x h100, in riyadh or jeddah, not in berlin", {"regions": ("riyadh", "jeddah"), "not_regions": ("berlin",)}),
        ("1 x h100, riyadh", {"regions": ("riyadh",)}),
        (
            "1 x h100, data in sa, tenant atlas, plan hourly",
            {"countries": ("SA",), "tenant": "atlas", "plan": "hourly"},
        ),
        ("1 x h100, driver >= 550.54, CUDA 12.4+", {"least": (("driver", "550.54"), ("cuda", "12.4"))}),
        ("1 x h100, 10 Gbit/s to riyadh", {"mbit_s": 10_000, "to_region": "riyadh"}),
        ("1 x h100, mig 3g.40gb, may be split", {"mig": "3g.40gb", "split": True}),
        ("1 x h100, arch Hopper, vendor NVIDIA, same rack", {"arch": "Hopper", "together": Together.RACK}),
        ("1 x h100, for 2 weeks", {"begin": NOW, "end": NOW + 14 * DAY_US}),
    ],
)
def test_phrases(text, has):
    found = parse(text, at)
    assert {k: getattr(found, k) for k in has} == has


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "how many"), ("h100", "how many"), ("0 x h100", "1 to"), ("1 x h100, 2 x a100", "twice"),
        ("1 x h100, by tea time", "not understood"), ("1 x h100, from whenever", "no time"),
        ("1 x a, within 5 ms of it", "of which"), ("1 x a, from monday, until now", "before it begins"),
        ("1 x a, until monday, for 2 days", "either"), ("1 x a, for 0 days", "nothing"),
        ("1 x a, for 1 day, for 2 days", "twice"), ("1 x a, in riyadh, in berlin", "something else"),
        ("1 x a 80 GB, 40 GB", "something else"), ("1 x a, one node, anywhere", "something else"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_said(text, word):
    with pytest.raises(PlacementError, match=word):
        parse(text, at)


@given(st.text(max_size=80))
def test_no_text_breaks_the_parser(text):
    try:
        found = parse(text, at)
    except PlacementError:
        return
    assert found.cards >= 1


# Which cards


def test_a_card_comes_from_a_broken_node_and_a_node_from_a_whole_one():
    held = [Held("a2-0", "L1", "atlas", NOW - DAY_US, None)]
    where = pool(SMALL, held=held)
    assert chosen("1 x h100, riyadh", where).nodes == (("a2", 1),), "a1 and a3 stay whole"
    eight = chosen("8 x h100, riyadh", where)
    assert eight.nodes == (("a1", 8),)
    assert eight.cards == tuple(f"a1-{i}" for i in range(8))
    big = next(t for t in eight.terms if t.of.cards == 8)
    assert big.price == pytest.approx(big.of.demand * 8 * big.lost / (big.slots + OFFSET) ** 2)
    assert eight.price == pytest.approx(sum(t.price for t in eight.terms))


def test_every_filter_refuses_says_so_and_says_what_would_help():
    where = pool(
        SMALL, bars=[("a1-0", "page: XID 79")], held=[Held("a3-0", "L1", "atlas", NOW, NOW + DAY_US)],
        versions={"a1": {"driver": "550.54.15"}, "a2": {"driver": "535.161"}},
    )  # fmt: skip
    cases = {
        "8 x b200": "sku", "8 x h100, 141 GB": "memory", "8 x any, arch Blackwell": "make", "8 x h100, cuda 12": "software",
        "8 x a100, mig 7g.80gb": "sku", "4 x a100, berlin": "region", "4 x a100, within 1 ms of jeddah": "latency",
        "4 x a100, 1000 Gbit/s to jeddah": "bandwidth", "4 x a100, data in DE": "residency",
    }  # fmt: skip
    for text, name in cases.items():
        found = ask(text, where)
        assert not found.candidates, text
        assert name in dict(found.refused), (text, found.refused)
    software = ask("8 x h100, riyadh, driver >= 550", where)
    assert [n for n, _ in software.refused] == ["sku", "software", "health"]
    card = where.at["a2-0"]
    assert why(where, software.request, card, int(software.masks[card]), NOW) == "software: driver 535.161"
    card = where.at["a1-0"]
    assert why(where, software.request, card, int(software.masks[card]), NOW) == "health: page: XID 79"
    helps = [(m.relax.split(":")[0], m.enough) for m in software.misses]
    assert helps[0][1]
    assert ("health", True) in helps, "one sick card is between the request and a1"


def test_a_reservation_to_come_refuses_and_the_first_time_that_is_free_is_told():
    held = [
        Held(f"{n}-{i}", f"L-{n}", "atlas", NOW + 10 * DAY_US, NOW + (20 + i) * DAY_US)
        for n in ("a1", "a2", "a3")
        for i in range(8)
    ]
    where = pool(SMALL, held=held)
    assert chosen("8 x h100, riyadh, for 9 days", where).nodes == (("a1", 8),)
    found = ask("8 x h100, riyadh, for 11 days", where)
    assert dict(found.refused)["lease"] == 24
    later = next(m for m in found.misses if m.relax.startswith("time"))
    assert later.where == f"a1 from @{NOW + 27 * DAY_US}"
    card = where.at["a1-3"]
    assert why(where, found.request, card, int(found.masks[card]), NOW) == "lease: L-a1 of atlas"


def test_gangs_take_whole_nodes_that_lie_close_and_spread_only_when_they_may():
    two = ask("16 x h100")
    assert two.candidates[0].nodes == (("a1", 8), ("a2", 8))
    assert two.candidates[0].spans == (1, 1, 1, 2)
    assert [c.region for c in two.candidates] == ["riyadh"] * len(two.candidates)
    assert ask("3 x 8 x h100, one island").candidates == ()
    assert chosen("24 x h100").spans == (1, 2, 2, 3)
    none = ask("40 x h100")
    assert none.candidates == ()
    assert any("split" in m.relax and m.enough for m in none.misses)
    split = chosen("40 x h100, may be split")
    assert (split.cards.__len__(), split.spans[0]) == (40, 3)
    assert chosen("12 x h100, anywhere").left >= 0
    with pytest.raises(PlacementError, match="no region 'mars'"):
        ask("1 x h100, mars")


def test_regions_are_allowed_by_their_round_trip_and_the_nearer_goes_first():
    found = ask("8 x h100, within 20 ms of riyadh")
    assert {c.region for c in found.candidates} == {"riyadh", "jeddah"}
    assert [c.rtt_us for c in found.candidates if c.region == "jeddah"] == [9_000]
    empty = Mix(())
    same = decide(pool(SMALL), parse("8 x h100, within 20 ms of riyadh", at), empty, NOW)
    assert [c.region for c in same.candidates] == ["riyadh"] * 3 + ["jeddah"], "no price: the round trip decides"
    cheap = decide(pool(SMALL), parse("8 x h100", at), empty, NOW)
    assert [c.region for c in cheap.candidates] == ["jeddah", *["riyadh"] * 3, "berlin"], "then power; unknown is last"


def test_a_time_that_is_over_is_none():
    where = pool(SMALL)
    with pytest.raises(PlacementError, match="before it begins"):
        decide(where, Request(1, end=NOW - DAY_US), MIX, NOW)


def test_of_links_alike_the_cheaper_one_goes_first():
    links = {("east", "hub"): Link(9_000, 10_000, 50_000_000), ("hub", "west"): Link(9_000, 1_000, 20_000_000)}
    regions = [Region("hub"), Region("east", power="0.01"), Region("west", power="0.09")]
    cards = [Card(f"{r}-{i}", f"n-{r}", "h100") for r in ("east", "west") for i in range(8)]
    where = Inventory(cards, [Place("n-east", "east"), Place("n-west", "west")], [H100], regions, links)
    for text in ("8 x h100, one node, within 10 ms of hub", "16 x h100, anywhere, within 10 ms of hub, may be split"):
        first = chosen(text, where)
        assert (first.rtt_us, first.egress_nano is not None) == (9_000, True)
    found = ask("8 x h100, one node, within 10 ms of hub", where).candidates
    assert [c.region for c in found] == ["west", "east"], "egress goes before power"
    assert [(c.mbit_s, c.egress_nano) for c in found] == [(1_000, 20_000_000), (10_000, 50_000_000)]


def test_slices_are_for_those_who_ask_for_them():
    nodes = [*SMALL, ("m1", "riyadh", "r5", "", "h100-3g", 2)]
    where = pool(nodes)
    assert all(c.sku != "h100-3g" for c in ask("2 cards", where).candidates)
    mig = ask("2 cards, mig 3g.40gb", where)
    assert {(c.sku, c.divides) for c in mig.candidates} == {("h100-3g", False), ("h100", True), ("a100", True)}
    unknown = pool(SMALL, skus=(Sku("h100", "H100", mig=None), A100))
    assert {c.sku for c in ask("1 cards, mig 3g.40gb", unknown).candidates} == {"a100"}, "unknown is not yes"
    parent = Inventory(
        [Card("P", "n", "h100"), Card("P-s", "n", "h100-3g", "", "P")], [Place("n", "riyadh")], (H100, PART), REGIONS,
        LINKS, [Held("P-s", "L", "atlas", NOW, None)],
    )  # fmt: skip
    assert not decide(parent, parse("1 x h100", at), MIX, NOW).candidates, "a card whose slice is held is not free"


def test_quota_is_a_filter_of_the_whole_request():
    over = ask("8 x h100", allowed=4)
    assert (over.candidates, over.possible) == ((), 0)
    assert "quota" in over.misses[0].relax
    assert ask("4 x h100", allowed=4).candidates


NODES = st.lists(
    st.tuples(st.sampled_from(("riyadh", "jeddah")), st.sampled_from(("r1", "r2")), st.sampled_from(("h100", "a100")),
    st.integers(1, 8)), min_size=1, max_size=8,
).map(lambda rows: [(f"n{i}", r, k, "", s, c) for i, (r, k, s, c) in enumerate(rows)])  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(NODES, st.data())
def test_candidates_are_free_fit_and_are_all_there_are(nodes, data):
    total = [f"{n}-{i}" for n, _, _, _, _, k in nodes for i in range(k)]
    sick = data.draw(st.lists(st.sampled_from(total), unique=True))
    used = data.draw(st.lists(st.sampled_from(total), unique=True))
    cards, sku = data.draw(st.integers(1, 20)), data.draw(st.sampled_from(("h100", "a100", "any")))
    where = pool(nodes, [(u, "sick") for u in sick], [Held(u, "L", "t", NOW - 1, None) for u in used])
    found = decide(where, parse(f"{cards} x {sku}", at), MIX, NOW)
    free = [u for u in total if u not in sick and u not in used and sku in ("any", where.cards[where.at[u]].sku)]
    for one in found.candidates:
        assert len(set(one.cards)) == cards
        assert set(one.cards) <= set(free)
        assert sum(n for _, n in one.nodes) == cards
    of_node = {n: sum(u.startswith(f"{n}-") for u in free) for n, *_ in nodes}
    if any(k >= cards for k in of_node.values()):
        assert found.possible == sum(k >= cards for k in of_node.values())
    of_region = {r: sum(of_node[n] for n, q, *_ in nodes if q == r) for _, r, *_ in nodes}
    assert bool(found.candidates) == any(k >= cards for k in of_region.values())
    again = decide(where, parse(f"{cards} x {sku}", at), MIX, NOW)
    assert again.candidates == found.candidates
    assert len(total) - len(free) == sum(n for _, n in found.refused)
    assert set(dict(found.refused)) <= set(BIT)


@pytest.mark.parametrize(("nodes", "most_ms"), [(1213, 20.0), (10_000, 100.0)])
def test_a_decision_with_its_explanation_is_quick(nodes, most_ms):
    rows = [
        (f"n{i:05d}", ("riyadh", "jeddah")[i % 2], f"r{i // 8}", f"i{i // 4}", ("h100", "a100")[i % 3 > 0], 8)
        for i in range(nodes)
    ]
    held = [Held(f"n{i:05d}-{k}", f"L{i}", "t", NOW - 1, None) for i in range(0, nodes, 2) for k in range(i % 8)]
    where = pool(rows, held=held)
    classes = tuple(RequestClass(n, frozenset({f"{s}@riyadh"}), 10.0) for n in (1, 2, 4, 8) for s in ("h100", "a100"))
    asked = parse("8 x h100, within 20 ms of riyadh", at)
    decide(where, asked, Mix(classes), NOW)
    took = []
    for _ in range(5):
        begun = time.perf_counter()
        assert decide(where, asked, Mix(classes), NOW).candidates
        took.append((time.perf_counter() - begun) * 1e3)
    assert min(took) < most_ms, took
