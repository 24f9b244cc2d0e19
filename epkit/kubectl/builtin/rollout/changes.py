"""``kubectl rollout restart``, ``pause`` and ``resume``.

Source: ``k8s.io/kubectl/pkg/cmd/rollout`` and ``pkg/polymorphichelpers`` (objectrestarter.go, objectpauser.go).
"""
from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from epkit.errors import ApiError
from epkit.kubectl.builtin import formats, writing
from epkit.kubectl.builtin.failures import KubectlError, raise_all
from epkit.kubectl.builtin.gotext import quote
from epkit.kubectl.builtin.selection import Info, select
from epkit.kubectl.builtin.session import Session
from epkit.objects import Obj

_RESTARTED = "kubectl.kubernetes.io/restartedAt"


def restart(session: Session) -> None:
    """Roll out the same template once more, by a new annotation in it."""
    moment = datetime.fromtimestamp(session.now(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    patch = {"spec": {"template": {"metadata": {"annotations": {_RESTARTED: moment}}}}}

    def check(info: Info) -> None:
        if info.mapping.group != "apps" or info.mapping.kind not in ("Deployment", "DaemonSet", "StatefulSet"):
            raise KubectlError("restarting is not supported")
        if info.obj["spec"].get("paused"):
            raise KubectlError("can't restart paused deployment (run rollout resume first)")
        template = info.obj["spec"]["template"].get("metadata") or {}
        if (template.get("annotations") or {}).get(_RESTARTED) == moment:
            raise KubectlError(
                "if restart has already been triggered within the past second, please wait before attempting to "
                "trigger another"
            )

    _change(session, patch, "restarted", check)


def pause(session: Session) -> None:
    """Let changes of the template wait until the roll-out is resumed."""
    _change(session, {"spec": {"paused": True}}, "paused", lambda info: _pausable(info, False, "is already paused"))


def resume(session: Session) -> None:
    """Roll out what has changed since the pause."""
    _change(session, {"spec": {"paused": None}}, "resumed", lambda info: _pausable(info, True, "is not paused"))


def _pausable(info: Info, paused: bool, otherwise: str) -> None:
    if info.mapping.kind != "Deployment":
        raise KubectlError("pausing is not supported" if not paused else "resuming is not supported")
    if bool(info.obj["spec"].get("paused")) != paused:
        raise KubectlError(otherwise)


def _change(session: Session, patch: Obj, done: str, check: Callable[[Info], None]) -> None:
    args = session.args
    if not args.words and not args["filename"]:
        raise KubectlError("required resource not specified")
    selection = select(session, everything=True, latest=True)
    failures = list(selection.failures)
    if not selection.infos and not failures:
        session.err(f"No resources found in {session.namespace} namespace.\n")
    show = formats.printer(session, done)
    for info in selection.infos:
        try:
            check(info)
        except KubectlError as fault:
            failures.append(KubectlError(f"{info.mapping.resource} {quote(info.name)} {fault}"))
            continue
        try:
            show(formats.ordered(writing.patch(session, info, patch, "strategic")))
        except ApiError as error:
            failures.append(KubectlError(f"failed to patch: {error.message}"))
    raise_all(failures)
