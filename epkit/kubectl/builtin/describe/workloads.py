"""``kubectl describe`` of Deployments, ReplicaSets, StatefulSets, DaemonSets and Jobs.

Source: ``k8s.io/kubectl/pkg/describe/describe.go``; ``k8s.io/kubectl/pkg/util/deployment``.
"""
from __future__ import annotations

from epkit.errors import ApiError
from epkit.kubectl.builtin.describe.pods import controlled_by, template
from epkit.kubectl.builtin.describe.writer import Writer, find_events, format_selector
from epkit.kubectl.builtin.gotext import human_duration, plain, rfc1123, seconds_of
from epkit.kubectl.builtin.replicasets import old_and_new
from epkit.kubectl.builtin.selectors import as_text
from epkit.kubectl.builtin.session import Session
from epkit.kubectl.builtin.tables import format_labels
from epkit.objects import Obj, controller_of


def deployment(session: Session, obj: Obj) -> str:
    w = Writer(session)
    meta, spec, status = obj["metadata"], obj["spec"], obj.get("status") or {}
    w.put(0, f"Name:\t{meta['name']}")
    w.put(0, f"Namespace:\t{meta['namespace']}")
    w.put(0, f"CreationTimestamp:\t{rfc1123(meta['creationTimestamp'])}")
    w.labels("Labels", meta.get("labels"))
    w.annotations("Annotations", meta.get("annotations"))
    w.put(0, f"Selector:\t{as_text(spec['selector'])}")
    counts = (
        f"{spec.get('replicas', 0)} desired",
        f"{status.get('updatedReplicas', 0)} updated",
        f"{status.get('replicas', 0)} total",
        f"{status.get('availableReplicas', 0)} available",
        f"{status.get('unavailableReplicas', 0)} unavailable",
    )
    w.put(0, f"Replicas:\t{' | '.join(counts)}")
    strategy = spec.get("strategy") or {}
    w.put(0, f"StrategyType:\t{strategy.get('type', '')}")
    w.put(0, f"MinReadySeconds:\t{spec.get('minReadySeconds', 0)}")
    rolling = strategy.get("rollingUpdate")
    if rolling:
        w.put(
            0,
            f"RollingUpdateStrategy:\t{rolling.get('maxUnavailable', 0)} max unavailable, "
            f"{rolling.get('maxSurge', 0)} max surge",
        )
    template(w, spec.get("template"))
    _conditions(w, status)
    old, new = old_and_new(session, obj)
    if old or new:
        w.put(0, f"OldReplicaSets:\t{_replica_sets(old)}")
        w.put(0, f"NewReplicaSet:\t{_replica_sets([new] if new else [])}")
    w.events(find_events(session, obj))
    return w.text()


def _conditions(w: Writer, status: Obj) -> None:
    if status.get("conditions"):
        w.put(0, "Conditions:\n  Type\tStatus\tReason")
        w.put(1, "----\t------\t------")
        for condition in status["conditions"]:
            w.put(1, f"{condition['type']} \t{condition['status']}\t{condition.get('reason', '')}")


def _replica_sets(items: list[Obj]) -> str:
    return ", ".join(
        f"{rs['metadata']['name']} ({(rs.get('status') or {}).get('replicas', 0)}/{rs['spec'].get('replicas', 0)} "
        "replicas created)"
        for rs in items
    ) or "<none>"


def replica_set(session: Session, obj: Obj) -> str:
    w = Writer(session)
    meta, spec, status = obj["metadata"], obj["spec"], obj.get("status") or {}
    w.put(0, f"Name:\t{meta['name']}")
    w.put(0, f"Namespace:\t{meta['namespace']}")
    w.put(0, f"Selector:\t{format_selector(spec.get('selector'))}")
    w.labels("Labels", meta.get("labels"))
    w.annotations("Annotations", meta.get("annotations"))
    owner = controlled_by(obj)
    if owner:
        w.put(0, f"Controlled By:\t{owner}")
    w.put(0, f"Replicas:\t{status.get('replicas', 0)} current / {spec.get('replicas', 0)} desired")
    try:
        w.put(0, f"Pods Status:\t{pods_status(session, obj)}")
    except ApiError as error:
        w.put(0, f"Pods Status:\terror in fetching pods: {error}")
    template(w, spec.get("template"))
    _conditions(w, status)
    w.events(find_events(session, obj))
    return w.text()


def pods_status(session: Session, obj: Obj) -> str:
    """``3 Running / 0 Waiting / 0 Succeeded / 0 Failed`` of the pods that it controls."""
    count = dict.fromkeys(("Running", "Pending", "Succeeded", "Failed"), 0)
    pods = session.resources.find("pods")
    for item in session.list(pods, obj["metadata"]["namespace"], labelSelector=as_text(obj["spec"]["selector"])):
        owner = controller_of(item)
        phase = (item.get("status") or {}).get("phase")
        if owner and owner["uid"] == obj["metadata"]["uid"] and phase in count:
            count[phase] += 1
    running, waiting, succeeded, failed = count.values()
    return f"{running} Running / {waiting} Waiting / {succeeded} Succeeded / {failed} Failed"


