"""The TTL controller: tells each node's kubelet how long it may cache Secrets and ConfigMaps.

Source: ``pkg/controller/ttl/ttl_controller.go`` of Kubernetes v1.36.
"""
from __future__ import annotations

from typing import Any

from epkit.fake.controllers.framework import Controller, Kit
from epkit.objects import Obj, annotations_of, name_of

ANNOTATION = "node.alpha.kubernetes.io/ttl"
#: up to so many nodes -> seconds
BOUNDARIES = ((100, 0), (500, 15), (1000, 30), (2000, 60))
MOST = 300


class TTLController(Controller):
    """Keeps the annotation ``node.alpha.kubernetes.io/ttl`` of every node at the value for the cluster's size."""

    name = "ttl-controller"

    def __init__(self, kit: Kit, **flags: Any) -> None:
        super().__init__(kit, **flags)
        self.queue = self.new_queue("ttl", self.sync)
        self.nodes = self.informer("nodes")
        self.nodes.on(add=self._enqueue, update=lambda _, node: self._enqueue(node))

    def sync(self, key: str) -> None:
        node = self.nodes.get("", key)
        if node is None:
            return
        count = len(self.nodes.list())
        wanted = str(next((seconds for most, seconds in BOUNDARIES if count <= most), MOST))
        if annotations_of(node).get(ANNOTATION) != wanted:
            self.client.patch("nodes", key, {"metadata": {"annotations": {ANNOTATION: wanted}}})

    def _enqueue(self, node: Obj) -> None:
        if ANNOTATION not in annotations_of(node):
            self.queue.add(name_of(node))
