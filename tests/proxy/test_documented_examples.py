"""The examples in the docstrings that can be run are right."""

from __future__ import annotations

import doctest
import importlib

import pytest

#: The other modules' examples need files or a cluster.
MODULES = ("errors", "names", "services", "topology", "health", "runner", "kpng.diffstore")
KERNEL = ("netfilter.iptables", "netfilter.iptables_rule", "netfilter.nft", "netfilter.nft_rule")


@pytest.mark.parametrize("name", [*MODULES, *KERNEL])
def test_examples(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"epkit.proxy.{name}"))
    assert result.attempted > 0 and result.failed == 0
