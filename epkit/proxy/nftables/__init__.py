"""The nftables backend: services are elements of maps, and endpoints are the elements of one rule."""

from epkit.proxy.nftables.backend import NftablesBackend

__all__ = ["NftablesBackend"]
