"""``kubectl run``: one pod.

Source: ``k8s.io/kubectl/pkg/cmd/run/run.go`` and ``pkg/generate/versioned/run.go``.
"""
from __future__ import annotations

import re

from epkit.kubectl.builtin import formats, writing
from epkit.kubectl.builtin.create import meta
from epkit.kubectl.builtin.expose import parse_labels
from epkit.kubectl.builtin.failures import KubectlError, NotInSubset, UsageError
from epkit.kubectl.builtin.gotext import quote
from epkit.kubectl.builtin.overrides import overridden
from epkit.kubectl.builtin.selection import Info
from epkit.kubectl.builtin.session import Session
from epkit.objects import Obj

_IMAGE = re.compile(
    r"(?:(?:[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?)(?:\.[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?)*(?::[0-9]+)?/)?"
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
    r"(?::[\w][\w.-]{0,127})?(?:@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?"
)


def run(session: Session) -> None:
    """Make a pod with one container."""
    args = session.args
    if not args["image"]:
        raise KubectlError('required flag(s) "image" not set')
    command = args.after_dashes if args.after_dashes is not None else args.words[1:]
    names = args.words[: len(args.words) - len(command)] if command else args.words
    if len(names) != 1:
        raise UsageError("run", "NAME is required for run")
    if not _IMAGE.fullmatch(args["image"]):
        raise KubectlError(f"Invalid image name {quote(args['image'])}: invalid reference format")
    if args["restart"] not in ("Always", "OnFailure", "Never"):
        raise UsageError("run", f"invalid restart policy: {args['restart']}")
    if args["expose"] and not args["port"]:
        raise UsageError("run", "--port must be set when exposing a service")
    pod = overridden(session, _pod(session, names[0], command))
    show = formats.printer(session, "created")
    made = _create(session, "pods", pod)
    if args["expose"]:
        show(_create(session, "services", _service(pod, int(args["port"]))))
        if args["output"] == "yaml":
            session.out("---\n")  # as upstream: a second one
    show(made)


def _create(session: Session, plural: str, obj: Obj) -> Obj:
    if session.args["save-config"]:
        obj = writing.with_note(obj)
    if formats.dry_run(session) == "client":
        return obj
    mapping = session.resources.find(plural)
    return formats.ordered(writing.create(session, Info(mapping, session.namespace, obj["metadata"]["name"], obj), obj))


def _pod(session: Session, name: str, command: list[str]) -> Obj:
    args = session.args
    labels = parse_labels(args["labels"]) if args["labels"] else {"run": name}
    container: Obj = {"name": name, "image": args["image"]}
    if command:
        container["command" if args["command"] else "args"] = command
    if args["port"]:
        if not re.fullmatch(r"[-+]?\d+", args["port"]):
            raise KubectlError(f"strconv.Atoi: parsing {quote(args['port'])}: invalid syntax")
        container["ports"] = [{"containerPort": int(args["port"])}]
    if args["env"]:
        container["env"] = [_variable(text) for text in args["env"]]
    container["resources"] = {}
    if args["image-pull-policy"]:
        container["imagePullPolicy"] = args["image-pull-policy"]
    if args["privileged"]:
        container["securityContext"] = {"privileged": True}
    head = meta(name, labels)
    if args["annotations"]:
        head["annotations"] = dict(sorted(_annotation(text) for text in args["annotations"]))
    if session.namespace_given:
        head = {"name": name, "namespace": session.namespace} | head
    spec = {"containers": [container], "restartPolicy": args["restart"], "dnsPolicy": "ClusterFirst"}
    return {"kind": "Pod", "apiVersion": "v1", "metadata": head, "spec": spec, "status": {}}


def _variable(text: str) -> Obj:
    name, equals, value = text.partition("=")
    if not equals or not name or not re.fullmatch(r"[-._a-zA-Z][-._a-zA-Z0-9]*", name):
        raise KubectlError(f"invalid env: {text}")
    return {"name": name, "value": value} if value else {"name": name}


def _annotation(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise NotInSubset(f"run --annotations={text}")
    return key, value


def _service(pod: Obj, port: int) -> Obj:
    head = pod["metadata"]
    return {
        "kind": "Service",
        "apiVersion": "v1",
        "metadata": {key: value for key, value in head.items() if key in ("name", "namespace", "creationTimestamp")},
        "spec": {
            "ports": [{"protocol": "TCP", "port": port, "targetPort": port}],
            "selector": head.get("labels") or {},
        },
        "status": {"loadBalancer": {}},
    }
