"""``kubectl api-resources``, ``api-versions``, ``version``, ``cluster-info``, ``auth can-i`` and ``events``.

Source: ``k8s.io/kubectl/pkg/cmd`` (apiresources, version, clusterinfo, auth, events).
"""
from __future__ import annotations

from epkit import __version__
from epkit.kubectl.builtin import formats, gosort
from epkit.kubectl.builtin.describe.writer import Writer
from epkit.kubectl.builtin.discovery import Mapping
from epkit.kubectl.builtin.failures import ExitError, KubectlError, NotInSubset, UsageError
from epkit.kubectl.builtin.gotext import json_text, quote, seconds_of
from epkit.kubectl.builtin.session import Session
from epkit.kubectl.builtin.tables import align
from epkit.kubectl.builtin.yamlout import dump
from epkit.objects import Obj


def api_resources(session: Session) -> None:
    """The resources that the server knows."""
    args = session.args
    if args.words:
        raise UsageError("api-resources", f"unexpected arguments: [{' '.join(args.words)}]")
    if args["output"] not in ("", "wide", "name"):
        raise KubectlError(f"--output {args['output']} is not available")
    if args["sort-by"] not in ("", "name", "kind"):
        raise KubectlError("--sort-by accepts only name or kind")
    found = [m for m in session.resources.mappings if _shown(session, m)]
    if args["sort-by"]:
        found.sort(key=lambda m: m.kind if args["sort-by"] == "kind" else m.plural)
    else:
        found.sort(key=lambda m: (m.group, m.plural))
    if args["output"] == "name":
        session.out("".join(f"{m.resource}\n" for m in found))
        return
    wide = args["output"] == "wide"
    header = ["NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND", *(["VERBS", "CATEGORIES"] if wide else [])]
    rows = [] if args["no-headers"] or not found else [header]
    for m in found:
        row = [m.plural, ",".join(m.short_names), m.api_version, "true" if m.namespaced else "false", m.kind]
        rows.append(row + ([",".join(m.verbs), ",".join(m.categories)] if wide else []))
    session.out(align("".join("\t".join(row) + "\n" for row in rows)))


def _shown(session: Session, m: Mapping) -> bool:
    args = session.args
    return (
        bool(m.verbs)
        and session.resources.preferred.get(m.group) == m.version
        and not ("api-group" in args.given and m.group != args["api-group"])
        and not ("namespaced" in args.given and m.namespaced != args["namespaced"])
        and set(args["verbs"]) <= set(m.verbs)
        and set(args["categories"]) <= set(m.categories)
    )


def api_versions(session: Session) -> None:
    """The groups and versions that the server knows."""
    if session.args.words:
        raise UsageError("api-versions", f"unexpected arguments: [{' '.join(session.args.words)}]")
    versions = {m.api_version for m in session.resources.mappings}
    session.out("".join(f"{version}\n" for version in sorted(versions)))


def version(session: Session) -> None:
    """This kubectl and the server."""
    args = session.args
    if args.words:
        raise KubectlError(f"extra arguments: [{' '.join(args.words)}]")
    client = {"gitVersion": f"built into epkit {__version__}"}
    server = None if args["client"] else session.send("GET", "/version")
    if args["output"] in ("json", "yaml"):
        both: Obj = {"clientVersion": client} | ({"serverVersion": server} if server else {})
        session.out(dump(both) if args["output"] == "yaml" else json_text(both, 2, sort=False) + "\n")
    elif args["output"]:
        raise KubectlError("--output must be 'yaml' or 'json'")
    else:
        session.out(f"Client Version: {client['gitVersion']}\n")
        if server:
            session.out(f"Server Version: {server['gitVersion']}\n")


def cluster_info(session: Session) -> None:
    """Where the control plane answers.

    Raises:
        NotInSubset: the cluster is in this process and has no address.
    """
    url = getattr(session.transport, "url", "")
    if not url:
        raise NotInSubset("cluster-info of a cluster without an address")
    session.out(f"Kubernetes control plane is running at {url}\n")
    services = session.resources.find("services")
    for item in session.list(services, "kube-system", labelSelector="kubernetes.io/cluster-service=true"):
        labels = item["metadata"].get("labels") or {}
        name = labels.get("kubernetes.io/name") or item["metadata"]["name"]
        ports = item["spec"].get("ports") or [{}]
        mark = f":{ports[0]['name']}" if ports[0].get("name") else ""
        path = services.path(item["metadata"]["namespace"], item["metadata"]["name"] + mark, "proxy")
        session.out(f"{name} is running at {url}{path}\n")
    session.out("\nTo further debug and diagnose cluster problems, use 'kubectl cluster-info dump'.\n")


