"""Tape: what was written about one Service, and the objects as they were after any of those writes."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from epkit.objects import Obj, condition, key_of, labels_of, name_of, namespace_of
from epkit.story import Story, Written
from epkit.views.lookup import SERVICE_NAME
from epkit.views.topology import ZONE, Topology

#: Beyond so many writes the oldest quarter is forgotten.
MOST_WRITES = 20_000
WORKLOADS = frozenset(("deployments", "replicasets", "statefulsets", "daemonsets", "jobs"))
TRACKED = frozenset(("services", "endpointslices", "endpoints", "pods", "nodes")) | WORKLOADS

Selector = frozenset[tuple[str, str]]


class Key(NamedTuple):
    """An object: its resource's plural, and ``namespace/name`` or ``name``."""

    resource: str
    name: str


@dataclass(frozen=True)
class Change:
    """What became of a slice: from `old` (None: it was not there) by these writes, oldest first."""

    old: Obj | None
    writes: list[Written]
    recent: bool  # it belongs to the newest change that the tape is wound to


class Tape:
    """The writes that concern a Service, and a cluster's objects that can be wound to the moment after any of them.

    The position `n` is the moment after the first `n` of :attr:`writes`; 0 is before all of them.

    What concerns a Service: itself, its Endpoints, the slices that carry its name, pods and workloads' templates that a
    selector it ever had matches, and the readiness and zones of nodes. Winding costs as much as there lies between two
    positions.

    >>> tape = Tape("default", "web", cluster.story)
    >>> tape.topology(position=3).endpoints
    []
    """

    def __init__(self, namespace: str, name: str, story: Story, refused: Sequence[str] = ()) -> None:
        self.namespace, self.name = namespace, name
        self._refused = list(refused)  # the resources that the story could not be told of
        self._objects: dict[Key, Obj] = {
            Key(resource, key_of(obj)): obj
            for resource, found in story.beginning.items()
            for obj in found
            if self._tracked(resource, obj)
        }
        self._all: list[Written] = []
        self._groups: list[int] = []  # of each write of _all, the number of the change that it was part of
        self._of: dict[Key, list[int]] = {}  # of each object, where its writes are in _all
        self._cursor = 0
        self._selectors: set[Selector] = set()
        self._stops: list[int] = []  # where in _all the writes are that concern the Service
        for key, obj in self._objects.items():
            self._learn_selector(key.resource, obj)
        self.add(story.writes, together=False)

    # -- recording -------------------------------------------------------------------------------------------------

    def add(self, writes: Iterable[Written], *, together: bool = True) -> int:
        """Take writes in; `together`: they are one change, such as everything that a command brought about.

        Returns how many of the oldest writes that concern the Service were forgotten for it.
        """
        learnt = False
        group = self._groups[-1] + 1 if self._groups else 0
        for write in writes:
            if not self._tracked(write.resource, write.obj):
                continue
            learnt = self._learn_selector(write.resource, write.obj) or learnt
            self._of.setdefault(Key(write.resource, key_of(write.obj)), []).append(len(self._all))
            if self._concerns(write):
                self._stops.append(len(self._all))
            self._all.append(write)
            self._groups.append(group)
            if not together:
                group += 1
        if learnt:  # a new selector: earlier writes may concern the Service after all
            self._find_stops()
        return self._forget() if len(self._all) > MOST_WRITES else 0

    @property
    def length(self) -> int:
        """How many writes concern the Service: the last position."""
        return len(self._stops)

    def write(self, position: int) -> Written:
        """The write that led to a position of 1 or more."""
        return self._all[self._stops[position - 1]]

    def writes(self, first: int, last: int) -> list[Written]:
        """The writes that led to the positions from `first` to `last`."""
        return [self._all[index] for index in self._stops[max(first, 1) - 1 : last]]

    # -- looking ---------------------------------------------------------------------------------------------------

    def topology(self, position: int | None = None) -> Topology | None:
        """What there was to draw; of the present without a position. None if there was no such Service."""
        objects = self._wind(position)
        service = objects.get(Key("services", f"{self.namespace}/{self.name}"))
        if service is None:
            return None
        of: dict[str, list[Obj]] = {resource: [] for resource in TRACKED}
        for key, obj in objects.items():
            of[key.resource].append(obj)
        return Topology(
            service,
            sorted(filter(self._is_slice, of["endpointslices"]), key=name_of),
            {name_of(pod): pod for pod in of["pods"]},
            {name_of(node): labels_of(node).get(ZONE, "") for node in of["nodes"]},
            of["services"],
            self._refused,
        )

    def change(self, one: Obj, position: int | None = None) -> Change | None:
        """How a slice came to be as it is: by its last write, or at present by all of its last change."""
        end = self._end(position)
        indices = self._of.get(Key("endpointslices", key_of(one)), [])
        last = bisect_right(indices, end - 1) - 1
        if last < 0:
            return None
        first = last
        if position is None:
            while first > 0 and self._groups[indices[first - 1]] == self._groups[indices[last]]:
                first -= 1
        recent = indices[last] >= self._recent(position)
        return Change(self._all[indices[first]].old, [self._all[index] for index in indices[first : last + 1]], recent)

    def gone(self, position: int | None = None) -> list[Written]:
        """The slices that went with the newest change: deleted, or no longer labelled with the Service's name."""
        objects = self._wind(position)
        found = {}
        for write in self._all[self._recent(position) : self._end(position)]:
            if write.resource == "endpointslices" and write.old is not None and self._is_slice(write.old):
                now = objects.get(Key(write.resource, key_of(write.obj)))
                if now is None or not self._is_slice(now):
                    found[key_of(write.obj)] = write
        return list(found.values())

    # -- inside ----------------------------------------------------------------------------------------------------

    def _end(self, position: int | None) -> int:
        """How many writes of all had happened."""
        if position is None:
            return len(self._all)
        return self._stops[position - 1] + 1 if position else (self._stops[0] if self._stops else len(self._all))

    def _recent(self, position: int | None) -> int:
        """Where the newest change begins: at one write in the past; at present at the last one's whole change."""
        if position == 0 or not self._stops:
            return self._end(position)
        index = self._stops[-1 if position is None else position - 1]
        if position is None:
            while index > 0 and self._groups[index - 1] == self._groups[index]:
                index -= 1
        return index

    def _wind(self, position: int | None) -> Mapping[Key, Obj]:
        end = self._end(position)
        while self._cursor < end:
            write = self._all[self._cursor]
            self._put(write, None if write.type == "DELETED" else write.obj)
            self._cursor += 1
        while self._cursor > end:
            self._cursor -= 1
            self._put(self._all[self._cursor], self._all[self._cursor].old)
        return self._objects

    def _put(self, write: Written, obj: Obj | None) -> None:
        key = Key(write.resource, key_of(write.obj))
        if obj is None:
            self._objects.pop(key, None)
        else:
            self._objects[key] = obj

    def _tracked(self, resource: str, obj: Obj) -> bool:
        return resource in TRACKED and (resource == "nodes" or namespace_of(obj) == self.namespace)

    def _is_slice(self, one: Obj) -> bool:
        return labels_of(one).get(SERVICE_NAME) == self.name

    def _learn_selector(self, resource: str, obj: Obj) -> bool:
        """Is this the Service, with a selector that it did not have before?"""
        if resource != "services" or name_of(obj) != self.name:
            return False
        selector = frozenset(((obj.get("spec") or {}).get("selector") or {}).items())
        if not selector or selector in self._selectors:
            return False
        self._selectors.add(selector)
        return True

    def _find_stops(self) -> None:
        self._stops = []
        for index, write in enumerate(self._all):
            if self._concerns(write):
                self._stops.append(index)

    def _concerns(self, write: Written) -> bool:
        if write.resource in ("services", "endpoints"):
            return name_of(write.obj) == self.name
        if write.resource == "nodes":
            # Before anything else has happened to the Service, nodes are no part of its story.
            return bool(self._stops) and (write.old is None or _node(write.old) != _node(write.obj))
        states = (write.obj,) if write.old is None else (write.obj, write.old)
        if write.resource == "endpointslices":
            return any(map(self._is_slice, states))
        return any(
            all(labels.get(key) == value for key, value in selector)
            for labels in (_labels(write.resource, obj) for obj in states)
            for selector in self._selectors
        )

    def _forget(self) -> int:
        """Drop the oldest quarter."""
        self._wind(None)
        dropped = len(self._all) // 4
        self._all, self._groups = self._all[dropped:], self._groups[dropped:]
        self._cursor -= dropped
        self._of = {}
        for index, write in enumerate(self._all):
            self._of.setdefault(Key(write.resource, key_of(write.obj)), []).append(index)
        before = len(self._stops)
        self._stops = [index - dropped for index in self._stops if index >= dropped]
        return before - len(self._stops)


def _labels(resource: str, obj: Obj) -> dict[str, str]:
    """The labels of a pod, or of the pods that a workload makes."""
    if resource == "pods":
        return labels_of(obj)
    template = (obj.get("spec") or {}).get("template") or {}
    return (template.get("metadata") or {}).get("labels") or {}


def _node(node: Obj) -> tuple[str, str]:
    """What of a node concerns a Service: its zone, and whether it is ready."""
    return labels_of(node).get(ZONE, ""), (condition(node, "Ready") or {}).get("status", "")
