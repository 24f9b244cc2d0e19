"""The namespaces that epkit makes on a live cluster.

The course speaks of ``ex-4-1`` or ``elsewhere``. On a live cluster these are ``epkit-ann-4-1`` and
``epkit-ann-4-elsewhere``: the guard (:mod:`epkit.targets.guard`) puts the real name into every request, so that a
learner types what the text says. Answers are shown as they come, with the real names.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence

from epkit.client import Client, path_of
from epkit.errors import ApiError, EpkitError
from epkit.objects import Obj, labels_of, name_of
from epkit.targets.learner import Learner

#: labels of every namespace that epkit makes: whose it is, for which chapter, and what the course calls it
LEARNER, CHAPTER, NAME = "epkit/learner", "epkit/chapter", "epkit/name"
PREFIX = "epkit-"
#: chapter of what is done outside the chapters
NO_CHAPTER = "0"
#: bounds for one namespace: a learner's mistake must not fill a shared cluster
QUOTA = {
    "pods": "100",
    "services": "60",
    "services.loadbalancers": "0",
    "services.nodeports": "4",
    "persistentvolumeclaims": "0",
    "requests.memory": "4Gi",
    "requests.cpu": "2",
}
CONTAINER = {"defaultRequest": {"cpu": "5m", "memory": "16Mi"}, "default": {"memory": "128Mi"}}

#: what makes pods, those first that make the others
MAKERS = ("deployments", "replicasets", "statefulsets", "daemonsets", "jobs")
#: how long kube-controller-manager is given to complete a new namespace
COMPLETED_SECONDS = 10
_EXERCISE = re.compile(r"ex-(\d+)-(\d+)")
#: for so many seconds a namespace that was looked at counts as still there, and still the learner's
SURE = 5.0


class Refused(EpkitError):
    """A request that is not sent."""


class Taken(Refused):
    """A namespace's name that somebody else has."""


