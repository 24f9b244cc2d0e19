"""The recorded cases, and proxies that have them loaded."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from epkit.objects import copy
from epkit.proxy import Proxy, load

RECORDINGS = Path(__file__).parent / "recordings"
NAMES = sorted(path.stem for path in RECORDINGS.glob("*.yaml"))
#: The answer is undefined upstream and differs between any two recordings.
UNDEFINED = "68-duplicate-undefined"
#: Where kube-proxy takes its settings from; the Node objects of the recordings have no pod CIDR, the network had these.
POD_CIDRS = ["10.244.1.0/24", "fd00:10:244:1::/64"]


@cache
def objects(name: str) -> list[dict[str, Any]]:
    return load(RECORDINGS / f"{name}.yaml")


def proxy(name: str, mode: str, family: str = "IPv4", *, pod_cidrs: bool = False) -> Proxy:
    """kube-proxy on node-1 with one case loaded."""
    given = objects(name)
    if pod_cidrs:
        given = copy(given)
        for obj in given:
            if obj["kind"] == "Node" and obj["metadata"]["name"] == "node-1":
                obj["spec"]["podCIDRs"] = POD_CIDRS
    made = Proxy("node-1", mode, family)
    made.sync(given)
    return made
