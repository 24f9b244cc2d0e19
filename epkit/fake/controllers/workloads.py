"""What the workload controllers share: expectations, the making and deleting of pods, adoption and release.

Source: ``pkg/controller/controller_utils.go`` and ``controller_ref_manager.go`` of Kubernetes v1.36.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import orjson

from epkit.client import Client
from epkit.errors import ApiError
from epkit.fake.clock import Clock
from epkit.fake.controllers.framework import Informer, Recorder, SyncError
from epkit.fake.kinds.names import name_is_subdomain
from epkit.fake.names import ALPHABET
from epkit.objects import Obj, controller_of, copy, key_of, labels_of, name_of, namespace_of, owner_reference, uid_of
from epkit.selectors import Matcher

#: How long a controller waits for the watch events of its own writes before it looks again by itself.
EXPECTATIONS_TIMEOUT = 5 * 60.0
#: How many pods a controller creates or deletes in one sync at most.
BURST_REPLICAS = 500
#: The rate limiter of most queues never gives up.
NEVER = 2**31


class Expectations:
    """The creations and deletions that a controller has asked for and not yet seen in its cache.

    The cache lags behind the controller's own writes. Without expectations it would take what it has just made for
    missing, and make it again. Until they are fulfilled, or five minutes old, the controller neither creates nor
    deletes for that key.

    >>> expectations = Expectations(clock)
    >>> expectations.expect_creations("default/web", 2)
    >>> expectations.creation_observed("default/web"); expectations.satisfied("default/web")
    False
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._creations: dict[str, int] = {}
        self._deletions: dict[str, set[str]] = {}
        self._since: dict[str, float] = {}

    def expect(self, key: str, creations: int, deletions: Iterable[str]) -> None:
        """Forget what `key` expected before; from now on it expects these: a number, and keys of pods."""
        self._creations[key] = creations
        self._deletions[key] = set(deletions)
        self._since[key] = self._clock.now

    def creation_observed(self, key: str) -> None:
        """A creation is in the cache, or has failed."""
        if self._creations.get(key):
            self._creations[key] -= 1

    def deletion_observed(self, key: str, pod_key: str) -> None:
        """A pod is gone or terminating, or could not be deleted. Each pod counts once."""
        if key in self._deletions:
            self._deletions[key].discard(pod_key)

    def satisfied(self, key: str) -> bool:
        """Everything expected has been seen, or the wait has lasted too long."""
        if not self._creations.get(key) and not self._deletions.get(key):
            return True
        return self._clock.now - self._since[key] > EXPECTATIONS_TIMEOUT

    def forget(self, key: str) -> None:
        for known in (self._creations, self._deletions, self._since):
            known.pop(key, None)


class ControlledBy:
    """An index of an informer's objects by the UID of their controller, and of those that have none by namespace.

    It is what upstream's indexer ``AddPodControllerIndexer`` gives: a sync looks at its own pods alone, however many
    others there are. Create it before the handlers that read it are registered.
    """

    def __init__(self, informer: Informer) -> None:
        self._by_uid: dict[str, dict[str, Obj]] = {}
        self._orphans: dict[str, dict[str, Obj]] = {}
        informer.on(add=self._put, update=self._replace, delete=self._drop)

    def owned(self, owner: Obj) -> list[Obj]:
        """What `owner` controls, in the order in which the cache came to know of it."""
        return list(self._by_uid.get(uid_of(owner), {}).values())

    def orphans(self, namespace: str) -> list[Obj]:
        """What has no controller in that namespace."""
        return list(self._orphans.get(namespace, {}).values())

    def candidates(self, owner: Obj) -> list[Obj]:
        """What `owner` controls and what it may adopt (``FilterPodsByOwner`` with orphans)."""
        return self.owned(owner) + self.orphans(namespace_of(owner))

    def _home(self, obj: Obj) -> dict[str, Obj]:
        reference = controller_of(obj)
        if reference is None:
            return self._orphans.setdefault(namespace_of(obj), {})
        return self._by_uid.setdefault(reference["uid"], {})

    def _put(self, obj: Obj) -> None:
        self._home(obj)[key_of(obj)] = obj

    def _replace(self, old: Obj, new: Obj) -> None:
        if controller_of(old) != controller_of(new):
            self._home(old).pop(key_of(old), None)
        self._put(new)

    def _drop(self, obj: Obj) -> None:
        self._home(obj).pop(key_of(obj), None)
        reference = controller_of(obj)
        if reference is not None and not self._by_uid[reference["uid"]]:
            del self._by_uid[reference["uid"]]


