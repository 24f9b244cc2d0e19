"""The chains that a packet goes through, as the steps of its walk tell them."""

from __future__ import annotations

import pytest
import view_objects as made
import view_pictures as pictures

import epkit
from epkit.errors import EpkitError
from epkit.proxy import Sent, Step, Walk
from epkit.proxy.netfilter.packet import PacketState
from epkit.views import palette, rules

PACKET = PacketState("TCP", "10.244.1.9", 32768, "10.96.0.9", 80, 0)


def step(hook: str, chain: str, effect: str, rule: str = "a rule", table: str = "nat") -> Step:
    return Step(hook, table, chain, rule, effect, PACKET)


def walk(*steps: Step, outcome: str = "delivered", endpoint: str | None = "10.244.2.2:8080", **others: object) -> Walk:
    known = {"masqueraded": False, "established": False, "to_node": False, "examined": len(steps)} | others
    return Walk(
        "TCP", "10.244.1.9", "10.96.0.9:80", outcome, "10.244.1.9", endpoint or "10.96.0.9:80", endpoint,  # type: ignore[arg-type]
        steps=steps, **known,  # type: ignore[arg-type]
    )  # fmt: skip


def a_way() -> Walk:
    return walk(
        step("PREROUTING", "PREROUTING", "jump SERVICES", "-A PREROUTING -j SERVICES"),
        step("PREROUTING", "SERVICES", "jump SVC"),
        step("PREROUTING", "SVC", "jump MARK"),
        step("PREROUTING", "MARK", "mark 0x4000"),
        step("PREROUTING", "SVC", "jump SEP"),
        step("PREROUTING", "SEP", "dnat 10.244.2.2:8080"),
        step("FORWARD", "FORWARD", "jump FIREWALL", table="filter"),
        step("FORWARD", "FORWARD", "jump LAST", table="filter"),
        step("POSTROUTING", "", "masquerade 172.18.0.2", rule="", table=""),
    )


def test_each_hook_is_a_line_with_its_chains_and_what_they_did() -> None:
    assert rules.of(a_way()).sentence.splitlines() == [
        "TCP 10.244.1.9 → 10.96.0.9:80 is delivered: the client gets an answer from 10.244.2.2:8080, seen there as "
        "coming from 10.244.1.9.",
        "PREROUTING: nat PREROUTING (jump SERVICES); nat SERVICES (jump SVC); nat SVC (jump MARK); "
        "nat MARK (mark 0x4000); nat SVC (jump SEP); nat SEP (dnat 10.244.2.2:8080)",
        "FORWARD: filter FORWARD (jump FIREWALL and back, jump LAST and back)",
        "POSTROUTING: the kernel itself (masquerade 172.18.0.2)",
    ]


def test_a_jump_leads_deeper_and_the_chain_that_called_stands_where_it_stood() -> None:
    boxes = rules.boxes_of(a_way().steps)
    assert [(box.chain, box.depth, len(box.steps)) for box in boxes] == [
        ("nat PREROUTING", 0, 1), ("nat SERVICES", 1, 1), ("nat SVC", 2, 1), ("nat MARK", 3, 1), ("nat SVC", 2, 1),
        ("nat SEP", 3, 1), ("filter FORWARD", 0, 2), ("the kernel itself", 0, 1),
    ]  # fmt: skip


def test_boxes_are_drawn_as_deep_as_they_are_and_hooks_are_named() -> None:
    diagram = rules.of(a_way())
    boxes = pictures.all_of(diagram, "rect", stroke=palette.INK)
    lefts = [float(box.get("x", 0)) for box in boxes]
    assert [(left - lefts[0]) / 22 for left in lefts] == [0, 1, 2, 3, 2, 3, 0, 0]
    words = pictures.words(diagram)
    assert [word for word in words if word.isupper() and " " not in word] == ["PREROUTING", "FORWARD", "POSTROUTING"]
    assert "-j SERVICES" in words, "the chain's name stands above and not in the rule"
    assert {"↳ jump FIREWALL: nothing matched there", "✎ dnat 10.244.2.2:8080", "✔ delivered"} <= set(words)
    pictures.check(diagram)


