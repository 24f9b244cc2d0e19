"""The iptables backend: rules in the nat and filter tables, one chain for each service port and each endpoint."""

from epkit.proxy.iptables.backend import IptablesBackend

__all__ = ["IptablesBackend"]
