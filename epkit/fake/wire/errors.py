"""The API server's errors, in its own words.

Every function returns an :class:`ApiError` to raise. The texts and codes are those of
``k8s.io/apimachinery/pkg/api/errors`` and of the handlers in ``k8s.io/apiserver/pkg/endpoints`` of Kubernetes v1.36.
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from epkit.errors import ApiError
from epkit.fake.wire.decode import MEDIA_TYPES
from epkit.fake.wire.gotext import go_quote

__all__ = [
    "ApiError", "already_exists", "apply_conflict", "bad_request", "body_too_large", "conflict",
    "expired", "forbidden", "internal", "invalid", "method_not_allowed", "method_not_supported",
    "missing_route", "name_mismatch", "namespace_mismatch", "not_acceptable", "not_found", "rejected_patch", "status",
    "success", "timeout", "too_many_requests", "unknown", "unsupported_media_type", "unsupported_patch_type",
    "wrong_api_version",
]

#: The largest body of a request in bytes: ``MaxRequestBodyBytes`` of ``k8s.io/apiserver/pkg/server/config.go``.
MAX_BODY_BYTES = 3 * 1024 * 1024



class _FieldError(Protocol):
    """The part of :class:`epkit.fake.kinds.base.FieldError` that a Status shows."""

    @property
    def reason(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def message(self) -> str: ...


def status(code: int, reason: str, message: str, details: dict[str, Any] | None = None) -> dict[str, Any]:
    """A ``v1`` Status of a failure, its fields in the API server's order.

    `details` is left out when None; an empty dict is kept, as the API server keeps it. So is no reason: ``""``.

    >>> status(404, "NotFound", 'pods "a" not found', {"name": "a", "kind": "pods"})["status"]
    'Failure'
    """
    answer: dict[str, Any] = {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
    }
    if reason:
        answer["reason"] = reason
    if details is not None:
        answer["details"] = details
    answer["code"] = code
    return answer


def success(details: dict[str, Any]) -> dict[str, Any]:
    """The Status that answers a finished delete; `details` holds the name, group, kind (the plural) and uid."""
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def details(
    name: str = "", group: str = "", kind: str = "", uid: str = "",
    causes: Sequence[dict[str, Any]] = (), retry_after: int = 0,
) -> dict[str, Any]:
    """``StatusDetails`` without its empty fields. `kind` is a kind or a resource; `retry_after` is in seconds."""
    fields: dict[str, Any] = {
        "name": name, "group": group, "kind": kind, "uid": uid, "causes": list(causes),
        "retryAfterSeconds": retry_after,
    }
    return {key: value for key, value in fields.items() if value}


def _qualified(resource: str, group: str) -> str:
    return f"{resource}.{group}" if group else resource


def bad_request(message: str) -> ApiError:
    return ApiError(status(400, "BadRequest", message))


def not_found(resource: str, name: str, group: str = "") -> ApiError:
    """`resource` is the plural. ``pods "a" not found``."""
    return ApiError(status(404, "NotFound", f"{_qualified(resource, group)} {go_quote(name)} not found",
                           details(name, group, resource)))


def already_exists(resource: str, name: str, group: str = "") -> ApiError:
    return ApiError(status(409, "AlreadyExists", f"{_qualified(resource, group)} {go_quote(name)} already exists",
                           details(name, group, resource)))


def conflict(
    resource: str, name: str, why: str, group: str = "", causes: Sequence[dict[str, Any]] = (), uid: str = "",
) -> ApiError:
    """An update that lost a race or failed a precondition; `why` follows the name."""
    message = f"Operation cannot be fulfilled on {_qualified(resource, group)} {go_quote(name)}: {why}"
    return ApiError(status(409, "Conflict", message, details(name, group, resource, uid, causes)))


#: `why` of the :func:`conflict` that a stale resourceVersion gets.
MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def apply_conflict(message: str, causes: Sequence[dict[str, Any]]) -> ApiError:
    """Server-side apply that met fields of other managers; :mod:`.fieldmanager` words it."""
    return ApiError(status(409, "Conflict", message, details(causes=causes)))


def forbidden(
    resource: str, name: str, why: str, group: str = "", causes: Sequence[dict[str, Any]] = (),
) -> ApiError:
    """``pods "a" is forbidden: why``; without a name ``pods is forbidden: why``."""
    subject = _qualified(resource, group) + (f" {go_quote(name)}" if name else "")
    return ApiError(status(403, "Forbidden", f"{subject} is forbidden: {why}",
                           details(name, group, resource, causes=causes)))


def invalid(kind: str, name: str, faults: Iterable[_FieldError], group: str = "") -> ApiError:
    """422 for fields that failed validation. `kind` is the kind; `faults` are in the order that validation found them.

    Equal faults show once in the message and each time in the causes, as in Kubernetes.
    """
    faults = list(faults)
    texts = list(dict.fromkeys(f"{fault.path}: {fault.message}" for fault in faults))
    said = texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
    causes = [_cause(fault.reason, fault.message, fault.path) for fault in faults]
    message = f"{_qualified(kind, group)} {go_quote(name)} is invalid: {said}" if texts else (
        f"{_qualified(kind, group)} {go_quote(name)} is invalid")
    return ApiError(status(422, "Invalid", message, details(name, group, kind, causes=causes)))


def _cause(reason: str, message: str, field: str) -> dict[str, Any]:
    return {key: value for key, value in (("reason", reason), ("message", message), ("field", field)) if value}


def internal(why: str) -> ApiError:
    """500 as ``NewInternalError`` gives it. Kubernetes uses it for what should not happen."""
    return ApiError(status(500, "InternalError", f"Internal error occurred: {why}", {"causes": [{"message": why}]}))


def unknown(message: str) -> ApiError:
    """500 without a reason: what a plain Go error becomes on its way out."""
    return ApiError(status(500, "", message))


def expired(message: str) -> ApiError:
    """410 with the reason Expired: a resourceVersion or continue token that is too old."""
    return ApiError(status(410, "Expired", message))


def timeout(message: str, retry_after: int = 0, causes: Sequence[dict[str, Any]] = ()) -> ApiError:
    """504; `retry_after` is in seconds."""
    return ApiError(status(504, "Timeout", f"Timeout: {message}", details(causes=causes, retry_after=retry_after)))


def too_many_requests(message: str, retry_after: int = 0, causes: Sequence[dict[str, Any]] = ()) -> ApiError:
    """429, such as that of an eviction against a PodDisruptionBudget; `retry_after` is in seconds."""
    return ApiError(status(429, "TooManyRequests", message, details(causes=causes, retry_after=retry_after)))


def method_not_supported(resource: str, verb: str, group: str = "") -> ApiError:
    """405 of a resource whose storage lacks the verb, such as ``"create"``."""
    message = f"{verb} is not supported on resources of kind {go_quote(_qualified(resource, group))}"
    return ApiError(status(405, "MethodNotAllowed", message, details(group=group, kind=resource)))


def method_not_allowed() -> ApiError:
    """405 of a path that is served, but not with this HTTP method."""
    message = "the server does not allow this method on the requested resource"
    return ApiError(status(405, "MethodNotAllowed", message, {}))


def missing_route() -> ApiError:
    """404 of a path in a served group that is no resource."""
    return ApiError(status(404, "NotFound", "the server could not find the requested resource", {}))


def not_acceptable(accepted: Sequence[str]) -> ApiError:
    """406: no media type of the Accept header can be given."""
    return ApiError(status(406, "NotAcceptable",
                           "only the following media types are accepted: " + ", ".join(accepted)))


def unsupported_media_type(accepted: Sequence[str] = MEDIA_TYPES) -> ApiError:
    """415 of a POST, PUT or DELETE whose body is of another type."""
    return ApiError(status(415, "UnsupportedMediaType",
                           "the body of the request was in an unknown format - accepted media types include: "
                           + ", ".join(accepted)))


def unsupported_patch_type() -> ApiError:
    """415 of a PATCH whose content type is no patch type: the router answers it."""
    return ApiError(status(415, "UnsupportedMediaType", "415: Unsupported Media Type", {}))


def body_too_large(limit: int = MAX_BODY_BYTES) -> ApiError:
    """413; `limit` is in bytes."""
    return ApiError(status(413, "RequestEntityTooLarge", f"Request entity too large: limit is {limit}"))


def rejected_patch() -> ApiError:
    """422 of a JSON patch that does not apply: the server hides what went wrong."""
    return ApiError(status(422, "Invalid", "the server rejected our request due to an error in our request", {}))


def wrong_api_version(got: str, expected: str) -> ApiError:
    """400 of a body whose apiVersion is not that of the URL."""
    return bad_request(f"the API version in the data ({got}) does not match the expected API version ({expected})")


def name_mismatch(got: str, expected: str) -> ApiError:
    """400 of a PUT or PATCH whose object has another name than its URL."""
    return bad_request(f"the name of the object ({got}) does not match the name on the URL ({expected})")


def namespace_mismatch() -> ApiError:
    """400 of a body whose namespace is not that of its URL."""
    return bad_request("the namespace of the provided object does not match the namespace sent on the request")
