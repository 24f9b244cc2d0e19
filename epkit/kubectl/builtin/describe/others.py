"""``kubectl describe`` of the other kinds: those with a form of their own, and any kind at all.

Source: ``k8s.io/kubectl/pkg/describe/describe.go``.
"""
from __future__ import annotations

import re
from base64 import b64decode

from epkit.errors import ApiError
from epkit.kubectl.builtin.describe.writer import Writer, find_events, format_selector
from epkit.kubectl.builtin.failures import NotInSubset
from epkit.kubectl.builtin.gotext import plain, rfc1123
from epkit.kubectl.builtin.session import Session
from epkit.objects import Obj


def namespace(session: Session, obj: Obj) -> str:
    w = Writer(session)
    w.head(obj, namespaced=False)
    status = obj.get("status") or {}
    w.put(0, f"Status:\t{status.get('phase', '')}")
    if status.get("conditions"):
        w.put(0, "Conditions:")
        w.put(1, "Type\tStatus\tLastTransitionTime\tReason\tMessage")
        w.put(1, "----\t------\t------------------\t------\t-------")
        for c in status["conditions"]:
            why = f"{c.get('reason', '')}\t{c.get('message', '')}"
            w.put(1, f"{c['type']}\t{c['status']}\t{rfc1123(c.get('lastTransitionTime'))}\t{why}")
    for plural, words in (("resourcequotas", "No resource quota."), ("limitranges", "No LimitRange resource.")):
        found = _in_namespace(session, plural, obj["metadata"]["name"])
        if found is not None:
            w.put(0, "")
            if found:
                raise NotInSubset(f"describe namespace with {plural}")
            w.put(0, words)
    return w.text()


def _in_namespace(session: Session, plural: str, name: str) -> list[Obj] | None:
    """The objects, or None where the server has no such resource, in which case nothing is said about it."""
    try:
        body = session.send("GET", f"/api/v1/namespaces/{name}/{plural}", {"limit": "500"})
    except ApiError as error:
        if error.reason == "NotFound":
            return None
        raise
    return list(body.get("items") or ())


def config_map(session: Session, obj: Obj) -> str:
    w = Writer(session)
    w.head(obj)
    w.put(0, "\nData\n====")
    for key, value in sorted((obj.get("data") or {}).items()):
        w.put(0, f"{key}:\n----\n{value}\n")
    w.put(0, "\nBinaryData\n====")
    for key, value in sorted((obj.get("binaryData") or {}).items()):
        w.put(0, f"{key}: {len(b64decode(value))} bytes")
    w.put(0, "")
    w.events(find_events(session, obj))
    return w.text()


def secret(session: Session, obj: Obj) -> str:
    w = Writer(session)
    w.head(obj)
    w.put(0, f"\nType:\t{obj.get('type', '')}")
    w.put(0, "\nData\n====")
    for key, value in sorted((obj.get("data") or {}).items()):
        content = b64decode(value)
        shown = content.decode() if (key, obj.get("type")) == ("token", _TOKEN) else f"{len(content)} bytes"
        w.put(0, f"{key}:\t{shown}")
    return w.text()


_TOKEN = "kubernetes.io/service-account-token"


def service_account(session: Session, obj: Obj) -> str:
    w = Writer(session)
    w.head(obj)
    secrets = session.list(session.resources.find("secrets"), obj["metadata"]["namespace"])
    present = {item["metadata"]["name"] for item in secrets}
    pull = [entry["name"] for entry in obj.get("imagePullSecrets") or ()]
    mount = [entry["name"] for entry in obj.get("secrets") or ()]
    tokens = [item["metadata"]["name"] for item in secrets if _is_token_of(item, obj)]
    blocks = (("Image pull secrets:", pull), ("Mountable secrets: ", mount), ("Tokens:            ", tokens))
    for title, names in blocks:
        lines = [name if name in present else f"{name} (not found)" for name in names] or ["<none>"]
        w.put(0, f"{title}\t{lines[0]}")
        for line in lines[1:]:
            w.put(0, f"{' ' * len(title)}\t{line}")
    w.events(find_events(session, obj))
    return w.text()


def _is_token_of(item: Obj, account: Obj) -> bool:
    notes = item["metadata"].get("annotations") or {}
    return (
        item.get("type") == _TOKEN
        and notes.get("kubernetes.io/service-account.name") == account["metadata"]["name"]
        and notes.get("kubernetes.io/service-account.uid") == account["metadata"]["uid"]
    )


def disruption_budget(session: Session, obj: Obj) -> str:
    w = Writer(session)
    meta, spec, status = obj["metadata"], obj.get("spec") or {}, obj.get("status") or {}
    w.put(0, f"Name:\t{meta['name']}")
    w.put(0, f"Namespace:\t{meta['namespace']}")
    if spec.get("minAvailable") is not None:
        w.put(0, f"Min available:\t{spec['minAvailable']}")
    elif spec.get("maxUnavailable") is not None:
        w.put(0, f"Max unavailable:\t{spec['maxUnavailable']}")
    w.put(0, f"Selector:\t{'<unset>' if spec.get('selector') is None else format_selector(spec['selector'])}")
    w.put(0, "Status:")
    for title, field in (
        ("Allowed disruptions", "disruptionsAllowed"),
        ("Current", "currentHealthy"),
        ("Desired", "desiredHealthy"),
        ("Total", "expectedPods"),
    ):
        w.put(2, f"{title}:\t{status.get(field, 0)}")
    w.events(find_events(session, obj))
    return w.text()


def anything(session: Session, obj: Obj) -> str:
    """A kind that kubectl has no form for: its fields by name (``genericDescriber``)."""
    w = Writer(session)
    meta = obj["metadata"]
    w.put(0, f"Name:\t{meta['name']}")
    w.put(0, f"Namespace:\t{meta.get('namespace', '')}")
    w.labels("Labels", meta.get("labels"))
    w.annotations("Annotations", meta.get("annotations"))
    hidden = ("managedFields", "name", "namespace", "labels", "annotations")
    shown = {key: value for key, value in meta.items() if key not in hidden}
    _fields(w, 0, obj | {"metadata": shown})
    w.events(find_events(session, obj))
    return w.text()


def _fields(w: Writer, level: int, content: Obj) -> None:
    for key in sorted(content):
        value = content[key]
        if isinstance(value, dict):
            w.put(level, f"{label_of(key)}:")
            _fields(w, level + 1, value)
        elif isinstance(value, list):
            w.put(level, f"{label_of(key)}:")
            for item in value:
                if isinstance(item, dict):
                    _fields(w, level + 1, item)
                else:
                    w.put(level + 1, plain(item))
        else:
            w.put(level, f"{label_of(key)}:\t{plain(value)}")


_ACRONYMS = ("API", "URL", "UID", "OSB", "GUID")
_WORDS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|-+")


def label_of(field: str) -> str:
    """A field's name in words.

    >>> label_of("creationTimestamp"), label_of("apiVersion"), label_of("f:spec")
    ('Creation Timestamp', 'API Version', 'f:spec')
    """
    if not all(character.isalpha() or character == "-" for character in field):
        return field
    words: list[str] = _WORDS.findall(field)
    return " ".join(word.upper() if word.upper() in _ACRONYMS else word[:1].upper() + word[1:] for word in words)
