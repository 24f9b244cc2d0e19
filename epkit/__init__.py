"""epkit: learn Kubernetes Endpoints and EndpointSlices on a cluster that starts inside your notebook.

The names here are the public ones; each is loaded when it is first used, so that ``import epkit`` is quick.

>>> import epkit
>>> cluster = epkit.connect()
>>> cluster.kubectl("get endpointslices")
"""
from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "connect": "epkit.cluster",
    "Cluster": "epkit.cluster",
    "replay": "epkit.story",
    "start": "epkit.checks.engine",
    "check": "epkit.checks.engine",
    "again": "epkit.checks.engine",
    "hint": "epkit.checks.engine",
    "solution": "epkit.checks.engine",
    "predict": "epkit.checks.engine",
    "quiz": "epkit.checks.engine",
    "progress": "epkit.checks.engine",
    "doctor": "epkit.preflight",
    "EpkitError": "epkit.errors",
    "ApiError": "epkit.errors",
}

__all__ = ["__version__", *_HOMES]

if TYPE_CHECKING:
    from epkit.cluster import Cluster as Cluster
    from epkit.cluster import connect as connect
    from epkit.errors import ApiError as ApiError
    from epkit.errors import EpkitError as EpkitError
    from epkit.story import replay as replay


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'epkit' has no attribute {name!r}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted(__all__)
