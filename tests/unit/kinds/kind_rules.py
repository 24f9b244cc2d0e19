"""A cluster without an API: the rules of the kinds, called in the order in which the API server calls them."""

from __future__ import annotations

from typing import Any

from epkit.fake import kinds
from epkit.fake.kinds import metadata
from epkit.fake.kinds.base import Kind
from epkit.objects import copy

Obj = dict[str, Any]


class Rules:
    """Objects by plural, and what their rules say of a write."""

    dry_run = False

    def __init__(self) -> None:
        self.objects: dict[str, list[Obj]] = {}
        self.asked = 0

    # the Context of kinds.base

    def now(self) -> str:
        return "2026-01-01T00:00:00Z"

    def get(self, resource: str, name: str, namespace: str = "") -> Obj | None:
        for obj in self.objects.get(resource, ()):
            if obj["metadata"]["name"] == name and obj["metadata"].get("namespace", "") == namespace:
                return obj
        return None

    def list(self, resource: str, namespace: str | None = None) -> list[Obj]:
        return [o for o in self.objects.get(resource, ()) if namespace in (None, o["metadata"].get("namespace"))]

    def name(self, *parts: str) -> str:
        return "bcdfg"

    def number(self, below: int, *parts: str) -> int:
        self.asked += 1
        return (self.asked * 7919) % below

    # writes

    def kind(self, obj: Obj) -> Kind:
        kind = kinds.by_kind(obj["apiVersion"], obj["kind"])
        assert kind is not None
        return kind

    def faults(self, obj: Obj) -> list[str]:
        """What is wrong with creating `obj`."""
        made = self.prepared(obj)
        kind = self.kind(made)
        return [str(fault) for fault in metadata.validate_metadata(kind, made) + kind.validate(made, self)]

    def prepared(self, obj: Obj) -> Obj:
        kind, made = self.kind(obj), copy(obj)
        if kind.namespaced:
            made["metadata"].setdefault("namespace", "default")
        kind.default(made)
        kind.prepare_create(made, self)
        return made

    def create(self, obj: Obj) -> Obj:
        """Store `obj`, which must be valid, and return it as stored."""
        made = self.prepared(obj)
        kind = self.kind(made)
        found = metadata.validate_metadata(kind, made) + kind.validate(made, self)
        assert not found, [str(fault) for fault in found]
        self.objects.setdefault(kind.plural, []).append(made)
        return made

    def update(self, old: Obj, **changes: Any) -> tuple[Obj, list[str]]:
        """`old` with top-level fields replaced: the object after the strategy, and what is wrong with it."""
        kind, new = self.kind(old), copy({**old, **changes})
        kind.default(new)
        kind.prepare_update(new, old, self)
        return new, [str(fault) for fault in kind.validate_update(new, old, self)]

    def status(self, old: Obj, status: Obj) -> tuple[Obj, list[str]]:
        """A write of the status subresource."""
        kind, new = self.kind(old), {**old, "metadata": dict(old["metadata"]), "status": copy(status)}
        kind.prepare_status(new, old, self)
        return new, [str(fault) for fault in kind.validate_status(new, old, self)]
