"""Lists: selectors, versions, limits and continue tokens.

Source: ``k8s.io/apiserver/pkg/registry/generic/registry/store.go`` and ``pkg/storage``.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from epkit.fake.kinds.base import FieldError, Kind, forbidden, unsupported
from epkit.fake.store import Compacted, Store
from epkit.fake.wire import errors
from epkit.fake.wire.gojson import syntax_error
from epkit.objects import Obj, labels_of
from epkit.selectors import SelectorError, parse, parse_fields

Predicate = Callable[[Obj], bool]


@dataclass(slots=True)
class ListResult:
    """Objects of one kind as they were at one resource version."""

    kind: Kind
    items: list[Obj]
    version: int
    continued: str = ""
    remaining: int = 0

    def meta(self) -> Obj:
        meta: Obj = {"resourceVersion": str(self.version)}
        if self.continued:
            meta["continue"] = self.continued
            if self.remaining:
                meta["remainingItemCount"] = self.remaining
        return meta


def predicate(kind: Kind, query: Mapping[str, str]) -> Predicate | None:
    """What the label and field selectors of a query ask for; None when they ask for everything."""
    label_text, field_text = query.get("labelSelector", ""), query.get("fieldSelector", "")
    tests: list[Predicate] = []
    if label_text:
        try:
            matches = parse(label_text)
        except SelectorError as error:
            raise errors.bad_request(f"unable to parse requirement: {error}") from None
        tests.append(lambda obj: matches(labels_of(obj)))
    if field_text:
        try:
            terms = parse_fields(field_text)
        except SelectorError as error:
            raise errors.bad_request(str(error)) from None
        for field, value, equal in terms:
            read = _field(kind, field, label_text, field_text)
            tests.append(lambda obj, read=read, value=value, equal=equal: (read(obj) == value) is equal)  # type: ignore[misc]
    if not tests:
        return None
    if len(tests) == 1:
        return tests[0]
    return lambda obj: all(test(obj) for test in tests)


def _field(kind: Kind, field: str, label_text: str, field_text: str) -> Callable[[Obj], str]:
    if field == "metadata.name":
        return lambda obj: str(obj["metadata"]["name"])
    if field == "metadata.namespace":
        return lambda obj: str(obj["metadata"].get("namespace", ""))
    if field in kind.field_labels:
        return kind.field_labels[field]
    if kind.field_labels:
        raise errors.bad_request(f"field label not supported: {field}")
    known = ['"metadata.name"'] + (['"metadata.namespace"'] if kind.namespaced else [])
    raise errors.bad_request(f'"{field}" is not a known field selector: only {", ".join(known)}')


def version_of(query: Mapping[str, str], store: Store) -> int | None:
    """The resourceVersion asked for; None for none, 0 for any. Too large ones are refused as after the real wait."""
    text = query.get("resourceVersion", "")
    if not text:
        return None
    try:
        version = int(text)
        if version < 0:
            raise ValueError
    except ValueError:
        raise invalid_version(text) from None
    if version > store.version:
        raise too_large(version, store.version)
    return version


def invalid_version(text: str) -> errors.ApiError:
    return errors.unknown(
        f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax'
    )


def too_large(version: int, current: int) -> errors.ApiError:
    return errors.timeout(
        f"Too large resource version: {version}, current: {current}",
        retry_after=1,
        causes=[{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
    )


def list_objects(store: Store, kind: Kind, namespace: str, query: Mapping[str, str]) -> ListResult:
    """The answer to a list request."""
    wanted = predicate(kind, query)
    match = query.get("resourceVersionMatch", "")
    limit, token = _limit(query), query.get("continue", "")
    _check_options(query)
    text = query.get("resourceVersion", "")
    at, start = store.version, ("", "")
    if token:
        at, start = _decode(token, store)
        if text not in ("", "0"):
            raise errors.bad_request("specifying resource version is not allowed when using continue")
    elif text and not text.isdigit():
        raise errors.bad_request(f"invalid resource version: {invalid_version(text)}")
    else:
        asked = version_of(query, store)
        # A limit with a version but no match means exactly that version: the rule from before there was a match.
        if asked and (match == "Exact" or (limit > 0 and not match)):
            at = asked
    items = store.list(kind.resource, namespace) if at == store.version else _as_of(store, kind, namespace, at)
    if token:
        items = [obj for obj in items if (obj["metadata"].get("namespace", ""), obj["metadata"]["name"]) > start]
    total = len(items)
    if wanted is not None:
        items = [obj for obj in items if wanted(obj)]
    if not limit or len(items) <= limit:
        return ListResult(kind, items, at)
    kept = items[:limit]
    last = kept[-1]["metadata"]
    remaining = 0 if wanted is not None else total - limit
    return ListResult(kind, kept, at, _encode(at, last.get("namespace", ""), last["name"]), remaining)


def _limit(query: Mapping[str, str]) -> int:
    text = query.get("limit") or "0"
    try:
        return int(text)
    except ValueError:
        raise errors.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None


def _check_options(query: Mapping[str, str]) -> None:
    """``ValidateListOptions`` of ``k8s.io/apimachinery/pkg/apis/meta/internalversion/validation``."""
    faults: list[FieldError] = []
    match, field = query.get("resourceVersionMatch", ""), "resourceVersionMatch"
    if match:
        if not query.get("resourceVersion"):
            faults.append(forbidden(field, "resourceVersionMatch is forbidden unless resourceVersion is provided"))
        if query.get("continue"):
            faults.append(forbidden(field, "resourceVersionMatch is forbidden when continue is provided"))
        if match not in ("Exact", "NotOlderThan"):
            faults.append(unsupported(field, match, ["Exact", "NotOlderThan", ""]))
        if match == "Exact" and query.get("resourceVersion") == "0":
            faults.append(forbidden(field, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'))
    if "sendInitialEvents" in query:
        faults.append(forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    if faults:
        raise errors.invalid("ListOptions", "", faults, "meta.k8s.io")


def _as_of(store: Store, kind: Kind, namespace: str, version: int) -> list[Obj]:
    """The objects at an older version: today's, with the events since then undone."""
    objects = {
        (obj["metadata"].get("namespace", ""), obj["metadata"]["name"]): obj for obj in store.list(kind.resource)
    }
    try:
        events = list(store.since(version, kind.resource))
    except Compacted as error:
        raise gone(version, error.oldest) from None
    for event in reversed(events):
        key = (event.namespace, event.name)
        if event.old is None:
            objects.pop(key, None)
        else:
            objects[key] = event.old
    return [obj for key, obj in sorted(objects.items()) if not namespace or key[0] == namespace]


