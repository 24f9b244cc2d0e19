"""What the API server knows of one kind: its names, its rules and how it is printed.

A file in this folder describes one kind by a :class:`Kind`. The functions that it names work on plain JSON
dictionaries in API form and know nothing of HTTP, of the store or of time, other than what :class:`Context` hands them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

Obj = dict[str, Any]
MISSING = object()


@dataclass(frozen=True)
class FieldError:
    """One fault of one field, as ``k8s.io/apimachinery/pkg/util/validation/field`` words it.

    >>> str(invalid("spec.ports[0].port", 0, "must be between 1 and 65535, inclusive"))
    'spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive'
    """

    reason: str  # FieldValueInvalid, FieldValueRequired, ... as in a Status' causes
    path: str
    message: str  # the text after "path: "

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


def shown(value: Any) -> str:
    """A value as Go's ``%v``/``%q`` shows it in a field error."""
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list)):
        import json

        return json.dumps(value, separators=(",", ":"), sort_keys=True)
    return str(value)


def invalid(path: str, value: Any, detail: str) -> FieldError:
    return FieldError("FieldValueInvalid", path, f"Invalid value: {shown(value)}: {detail}")


def required(path: str, detail: str = "") -> FieldError:
    return FieldError("FieldValueRequired", path, "Required value" + (f": {detail}" if detail else ""))


def duplicate(path: str, value: Any) -> FieldError:
    return FieldError("FieldValueDuplicate", path, f"Duplicate value: {shown(value)}")


def unsupported(path: str, value: Any, allowed: Sequence[str] | frozenset[str]) -> FieldError:
    """The allowed values of a list are shown in its order, those of a set sorted (as ``field.NotSupported``)."""
    listed = ", ".join(f'"{name}"' for name in (sorted(allowed) if isinstance(allowed, frozenset) else allowed))
    return FieldError("FieldValueNotSupported", path, f"Unsupported value: {shown(value)}: supported values: {listed}")


def forbidden(path: str, detail: str) -> FieldError:
    return FieldError("FieldValueForbidden", path, f"Forbidden: {detail}")


def too_many(path: str, count: int, most: int) -> FieldError:
    return FieldError("FieldValueTooMany", path, f"Too many: {count}: must have at most {most} items")


def too_long(path: str, most: int) -> FieldError:
    return FieldError("FieldValueTooLong", path, f"Too long: may not be more than {most} bytes")


@dataclass(frozen=True)
class Column:
    """A column of the table that ``kubectl get`` prints; ``wide`` ones show only with ``-o wide``."""

    name: str
    type: str = "string"
    format: str = ""
    wide: bool = False
    description: str = ""


class Context(Protocol):
    """What a kind's rules may ask of the cluster while a write is under way."""

    dry_run: bool

    def now(self) -> str:
        """The time of the write, RFC 3339 in seconds, such as ``2026-01-01T00:00:00Z``."""

    def get(self, resource: str, name: str, namespace: str = "") -> Obj | None:
        """Another object, or None. `resource` is the plural, such as ``"nodes"``."""

    def list(self, resource: str, namespace: str | None = None) -> Sequence[Obj]:
        """Other objects, by namespace and name."""

    def name(self, *parts: str) -> str:
        """A token of five characters from Kubernetes' alphabet, determined by `parts` and how often they were asked."""

    def number(self, below: int, *parts: str) -> int:
        """A number from 0 to `below` - 1, determined in the same way; used to pick addresses and node ports."""


class Refused(Exception):
    """Raised by `prepare_create`, `prepare_update` and `default`: the write ends here, before validation.

    With `errors` the answer is 422 Invalid with those causes: an allocation that failed, as upstream's
    ``pkg/registry/core/service/storage/alloc.go`` reports it. With `forbidden` it is 403, as a plugin of
    ``plugin/pkg/admission`` answers: ``pods "web" is forbidden: ...``. With `internal` it is 500 InternalError, and
    with `unknown` 500 without a reason, where upstream returns an error that is no Status.
    """

    def __init__(
        self, errors: Sequence[FieldError] = (), forbidden: str = "", internal: str = "", unknown: str = ""
    ) -> None:
        super().__init__(forbidden or internal or unknown or "; ".join(map(str, errors)))
        self.errors = list(errors)
        self.forbidden = forbidden
        self.internal = internal
        self.unknown = unknown