class PodControl:
    """Creates, deletes and patches pods in the name of their controller, and records Events about it."""

    def __init__(self, client: Client, recorder: Recorder) -> None:
        self._client = client
        self._recorder = recorder

    def create(self, template: Obj, owner: Obj, **metadata: Any) -> Obj | None:
        """Create a pod from a template, controlled by `owner`. Fields of `metadata` replace the template's.

        Returns the pod; None where the namespace is going away, since every try would fail then.
        Raises the API server's refusal, after recording it.
        """
        pod = pod_from_template(template, owner)
        pod["metadata"].update(metadata)
        try:
            created = self._client.create("pods", pod, namespace_of(owner))
        except ApiError as error:
            if namespace_is_terminating(error):
                return None
            self._recorder.event(owner, "Warning", "FailedCreate", f"Error creating: {error}")
            raise
        self._recorder.event(owner, "Normal", "SuccessfulCreate", f"Created pod: {name_of(created)}")
        return created

    def delete(self, pod: Obj, owner: Obj) -> None:
        """Delete a pod. Raises a 404 as it is, anything else after recording it."""
        try:
            self._client.delete("pods", name_of(pod), namespace_of(pod))
        except ApiError as error:
            if error.reason == "NotFound":
                raise
            self._recorder.event(owner, "Warning", "FailedDelete", f"Error deleting: {error}")
            raise SyncError(f"unable to delete pods: {error}") from error
        self._recorder.event(owner, "Normal", "SuccessfulDelete", f"Deleted pod: {name_of(pod)}")


def pod_from_template(template: Obj, owner: Obj) -> Obj:
    """The pod that a template describes, to be named by the API server after `owner` (``GetPodFromTemplate``).

    Its spec is a copy: the API server will complete it.
    """
    given = template.get("metadata") or {}
    metadata: Obj = {"generateName": pods_prefix(name_of(owner)), "namespace": namespace_of(owner)}
    for field in ("labels", "annotations", "finalizers"):
        if given.get(field):
            metadata[field] = given[field]
    metadata["ownerReferences"] = [owner_reference(owner)]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": copy(template["spec"])}


def pods_prefix(name: str) -> str:
    """With a dash, unless the name is too long for that."""
    return name if name_is_subdomain(f"{name}-", True) else f"{name}-"


def namespace_is_terminating(error: ApiError) -> bool:
    causes = (error.status.get("details") or {}).get("causes") or ()
    return any(cause.get("reason") == "NamespaceTerminating" for cause in causes)


def slow_start_batch(count: int, create: Callable[[], object]) -> tuple[int, Exception | None]:
    """Call `create` up to `count` times in batches of 1, 2, 4, 8 …; a batch with a failure is the last one.

    So a quota that is used up costs a few refusals and not hundreds. Returns how many calls succeeded, and the first
    error of the last batch.
    """
    remaining, successes, batch = count, 0, min(count, 1)
    while batch > 0:
        failures: list[Exception] = []
        for _ in range(batch):
            try:
                create()
            except (ApiError, SyncError) as error:
                failures.append(error)
        successes += batch - len(failures)
        if failures:
            return successes, failures[0]
        remaining -= batch
        batch = min(2 * batch, remaining)
    return successes, None