@pytest.mark.parametrize(
    ("outcome", "sign", "colour", "dash"),
    [
        ("rejected", "✖ rejected", palette.ORANGE, "6 3"),
        ("dropped", "✖ dropped", palette.ORANGE, "1.5 3"),
        ("passed", "→ passed", palette.FAINT, "6 3"),
    ],
)
def test_every_end_has_a_look_of_its_own(outcome: str, sign: str, colour: str, dash: str) -> None:
    diagram = rules.of(walk(step("INPUT", "INPUT", "reject", table="filter"), outcome=outcome, endpoint=None))
    assert sign in pictures.words(diagram)
    assert len(pictures.all_of(diagram, "rect", stroke=colour, stroke_width="2", stroke_dasharray=dash)) == 1
    assert f"is {outcome}: the client gets" in diagram.sentence and "seen there" not in diagram.sentence
    pictures.check(diagram)


def test_no_rule_matched_and_a_flow_that_conntrack_knew() -> None:
    diagram = rules.of(walk(outcome="passed", endpoint=None))
    assert diagram.sentence.splitlines()[-1] == "No rule matched it."
    pictures.check(diagram)
    known = rules.of(walk(established=True))
    assert "conntrack knew the connection, so no rule of NAT was asked" in known.sentence
    assert "conntrack knew the connection, so no rule of NAT was asked" in pictures.words(known)


def test_of_several_connections_the_ends_are_counted() -> None:
    sent = Sent((a_way(), a_way(), walk(endpoint="10.244.3.2:8080"), walk(outcome="dropped", endpoint=None)))
    diagram = rules.of(sent)
    assert diagram.sentence.splitlines()[-1] == "4 connections: 10.244.2.2:8080 2, 10.244.3.2:8080 1, dropped 1"
    assert "of 4 connections: 10.244.2.2:8080 × 2, 10.244.3.2:8080 × 1, dropped × 1" in pictures.words(diagram)
    with pytest.raises(EpkitError, match="Nothing was sent"):
        rules.of(Sent(()))


def test_long_and_hostile_rules_are_wrapped_cut_and_text() -> None:
    hostile = '-A SVC --comment "</text><script>&\x1b" ' + "word " * 200 + "x" * 500
    diagram = rules.of(walk(step("PREROUTING", "SVC", "accept", hostile)))
    rule_lines = pictures.all_of(diagram, "text", font_size="10.5")
    assert len(rule_lines) == 3 and (rule_lines[-1].text or "").endswith("…")
    assert "<script" not in diagram.svg and "\x1b" not in diagram.svg
    pictures.check(diagram)


def test_walks_through_real_rules_give_readable_pictures() -> None:
    with epkit.Cluster({"start": made.MOMENT}) as cluster:
        cluster.kubectl("create deployment web --image=nginx --replicas=3")
        cluster.kubectl("expose deployment web --port=80")
        cluster.settle()
        client = cluster.client.list("pods", "default").items[0]["metadata"]["name"]
        for mode in ("iptables", "nftables"):
            diagram = cluster.rules("svc/web", from_pod=client, mode=mode, n=20)
            assert "is delivered" in diagram.sentence and "\n20 connections: " in diagram.sentence
            assert "(dnat 10.244." in diagram.sentence
            pictures.check(diagram)
        first, second = (cluster.rules("web", from_node="node-2") for _ in range(2))
        assert first.svg == second.svg and first.sentence.startswith("TCP 172.18.0.4 → 10.96.")
        cluster.kubectl("scale deployment web --replicas=0")
        cluster.settle()
        assert "is rejected: the client gets connection refused" in cluster.rules("web").sentence


@pytest.mark.parametrize(
    ("what", "how", "text"),
    [
        ("wbe", {}, "There is no Service wbe in the namespace default. The nearest name is web; there are: none, web."),
        ("none", {}, "Service none has no cluster IP, so kube-proxy writes no rules for it."),
        ("web", {"port": 81}, "Service web has no port 81. It has: 80."),
        ("web", {"from_node": "node-9"}, "There is no node node-9. There are: node-1."),
        ("web", {"from_pod": "wbe-1"}, "There is no pod wbe-1 in the namespace default. The nearest name is web-1; "
                                       "there are: late, web-1."),
        ("web", {"from_pod": "late"}, "Pod late sends nothing yet: it has no node."),
        ("web", {"from_pod": "web-1"}, "Pod web-1 sends nothing yet: it has no address."),
    ],
)  # fmt: skip
def test_what_cannot_be_sent_is_said(what: str, how: dict[str, object], text: str) -> None:
    cluster = made.cluster(
        made.service(), made.service("none", clusterIP="None"), made.node("node-1"), made.pod("web-1", node="node-1"),
        made.pod("late"),
    )  # fmt: skip
    with pytest.raises(EpkitError) as caught:
        rules.of_service(cluster, what, **how)  # type: ignore[arg-type]
    assert str(caught.value) == text
