"""``kubectl wait``.

Source: ``k8s.io/kubectl/pkg/cmd/wait``.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from epkit.errors import ApiError
from epkit.kubectl.builtin import formats
from epkit.kubectl.builtin.columns import relaxed
from epkit.kubectl.builtin.failures import KubectlError, raise_all
from epkit.kubectl.builtin.gotext import plain, quote
from epkit.kubectl.builtin.jsonpath import JsonPath, JsonPathError
from epkit.kubectl.builtin.selection import Info, select
from epkit.kubectl.builtin.session import Session
from epkit.objects import Obj

Test = Callable[[Obj | None], bool]


def wait(session: Session) -> None:
    """Wait until objects have a condition, a value, or are gone."""
    args = session.args
    what, test = _test(args["for"])
    if args["timeout"] < 0:
        args.values["timeout"] = 7 * 24 * 3600.0
    selection = select(session, latest=True, fetch=what != "create")
    failures = list(selection.failures)
    if what == "delete":
        failures = [failure for failure in failures if not _not_found(failure)]
    raise_all(failures)
    if not selection.infos:
        if what == "delete":
            return
        raise KubectlError("no matching resources found")
    for info in selection.infos:
        try:
            _wait(session, info, what, test)
        except KubectlError as fault:
            failures.append(fault)
    raise_all(failures)


def _not_found(failure: Exception) -> bool:
    return isinstance(failure, ApiError) and failure.reason == "NotFound"


def _wait(session: Session, info: Info, what: str, test: Test) -> None:
    seconds = session.args["timeout"]
    uid = (info.obj.get("metadata") or {}).get("uid", "")
    for obj in session.follow(info.mapping, info.namespace, info.name, seconds if seconds else 0.001):
        if obj is None and what not in ("delete", "create"):
            text = f"{info.mapping.resource} {quote(info.name)} not found"
            raise ApiError({"reason": "NotFound", "code": 404, "message": text})
        replaced = obj is not None and what == "delete" and uid and obj["metadata"].get("uid") != uid
        if replaced or test(obj):
            formats.printer(session, "condition met")(formats.ordered(obj or info.obj))
            return
    if session.paused() or seconds > session.timeout:
        session.give_up(f"{info.printed}: --for={session.args['for']}")
    raise KubectlError(f"timed out waiting for the condition on {info.mapping.plural}/{info.name}")


def _test(text: str) -> tuple[str, Test]:
    lowered = text.lower()
    if lowered == "delete":
        return "delete", lambda obj: obj is None
    if lowered == "create":
        return "create", lambda obj: obj is not None
    if text.startswith("condition="):
        name, equals, value = text.removeprefix("condition=").partition("=")
        return "condition", _condition(name, value if equals else "true")
    if text.startswith("jsonpath="):
        return "jsonpath", _jsonpath(text.removeprefix("jsonpath="))
    raise KubectlError(f"unrecognized condition: {quote(text)}")


def _condition(name: str, value: str) -> Test:
    def test(obj: Obj | None) -> bool:
        for entry in ((obj or {}).get("status") or {}).get("conditions") or ():
            if entry.get("type", "").lower() == name.lower():
                generation = (obj or {})["metadata"].get("generation", 0)
                if entry.get("observedGeneration", generation) < generation:
                    return False
                return str(entry.get("status", "")).lower() == value.lower()
        return False

    return test


def _jsonpath(text: str) -> Test:
    expression, equals, value = _split(text)
    if not expression:
        raise KubectlError("jsonpath expression cannot be empty")
    if equals and not value:
        example = "--for=jsonpath='{.status.readyReplicas}'=3"
        raise KubectlError(f"jsonpath wait has to have a value after equal sign, like {example}")
    try:
        path = JsonPath(relaxed(expression.strip("'\"")))
    except JsonPathError as error:
        raise KubectlError(str(error)) from None
    wanted = value.strip("'\"")

    def test(obj: Obj | None) -> bool:
        if obj is None:
            return False
        found: list[Any] = [result for results in path.find(obj) for result in results]
        if not found:
            return False
        if not equals:
            return True
        if len(found) > 1:
            raise KubectlError("given jsonpath expression matches more than one value")
        if isinstance(found[0], (dict, list)):
            raise KubectlError("jsonpath leads to a nested object or list which is not supported")
        return plain(found[0]).strip() == wanted.strip()

    return test


def _split(text: str) -> tuple[str, str, str]:
    """The expression and the value, at the first ``=`` after the closing brace (``==`` belongs to a filter)."""
    end = text.rfind("}") + 1
    expression, equals, value = text[end:].partition("=")
    return text[:end] + expression, equals, value