def stateful_set(session: Session, obj: Obj) -> str:
    w = Writer(session)
    meta, spec, status = obj["metadata"], obj["spec"], obj.get("status") or {}
    w.put(0, f"Name:\t{meta['name']}")
    w.put(0, f"Namespace:\t{meta['namespace']}")
    w.put(0, f"CreationTimestamp:\t{rfc1123(meta['creationTimestamp'])}")
    w.put(0, f"Selector:\t{as_text(spec['selector'])}")
    w.labels("Labels", meta.get("labels"))
    w.annotations("Annotations", meta.get("annotations"))
    w.put(0, f"Replicas:\t{spec.get('replicas', 0)} desired | {status.get('replicas', 0)} total")
    strategy = spec.get("updateStrategy") or {}
    w.put(0, f"Update Strategy:\t{strategy.get('type', '')}")
    rolling = strategy.get("rollingUpdate") or {}
    if rolling.get("partition") is not None:
        w.put(1, f"Partition:\t{rolling['partition']}")
        if rolling.get("maxUnavailable") is not None:
            w.put(1, f"MaxUnavailable:\t{rolling['maxUnavailable']}")
    w.put(0, f"Pods Status:\t{pods_status(session, obj)}")
    template(w, spec.get("template"))
    _claims(w, spec.get("volumeClaimTemplates"))
    w.events(find_events(session, obj))
    return w.text()


def _claims(w: Writer, templates: list[Obj] | None) -> None:
    if not templates:
        w.put(0, "Volume Claims:\t<none>")
        return
    w.put(0, "Volume Claims:")
    for claim in templates:
        meta, spec = claim["metadata"], claim["spec"]
        w.put(1, f"Name:\t{meta['name']}")
        w.put(1, f"StorageClass:\t{spec.get('storageClassName', '')}")
        w.labels("Labels", meta.get("labels"), "  ")
        w.labels("Annotations", meta.get("annotations"), "  ")
        requests = (spec.get("resources") or {}).get("requests") or {}
        w.put(1, f"Capacity:\t{requests.get('storage', '<default>')}")
        w.put(1, f"Access Modes:\t{plain(spec.get('accessModes') or [])}")


def daemon_set(session: Session, obj: Obj) -> str:
    w = Writer(session)
    meta, spec, status = obj["metadata"], obj["spec"], obj.get("status") or {}
    w.put(0, f"Name:\t{meta['name']}")
    w.put(0, f"Namespace:\t{meta['namespace']}")
    w.put(0, f"Selector:\t{as_text(spec['selector'])}")
    w.put(0, f"Node-Selector:\t{format_labels((spec.get('template', {}).get('spec') or {}).get('nodeSelector'))}")
    w.labels("Labels", meta.get("labels"))
    w.annotations("Annotations", meta.get("annotations"))
    for title, field in (
        ("Desired Number of Nodes Scheduled", "desiredNumberScheduled"),
        ("Current Number of Nodes Scheduled", "currentNumberScheduled"),
        ("Number of Nodes Scheduled with Up-to-date Pods", "updatedNumberScheduled"),
        ("Number of Nodes Scheduled with Available Pods", "numberAvailable"),
        ("Number of Nodes Misscheduled", "numberMisscheduled"),
    ):
        w.put(0, f"{title}: {status.get(field, 0)}")
    w.put(0, f"Pods Status:\t{pods_status(session, obj)}")
    template(w, spec.get("template"))
    w.events(find_events(session, obj))
    return w.text()


def job(session: Session, obj: Obj) -> str:
    w = Writer(session)
    meta, spec, status = obj["metadata"], obj["spec"], obj.get("status") or {}
    w.put(0, f"Name:\t{meta['name']}")
    w.put(0, f"Namespace:\t{meta['namespace']}")
    w.put(0, f"Selector:\t{as_text(spec.get('selector'))}")
    w.labels("Labels", meta.get("labels"))
    w.annotations("Annotations", meta.get("annotations"))
    owner = controlled_by(obj)
    if owner:
        w.put(0, f"Controlled By:\t{owner}")
    if spec.get("parallelism") is not None:
        w.put(0, f"Parallelism:\t{spec['parallelism']}")
    w.put(0, f"Completions:\t{spec.get('completions', '<unset>')}")
    for title, field in (
        ("Completion Mode", "completionMode"),
        ("Suspend", "suspend"),
        ("Backoff Limit", "backoffLimit"),
        ("TTL Seconds After Finished", "ttlSecondsAfterFinished"),
    ):
        if spec.get(field) is not None:
            w.put(0, f"{title}:\t{plain(spec[field])}")
    started, completed = status.get("startTime"), status.get("completionTime")
    if started:
        w.put(0, f"Start Time:\t{rfc1123(started)}")
    if completed:
        w.put(0, f"Completed At:\t{rfc1123(completed)}")
    if started and completed:
        w.put(0, f"Duration:\t{human_duration((seconds_of(completed) or 0) - (seconds_of(started) or 0))}")
    if spec.get("activeDeadlineSeconds") is not None:
        w.put(0, f"Active Deadline Seconds:\t{spec['activeDeadlineSeconds']}s")
    ready = f" ({status['ready']} Ready)" if status.get("ready") is not None else ""
    w.put(
        0,
        f"Pods Statuses:\t{status.get('active', 0)} Active{ready} / {status.get('succeeded', 0)} Succeeded / "
        f"{status.get('failed', 0)} Failed",
    )
    if spec.get("completionMode") == "Indexed":
        w.put(0, f"Completed Indexes:\t{status.get('completedIndexes') or '<none>'}")
    template(w, spec.get("template"))
    w.events(find_events(session, obj))
    return w.text()
