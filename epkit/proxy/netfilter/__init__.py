"""The kernel's side: rules that are loaded, packets that walk through them, connections that are remembered.

Nothing here knows Kubernetes. `iptables` and `nft` read rules as ``iptables-save`` and ``nft list table`` print them,
so what walks is what was *written*; `host` takes a packet from hook to hook as Linux does; `conntrack` remembers flows.
"""
