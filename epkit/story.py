"""A story: everything that was written to a cluster, by whom and when, and the cluster as it was at any moment.

The built-in cluster remembers by itself. A story can be exported to a file and handed to somebody else, who looks at it
with the same pictures and the same kubectl, read-only.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from epkit.client import RESOURCES, Answer, Client
from epkit.errors import EpkitError
from epkit.objects import Obj, name_of, namespace_of

if TYPE_CHECKING:
    from epkit.fake.plane import Plane
    from epkit.kubectl import Completed
    from epkit.views.diagram import Diagram
    from epkit.why import Report

FORMAT = "epkit-story/1"
#: the program in which all controllers of a real control plane run
MANAGER = "kube-controller-manager"


@dataclass(frozen=True, slots=True)
class Written:
    """One write.

    Attributes:
        at: when, in seconds since the epoch of the cluster's time.
        who: the component or the client's user agent.
        type: ADDED, MODIFIED or DELETED.
        resource: the plural, such as ``endpointslices``.
        old: the object before, None if there was none.
        obj: the object after; of a deletion, its last state.
    """

    at: float
    who: str
    type: str
    resource: str
    version: int
    old: Obj | None
    obj: Obj

    @property
    def name(self) -> str:
        namespace = namespace_of(self.obj)
        return f"{namespace}/{name_of(self.obj)}" if namespace else name_of(self.obj)


class Writes(list[Written]):
    """Writes in the order of their versions; shown as a table with times since the first of them."""

    def __init__(self, writes: Iterable[Written], since: float | None = None) -> None:
        super().__init__(writes)
        self._since = since

    def of(self, *resources: str, namespace: str | None = None, who: str | None = None) -> Writes:
        """Those of some resources, of one namespace, or by one writer.

        A real control plane's controllers all write as kube-controller-manager: to ask for one of them asks for it.
        """
        chosen = (
            write
            for write in self
            if (not resources or write.resource in resources)
            and (namespace is None or namespace_of(write.obj) == namespace)
            and (who is None or write.who == who or (who.endswith("-controller") and write.who == MANAGER))
        )
        return Writes(chosen, self._since if self._since is not None else (self[0].at if self else None))

    def __repr__(self) -> str:
        from epkit.kubectl.builtin.tables import align

        if not self:
            return "(nothing was written)"
        start = self._since if self._since is not None else self[0].at
        lines = ["AT\tWHO\tEVENT\tOBJECT\n"]
        lines += [
            f"+{write.at - start:.1f}s\t{write.who}\t{write.type}\t{write.resource}/{write.name}\n" for write in self
        ]
        return align("".join(lines)).rstrip("\n")


class Story:
    """What happened to a cluster, from a beginning on.

    Args:
        beginning: the objects there were, by resource.
        writes: what was written since, oldest first.
        start, end: the moments between which the story tells, in seconds since the epoch.

    >>> story = replay("story.json")
    >>> story.at(story.start + 5).kubectl("get endpointslices")
    """

    def __init__(self, beginning: Mapping[str, list[Obj]], writes: Iterable[Written], start: float, end: float) -> None:
        self.beginning = beginning
        self.writes = Writes(writes, start)
        self.start = start
        self.end = end

    def events(self, *resources: str, namespace: str | None = None, who: str | None = None) -> Writes:
        """What was written, by whom, when."""
        return self.writes.of(*resources, namespace=namespace, who=who)

    def at(self, moment: float) -> Past:
        """The cluster as it was then, to be looked at and not changed.

        Raises:
            EpkitError: the story does not reach that moment.
        """
        if not self.start <= moment <= self.end:
            raise EpkitError(
                f"The story tells of the {self.end - self.start:.1f} s from {self.start:.1f} to {self.end:.1f}; "
                f"{moment:.1f} is not among them."
            )
        told = {*self.beginning, *(write.resource for write in self.writes)}
        return Past(self._objects(moment), moment, told)

    def diff(self, first: float, second: float) -> Difference:
        """What became of which object between two moments."""
        return Difference(self._objects(first), self._objects(second))

    def sequence(self, what: str, since: float | str | None = None, namespace: str = "default") -> Diagram:
        """Draw who wrote what, when, for a Service and its pods; `since` a moment, or after a resource version."""
        from epkit.views import sequence

        return sequence.of_service(self, what, namespace, since)

    def packing(
        self, what: str, since: float | str | None = None, namespace: str = "default", places: int = 100
    ) -> Diagram:
        """Draw the filled and free places of a Service's slices: now, or since a moment or after a resource version."""
        from epkit.views import packing

        return packing.of_service(self, what, namespace, since, places)

    def timeline(self, what: str, since: float | str | None = None, namespace: str = "default") -> Diagram:
        """Draw the states of a Service's endpoints over time; `since` a moment, or after a resource version."""
        from epkit.views import timeline

        return timeline.of_service(self, what, namespace, since)

    def export(self, path: str | Path) -> Path:
        """Write the story to a file, for :func:`replay`."""
        document = {
            "format": FORMAT,
            "start": self.start,
            "end": self.end,
            "beginning": self.beginning,
            "writes": [
                {
                    "at": w.at,
                    "who": w.who,
                    "type": w.type,
                    "resource": w.resource,
                    "version": w.version,
                    "object": w.obj,
                }
                for w in self.writes
            ],
        }
        path = Path(path)
        path.write_text(json.dumps(document, separators=(",", ":")), encoding="utf-8")
        return path

    def _objects(self, moment: float) -> dict[str, dict[str, Obj]]:
        objects = {resource: {_key(obj): obj for obj in found} for resource, found in self.beginning.items()}
        for write in self.writes:
            if write.at > moment:
                break
            of_kind = objects.setdefault(write.resource, {})
            if write.type == "DELETED":
                of_kind.pop(_key(write.obj), None)
            else:
                of_kind[_key(write.obj)] = write.obj
        return objects


