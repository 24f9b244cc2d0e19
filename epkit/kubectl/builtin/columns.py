"""``-o custom-columns=NAME:.metadata.name,…``.

Source: ``k8s.io/kubectl/pkg/cmd/get/customcolumn.go``.
"""
from __future__ import annotations

import re

from epkit.kubectl.builtin.failures import KubectlError
from epkit.kubectl.builtin.gotext import plain, quote
from epkit.kubectl.builtin.jsonpath import JsonPath, JsonPathError
from epkit.kubectl.builtin.tables import align
from epkit.objects import Obj

_RELAXED = re.compile(r"\{\.?([^{}]+)\}|\.?([^{}]+)")


def relaxed(expression: str) -> str:
    """``x.y``, ``.x.y``, ``{x.y}`` or ``{.x.y}`` as a template (``get.RelaxedJSONPathExpression``).

    >>> relaxed("metadata.name")
    '{.metadata.name}'
    """
    if not expression:
        return expression
    match = _RELAXED.fullmatch(expression)
    if match is None:
        raise KubectlError(
            "unexpected path string, expected a 'name1.name2' or '.name1.name2' or '{name1.name2}' or "
            "'{.name1.name2}'"
        )
    return "{." + (match[1] or match[2]) + "}"


class CustomColumns:
    """A header and one JSONPath for each column; what is missing prints as ``<none>``."""

    def __init__(self, spec: str, headers: bool) -> None:
        if not spec:
            raise KubectlError("custom-columns format specified but no custom columns given")
        self.headers = headers
        self.columns: list[tuple[str, JsonPath]] = []
        given = [part.partition(":") for part in spec.split(",")]
        for header, colon, expression in given:
            if not colon or not expression:
                part = header + colon
                raise KubectlError(
                    f"unexpected custom-columns spec: {part}, expected <header>:<json-path-expr>"
                )
        for header, _, expression in given:
            try:
                self.columns.append((header, JsonPath(relaxed(expression))))
            except JsonPathError as error:
                raise KubectlError(str(error)) from None

    def text(self, objects: list[Obj]) -> str:
        lines = ["\t".join(header for header, _ in self.columns) + "\n"] if self.headers else []
        lines += ["\t".join(self._cells(obj)) + "\n" for obj in objects]
        return align("".join(lines))

    def _cells(self, obj: Obj) -> list[str]:
        cells = []
        for _, path in self.columns:
            try:
                results = [value for values in path.find(obj) for value in values]
            except JsonPathError as error:
                raise KubectlError(str(error)) from None
            cells.append(",".join(_cell(value) for value in results) or "<none>")
        return cells


def _cell(value: object) -> str:
    text = "<none>" if value is None else plain(value)
    return quote(text)[1:-1] if "\n" in text else text
