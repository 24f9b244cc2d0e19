"""``kubectl logs`` and ``kubectl exec``.

Source: ``k8s.io/kubectl/pkg/cmd/logs/logs.go``, ``pkg/polymorphichelpers/logsforobject.go``, ``pkg/cmd/exec/exec.go``.
"""
from __future__ import annotations

from typing import Any, Protocol

from epkit.errors import ApiError
from epkit.kubectl.builtin.failures import ExitError, KubectlError, NotInSubset, UsageError
from epkit.kubectl.builtin.gotext import quote
from epkit.kubectl.builtin.selection import select
from epkit.kubectl.builtin.selectors import as_text
from epkit.kubectl.builtin.session import Session
from epkit.objects import Obj, name_of, namespace_of

_DEFAULT = "kubectl.kubernetes.io/default-container"


class Executes(Protocol):
    """A transport that can also run a command in a container; ``exec`` has no form in plain requests."""

    def exec(
        self, namespace: str, pod: str, container: str, command: list[str], stdin: str
    ) -> tuple[str, str, int]:
        """Run the command; returns stdout, stderr and the exit status."""

_USAGE = (
    "expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.\n"
    "POD or TYPE/NAME is a required argument for the logs command"
)


def logs(session: Session) -> None:
    """Print what containers wrote."""
    args = session.args
    if not args.words and not args["selector"]:
        raise UsageError("logs", _USAGE)
    if args.words and args["selector"]:
        raise UsageError("logs", "only a selector (-l) or a POD name is allowed")
    if len(args.words) > 2:
        raise UsageError("logs", _USAGE)
    if args["since"] and args["since-time"]:
        raise KubectlError("at most one of `sinceTime` or `sinceSeconds` may be specified")
    if len(args.words) == 2:
        args.values["container"] = args["container"] or args.words[1]
    for pod in _pods(session):
        for container in _containers(session, pod):
            _print(session, pod, container)


def _pods(session: Session) -> list[Obj]:
    args = session.args
    pods = session.resources.find("pods")
    if args["selector"]:
        found = session.list(pods, session.namespace, labelSelector=args["selector"])
        if not found:
            session.err(f"No resources found in {session.namespace} namespace.\n")
        return found
    word = args.words[0]
    if "/" not in word:
        word = f"pods/{word}"
    selection = select(session, [word])
    for failure in selection.failures:
        if isinstance(failure, ApiError):
            kind, _, name = word.partition("/")
            where = f' not found in namespace "{session.namespace}"'
            text = failure.message.removesuffix(" not found")
            raise KubectlError(f"error from server ({failure.reason}): {text}{where}")
        raise failure
    obj = selection.infos[0].obj
    return [obj] if obj["kind"] == "Pod" else [_of_workload(session, obj)]


def _of_workload(session: Session, obj: Obj) -> Obj:
    """The pod of a workload that is asked: the first in the server's order that is ready."""
    selector = (obj.get("spec") or {}).get("selector")
    if selector is None:
        kind = obj["kind"]
        why = f"invalid {kind.lower()} '{name_of(obj)}': {kind} is defined without a selector"
        raise KubectlError(f"cannot get the logs from *{obj['apiVersion'].rpartition('/')[2]}.{kind}: {why}")
    plain = obj["kind"] in ("Service", "ReplicationController")
    text = as_text({"matchLabels": selector} if plain else selector)
    found = session.list(session.resources.find("pods"), namespace_of(obj), labelSelector=text)
    if not found:
        session.give_up(f"a pod of {obj['kind'].lower()}/{name_of(obj)}")
    if len(found) > 1 and session.args.command == "logs":  # exec does not tell
        session.err(f"Found {len(found)} pods, using pod/{name_of(sorted(found, key=_rank)[0])}\n")
    return sorted(found, key=_rank)[0]


def _rank(pod: Obj) -> tuple[Any, ...]:
    """As controller.ByLogging: assigned, running, ready, long ready, few restarts, old."""
    status = pod.get("status") or {}
    ready: Obj = next((c for c in status.get("conditions") or () if c["type"] == "Ready"), {})
    restarts = max((s.get("restartCount", 0) for s in status.get("containerStatuses") or ()), default=0)
    phases = {"Pending": 0, "Unknown": 1, "Running": 2}
    return (
        not pod["spec"].get("nodeName"),
        -phases.get(status.get("phase", ""), 2),
        ready.get("status") != "True",
        ready.get("lastTransitionTime") or "",
        -restarts,
        pod["metadata"]["creationTimestamp"],
    )


