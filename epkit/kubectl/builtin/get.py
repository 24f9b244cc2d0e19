"""``kubectl get``.

Source: ``k8s.io/kubectl/pkg/cmd/get`` (get.go, sorter.go).
"""
from __future__ import annotations

import re
from typing import Any

from epkit.client import TABLE
from epkit.errors import ApiError
from epkit.kubectl.builtin import formats, gosort, quantity
from epkit.kubectl.builtin.columns import relaxed
from epkit.kubectl.builtin.failures import KubectlError, NotInSubset, UsageError, raise_all
from epkit.kubectl.builtin.gotext import quote
from epkit.kubectl.builtin.jsonpath import JsonPath, JsonPathError
from epkit.kubectl.builtin.selection import Info, Selection, as_list, select
from epkit.kubectl.builtin.session import Session
from epkit.kubectl.builtin.tables import TablePrinter, align
from epkit.objects import Obj

_ACCEPT = f"{TABLE},application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"


def get(session: Session) -> None:
    """Print objects: as the server's tables, or in the form of ``-o``."""
    args = session.args
    if args["watch"] or args["watch-only"]:
        raise KubectlError(
            "kubectl get --watch does not end by itself: not in the built-in subset. In a notebook, put the commands "
            "into `with cluster.watching(\"…\"):`, which prints the events of its block"
        )
    if not args.words and not args["filename"]:
        session.err(
            'You must specify the type of resource to get. Use "kubectl api-resources" for a complete list of '
            "supported resources.\n\n"
        )
        raise UsageError(
            "get",
            'Required resource not specified.\nUse "kubectl explain <resource>" for a detailed description of that '
            "resource (e.g. kubectl explain pods).",
        )
    if args["show-labels"] and args["output"] not in ("", "wide"):
        raise KubectlError(f"--show-labels option cannot be used with {args['output']} printer")
    if args["output"] in ("", "wide"):
        _tables(session)
    else:
        _objects(session)


def _without_missing(session: Session, selection: Selection) -> None:
    if session.args["ignore-not-found"]:
        selection.failures = [
            failure
            for failure in selection.failures
            if not (isinstance(failure, ApiError) and failure.reason == "NotFound")
        ]


def _tables(session: Session) -> None:
    args = session.args
    sort_by = args["sort-by"]
    query = {"includeObject": "Object"} if sort_by else None
    selection = select(session, everything=True, latest=True, accept=_ACCEPT, query=query)
    _without_missing(session, selection)
    infos = selection.infos
    if sort_by:
        for info in infos:
            info.obj = _sorted_table(info.obj, relaxed(sort_by))
    several = len({(info.mapping.group, info.mapping.kind) for info in infos}) > 1
    namespaced = not args["all-namespaces"] and all(info.mapping.namespaced for info in infos)
    blocks: list[str] = []
    for mapping, group in _runs(infos):
        printer = TablePrinter(
            wide=args["output"] == "wide",
            headers=not args["no-headers"],
            namespace=args["all-namespaces"] and mapping.namespaced,
            kind=mapping.printed_kind if several or args["show-kind"] else "",
            show_labels=args["show-labels"],
            label_columns=args["label-columns"],
        )
        text = align("".join(printer.text(_as_table(info)) for info in group))
        if text:
            blocks.append(text)
    session.out(("" if args["no-headers"] else "\n").join(blocks))
    if not blocks and not args["ignore-not-found"] and not selection.failures:
        session.err(f"No resources found in {session.namespace} namespace.\n" if namespaced else "No resources found\n")
    raise_all(selection.failures)


def _runs(infos: list[Info]) -> list[tuple[Any, list[Info]]]:
    """The infos in order, grouped where the same resource follows itself."""
    runs: list[tuple[Any, list[Info]]] = []
    for info in infos:
        if runs and runs[-1][0] == info.mapping:
            runs[-1][1].append(info)
        else:
            runs.append((info.mapping, [info]))
    return runs


def _as_table(info: Info) -> Obj:
    """The Table, or the two columns that kubectl makes of an object from a server without tables."""
    if info.obj.get("kind") == "Table":
        return info.obj
    columns = [{"name": "Name", "format": "name", "priority": 0}, {"name": "Age", "priority": 0}]
    return {"columnDefinitions": columns, "rows": [{"cells": [info.name, "<unknown>"], "object": info.obj}]}


def _objects(session: Session) -> None:
    selection = select(session, everything=True, latest=True)
    _without_missing(session, selection)
    if selection.failures and selection.single:
        raise_all(selection.failures)
    show = formats.printer(session, "", table=True)
    infos = selection.infos
    if session.args["sort-by"]:
        infos = _sorted_infos(infos, relaxed(session.args["sort-by"]))
    for info in infos:
        info.obj = formats.ordered(info.obj)
    if not infos and session.args["ignore-not-found"]:
        return
    if session.args["output"] == "name":
        for info in infos:
            show(info.obj)
    elif selection.single and len(infos) == 1:
        show(infos[0].obj)
    else:
        show(as_list(infos))
    raise_all(selection.failures)


def _sorted_infos(infos: list[Info], template: str) -> list[Info]:
    keys = [_sort_key(template, info.obj) for info in infos]
    if keys and all(key is _MISSING for key in keys):
        raise KubectlError(f"couldn't find any field with path {quote(template)} in the list of objects")
    return [infos[i] for i in _order(keys)]


def _sorted_table(table: Obj, template: str) -> Obj:
    rows = table.get("rows") or []
    keys = [_sort_key(template, row["object"]) for row in rows]
    if keys and all(key is _MISSING for key in keys):
        return table | {"rows": []}  # as upstream, which prints nothing when no row has the field
    return table | {"rows": [rows[i] for i in _order(keys)]}


def _sort_key(template: str, obj: Obj) -> Any:
    try:
        found = [value for values in JsonPath(template).find(obj) for value in values]
    except JsonPathError as error:
        raise KubectlError(str(error)) from None
    return found[0] if found else _MISSING


#: an object without the field; upstream counts it before every other, its likes included
_MISSING: Any = object()


def _order(keys: list[Any]) -> list[int]:
    return gosort.sort(list(range(len(keys))), lambda i, j: _less(keys[i], keys[j]))


def _less(a: Any, b: Any) -> bool:
    if a is _MISSING or b is _MISSING:
        return a is _MISSING
    if a is None or b is None:
        return a is None and b is not None
    if isinstance(a, str) and isinstance(b, str):
        try:
            return quantity.parse(a) < quantity.parse(b)
        except ValueError:
            return _natural(a) < _natural(b)
    if type(a) is not type(b) or isinstance(a, (dict, list)):
        raise NotInSubset("get --sort-by with values that are not all texts or all numbers")
    return bool(a < b)


def _natural(text: str) -> list[tuple[int, int, str]]:
    """Runs of digits as numbers: the order of ``vbom.ml/util/sortorder``, which kubectl sorts texts by."""
    return [(0, int(part), part) if part.isdigit() else (1, 0, part) for part in re.findall(r"\d+|\D+", text)]
