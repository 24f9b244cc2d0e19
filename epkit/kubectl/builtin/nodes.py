"""``kubectl cordon``, ``uncordon`` and ``drain``.

Source: ``k8s.io/kubectl/pkg/cmd/drain/drain.go`` and ``pkg/drain`` (drain.go, filters.go, cordon.go).
"""
from __future__ import annotations

from dataclasses import dataclass, field

from epkit.errors import ApiError
from epkit.kubectl.builtin import formats, writing
from epkit.kubectl.builtin.failures import ExitError, KubectlError, UsageError, raise_all
from epkit.kubectl.builtin.gotext import quote
from epkit.kubectl.builtin.selection import Info, select
from epkit.kubectl.builtin.session import Session
from epkit.objects import Obj, controller_of, name_of, namespace_of

_MIRROR = "kubernetes.io/config.mirror"


def cordon(session: Session) -> None:
    """Let no new pods onto nodes."""
    _each(session, True)


def uncordon(session: Session) -> None:
    """Let new pods onto nodes again."""
    _each(session, False)


def _nodes(session: Session) -> list[Info]:
    args = session.args
    if not args.words and not args["selector"]:
        word = args.command
        raise UsageError(word, f"USAGE: {word} NODE [flags]")
    if args.words and args["selector"]:
        raise UsageError(args.command, "error: cannot specify both a node name and a --selector option")
    words = ["nodes"] if args["selector"] else [w if "/" in w else f"nodes/{w}" for w in args.words]
    selection = select(session, words)
    raise_all(selection.failures)
    if not selection.infos and args["selector"]:
        session.err("No resources found\n")
    return selection.infos


def _each(session: Session, wanted: bool) -> None:
    for info in _nodes(session):
        _mark(session, info, wanted)


def _mark(session: Session, info: Info, wanted: bool) -> None:
    done = "cordoned" if wanted else "uncordoned"
    if info.mapping.kind != "Node":
        raise KubectlError(f"expected resource of type node, got {quote(info.mapping.gvr)}")
    if bool(info.obj["spec"].get("unschedulable")) == wanted:
        session.out(f"{info.printed} already {_dry(session, done)}\n")
        return
    if formats.dry_run(session) != "client":
        writing.patch(session, info, {"spec": {"unschedulable": True if wanted else None}}, "strategic")
    session.out(f"{info.printed} {_dry(session, done)}\n")


def _dry(session: Session, done: str) -> str:
    return {"client": f"{done} (dry run)", "server": f"{done} (server dry run)"}.get(formats.dry_run(session), done)


def drain(session: Session) -> None:
    """Cordon nodes, then evict their pods and wait until they are gone."""
    nodes = _nodes(session)
    for info in nodes:
        _mark(session, info, True)
    failures: list[KubectlError] = []
    pending: list[str] = []
    for info in nodes:
        try:
            _empty(session, info.name)
        except KubectlError as error:
            failures.append(error)
            pending.append(info.name)
            said = f"unable to drain node {quote(info.name)} due to error: {error}, continuing command..."
            session.err(f"error: {said}\n")
            continue
        session.out(f"{info.printed} {_dry(session, 'drained')}\n")
    if failures:
        session.err("There are pending nodes to be drained:\n" + "".join(f" {name}\n" for name in pending))
        for fault in failures:
            session.err("".join(f"{part}\n" for part in (getattr(fault, "parts", None) or [str(fault)])))
        raise ExitError


@dataclass(slots=True)
class _Pods:
    """What is on a node: the pods to evict, and why others stay or stand in the way."""

    evict: list[Obj] = field(default_factory=list)
    warnings: dict[str, list[str]] = field(default_factory=dict)
    faults: dict[str, list[str]] = field(default_factory=dict)


class _Blocked(KubectlError):
    """Pods that drain does not touch without being told to."""

    def __init__(self, parts: list[str]) -> None:
        super().__init__(parts[0] if len(parts) == 1 else f"[{', '.join(parts)}]")
        self.parts = parts


_DAEMON_SET = "DaemonSet-managed Pods"
_UNMANAGED = "Pods that declare no controller"
#: with the words that are said once more before it, as in kubectl 1.32 and 1.33
_UNMANAGED_FATAL = "cannot delete Pods that declare no controller"
_LOCAL = "Pods with local storage"


