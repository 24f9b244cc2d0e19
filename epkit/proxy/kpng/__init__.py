"""KPNG, "Kubernetes Proxy NG": the other shape that a service proxy can have.

kube-proxy (`epkit.proxy.proxier`) is one program on every node. Each of them watches all Services and slices of the
cluster, keeps all of them, chooses for its node and writes the rules:

    API server ══ all Services, all slices ══> node-1: trackers, maps, choice, rules
               ══ all Services, all slices ══> node-2: trackers, maps, choice, rules
               …

KPNG split that in two. One central process watches the API, keeps one global model, and chooses for every node. What it
chose goes through a *diff store*, and only the differences are streamed to backends that know nothing of the API:

    API server ══ all ══> Server ──> DiffStore of node-1 ── Set, Delete, Sync ──> thin backend: rules
                                 └─> DiffStore of node-2 ── Set, Delete, Sync ──> thin backend: rules

>>> server = Server("IPv4")
>>> server.update(objects)
>>> watch = server.watch("node-1")
>>> sink = BackendSink(make_backend("nftables", server.node("node-1"), "10.244.0.0/16", "10.96.0.0/16"))
>>> sink.apply(watch.receive()).full               # the first time everything comes
True
>>> server.update(objects_with_one_endpoint_less)
>>> [str(item) for item in watch.receive()]        # and then what is different
['Delete endpoints/demo/web/TCP/http/10.244.2.2:8080', 'Sync']

What it gains: a backend is a few lines (`backend`), the choice is made in one place, and a node's share of a change is
as small as can be. What it costs: one more process that everything depends on, which has to know every node's state
and has to be there before anything changes.

The historic KPNG (kubernetes-retired/kpng, archived in 2024) chose more simply than kube-proxy: ready endpoints alone,
and zone hints without the safeguards. This model uses kube-proxy's own choice, so that both shapes can be compared rule
by rule.
"""

from epkit.proxy.kpng.backend import BackendSink
from epkit.proxy.kpng.diffstore import Delete, DiffStore, Item, Set, Sync
from epkit.proxy.kpng.server import Server, Watch

__all__ = ["BackendSink", "Delete", "DiffStore", "Item", "Server", "Set", "Sync", "Watch"]
