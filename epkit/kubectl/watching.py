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
from epkit.objects import Obj, state_of_endpoint

if TYPE_CHECKING:
    from epkit.cluster import Cluster


#: columns that give way to the conditions, so that a row stays on its line: they do not change while a block runs
_STEADY = ("ADDRESSTYPE", "AGE")


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
        conditions: for slices, show each endpoint's conditions, which the table of kubectl leaves out, in place of the
            columns that do not change.
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
        """The changes as kubectl's table; those of several resources in one, each with its columns named in the row."""
        changes = self.changes()
        if not changes:
            return f"(nothing happened to {', '.join(self._since)})\n"
        lines = self._one_kind(changes) if len(self._since) == 1 else self._several_kinds(changes)
        return align("".join("\t".join(line) + "\n" for line in lines))

    def _one_kind(self, changes: list[Change]) -> list[list[str]]:
        printer = TablePrinter()
        lines: list[list[str]] = []
        kept: list[int] = []
        for change in changes:
            rows = [row.split("\t") for row in printer.text(change.table).splitlines()]
            if len(rows) > 1:
                kept = [number for number, name in enumerate(rows[0]) if not self._conditions or name not in _STEADY]
            rows = [[row[number] for number in kept] for row in rows]
            if len(rows) > 1:
                lines.append(["AT", "EVENT", *rows[0]] + (["CONDITIONS"] if self._conditions else []))
            lines.append([_at(change), change.type, *rows[-1]] + ([self._shown(change)] if self._conditions else []))
        return lines

    def _several_kinds(self, changes: list[Change]) -> list[list[str]]:
        lines = [["AT", "EVENT", "OBJECT", "SHOWN AS"]]
        for change in changes:
            header, row = (line.split("\t") for line in TablePrinter().text(change.table).splitlines())
            cells = [f"{name}={cell}" for name, cell in zip(header, row, strict=True) if name not in ("NAME", "AGE")]
            if self._conditions and change.resource == "endpointslices":
                cells.append(self._shown(change))
            lines.append([_at(change), change.type, f"{change.resource}/{row[0]}", " ".join(cells)])
        return lines

    def print(self) -> None:
        print(self.text(), end="")

    def _shown(self, change: Change) -> str:
        """The endpoints of a slice by their state: how many are ready, and which ones are not."""
        row = change.table["rows"][0]
        groups: dict[str, list[str]] = {}
        for endpoint in (row.get("object") or {}).get("endpoints") or []:
            state = state_of_endpoint(endpoint)
            groups.setdefault(state, []).append(endpoint["addresses"][0])
        ready = groups.pop("ready", [])
        shown = [f"{len(ready)} ready"] + [f"{state}: {' '.join(sorted(groups[state]))}" for state in sorted(groups)]
        return "; ".join(shown)


def _at(change: Change) -> str:
    return "" if change.at is None else f"+{change.at:.1f}s"
