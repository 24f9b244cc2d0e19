"""``kubectl describe networkpolicy``.

Source: ``k8s.io/kubectl/pkg/describe/describe.go`` (describeNetworkPolicySpec).
"""
from __future__ import annotations

from epkit.kubectl.builtin.describe.writer import Writer, format_selector
from epkit.kubectl.builtin.gotext import rfc1123
from epkit.kubectl.builtin.session import Session
from epkit.objects import Obj

_SPACE = "    "


def network_policy(session: Session, obj: Obj) -> str:
    w = Writer(session)
    meta, spec = obj["metadata"], obj.get("spec") or {}
    w.put(0, f"Name:\t{meta['name']}")
    w.put(0, f"Namespace:\t{meta['namespace']}")
    w.put(0, f"Created on:\t{_go_time(meta['creationTimestamp'])}")
    w.labels("Labels", meta.get("labels"))
    w.annotations("Annotations", meta.get("annotations"))
    w.put(0, "Spec:")
    selector = spec.get("podSelector") or {}
    if selector.get("matchLabels") or selector.get("matchExpressions"):
        w.put(1, f"PodSelector:     {format_selector(selector)}")
    else:
        w.put(1, "PodSelector:     <none> (Allowing the specific traffic to all pods in this namespace)")
    types = spec.get("policyTypes") or []
    for word, field, peers, port in (("Ingress", "ingress", "from", "From"), ("Egress", "egress", "to", "To")):
        if word in types:
            w.put(1, f"Allowing {field} traffic:")
            _rules(w, spec.get(field) or [], field, peers, port)
        else:
            w.put(1, f"Not affecting {field} traffic")
    w.put(1, f"Policy Types: {', '.join(types) or '<none>'}")
    return w.text()


def _go_time(time: str) -> str:
    """As Go prints a time: ``2026-11-22 05:47:20 +0000 UTC``."""
    return f"{time[:10]} {rfc1123(time)[17:]} UTC"


def _rules(w: Writer, rules: list[Obj], field: str, peers: str, word: str) -> None:
    if not rules:
        w.put(0, f"{_SPACE}<none> (Selected pods are isolated for {field} connectivity)")
    for position, rule in enumerate(rules):
        for port in rule.get("ports") or ():
            last = port.get("endPort")
            number = port.get("port", "<nil>")
            title, span = ("To Port Range", f"{number}-{last}") if last is not None else ("To Port", number)
            w.put(0, f"{_SPACE}{title}: {span}/{port.get('protocol', 'TCP')}")
        if not rule.get("ports"):
            w.put(0, f"{_SPACE}To Port: <any> (traffic allowed to all ports)")
        for peer in rule.get(peers) or ():
            w.put(0, f"{_SPACE}{word}:")
            _peer(w, peer)
        if not rule.get(peers):
            end = "source" if field == "ingress" else "destination"
            w.put(0, f"{_SPACE}{word}: <any> (traffic not restricted by {end})")
        if position != len(rules) - 1:
            w.put(0, f"{_SPACE}----------")


def _peer(w: Writer, peer: Obj) -> None:
    for title, field in (("NamespaceSelector", "namespaceSelector"), ("PodSelector", "podSelector")):
        if peer.get(field) is not None:
            w.put(1, f"{_SPACE}{title}: {format_selector(peer[field])}")
    if peer.get("ipBlock"):
        w.put(1, f"{_SPACE}IPBlock:")
        w.put(2, f"{_SPACE}CIDR: {peer['ipBlock'].get('cidr', '')}")
        w.put(2, f"{_SPACE}Except: {', '.join(peer['ipBlock'].get('except') or ())}")
