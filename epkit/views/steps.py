"""What a write did, in a few words, as :mod:`epkit.views.sequence` lists and draws it."""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from epkit.objects import Obj, condition, labels_of, name_of, state_of_endpoint
from epkit.views.text import clean, listing
from epkit.views.topology import ports_of

if TYPE_CHECKING:
    from epkit.story import Written

CREATE, UPDATE, DELETE = "create", "update", "delete"


@dataclass
class Step:
    """One write, or several alike in a row.

    Attributes:
        at: when, in seconds since the epoch.
        who: the writer's short name.
        sort: create, update or delete.
        words: what happened, with ``{}`` where the objects go.
        kind: the objects' kind.
        names: their names.
        detail: what is true of this one object alone; of several it is not told.
    """

    at: float
    who: str
    sort: str
    words: str
    kind: str
    names: list[str] = field(default_factory=list)
    detail: str = ""

    @property
    def text(self) -> str:
        if len(self.names) == 1:
            return self.words.replace("{}", f"{self.kind} {self.names[0]}", 1) + self.detail
        plural = self.kind if self.kind.endswith("s") else f"{self.kind}s"
        return self.words.replace("{}", f"{len(self.names)} {plural}", 1)

    def takes_in(self, other: Step) -> bool:
        """Is the other one of the same kind, by the same writer, at the same moment?"""
        mine, its = (self.at, self.who, self.words, self.kind), (other.at, other.who, other.words, other.kind)
        return mine == its and self.kind not in ("EndpointSlice", "Endpoints")


def of_writes(writes: Iterable[Written]) -> tuple[list[Step], int]:
    """The steps that writes make, and how many writes told nothing new but of their own status."""
    steps: list[Step] = []
    silent = 0
    for write in writes:
        step = _step(write)
        if step is None:
            silent += 1
        elif steps and steps[-1].takes_in(step):
            steps[-1].names += step.names
        else:
            steps.append(step)
    return steps, silent


def gathered(steps: Iterable[Step]) -> list[Step]:
    """Fewer steps: those alike at the same moment are one, where the first of them stands, even with others between."""
    found: dict[tuple[float, str, str, str], Step] = {}
    for step in steps:
        first = found.setdefault((step.at, step.who, step.words, step.kind), step)
        if first is not step:
            first.names += step.names
    return list(found.values())


def short(who: str) -> str:
    """A writer's name without its version.

    >>> short("kubectl/v1.32.4 (linux/amd64) kubernetes/4cb5f07")
    'kubectl'
    """
    name = clean(who).split("/", 1)[0].split(" ", 1)[0]
    return {"OpenAPI-Generator": "Python client", "kube-apiserver": "API server", "": "unknown"}.get(name, name)


def _step(write: Written) -> Step | None:
    kind = str(write.obj.get("kind") or write.resource)
    told = _told(write.type, write.resource, write.old, write.obj)
    if told is None:
        return None
    sort, words, detail = told
    return Step(write.at, short(write.who), sort, words, clean(kind), [clean(name_of(write.obj))], clean(detail))


def _told(event: str, resource: str, old: Obj | None, new: Obj) -> tuple[str, str, str] | None:
    if resource == "nodes" and event != "MODIFIED":
        return None
    if event == "DELETED":
        marked = old is not None and "deletionTimestamp" in old["metadata"]
        return DELETE, "remove {}" if marked else "delete {}", ""
    if event == "ADDED" or old is None:
        return CREATE, "create {}", _of_new(resource, new)
    if "deletionTimestamp" in new["metadata"] and "deletionTimestamp" not in old["metadata"]:
        grace = new["metadata"].get("deletionGracePeriodSeconds")
        return DELETE, "delete {}", f" (grace {grace} s)" if grace else ""
    tell = {"pods": _pod, "endpointslices": _slice, "endpoints": _endpoints, "nodes": _node, "services": _service}
    return tell.get(resource, _workload)(old, new)


def _of_new(resource: str, obj: Obj) -> str:
    if resource == "endpointslices":
        entries = obj.get("endpoints") or ()
        return f" ({_entries(entries)})" if entries else " (no endpoints)"
    if resource == "endpoints":
        return f" ({_subsets(obj)})"
    replicas = (obj.get("spec") or {}).get("replicas")
    return f" (replicas {replicas})" if replicas is not None else ""


