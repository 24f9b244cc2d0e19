"""Read API objects from a file: YAML or JSON, several documents, and lists as ``kubectl get -o yaml`` prints them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from epkit.objects import Obj
from epkit.proxy.errors import ObjectError
from epkit.proxy.validate import check_objects

NAMESPACED = ("Service", "EndpointSlice")


class _Loader(yaml.CSafeLoader if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader):  # type: ignore[misc]
    """Reads dates as text, as Kubernetes does: a creationTimestamp is a string of the API."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in _Loader.yaml_implicit_resolvers.items()
}


def load(path: str | Path) -> list[Obj]:
    """The objects in a file; "-" is the standard input.

    Raises `ObjectError`, with the file's name in front, for a file that cannot be read, is not YAML, or holds an object
    that Kubernetes would refuse. Kinds that kube-proxy does not read are let through unchecked. Objects without a
    namespace get "default", as kubectl gives it to them.

    >>> [obj["kind"] for obj in load("web.yaml")]
    ['Node', 'Service', 'EndpointSlice']
    """
    source = "standard input" if str(path) == "-" else str(path)
    try:
        text = sys.stdin.read() if str(path) == "-" else Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ObjectError(f"cannot be read: {error.strerror}", source=source) from None
    except UnicodeDecodeError:
        raise ObjectError("not YAML: it is not text in UTF-8", source=source) from None
    objects = list(_documents(text, source))
    for obj in objects:  # they have just been made, so nobody else holds them
        if isinstance(obj, dict) and obj.get("kind") in NAMESPACED and isinstance(obj.get("metadata"), dict):
            obj["metadata"].setdefault("namespace", "default")
    try:
        check_objects(objects)
    except ObjectError as error:
        raise error.at(source) from None
    return objects


def _documents(text: str, source: str) -> Iterator[Obj]:
    try:
        documents: list[Any] = list(yaml.load_all(text, Loader=_Loader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = " ".join(str(getattr(error, "problem", None) or error).split())
        raise ObjectError(f"not YAML{where}: {problem}", source=source) from None
    for number, document in enumerate(documents, 1):
        if document is None:
            continue
        if not isinstance(document, dict):
            raise ObjectError(f"document {number} is not an API object but {type(document).__name__}", source=source)
        kind = document.get("kind")
        if isinstance(kind, str) and kind.endswith("List") and isinstance(document.get("items"), list):
            # A list of one kind leaves it out of its items.
            defaults = (
                {} if kind == "List" else {"kind": kind.removesuffix("List"), "apiVersion": document.get("apiVersion")}
            )
            yield from ({**defaults, **item} if isinstance(item, dict) else item for item in document["items"])
        else:
            yield document