class Own:
    """The namespaces of one learner on one cluster.

    Args:
        client: a client that the guard does not hold back.
        learner: whose they are.
        user: what they are named after.
        clock: seconds of a clock that only goes forward.
    """

    def __init__(
        self, client: Client, learner: Learner, user: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._client = client
        self._learner = learner
        self.user = user
        self.chapter = NO_CHAPTER
        #: what the course calls them -> their real names, of those that are there
        self._real: dict[str, str] = {}
        #: a real name -> when it was last seen to be there and the learner's
        self._seen: dict[str, float] = {}
        #: told of each namespace that is made or gone
        self.on_change: list[Callable[[], None]] = []

    @property
    def namespace(self) -> str:
        """The chapter's own."""
        return self.named("")

    @property
    def names(self) -> list[str]:
        """All that are there, by name."""
        return sorted(self._real.values())

    def enter(self, chapter: str) -> None:
        """From now on, names are those of a chapter."""
        self.chapter = chapter
        self.find()

    def find(self) -> None:
        """Look which namespaces are there. Without the right to list them, those made by this kernel are known."""
        try:
            found = self._client.list("namespaces", labels=f"{LEARNER}={self._learner.id}")
        except ApiError:
            return
        there = [one for one in found if self.is_mine(one)]
        self._real = {_key(one): name_of(one) for one in there}
        self._seen = dict.fromkeys(self._real.values(), self._clock())

    def real(self, name: str) -> str:
        """The real name of a namespace that the course names; any other name as it is.

        >>> own.real("ex-4-1")
        'epkit-ann-4-1'
        """
        if name == self.namespace or not name:
            return name
        exercise = _EXERCISE.fullmatch(name)
        if exercise is not None:
            return self.named(name)
        return self._real.get(f"{self.chapter}/{name}", name)

    def named(self, name: str) -> str:
        """How the namespace is called, or would be, that the course calls `name`; without one, the chapter's."""
        exercise = _EXERCISE.fullmatch(name)
        if exercise is not None:
            return f"{PREFIX}{self.user}-{exercise[1]}-{exercise[2]}"
        base = f"{PREFIX}{self.user}-{self.chapter}"
        if name == base or name.startswith(f"{base}-"):  # the real name, as answers show it
            return name
        return f"{base}-{name}"[:63].rstrip("-") if name else base

    def holds(self, namespace: str) -> bool:
        """Is this namespace one of the learner's, as far as is known here?"""
        return namespace in self._real.values()

    def need(self, namespace: str, otherwise: str) -> None:
        """See that a namespace is there and the learner's before something is written in it; the chapter's is made.

        Other kernels, terminals and people delete namespaces too, and may then take the name: every few seconds it is
        looked at again.

        Args:
            otherwise: what to say has not been done.

        Raises:
            Refused: the namespace is not the learner's.
        """
        if self.holds(namespace) and self._clock() - self._seen.get(namespace, float("-inf")) > SURE:
            self._look_again(namespace)
        if namespace == self.namespace:
            self.ensure()
        if not self.holds(namespace):
            where = ", ".join(self.names) or self.namespace
            raise Refused(f"epkit writes only in namespaces of its own ({where}): {otherwise}")

    def _look_again(self, namespace: str) -> None:
        try:
            found = self._client.find("namespaces", namespace)
        except ApiError:  # one may not look; the server will judge
            return
        if found is not None and self.is_mine(found):
            self._seen[namespace] = self._clock()
        else:
            self.gone(namespace)

    def is_mine(self, namespace: Obj, *, going: bool = False) -> bool:
        """Was it made for this learner, and does it stay?"""
        mine = labels_of(namespace).get(LEARNER) == self._learner.id and name_of(namespace).startswith(PREFIX)
        return mine and (going or not namespace["metadata"].get("deletionTimestamp"))

    def of_chapter(self, chapter: str) -> list[str]:
        """The real names of a chapter's namespaces that are there."""
        return sorted(real for key, real in self._real.items() if key.partition("/")[0] == chapter)

    def current(self, namespace: str) -> bool:
        """Is it one of the chapter's? The same learner may have another chapter open in another kernel."""
        return namespace == self.namespace or namespace in self.of_chapter(self.chapter)

    def manifest(self, name: str, labels: Mapping[str, str] | None = None) -> Obj:
        """The namespace that the course calls `name`, to be created."""
        exercise = _EXERCISE.fullmatch(name)
        own = {LEARNER: self._learner.id, CHAPTER: exercise[1] if exercise else self.chapter}
        real = self.named(name)
        short = real[len(self.namespace) + 1 :] if name == real else name
        own |= {NAME: short} if short else {}
        about = {"name": real, "labels": {**(labels or {}), **own}}
        return {"apiVersion": "v1", "kind": "Namespace", "metadata": about}

    def ensure(self, name: str = "") -> str:
        """See that the namespace is there which the course calls `name`; returns its real name.

        Raises:
            Taken: somebody else has it.
            Refused: it may not be created, or is just being deleted.
        """
        real = self.named(name)
        if real in self._real.values():
            return real
        try:
            self.added(self._client.create("namespaces", self.manifest(name)))
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise Refused(
                    f"The namespace {real} cannot be made: {error.message}. Ask for the right to create namespaces."
                ) from None
            self._take_up(real)
        return real

    def _take_up(self, real: str) -> None:
        """Know a namespace that is there already, if it is the learner's."""
        found = self._client.find("namespaces", real)
        if found is not None and self.is_mine(found):
            self._know(found)
        elif found is None or self.is_mine(found, going=True):
            raise Refused(f"The namespace {real} is still being deleted. Wait a little, then do that again.")
        else:
            raise Taken(
                f"The namespace {real} is there already, and it is not yours. Set EPKIT_USER to another name than "
                f"{self.user!r} and restart the kernel, so that yours are called otherwise."
            )

    def _know(self, namespace: Obj) -> None:
        self._real[_key(namespace)] = name_of(namespace)
        self._seen[name_of(namespace)] = self._clock()
        for tell in self.on_change:
            tell()

    def added(self, namespace: Obj) -> None:
        """A namespace was made: bound what may be in it, as far as that is allowed."""
        quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "epkit"}, "spec": {"hard": QUOTA}}
        limits = {
            "apiVersion": "v1",
            "kind": "LimitRange",
            "metadata": {"name": "epkit"},
            "spec": {"limits": [{"type": "Container", **CONTAINER}]},
        }
        # The defaults first: with a quota alone, a pod that asks for nothing would be refused.
        for resource, obj in (("v1/limitranges", limits), ("v1/resourcequotas", quota)):
            try:
                self._client.create(resource, obj, name_of(namespace))
            except ApiError:  # many may not; then the cluster's own bounds must do
                break
        else:
            # What a quota bounds and has not counted yet is refused: "status unknown for quota", says checkRequest in
            # k8s.io/apiserver/pkg/admission/plugin/resourcequota/controller.go.
            self._wait_for("v1/resourcequotas", "epkit", name_of(namespace), _counted)
        # Until the ServiceAccount `default` is there, a pod of no other account is refused.
        self._wait_for("serviceaccounts", "default", name_of(namespace), lambda _: True)
        self._know(namespace)

    def _wait_for(self, resource: str, name: str, namespace: str, ready: Callable[[Obj], bool]) -> None:
        """Wait until the control plane has made or completed an object; after some seconds the server will judge."""
        which = {"fields": f"metadata.name={name}"}
        try:
            listed = self._client.list(resource, namespace, **which)
            if any(map(ready, listed)):
                return
            since, seconds = listed.resource_version, str(COMPLETED_SECONDS)
            for event in self._client.watch(resource, namespace, since=since, timeoutSeconds=seconds, **which):
                if event["type"] in ("ADDED", "MODIFIED") and ready(event["object"]):
                    return
        except ApiError:  # who may not look does not wait
            return

    def gone(self, namespace: str) -> None:
        """A namespace is being deleted."""
        self._real = {key: real for key, real in self._real.items() if real != namespace}
        for tell in self.on_change:
            tell()

    def delete(self, namespaces: list[str]) -> None:
        """Delete namespaces of the learner; they may take a while to go. Others of these names are left alone."""
        for namespace in namespaces:
            found = self._client.find("namespaces", namespace)
            if found is None or not self.is_mine(found, going=True):
                continue
            if self.is_mine(found):
                try:
                    self._client.delete("namespaces", namespace, uid=found["metadata"]["uid"])
                except ApiError as error:
                    if error.code not in (404, 409):  # it went, or somebody else has begun to delete it
                        raise
            self.gone(namespace)

    def empty(self, namespaces: Sequence[str]) -> int:
        """Have the pods of the learner's namespaces go at once, and what would make new ones; how many are left.

        A namespace with pods would go too, but late: its controller looks again after half of the longest grace
        period that stands in a pod's spec (``estimateGracePeriodForPods`` in ``pkg/controller/namespace/deletion``).
        """
        left = 0
        for namespace in namespaces:
            there = self._client.find("namespaces", namespace)
            if there is None or not self.is_mine(there, going=True):
                continue
            pods = len(self._client.list("pods", namespace))
            if pods:
                for resource in MAKERS:
                    self._clear(resource, namespace)
                self._clear("pods", namespace, gracePeriodSeconds=1)
            left += pods
        return left

    def _clear(self, resource: str, namespace: str, **options: int) -> None:
        """Delete all of a resource; where that is not allowed, the namespace's own end does it later."""
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background", **options}
        self._client.transport.send("DELETE", path_of(resource, namespace), body=body)

    def left(self, chapter: str = "") -> list[str]:
        """Those of a chapter, or all, that are there or still going.

        Raises:
            ApiError: they may not be listed.
        """
        found = self._client.list("namespaces", labels=f"{LEARNER}={self._learner.id}")
        of = [one for one in found if not chapter or _key(one).partition("/")[0] == chapter]
        return sorted(name_of(one) for one in of if self.is_mine(one, going=True))


def _counted(quota: Obj) -> bool:
    """Has the quota's controller counted everything that it bounds?"""
    return QUOTA.keys() <= ((quota.get("status") or {}).get("used") or {}).keys()


def _key(namespace: Obj) -> str:
    """Chapter and name as the course has them."""
    labels = labels_of(namespace)
    return f"{labels.get(CHAPTER, NO_CHAPTER)}/{labels.get(NAME, '')}"