def of_plane(plane: Plane) -> Story:
    """The story of a built-in cluster, as far back as it remembers."""
    with plane.loop.lock:
        history = list(plane.store.history)
        plurals = {_resource(name): name for name in plane.store.resources()}
        objects: dict[str, dict[str, Obj]] = {
            plural: {} for plural in RESOURCES
        }  # of which there were none, it tells too
        objects |= {plural: {_key(obj): obj for obj in plane.store.list(name)} for plural, name in plurals.items()}
        now = plane.clock.now
    writes = []
    for event in reversed(history):
        plural = event.resource.split(".", 1)[0]
        of_kind = objects.setdefault(plural, {})
        if event.old is None:
            of_kind.pop(_key(event.obj), None)
        else:
            of_kind[_key(event.old)] = event.old
        writes.append(Written(event.time, event.actor, event.type, plural, event.version, event.old, event.obj))
    writes.reverse()
    start = writes[0].at if writes else now
    return Story({plural: list(found.values()) for plural, found in objects.items()}, writes, start, now)


def replay(path: str | Path) -> Story:
    """Read a story that :meth:`Story.export` wrote.

    Raises:
        EpkitError: there is no such file, or it is none that this version of epkit can read.
    """
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise EpkitError(f"The story {path} cannot be read: {error.strerror}.") from None
    except ValueError:
        raise EpkitError(f"{path} is not a story: it is not JSON, or it was cut short. Export it again.") from None
    found = document.get("format") if isinstance(document, dict) else None
    if found != FORMAT:
        raise EpkitError(
            f"{path} is {'no story' if found is None else f'a story of the form {found}'}; this version of epkit reads "
            f"{FORMAT}. Export it again with this version."
        )
    try:
        last = {plural: {_key(obj): obj for obj in objects} for plural, objects in document["beginning"].items()}
        writes = []
        for entry in document["writes"]:
            obj, of_kind = entry["object"], last.setdefault(entry["resource"], {})
            old = of_kind.get(_key(obj))
            writes.append(
                Written(entry["at"], entry["who"], entry["type"], entry["resource"], entry["version"], old, obj)
            )
            if entry["type"] == "DELETED":  # what comes later under this name is another object
                of_kind.pop(_key(obj), None)
            else:
                of_kind[_key(obj)] = obj
        return Story(document["beginning"], writes, float(document["start"]), float(document["end"]))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise EpkitError(f"{path} is not a whole story: {error!r} is missing or wrong. Export it again.") from None