def _pod(old: Obj, new: Obj) -> tuple[str, str, str] | None:
    before, after = old.get("status") or {}, new.get("status") or {}
    node = (new.get("spec") or {}).get("nodeName")
    if node and not (old.get("spec") or {}).get("nodeName"):
        return UPDATE, "bind {}", f" to {node}"
    news = []
    if after.get("phase") != before.get("phase"):
        news.append(str(after.get("phase")))
    if (ready := _status_of(new, "Ready")) != _status_of(old, "Ready") and ready is not None:
        starts = ready == "False" and after.get("phase") == "Pending"
        news.append("starting" if starts else {"True": "ready", "False": "not ready"}.get(ready, "readiness unknown"))
    address = after.get("podIP") if after.get("podIP") != before.get("podIP") else None
    if news or address:
        return UPDATE, "status of {}: " + ", ".join(news or ["address"]), f", {address}" if address else ""
    return _labels(old, new)


def _slice(old: Obj, new: Obj) -> tuple[str, str, str]:
    before, after = _by_address(old), _by_address(new)
    came = [entry for key, entry in after.items() if key not in before]
    left = [key[0] for key in before if key not in after]
    turned: dict[tuple[str, str], list[str]] = {}
    for key, entry in after.items():
        if key in before and (states := (state_of_endpoint(before[key]), state_of_endpoint(entry)))[0] != states[1]:
            turned.setdefault(states, []).append(key[0])
    news = [f"+ {_entries(came)}"] if came else []
    news += [f"{_some(found)} {was} → {is_now}" for (was, is_now), found in turned.items()]
    news += [f"− {_some(left)}"] if left else []
    if (old.get("ports") or []) != (new.get("ports") or []):
        news.insert(0, f"ports {ports_of(new)}")
    return UPDATE, "update {}", ": " + ("; ".join(news) if news else "nothing of its endpoints' states")


def _endpoints(old: Obj, new: Obj) -> tuple[str, str, str]:
    return UPDATE, "update {}", f": {_subsets(new)}"


def _node(old: Obj, new: Obj) -> tuple[str, str, str] | None:
    if (ready := _status_of(new, "Ready")) != _status_of(old, "Ready"):
        return UPDATE, "{}: " + {"True": "ready", "False": "not ready"}.get(ready or "", "readiness unknown"), ""
    cordoned = bool((new.get("spec") or {}).get("unschedulable"))
    if cordoned != bool((old.get("spec") or {}).get("unschedulable")):
        return UPDATE, "cordon {}" if cordoned else "uncordon {}", ""
    return None


def _service(old: Obj, new: Obj) -> tuple[str, str, str] | None:
    before, after = old.get("spec") or {}, new.get("spec") or {}
    fields = sorted(key for key in {*before, *after} if before.get(key) != after.get(key))
    if not fields:
        return _labels(old, new)
    return UPDATE, "update {}", f": {listing(fields, 3)}"


def _workload(old: Obj, new: Obj) -> tuple[str, str, str] | None:
    before, after = old.get("spec") or {}, new.get("spec") or {}
    if before == after:
        return _labels(old, new)
    if before.get("replicas") != after.get("replicas"):
        return UPDATE, "scale {}", f" from {before.get('replicas')} to {after.get('replicas')}"
    return UPDATE, "update {}", ": a new template" if before.get("template") != after.get("template") else ""


def _labels(old: Obj, new: Obj) -> tuple[str, str, str] | None:
    before, after = labels_of(old), labels_of(new)
    if before == after:
        return None
    news = [f"{key}={value}" for key, value in sorted(after.items()) if before.get(key) != value]
    news += [f"no {key}" for key in sorted(before) if key not in after]
    return UPDATE, "label {}", f": {listing(news, 3)}"


def _status_of(obj: Obj, kind: str) -> str | None:
    found = condition(obj, kind)
    return found.get("status") if found else None


def _by_address(one: Obj) -> dict[tuple[str, str], Obj]:
    return {
        (entry["addresses"][0], (entry.get("targetRef") or {}).get("uid", "")): entry
        for entry in one.get("endpoints") or ()
    }


def _entries(entries: Iterable[Obj]) -> str:
    """Endpoints by their state, such as ``10.0.0.1 ready, 10.0.0.2 not ready``."""
    states: dict[str, list[str]] = {}
    for entry in entries:
        states.setdefault(state_of_endpoint(entry), []).append(entry["addresses"][0])
    return ", ".join(f"{_some(found)} {state}" for state, found in states.items())


def _some(found: list[str]) -> str:
    return found[0] if len(found) == 1 else f"{len(found)} endpoints"


def _subsets(obj: Obj) -> str:
    subsets = obj.get("subsets") or ()
    ready = sum(len(one.get("addresses") or ()) for one in subsets)
    others = sum(len(one.get("notReadyAddresses") or ()) for one in subsets)
    return f"{ready} ready" + (f", {others} not ready" if others else "")