class ControllerRefManager:
    """Decides what belongs to a controller: adopts what its selector matches, releases what it no longer matches.

    `resource` is what it claims, such as "pods". Before the first adoption the owner itself is read anew: one that is
    being deleted, or was replaced by another of the same name, must not adopt.
    """

    def __init__(self, client: Client, resource: str, owner: Obj, owner_resource: str, matches: Matcher) -> None:
        self._client = client
        self._resource = resource
        self._owner = owner
        self._owner_resource = owner_resource
        self._matches = matches
        self._may_adopt = False

    def claim(self, objects: Iterable[Obj]) -> list[Obj]:
        """Those of `objects` that belong to the owner now. Raises :class:`SyncError` with all failures at the end."""
        claimed, failures = [], []
        for obj in objects:
            try:
                if self._claims(obj):
                    claimed.append(obj)
            except (ApiError, SyncError) as error:
                failures.append(str(error))
        if failures:
            raise SyncError(failures[0] if len(failures) == 1 else f"[{', '.join(failures)}]")
        return claimed

    def _claims(self, obj: Obj) -> bool:
        reference = controller_of(obj)
        going = "deletionTimestamp" in self._owner["metadata"]
        if reference is not None:
            if reference["uid"] != uid_of(self._owner):
                return False  # owned by somebody else
            if self._matches(labels_of(obj)):
                return True
            if not going:
                self._release(obj)
            return False
        if going or "deletionTimestamp" in obj["metadata"] or not self._matches(labels_of(obj)):
            return False
        return self._adopt(obj)

    def _adopt(self, obj: Obj) -> bool:
        self._check_owner(obj)
        patch = {"metadata": {"ownerReferences": [owner_reference(self._owner)], "uid": uid_of(obj)}}
        try:
            self._client.patch(self._resource, name_of(obj), patch, namespace_of(obj), kind="strategic")
        except ApiError as error:
            if error.reason == "NotFound":
                return False
            raise
        return True

    def _release(self, obj: Obj) -> None:
        reference = {"$patch": "delete", "uid": uid_of(self._owner)}
        patch = {"metadata": {"ownerReferences": [reference], "uid": uid_of(obj)}}
        try:
            self._client.patch(self._resource, name_of(obj), patch, namespace_of(obj), kind="strategic")
        except ApiError as error:
            # Gone, or already released (then the patch makes an invalid reference): nothing is left to do.
            if error.reason not in ("NotFound", "Invalid"):
                raise

    def _check_owner(self, obj: Obj) -> None:
        if self._may_adopt:
            return
        owner = self._owner
        fresh = self._client.get(self._owner_resource, name_of(owner), namespace_of(owner))
        why = ""
        if uid_of(fresh) != uid_of(owner):
            why = f"original {owner['kind']} {key_of(owner)} is gone: got uid {uid_of(fresh)}, wanted {uid_of(owner)}"
        elif "deletionTimestamp" in fresh["metadata"]:
            why = f"{key_of(owner)} has just been deleted at {fresh['metadata']['deletionTimestamp']}"
        if why:
            raise SyncError(f"can't adopt {obj['kind']} {key_of(obj)} ({uid_of(obj)}): {why}")
        self._may_adopt = True


def resolve_controller(informer: Informer, namespace: str, reference: Obj | None, kind: str) -> Obj | None:
    """The object that a controller reference names, if it is of that kind and still the same one."""
    if reference is None or reference["kind"] != kind:
        return None
    owner = informer.get(namespace, reference["name"])
    return owner if owner is not None and uid_of(owner) == reference["uid"] else None


def compute_hash(template: Obj, collision_count: int | None = None) -> str:
    """The value of ``pod-template-hash``: FNV-1a, 32 bits, in decimal digits, spelled with safe letters.

    Upstream (``ComputeHash``) hashes a dump of Go's structures; this hashes the canonical JSON. The shape is the same.
    """
    value = 0x811C9DC5
    data = orjson.dumps(template, option=orjson.OPT_SORT_KEYS)
    if collision_count is not None:
        data += collision_count.to_bytes(4, "little") + bytes(4)
    for byte in data:
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return safe_encode(str(value))


def safe_encode(text: str) -> str:
    """``rand.SafeEncodeString``: no vowels and no look-alikes, so that no word comes out by accident.

    >>> safe_encode("0123456789")
    '456789bcdf'
    """
    return "".join(ALPHABET[ord(letter) % len(ALPHABET)] for letter in text)


def scaled_value(value: int | str | None, total: int, round_up: bool) -> int:
    """A number, or a percentage of `total` (``GetScaledValueFromIntOrPercent``)."""
    if value is None:
        return 0
    if isinstance(value, int):
        return value
    percent = int(value.removesuffix("%")) * total
    return -(-percent // 100) if round_up else percent // 100


def without_zeroes(status: Obj, keep: tuple[str, ...] = ()) -> Obj:
    """A status in API form: fields that are zero, empty or None are left out, but those in `keep`."""
    return {key: value for key, value in status.items() if value or key in keep}


def replace_condition(conditions: list[Obj], new: Obj) -> list[Obj]:
    """`conditions` with `new` at the end in the place of the one of its type.

    One that says the same, by status and reason, stays as it is; one of the same status keeps its transition time.
    """
    current = next((entry for entry in conditions if entry["type"] == new["type"]), None)
    if current is not None and current["status"] == new["status"]:
        if current.get("reason") == new.get("reason"):
            return conditions
        new = {**new, "lastTransitionTime": current["lastTransitionTime"]}
    return [*drop_condition(conditions, new["type"]), new]


def drop_condition(conditions: list[Obj], kind: str) -> list[Obj]:
    return [entry for entry in conditions if entry["type"] != kind]
