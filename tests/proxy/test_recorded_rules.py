"""The rules are those that the real kube-proxy wrote, line by line."""

from __future__ import annotations

import difflib
from typing import Any

import canonical_rules as canonical
import pytest
from recorded_cases import NAMES, RECORDINGS, UNDEFINED, objects, proxy

from epkit.objects import copy
from epkit.proxy import Proxy

FORMS = {
    "iptables": ("iptables", "IPv4", canonical.iptables),
    "nft": ("nftables", "IPv4", canonical.nft),
    "ip6tables": ("iptables", "IPv6", canonical.iptables),
    "nft6": ("nftables", "IPv6", canonical.nft),
}
RECORDED = [(name, form) for name in NAMES for form in FORMS if (RECORDINGS / f"{name}.{form}").exists()]


def difference(recorded: str, ours: str) -> list[str]:
    return list(difflib.unified_diff(recorded.splitlines(), ours.splitlines(), "recorded", "ours", lineterm="", n=1))


@pytest.mark.parametrize(("name", "form"), RECORDED, ids=[f"{name}.{form}" for name, form in RECORDED])
def test_rules_are_the_recorded_ones(name: str, form: str) -> None:
    mode, family, canonical_form = FORMS[form]
    recorded = (RECORDINGS / f"{name}.{form}").read_text()
    ours = canonical_form(proxy(name, mode, family).rules())
    if name == UNDEFINED:
        # Either of the two slices may win upstream. Here the last name does: with the names swapped, the other one.
        swapped = Proxy("node-1", mode, family)
        swapped.sync(with_slices_swapped(objects(name)))
        other = canonical_form(swapped.rules())
        assert ours != other
        assert [] in (difference(recorded, ours), difference(recorded, other))
    else:
        assert not difference(recorded, ours)


def with_slices_swapped(given: list[dict[str, Any]]) -> list[dict[str, Any]]:
    given = copy(given)
    slices = [obj for obj in given if obj["kind"] == "EndpointSlice"]
    names = [obj["metadata"]["name"] for obj in slices]
    for obj, name in zip(slices, reversed(names), strict=True):
        obj["metadata"]["name"] = name
    return given


def test_every_recorded_case_is_here() -> None:
    assert len(RECORDED) >= 102
