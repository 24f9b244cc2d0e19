"""A cluster that is nothing but a list of objects: for recorded ones, hostile ones, and very many."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from epkit import selectors
from epkit.client import RESOURCES, Answer, Client
from epkit.objects import Obj, labels_of, name_of

KINDS = {kind: plural for plural, (_, kind, _) in RESOURCES.items()}
KINDS |= {f"{kind}WebhookConfiguration": f"{kind.lower()}webhookconfigurations" for kind in ("Validating", "Mutating")}


class ObjectsOnly:
    """A transport that lists and gets. It refuses the plurals in `refused`; ``*`` means all namespaces at once."""

    def __init__(self, objects: list[Obj], refused: tuple[str, ...] = ()) -> None:
        self.objects = objects
        self.refused = refused
        self.asked: list[str] = []

    def send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        *,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> Answer:
        assert method == "GET", f"{method} {path}: why must only read"
        query = query or {}
        self.asked.append(f"{path}?{query.get('labelSelector', '')}{query.get('fieldSelector', '')}")
        parts = path.split("/")
        namespace = parts[parts.index("namespaces") + 1] if "namespaces" in parts else ""
        rest = parts[parts.index(namespace) + 1 :] if namespace else parts[-1:]
        plural, name = rest[0], rest[1] if len(rest) > 1 else ""
        if plural in self.refused or ("*" in self.refused and not namespace):
            text = f'{plural} is forbidden: User "jane" cannot list resource "{plural}" in API group ""'
            return Answer(403, {"kind": "Status", "code": 403, "reason": "Forbidden", "message": text})
        found = [
            obj
            for obj in self.objects
            if KINDS[obj["kind"]] == plural
            and (not namespace or obj["metadata"].get("namespace", "default") == namespace)
        ]
        if name:
            one = next((obj for obj in found if name_of(obj) == name), None)
            return Answer(200, one) if one else Answer(404, {"code": 404, "reason": "NotFound", "message": "not found"})
        matches = selectors.parse(query.get("labelSelector", ""))
        return Answer(200, {"metadata": {}, "items": [obj for obj in found if matches(labels_of(obj))]})

    def watch(self, path: str, query: Mapping[str, str], *, accept: str = "application/json") -> Iterator[Obj]:
        raise AssertionError("why watches nothing")


def client(objects: list[Obj], refused: tuple[str, ...] = ()) -> Client:
    return Client(ObjectsOnly(objects, refused))