def _sort(session: Session, pods: list[Obj]) -> _Pods:
    args, found = session.args, _Pods()
    for pod in pods:
        name = f"{namespace_of(pod)}/{name_of(pod)}"
        owner = controller_of(pod)
        phase = (pod.get("status") or {}).get("phase")
        done = phase in ("Succeeded", "Failed")
        warning = ""
        if owner and owner["kind"] == "DaemonSet" and not done:
            if not args["ignore-daemonsets"]:
                found.faults.setdefault(f"{_DAEMON_SET} (use --ignore-daemonsets to ignore)", []).append(name)
            else:
                found.warnings.setdefault(f"ignoring {_DAEMON_SET}", []).append(name)
            continue
        if _MIRROR in (pod["metadata"].get("annotations") or {}):
            continue
        local = any("emptyDir" in volume for volume in pod["spec"].get("volumes") or ())
        if local and not done:
            if not args["delete-emptydir-data"]:
                found.faults.setdefault(f"{_LOCAL} (use --delete-emptydir-data to override)", []).append(name)
                continue
            warning = f"deleting {_LOCAL}"
        if owner is None and not done:
            if not args["force"]:
                found.faults.setdefault(f"{_UNMANAGED_FATAL} (use --force to override)", []).append(name)
                continue
            warning = f"deleting {_UNMANAGED}"
        if warning:
            found.warnings.setdefault(warning, []).append(name)
        found.evict.append(pod)
    return found


def _empty(session: Session, node: str) -> None:
    pods = session.resources.find("pods")
    fields, labels = f"spec.nodeName={node}", session.args["pod-selector"]
    found = _sort(session, session.list(pods, "", fieldSelector=fields, labelSelector=labels))
    if found.faults:
        raise _Blocked([f"cannot delete {why}: {', '.join(names)}" for why, names in sorted(found.faults.items())])
    if found.warnings:
        session.warn("; ".join(f"{why}: {', '.join(names)}" for why, names in sorted(found.warnings.items())))
    if formats.dry_run(session) == "client":
        for pod in found.evict:
            session.out(f"evicting pod {namespace_of(pod)}/{name_of(pod)} (dry run)\n")
        return
    evicting = not session.args["disable-eviction"]
    for pod in found.evict:
        _evict(session, pod, evicting)
    if formats.dry_run(session) == "server":
        return
    for pod in found.evict:
        info = Info(pods, namespace_of(pod), name_of(pod), pod)
        _gone(session, info, pod["metadata"]["uid"])
        session.out(f"pod/{name_of(pod)} {'evicted' if evicting else 'deleted'}\n")


def _evict(session: Session, pod: Obj, evicting: bool) -> None:
    name, namespace = name_of(pod), namespace_of(pod)
    path = session.resources.find("pods").path(namespace, name)
    options: Obj = {}
    if session.args["grace-period"] >= 0:
        options["gracePeriodSeconds"] = session.args["grace-period"]
    server = formats.dry_run(session) == "server"
    if server:
        options["dryRun"] = ["All"]
    if not evicting:
        session.send("DELETE", path, None, options)
        return
    session.out(f"evicting pod {namespace}/{name}{' (server dry run)' if server else ''}\n")
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": name, "namespace": namespace},
        "deleteOptions": options,
    }
    try:
        session.send("POST", f"{path}/eviction", None, eviction)
    except ApiError as error:
        if error.reason == "NotFound":
            return
        if error.reason == "TooManyRequests":
            raise KubectlError(
                f"error when evicting pods/{quote(name)} -n {quote(namespace)}: {error.message} (the real kubectl "
                "tries again every 5 s; the built-in one stops here)"
            ) from None
        raise KubectlError(f"error when evicting pods/{quote(name)} -n {quote(namespace)}: {error.message}") from None


def _gone(session: Session, info: Info, uid: str) -> None:
    seconds = session.args["timeout"]
    for obj in session.follow(info.mapping, info.namespace, info.name, seconds):
        if obj is None or obj["metadata"]["uid"] != uid:
            return
    if 0 < seconds < session.timeout and not session.paused():
        raise KubectlError(
            f"error when waiting for pod {quote(info.name)} in namespace {quote(info.namespace)} to terminate: global "
            f"timeout reached: {seconds:g}s"
        )
    session.give_up(f"{info.printed} to be gone")