def gone(version: int, oldest: int) -> errors.ApiError:
    return errors.expired(f"too old resource version: {version} ({oldest})")


def _encode(version: int, namespace: str, name: str) -> str:
    start = f"{namespace}/{name}" if namespace else name
    text = json.dumps({"v": "meta.k8s.io/v1", "rv": version, "start": start + "\0"}, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decode(token: str, store: Store) -> tuple[int, tuple[str, str]]:
    """The version and the place to go on from (``DecodeContinue`` of ``k8s.io/apiserver/pkg/storage``)."""
    fault = _base64_fault(token)
    if not fault:
        body = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        fault = syntax_error(body)
    if fault:
        raise errors.bad_request(f"invalid continue token: continue key is not valid: {fault}")
    try:
        data = json.loads(body)
        edition, version, start = str(data.get("v", "")), int(data.get("rv", 0)), str(data.get("start", ""))
    except (ValueError, AttributeError, TypeError):
        raise errors.bad_request("invalid continue token: continue key is not valid") from None
    if edition != "meta.k8s.io/v1":
        fault = f"server does not recognize this encoded version {edition}"
    elif not version:
        fault = "incorrect encoded start resourceVersion (version meta.k8s.io/v1)"
    elif not start:
        fault = "encoded start key empty (version meta.k8s.io/v1)"
    if fault:
        raise errors.bad_request(f"invalid continue token: continue key is not valid: {fault}")
    start = start.rstrip("\0")
    if version < store.compacted:
        raise errors.expired(
            "The provided continue parameter is too old to display a consistent list result. You can start a new list "
            "without the continue parameter, or use the continue token in this response to retrieve the remainder of "
            "the results. Continuing with the provided token results in an inconsistent list - objects that were "
            "created, modified, or deleted between the time the first chunk was returned and now may show up in "
            "the list."
        )
    namespace, _, name = start.rpartition("/")
    return version, (namespace, name)


def _base64_fault(token: str) -> str:
    """What Go's ``base64.RawURLEncoding`` finds wrong with a token, or ""."""
    strange = re.search(r"[^A-Za-z0-9_-]", token)
    if strange:
        at = strange.start()
    elif len(token) % 4 == 1:
        at = len(token) - 1
    else:
        return ""
    return f"illegal base64 data at input byte {at}"