class Past:
    """A cluster at one moment. Reads work as on the cluster itself; everything else is refused.

    Attributes:
        now: the moment, in seconds since the epoch.
        client: epkit's client, read-only.

    Args:
        told: the resources that the story tells of, where it does not tell of all. Others are refused: nobody knows.
    """

    def __init__(
        self, objects: Mapping[str, Mapping[str, Obj]], moment: float, told: Collection[str] | None = None
    ) -> None:
        from epkit.fake.transports import frozen

        self.now = moment
        self.namespace = "default"
        self.transport = _ReadOnly(frozen(objects, moment), RESOURCES if told is None else told)
        self.client = Client(self.transport)

    def kubectl(self, command: str) -> Completed:
        """Run a kubectl command that reads."""
        from epkit.kubectl import run

        return run(command, self.transport, namespace=self.namespace)

    def show(self, what: str) -> Diagram:
        """Draw a Service as it was."""
        from epkit.views import topology

        return topology.of_service(self, what)

    def why(self, *what: str) -> Report:
        """The reasons, in order, that a Service, or one pod behind it, had no endpoints or got no traffic then.

        What the story does not tell of, such as Events on a live cluster, the report names as not known.

        Raises:
            EpkitError: there was no such Service or pod; the text has the nearest names.

        >>> story.at(story.start + 5).why("svc/web")
        """
        from epkit.why import why

        return why(self.client, *what, namespace=self.namespace)

    def __repr__(self) -> str:
        from epkit.fake.clock import format_time

        return f"<the cluster as it was at {format_time(self.now)}>"


class _ReadOnly:
    """A transport that lets reads through, of those resources that the story tells of."""

    def __init__(self, inner: Any, told: Collection[str]) -> None:
        self._inner = inner
        self._untold = RESOURCES.keys() - set(told)

    def send(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: Any = None, **how: str
    ) -> Answer:
        resource = _resource_at(path)
        if method not in ("GET", "HEAD"):
            text = "this is the past: it can be looked at and not changed"
        elif resource in self._untold:
            text = f"this story does not tell of {resource}: they were not recorded"
        else:
            answer: Answer = self._inner.send(method, path, query, body, **how)
            return answer
        return Answer(
            403,
            {
                "kind": "Status",
                "apiVersion": "v1",
                "status": "Failure",
                "reason": "Forbidden",
                "message": text,
                "code": 403,
            },
        )

    def watch(self, path: str, query: Mapping[str, str], **how: str) -> Iterator[Obj]:
        return iter(self._inner.watch(path, query, **how))


class Difference:
    """What changed between two moments: objects that came, went, and changed, with their fields."""

    def __init__(self, before: Mapping[str, Mapping[str, Obj]], after: Mapping[str, Mapping[str, Obj]]) -> None:
        self.added: list[str] = []
        self.removed: list[str] = []
        self.changed: dict[str, list[str]] = {}
        for resource in sorted({*before, *after}):
            old, new = before.get(resource, {}), after.get(resource, {})
            for key in sorted({*old, *new}):
                label = f"{resource}/{key}"
                if key not in old:
                    self.added.append(label)
                elif key not in new:
                    self.removed.append(label)
                elif lines := _lines(old[key], new[key]):
                    self.changed[label] = lines

    def __repr__(self) -> str:
        lines = [f"+ {label}" for label in self.added] + [f"- {label}" for label in self.removed]
        for label, changes in self.changed.items():
            lines += [f"~ {label}", *(f"    {change}" for change in changes)]
        return "\n".join(lines) or "(no difference)"


def _lines(old: Obj, new: Obj) -> list[str]:
    """The changed lines of an object's YAML, without what changes with every write."""
    texts = []
    for obj in (old, new):
        meta = {k: v for k, v in obj["metadata"].items() if k not in ("resourceVersion", "managedFields")}
        texts.append(yaml.safe_dump({**obj, "metadata": meta}, sort_keys=True).splitlines())
    return [line for line in difflib.ndiff(texts[0], texts[1]) if line[:2] in ("+ ", "- ")]


def _key(obj: Obj) -> str:
    namespace = namespace_of(obj)
    return f"{namespace}/{name_of(obj)}" if namespace else name_of(obj)


def _resource_at(path: str) -> str:
    """The plural of the resource at a path; empty for what is none, such as discovery."""
    from epkit.fake.requests import route_of
    from epkit.fake.wire.errors import ApiError

    try:
        return route_of(path).kind.plural
    except ApiError:
        return ""


def _resource(name: str) -> str:
    plural = name.split(".", 1)[0]
    return plural if plural in RESOURCES else name
