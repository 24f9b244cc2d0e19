"""What happened while a block ran, printed as ``kubectl get --watch --output-watch-events`` prints it.

A notebook's cell cannot watch and act at once. So the watch is asked afterwards, from the resource version at which the
block began; the rows are the API server's own, each as of the moment of its event.
"""
from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from epkit.client import TABLE, path_of
from epkit.errors import EpkitError
from epkit.kubectl.builtin.tables import TablePrinter, align
from epkit.objects import Obj

if TYPE_CHECKING:
    from epkit.cluster import Cluster

_SIGNS = {True: "yes", False: "no", None: "unset"}


@dataclass(slots=True)
class Change:
    """One event of the block."""

    version: int
    resource: str
    type: str
    table: Obj  # the columns of its kind and its one row
    at: float | None  # seconds since the block began, where the cluster says


class Recording:
    """Remembers where a block began and prints what has happened since.

    Args:
        resources: plurals such as ``endpointslices``.
        conditions: for slices, show each endpoint's conditions, which the table of kubectl leaves out.
    """

    def __init__(self, cluster: Cluster, resources: tuple[str, ...], namespace: str, conditions: bool = False) -> None:
        if not resources:
            raise EpkitError('watching() needs to know what to watch, such as watching("endpointslices").')
        self._cluster = cluster
        self._namespace = namespace
        self._conditions = conditions
        self._since = {name: cluster.client.list(name, namespace).resource_version for name in resources}
        self._start = cluster.now

    def changes(self) -> list[Change]:
        """What has happened since the block began, in the order of resource versions."""
        found = []
        for resource, since in self._since.items():
            query = {"resourceVersion": since, "includeObject": "Object", "timeoutSeconds": "1"}
            definitions: list[Obj] = []
            for event in self._cluster.transport.watch(path_of(resource, self._namespace), query, accept=TABLE):
                table = event["object"]
                if event["type"] == "ERROR":
                    raise EpkitError(f"The watch of {resource} failed: {table.get('message', '')}")
                if event["type"] == "BOOKMARK":
                    continue
                definitions = table.get("columnDefinitions") or definitions
                table["columnDefinitions"] = definitions
                version = int(table["metadata"]["resourceVersion"])
                when = self._cluster.moment_of(version)
                at = None if when is None else when - self._start
                found.append(Change(version, resource, event["type"], table, at))
        return sorted(found, key=lambda change: change.version)

    def text(self) -> str:
        """The changes as a table for each run of one resource."""
        changes = self.changes()
        if not changes:
            return f"(nothing happened to {', '.join(self._since)})\n"
        printer = TablePrinter(kind="" if len(self._since) == 1 else "?")
        parts, run, last = [], "", ""
        for change in changes:
            if change.resource != last and run:
                parts.append(align(run))
                run, printer = "", TablePrinter()
            last = change.resource
            lines = printer.text(change.table).splitlines()
            event = f"+{change.at:.1f}s\t{change.type}" if change.at is not None else f"\t{change.type}"
            heads = ["AT\tEVENT", event] if len(lines) > 1 else [event]
            tails = ["CONDITIONS", self._shown(change)] if len(lines) > 1 else [self._shown(change)]
            for head, line, tail in zip(heads, lines, tails, strict=True):
                run += f"{head}\t{line}" + (f"\t{tail}" if self._conditions else "") + "\n"
        return "\n".join([*parts, align(run)])

    def print(self) -> None:
        print(self.text(), end="")

    def _shown(self, change: Change) -> str:
        """Ready, serving and terminating of each endpoint of a slice."""
        row = change.table["rows"][0]
        endpoints = (row.get("object") or {}).get("endpoints") or []
        return "; ".join(
            f"{endpoint['addresses'][0]} " + " ".join(
                f"{name}={_SIGNS[(endpoint.get('conditions') or {}).get(name)]}" for name in ("ready", "serving", "terminating")
            )
            for endpoint in sorted(endpoints, key=lambda endpoint: str(endpoint["addresses"]))
        ) or "<none>"