def can_i(session: Session) -> None:
    """Whether one may do something: ``yes`` or ``no``, which is also the exit status."""
    args = session.args
    if len(args.words) not in (2, 3):
        raise KubectlError(
            "you must specify two arguments: verb resource or verb resource/resourceName.\n"
            "See 'kubectl auth can-i -h' for help and examples."
        )
    verb, what = args.words[0], args.words[1]
    kind, _, name = what.partition("/")
    name = args.words[2] if len(args.words) == 3 else name
    namespace = "" if args["all-namespaces"] else session.namespace
    if what.startswith("/"):
        spec: Obj = {"nonResourceAttributes": {"verb": verb, "path": what}}
    else:
        spec = {"resourceAttributes": _attributes(session, verb, kind, name, namespace)}
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": spec}
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    status = session.send("POST", path, None, review).get("status") or {}
    if not args["quiet"]:
        text = "yes" if status.get("allowed") else "no"
        reason, fault = status.get("reason"), status.get("evaluationError")
        if not status.get("allowed"):
            text += (f" - {reason}" if reason else "") + (f" - {fault}" if fault else "")
        session.out(text + "\n")
    if not status.get("allowed"):
        raise ExitError


def _attributes(session: Session, verb: str, kind: str, name: str, namespace: str) -> Obj:
    found: Mapping | None = None
    if kind != "*":
        try:
            found = session.resources.find(kind)
        except KubectlError:
            session.warn(f"the server doesn't have a resource type {kind!r}\n".replace('"', "'"))
    if found is not None and not found.namespaced and namespace:
        suffix = f" in group '{found.group}'" if found.group else ""
        session.warn(f"resource '{found.plural}' is not namespace scoped{suffix}\n")
    attributes = {
        "namespace": namespace,
        "verb": verb,
        "group": found.group if found else "",
        "resource": found.plural if found else kind,
        "subresource": session.args["subresource"],
        "name": name,
    }
    return {key: value for key, value in attributes.items() if value}


def events(session: Session) -> None:
    """Events in the order in which they were last seen."""
    args = session.args
    if args.words:
        raise KubectlError(f"unknown command {quote(args.words[0])} for \"kubectl events\"")
    if formats.structured(args):
        raise NotInSubset(f"events -o {args['output']} (use get events -o {args['output']})")
    for kind in args["types"]:
        if kind.lower() not in ("normal", "warning"):
            raise KubectlError("valid --types are Normal or Warning")
    namespace = "" if args["all-namespaces"] else session.namespace
    fields = _about(session, args["for"]) if args["for"] else ""
    found = session.list(session.resources.find("events"), namespace, fieldSelector=fields)
    if args["types"]:
        found = [event for event in found if event.get("type", "").lower() in {t.lower() for t in args["types"]}]
    if not found:
        session.err("No events found.\n" if not namespace else f"No events found in {namespace} namespace.\n")
        return
    found = gosort.sort(found, lambda a, b: _last(a) < _last(b))
    if args["output"] != "name":  # as upstream, which prints no names
        session.out(align("".join("\t".join(row) + "\n" for row in _rows(session, found, namespace))))


def _about(session: Session, given: str) -> str:
    kind, slash, name = given.partition("/")
    if not slash or not name:
        raise KubectlError("--for must be in resource/name form")
    mapping = session.resources.find(kind)
    fields = {"involvedObject.kind": mapping.kind, "involvedObject.name": name}
    fields["involvedObject.apiVersion"] = mapping.api_version
    return ",".join(f"{key}={value}" for key, value in sorted(fields.items()))


def _last(event: Obj) -> float:
    series = event.get("series") or {}
    return seconds_of(series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime")) or 0.0


def _rows(session: Session, found: list[Obj], namespace: str) -> list[list[str]]:
    w = Writer(session)
    head = [] if session.args["no-headers"] else [["LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]]
    rows = []
    for event in found:
        about = event.get("involvedObject") or {}
        interval = w.interval(event)
        rows.append(
            [
                interval,
                event.get("type", ""),
                event.get("reason", ""),
                f"{about.get('kind', '')}/{about.get('name', '')}",
                event.get("message", "").strip(),
            ]
        )
    if not namespace:
        head = [["NAMESPACE", *row] for row in head]
        rows = [[event["metadata"]["namespace"], *row] for event, row in zip(found, rows, strict=True)]
    return head + rows
