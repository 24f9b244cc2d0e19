"""From slices to packets: kube-proxy, as a model that writes the rules a kernel would load.

>>> from epkit.proxy import Proxy, load
>>> proxy = Proxy("node-1", mode="nftables")              # kube-proxy on one node: iptables or nftables, IPv4 or IPv6
>>> report = proxy.sync(load("web.yaml"))                 # Nodes, Services and EndpointSlices, as the API shows them
>>> print(proxy.rules())                                  # nft list table ip kube-proxy
>>> print(proxy.send("10.244.1.100", "10.96.0.9", 80))    # the way of one packet through those rules, step by step
>>> proxy.send("10.244.1.100", "10.96.0.9", 80, n=300).answers
Counter({'10.244.2.2:8080': 154, '10.244.1.2:8080': 146})

| module | what it holds |
|---|---|
| `services`, `endpoints` | the ServiceMap and the EndpointsMap, and how changes get into them |
| `topology` | which endpoints a node's traffic may use |
| `backend`, `iptables`, `nftables` | the rules that follow from it |
| `netfilter` | the kernel's side: what walks those rules, hook by hook, and what it remembers |
| `proxier`, `runner` | one kube-proxy: full and partial syncs, and when they run |
| `kpng` | the other shape: one process chooses for all nodes and streams differences to thin backends |
| `objects`, `live`, `validate` | where objects come from, and what is refused |

The model is that of Kubernetes v1.36, with kube-proxy's default configuration.
"""

from epkit.proxy.backend import SyncReport
from epkit.proxy.errors import ObjectError, ProxyError, SyncError
from epkit.proxy.netfilter.packet import Sent, Step, Walk
from epkit.proxy.objects import load
from epkit.proxy.proxier import Proxy
from epkit.proxy.runner import BoundedFrequencyRunner, ManualClock

__all__ = [
    "BoundedFrequencyRunner",
    "ManualClock",
    "ObjectError",
    "Proxy",
    "ProxyError",
    "Sent",
    "Step",
    "SyncError",
    "SyncReport",
    "Walk",
    "load",
]
