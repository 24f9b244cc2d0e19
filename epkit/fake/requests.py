"""Requests to the API: the route in the path, the parameters in the query.

Source: ``k8s.io/apiserver/pkg/endpoints/request/requestinfo.go`` and the option types of ``metav1``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import unquote

from epkit.fake import kinds
from epkit.fake.kinds.base import FieldError, Kind, invalid, too_long
from epkit.fake.wire import errors
from epkit.objects import Obj


@dataclass(frozen=True, slots=True)
class Route:
    """What a path names: a collection, an object, or a subresource of one."""

    kind: Kind
    namespace: str = ""
    name: str = ""
    subresource: str = ""


@dataclass(slots=True)
class Options:
    """How a write is to be done, from its query and from its DeleteOptions."""

    dry_run: bool = False
    field_manager: str = ""
    field_validation: str = "Warn"
    force: bool = False
    #: who asks: a controller's name or a client's user agent
    actor: str = ""
    #: the request comes from inside the control plane: what it sends is well formed and its own
    trusted: bool = False
    grace: int | None = None
    propagation: str = ""
    uid: str = ""
    resource_version: str = ""
    #: the managed fields that a server-side apply has worked out
    managed: list[Obj] | None = None
    warnings: list[str] = field(default_factory=list)


_ROOTS = frozenset(kind.path().rsplit("/", 1)[0] for kind in kinds.KINDS)


def serves(path: str) -> bool:
    """Is the path below a group and version that is served? Elsewhere the API server's plain 404 answers."""
    return "/".join(path.split("/", 4)[: 3 if path.startswith("/api/") else 4]) in _ROOTS


@lru_cache(maxsize=4096)
def route_of(path: str) -> Route:
    """The route of a path. Raises a 404 :class:`ApiError` when it names nothing that is served.

    >>> route_of("/api/v1/namespaces/default/pods/web-1/status").subresource
    'status'
    """
    parts = [unquote(part) for part in path.strip("/").split("/")]
    if parts[:1] == ["api"] and len(parts) > 2:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[:1] == ["apis"] and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        raise errors.missing_route()
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and not (len(rest) == 3 and rest[2] in ("status", "finalize")):
        namespace, rest = rest[1], rest[2:]
    kind = kinds.by_plural(group, version, rest[0])
    if kind is None or len(rest) > 3 or (namespace and not kind.namespaced):
        raise errors.missing_route()
    if kind.namespaced and not namespace and len(rest) > 1:
        raise errors.missing_route()
    return Route(kind, namespace, rest[1] if len(rest) > 1 else "", rest[2] if len(rest) > 2 else "")


def write_options(query: Mapping[str, str], kind_of_options: str, actor: str) -> Options:
    """The options of a create, update or patch. `kind_of_options` is ``CreateOptions`` and so on, for the errors."""
    faults = _faults_of_manager(query.get("fieldManager", ""))
    if query.get("dryRun") and query["dryRun"] != "All":
        faults.append(_unsupported("dryRun", f'["{query["dryRun"]}"]', ['"All"']))
    validation = query.get("fieldValidation") or "Warn"
    if validation not in ("Ignore", "Warn", "Strict"):
        faults.append(_unsupported("fieldValidation", f'"{validation}"', ['""', '"Ignore"', '"Strict"', '"Warn"']))
    if faults:
        raise errors.invalid(kind_of_options, "", faults, "meta.k8s.io")
    return Options(
        dry_run=query.get("dryRun") == "All",
        field_manager=query.get("fieldManager") or manager_of(actor),
        field_validation=validation,
        force=is_true(query.get("force", "")),
        actor=actor,
    )


def delete_options(query: Mapping[str, str], body: Obj | None, actor: str) -> Options:
    """The options of a delete, from the query or, where there is one, from the body."""
    given: Obj = dict(body or {})
    if not given:
        if "gracePeriodSeconds" in query:
            given["gracePeriodSeconds"] = _integer(query["gracePeriodSeconds"])
        for key in ("propagationPolicy", "orphanDependents"):
            if key in query:
                given[key] = query[key]
        if "dryRun" in query:
            given["dryRun"] = [query["dryRun"]]
    faults = []
    dry_run = [value for value in given.get("dryRun") or [] if value]
    if dry_run and dry_run != ["All"]:
        listed = " ".join(f'"{value}"' for value in dry_run)
        faults.append(_unsupported("dryRun", f"[{listed}]", ['"All"']))
    propagation = given.get("propagationPolicy") or ""
    if propagation and given.get("orphanDependents") is not None:
        both = "orphanDependents and deletionPropagation cannot be both set"
        faults.insert(0, invalid("propagationPolicy", propagation, both))
    if propagation not in ("", "Foreground", "Background", "Orphan"):
        allowed = ['"Foreground"', '"Background"', '"Orphan"', '"nil"']
        faults.append(_unsupported("propagationPolicy", f'"{propagation}"', allowed))
    if faults:
        raise errors.invalid("DeleteOptions", "", faults, "meta.k8s.io")
    if not propagation and given.get("orphanDependents") is not None:
        propagation = "Orphan" if given["orphanDependents"] in (True, "true") else "Background"
    conditions = given.get("preconditions") or {}
    return Options(
        dry_run=bool(dry_run),
        actor=actor,
        grace=given.get("gracePeriodSeconds"),
        propagation=propagation,
        uid=conditions.get("uid") or "",
        resource_version=conditions.get("resourceVersion") or "",
    )


def _faults_of_manager(manager: str) -> list[FieldError]:
    """``ValidateFieldManager`` of ``k8s.io/apimachinery/pkg/apis/meta/v1/validation``."""
    faults = [too_long("fieldManager", 128)] if len(manager.encode()) > 128 else []
    at = 0
    for character in manager:
        if not character.isprintable():
            detail = f"invalid character U+{ord(character):04X} (at position {at})"
            faults.append(invalid("fieldManager", manager, detail))
        at += len(character.encode())
    return faults


def is_true(text: str) -> bool:
    """A truth in a query, as Go's ``strconv.ParseBool`` reads it: the official clients write ``True``."""
    return text in ("1", "t", "T", "true", "TRUE", "True")


def manager_of(actor: str) -> str:
    """The field manager of a client that names none: the first part of its user agent."""
    return actor.split("/", 1)[0][:128] or "unknown"


def _unsupported(path: str, value: str, allowed: list[str]) -> FieldError:
    return FieldError(
        "FieldValueNotSupported", path, f"Unsupported value: {value}: supported values: {', '.join(allowed)}"
    )


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise errors.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None
