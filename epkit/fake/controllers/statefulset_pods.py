"""The pods of a StatefulSet: what makes each of them the one with its ordinal, and how they come and go.

Source: ``pkg/controller/statefulset/stateful_set_utils.go`` and ``stateful_pod_control.go`` of Kubernetes v1.36.
"""
from __future__ import annotations

import re

from epkit.client import Client
from epkit.errors import ApiError
from epkit.fake.controllers import podutil
from epkit.fake.controllers.framework import Recorder
from epkit.fake.controllers.history import REVISION_LABEL
from epkit.fake.controllers.workloads import pod_from_template
from epkit.objects import Obj, copy, labels_of, name_of, namespace_of

POD_NAME_LABEL = "statefulset.kubernetes.io/pod-name"
POD_INDEX_LABEL = "apps.kubernetes.io/pod-index"
_ORDINAL = re.compile(r"(.*)-([0-9]+)")


# -- identity ----------------------------------------------------------------------------------------------------------


def ordinal_of(pod: Obj) -> int:
    """The number at the end of its name; -1 when there is none."""
    found = _ORDINAL.fullmatch(name_of(pod))
    return int(found[2]) if found else -1


def is_member(stateful_set: Obj, pod: Obj) -> bool:
    """Its name is one that this set gives."""
    found = _ORDINAL.fullmatch(name_of(pod))
    return found is not None and found[1] == name_of(stateful_set)


def start_ordinal(stateful_set: Obj) -> int:
    return int((stateful_set["spec"].get("ordinals") or {}).get("start", 0))


def new_pod(stateful_set: Obj, template: Obj, revision: str, ordinal: int) -> Obj:
    """The pod with that ordinal, not yet created: its name, hostname, labels and claims."""
    pod = pod_from_template(template, stateful_set)
    name = f"{name_of(stateful_set)}-{ordinal}"
    pod["metadata"]["name"] = name
    pod["metadata"]["labels"] = {**labels_of(pod), **_identity_labels(name, ordinal), REVISION_LABEL: revision}
    pod["spec"] = {**pod["spec"], "hostname": name}
    if stateful_set["spec"].get("serviceName"):
        pod["spec"]["subdomain"] = stateful_set["spec"]["serviceName"]
    claims = claims_of(stateful_set, ordinal)
    if claims:
        others = [volume for volume in pod["spec"].get("volumes") or () if volume["name"] not in claims]
        named = [
            {"name": volume, "persistentVolumeClaim": {"claimName": claim["metadata"]["name"]}}
            for volume, claim in claims.items()
        ]
        pod["spec"]["volumes"] = named + others
    return pod


def claims_of(stateful_set: Obj, ordinal: int) -> dict[str, Obj]:
    """The PersistentVolumeClaims of the pod with that ordinal, by the name of their volume."""
    claims = {}
    for template in stateful_set["spec"].get("volumeClaimTemplates") or ():
        claim = copy(template)
        meta = claim["metadata"]
        volume = meta["name"]
        meta["name"] = f"{volume}-{name_of(stateful_set)}-{ordinal}"
        meta["namespace"] = namespace_of(stateful_set)
        meta["labels"] = {**(meta.get("labels") or {}), **stateful_set["spec"]["selector"].get("matchLabels", {})}
        claims[volume] = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": claim["spec"]}
    return claims


def _identity_labels(name: str, ordinal: int) -> dict[str, str]:
    return {POD_NAME_LABEL: name, POD_INDEX_LABEL: str(ordinal)}


def identity_matches(pod: Obj) -> bool:
    """Nobody has taken away the labels that its name asks for."""
    return _identity_labels(name_of(pod), ordinal_of(pod)).items() <= labels_of(pod).items()


def revision_of(pod: Obj) -> str:
    return labels_of(pod).get(REVISION_LABEL, "")


# -- states ------------------------------------------------------------------------------------------------------------


def is_created(pod: Obj) -> bool:
    return podutil.phase_of(pod) != ""


def is_terminating(pod: Obj) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def is_running_and_ready(pod: Obj) -> bool:
    return podutil.phase_of(pod) == "Running" and podutil.is_ready(pod)


def is_running_and_available(pod: Obj, min_ready_seconds: int, now: float) -> bool:
    return podutil.phase_of(pod) == "Running" and podutil.is_available(pod, min_ready_seconds, now)


def is_unavailable(pod: Obj, min_ready_seconds: int, now: float) -> bool:
    return is_terminating(pod) or not is_running_and_available(pod, min_ready_seconds, now)


# -- control -----------------------------------------------------------------------------------------------------------


class StatefulPodControl:
    """Creates, mends and deletes a StatefulSet's pods, and records Events about it."""

    def __init__(self, client: Client, recorder: Recorder) -> None:
        self._client = client
        self._recorder = recorder

    def create(self, stateful_set: Obj, pod: Obj) -> Obj:
        try:
            self._create_claims(stateful_set, pod)
            created = self._client.create("pods", pod)
        except ApiError as error:
            if error.reason != "AlreadyExists":  # then the cache is late, and the next sync knows better
                self._record("create", stateful_set, pod, error)
            raise
        self._record("create", stateful_set, pod)
        return created

    def update(self, stateful_set: Obj, pod: Obj) -> None:
        """Give the pod back the labels of its identity."""
        labels = {**labels_of(pod), **_identity_labels(name_of(pod), ordinal_of(pod))}
        try:
            self._client.update("pods", {**pod, "metadata": {**pod["metadata"], "labels": labels}})
        except ApiError as error:
            self._record("update", stateful_set, pod, error)
            raise
        self._record("update", stateful_set, pod)

    def delete(self, stateful_set: Obj, pod: Obj) -> None:
        try:
            self._client.delete("pods", name_of(pod), namespace_of(pod))
        except ApiError as error:
            self._record("delete", stateful_set, pod, error)
            raise
        self._record("delete", stateful_set, pod)

    def _create_claims(self, stateful_set: Obj, pod: Obj) -> None:
        for claim in claims_of(stateful_set, ordinal_of(pod)).values():
            where = f"Claim {name_of(claim)} Pod {name_of(pod)} in StatefulSet {name_of(stateful_set)}"
            try:
                self._client.create("v1/persistentvolumeclaims", claim)
            except ApiError as error:
                if error.reason == "AlreadyExists":
                    continue
                said = f"create {where} failed error: {error}"
                self._recorder.event(stateful_set, "Warning", "FailedCreate", said)
                raise
            self._recorder.event(stateful_set, "Normal", "SuccessfulCreate", f"create {where} success")

    def _record(self, verb: str, stateful_set: Obj, pod: Obj, error: ApiError | None = None) -> None:
        said = f"{verb} Pod {name_of(pod)} in StatefulSet {name_of(stateful_set)}"
        if error is None:
            self._recorder.event(stateful_set, "Normal", f"Successful{verb.title()}", f"{said} successful")
        else:
            self._recorder.event(stateful_set, "Warning", f"Failed{verb.title()}", f"{said} failed error: {error}")
