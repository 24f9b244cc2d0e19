"""What a kind's rules may ask of the cluster during one write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from epkit.fake import kinds
from epkit.fake.requests import Options
from epkit.fake.store import Objects
from epkit.objects import Obj

if TYPE_CHECKING:
    from epkit.fake.api import Api

_PLURALS = {kind.plural: kind.resource for kind in kinds.KINDS}


class WriteContext:
    """What a kind's rules may ask during one write: see :class:`epkit.fake.kinds.base.Context`."""

    __slots__ = ("_api", "dry_run")

    def __init__(self, api: Api, options: Options) -> None:
        self._api = api
        self.dry_run = options.dry_run

    def now(self) -> str:
        return self._api.clock.timestamp()

    def get(self, resource: str, name: str, namespace: str = "") -> Obj | None:
        return self._api.store.get(_PLURALS.get(resource, resource), namespace, name)

    def list(self, resource: str, namespace: str | None = None) -> Objects:
        return self._api.store.list(_PLURALS.get(resource, resource), namespace or "")

    def name(self, *parts: str) -> str:
        return self._api.names.suffix(*parts, keep=not self.dry_run)

    def number(self, below: int, *parts: str) -> int:
        return self._api.names.number(below, *parts, keep=not self.dry_run)