def nothing(*_: Any) -> None:
    """The rule of a kind that has none."""


def no_errors(*_: Any) -> list[FieldError]:
    return []


def no_warnings(*_: Any) -> list[str]:
    return []


def spec_changed(new: Obj, old: Obj) -> bool:
    """The usual rule for ``metadata.generation``: it rises when ``spec`` changes."""
    return bool(new.get("spec") != old.get("spec"))


@dataclass(frozen=True)
class Kind:
    """One kind of the API. All functions get objects that they may change in place: a fresh copy of what was sent.

    The order on a write: decode, `default`, `prepare_create` or `prepare_update`, `validate` or `validate_update`,
    `warnings`, store. It is that of ``k8s.io/apiserver/pkg/registry/rest``.
    """

    group: str
    version: str
    kind: str
    plural: str
    schema: str  # the name in the OpenAPI document, such as io.k8s.api.discovery.v1.EndpointSlice
    singular: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    namespaced: bool = True
    status: bool = False  # has /status, and a plain write leaves status alone
    scale: bool = False  # has /scale
    columns: tuple[Column, ...] = (Column("Name", format="name"), Column("Age"))
    #: cells of one row; `now` is in seconds since the epoch
    row: Callable[[Obj, float], list[Any]] | None = None
    #: rows that are flagged in the table: conditions of a row, such as a completed pod
    row_conditions: Callable[[Obj], list[Obj]] | None = None
    #: fills in what is left out; must be idempotent and pure (also applied to a PUT or PATCH result)
    default: Callable[[Obj], None] = nothing
    #: strategy before a create: (obj, context). Drops what a client may not set, allocates
    prepare_create: Callable[[Obj, Context], None] = nothing
    #: (new, old, context)
    prepare_update: Callable[[Obj, Obj, Context], None] = nothing
    #: (new, old, context) for the status subresource: the API keeps everything but status and metadata of `old`
    prepare_status: Callable[[Obj, Obj, Context], None] = nothing
    validate: Callable[[Obj, Context], list[FieldError]] = no_errors
    #: (new, old, context); called beside nothing else: it repeats what of `validate` still holds
    validate_update: Callable[[Obj, Obj, Context], list[FieldError]] = no_errors
    validate_status: Callable[[Obj, Obj, Context], list[FieldError]] = no_errors
    #: (new, old or None) -> texts of Warning headers
    warnings: Callable[[Obj, Obj | None], list[str]] = no_warnings
    #: a text that every answer about this kind carries as a Warning, such as that of Endpoints
    deprecation: str = ""
    #: checks the name: (name, is_generate_name_prefix) -> faults, without the path
    validate_name: Callable[[str, bool], list[str]] | None = None
    #: does this change raise metadata.generation? None: the kind has no generation
    generation: Callable[[Obj, Obj], bool] | None = spec_changed
    #: field selectors beyond metadata.name and metadata.namespace
    field_labels: Mapping[str, Callable[[Obj], str]] = field(default_factory=dict)
    #: grace period of a delete in seconds, from (object, what was asked or None); None: deleted at once
    grace_period: Callable[[Obj, int | None], int] | None = None
    #: propagation policy when a client names none: "Background" or "Orphan"
    default_propagation: str = "Background"
    #: PUT may create
    create_on_update: bool = False
    #: PUT may leave out the resourceVersion
    unconditional_update: bool = True
    list_kind: str = ""

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        """The name in messages: ``pods`` or ``endpointslices.discovery.k8s.io``."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str = "", name: str = "") -> str:
        base = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        if self.namespaced and namespace:
            base += f"/namespaces/{namespace}"
        return f"{base}/{self.plural}" + (f"/{name}" if name else "")