def _containers(session: Session, pod: Obj) -> list[str]:
    args, spec = session.args, pod["spec"]
    every = [c["name"] for key in ("containers", "initContainers", "ephemeralContainers") for c in spec.get(key) or ()]
    if args["all-containers"]:
        order = ("initContainers", "containers", "ephemeralContainers")
        return [container["name"] for key in order for container in spec.get(key) or ()]
    if args["container"]:
        if args["container"] not in every:
            raise KubectlError(f"container {args['container']} is not valid for pod {name_of(pod)}")
        return [args["container"]]
    return [_default_container(session, pod)]


def _default_container(session: Session, pod: Obj) -> str:
    """The container that an annotation names, else the first; where there are several, it is told which."""
    every = [c["name"] for c in pod["spec"]["containers"]]
    noted = (pod["metadata"].get("annotations") or {}).get(_DEFAULT, "")
    if noted in every:
        return str(noted)
    if len(every) > 1 or pod["spec"].get("initContainers") or pod["spec"].get("ephemeralContainers"):
        session.err(f"Defaulted container {quote(every[0])} out of: {_described(pod['spec'])}\n")
    return str(every[0])


def _described(spec: Obj) -> str:
    names = [c["name"] for c in spec.get("containers") or ()]
    names += [f"{c['name']} (init)" for c in spec.get("initContainers") or ()]
    names += [f"{c['name']} (ephem)" for c in spec.get("ephemeralContainers") or ()]
    return ", ".join(names)


def _print(session: Session, pod: Obj, container: str) -> None:
    args = session.args
    query = {"container": container}
    tail = args["tail"] if "tail" in args.given or not args["selector"] else 10
    if tail >= 0:
        query["tailLines"] = str(tail)
    for flag, name in (("previous", "previous"), ("timestamps", "timestamps")):
        if args[flag]:
            query[name] = "true"
    if args["limit-bytes"]:
        query["limitBytes"] = str(args["limit-bytes"])
    if args["since"]:
        query["sinceSeconds"] = str(int(-(-args["since"] // 1)))
    if args["since-time"]:
        query["sinceTime"] = args["since-time"]
    path = session.resources.find("pods").path(namespace_of(pod), name_of(pod), "log")
    text = session.send("GET", path, query, accept="*/*")
    text = text if isinstance(text, str) else ""
    if args["prefix"]:
        mark = f"[pod/{name_of(pod)}/{container}] "
        text = "".join(mark + line for line in text.splitlines(keepends=True))
    session.out(text)


def execute(session: Session) -> None:
    """Run a command in a container.

    Raises:
        NotInSubset: the way to this cluster cannot carry it.
    """
    args = session.args
    if not args.words:
        raise KubectlError("pod, type/name or --filename must be specified")
    command = args.after_dashes or []
    if args.after_dashes is None and len(args.words) > 1:
        raise UsageError("exec", "exec [POD] [COMMAND] is not supported anymore. Use exec [POD] -- [COMMAND] instead")
    if not command:
        raise KubectlError("you must specify at least one command for the container")
    run = getattr(session.transport, "exec", None)
    if run is None:
        raise NotInSubset("exec")
    word = args.words[0] if "/" in args.words[0] else f"pods/{args.words[0]}"
    selection = select(session, [word])
    for failure in selection.failures:
        raise failure
    obj = selection.infos[0].obj
    pod = obj if obj["kind"] == "Pod" else _of_workload(session, obj)
    phase = (pod.get("status") or {}).get("phase")
    if phase in ("Succeeded", "Failed"):
        raise KubectlError(f"cannot exec into a container in a completed pod; current phase is {phase}")
    container = args["container"] or _default_container(session, pod)
    if args["stdin"] and args["tty"] and not args["quiet"]:
        session.err("Unable to use a TTY - input is not a terminal or the right kind of file\n")
    stdin = session.stdin if args["stdin"] else ""
    try:
        out, err, code = run(namespace_of(pod), name_of(pod), container, command, stdin)
    except ApiError as error:
        if error.reason != "InternalError":
            raise
        raise KubectlError(error.message) from None  # the node's word: it comes over the connection that stands
    session.out(out)
    session.err(err)
    if code:
        session.err(f"command terminated with exit code {code}\n")
        raise ExitError(code)
