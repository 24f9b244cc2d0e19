"""Columns of text, aligned as Go's ``text/tabwriter`` aligns them, and the tables that the API server prints.

Source: ``text/tabwriter`` and ``k8s.io/cli-runtime/pkg/printers/tableprinter.go``.
"""
from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from epkit.kubectl.builtin.gotext import plain
from epkit.objects import Obj

_BREAK = re.compile(r"[\f\n\r]")


def align(text: str, *, minimum: int = 6, padding: int = 3) -> str:
    """Pad the tab-terminated cells of each column to one width; a column ends where a line lacks it.

    The defaults are those of kubectl's tables; its descriptions use ``minimum=0, padding=2``.

    >>> print(align("NAME\\tAGE\\nweb\\t1s\\n"), end="")
    NAME   AGE
    web    1s
    """
    if not text:
        return ""
    complete = text.endswith("\n")
    lines = [line.split("\t") for line in (text[:-1] if complete else text).split("\n")]
    out: list[str] = []
    _format(lines, 0, len(lines), [], out, minimum, padding)
    return "\n".join(out) + ("\n" if complete else "")


def _format(
    lines: list[list[str]], first: int, last: int, widths: list[int], out: list[str], minimum: int, padding: int
) -> None:
    column = len(widths)
    at = first
    while at < last:
        if column >= len(lines[at]) - 1:
            at += 1
            continue
        _write(lines[first:at], widths, out)
        start, width = at, minimum
        while at < last and column < len(lines[at]) - 1:
            width = max(width, len(lines[at][column]) + padding)
            at += 1
        _format(lines, start, at, [*widths, width], out, minimum, padding)
        first = at
    _write(lines[first:last], widths, out)


def _write(lines: list[list[str]], widths: list[int], out: list[str]) -> None:
    for line in lines:
        cells = [cell.ljust(widths[i]) if i < len(widths) else cell for i, cell in enumerate(line)]
        out.append("".join(cells))


def escape(text: str) -> str:
    """As kubectl writes text from the server: an escape character becomes ``^[``."""
    return text.replace("\x1b", "^[")


def format_labels(labels: dict[str, str] | None) -> str:
    """``a=b,c=d`` by key, or ``<none>`` (``labels.FormatLabels``)."""
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items())) or "<none>"


@dataclass(slots=True)
class TablePrinter:
    """Prints the API server's Tables one after the other; the header again only when the columns change.

    >>> table = {"columnDefinitions": [{"name": "Name", "priority": 0}], "rows": [{"cells": ["web"]}]}
    >>> TablePrinter(kind="service").text(table)
    'NAME\\nservice/web\\n'
    """

    wide: bool = False
    headers: bool = True
    namespace: bool = False
    kind: str = ""
    show_labels: bool = False
    label_columns: Sequence[str] = ()
    _last: list[Obj] = field(default_factory=list)
    _printed: bool = False

    def text(self, table: Obj) -> str:
        """The rows as tab-separated lines, with a header where one is due; feed it to :func:`align`."""
        definitions = table.get("columnDefinitions") or []
        header = self.headers and not (self._printed and (not definitions or definitions == self._last))
        if not definitions:
            definitions = self._last
        elif definitions != self._last:
            self._last, self._printed = definitions, False
        rows = table.get("rows") or []
        if not rows:
            return ""
        self._printed = True
        shown = [i for i, column in enumerate(definitions) if self.wide or not column.get("priority")]
        lines = [self._header(definitions, shown)] if header else []
        lines += [self._row(definitions, shown, row) for row in rows]
        return "".join("\t".join(line) + "\n" for line in lines)

    def _header(self, definitions: list[Obj], shown: list[int]) -> list[str]:
        names = [definitions[i]["name"].upper() for i in shown]
        if self.namespace:
            names.insert(0, "NAMESPACE")
        names += [label.rpartition("/")[2].upper() for label in self.label_columns]
        return [*names, "LABELS"] if self.show_labels else names

    def _row(self, definitions: list[Obj], shown: list[int], row: Obj) -> list[str]:
        meta = (row.get("object") or {}).get("metadata") or {}
        values = row.get("cells") or []
        cells = []
        for i in shown:
            if i >= len(values):
                break
            text = _cell(values[i])
            if self.kind and definitions[i].get("format") == "name":
                text = f"{self.kind}/{text}"
            cells.append(text)
        if self.namespace:
            cells.insert(0, meta.get("namespace", ""))
        labels = meta.get("labels") or {}
        cells += [labels.get(label, "") for label in self.label_columns]
        return [*cells, format_labels(labels)] if self.show_labels else cells


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        return plain(value)
    broken = _BREAK.search(value)
    return escape(value if broken is None else value[: broken.start()] + "...").replace("\t", " ")
