"""``kubectl label`` and ``kubectl annotate``.

Source: ``k8s.io/kubectl/pkg/cmd/label/label.go`` and ``pkg/cmd/annotate/annotate.go``.
"""
from __future__ import annotations

import re

from epkit.errors import ApiError
from epkit.kubectl.builtin import formats, threeway, writing
from epkit.kubectl.builtin.failures import KubectlError, NotInSubset, raise_all
from epkit.kubectl.builtin.gotext import json_text, quote
from epkit.kubectl.builtin.selection import Info, select
from epkit.kubectl.builtin.session import Session
from epkit.objects import Obj


def label(session: Session) -> None:
    """Set labels by ``key=value`` and remove them by ``key-``."""
    _change(session, "labels", "label", "labeled")


def annotate(session: Session) -> None:
    """Set annotations by ``key=value`` and remove them by ``key-``."""
    _change(session, "annotations", "annotation", "annotated")


def _change(session: Session, field: str, noun: str, done: str) -> None:
    args = session.args
    words, pairs = _split(args.words, noun)
    if not words and not args["filename"]:
        raise KubectlError("one or more resources must be specified as <resource> <name> or <resource>/<name>")
    changes, removals = _parse(pairs, noun)
    if not changes and not removals and not args["list"]:
        raise KubectlError(f"at least one {noun} update is required")
    both = [key for key in removals if key in changes]
    if both:
        article = "a" if noun == "label" else "an"
        raise KubectlError(f"can not both modify and remove {article} {noun} in the same command")
    if args["all-namespaces"] and args["resource-version"]:
        raise NotInSubset(f"{args.command} --all-namespaces --resource-version")
    selection = select(session, words, latest=True)
    failures = list(selection.failures)
    if args["resource-version"] and len(selection.infos) > 1:
        raise KubectlError("--resource-version may only be used with a single resource")
    for info in selection.infos:
        if args["list"]:
            _list(session, info, field, several=not selection.single)
            continue
        try:
            _change_one(session, info, field, changes, removals, done)
        except (ApiError, KubectlError) as failure:
            failures.append(failure)
    if not selection.infos and not failures:
        session.err("No resources found\n")
    raise_all(failures)


def _split(words: list[str], noun: str) -> tuple[list[str], list[str]]:
    """The resource words, then the changes; a word with ``=`` or a final ``-`` is a change."""
    for position, word in enumerate(words):
        if position and ("=" in word or word.endswith("-")):
            pairs = words[position:]
            bad = [pair for pair in pairs if "=" not in pair and not pair.endswith("-")]
            if bad:
                raise KubectlError(f"all resources must be specified before {noun} changes: {bad[0]}")
            return words[:position], pairs
    if words and ("=" in words[0] or words[0].endswith("-")):
        return [], words
    return words, []


def _parse(pairs: list[str], noun: str) -> tuple[dict[str, str], list[str]]:
    changes: dict[str, str] = {}
    removals: list[str] = []
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if equals and key:
            if noun == "label" and not _VALUE.fullmatch(value):
                raise KubectlError(f"invalid label value: {quote(pair)}: {_VALUE_HELP}")
            changes[key] = value
        elif not equals and pair.endswith("-") and pair != "-":
            removals.append(pair[:-1])
        else:
            raise KubectlError(f"unknown {noun} spec: {pair}")
    return changes, removals


_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
_VALUE_HELP = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    f"'{_VALUE.pattern}')"
)


def _list(session: Session, info: Info, field: str, several: bool) -> None:
    indent = ""
    if several:
        session.out(f"Listing {field} for {info.mapping.kind}.{info.mapping.group}/{info.name}:\n")
        indent = " "
    for key, value in sorted(((info.obj.get("metadata") or {}).get(field) or {}).items()):
        session.out(f"{indent}{key}={value}\n")


def _change_one(
    session: Session, info: Info, field: str, changes: dict[str, str], removals: list[str], done: str
) -> None:
    args = session.args
    old = info.obj
    current = dict((old["metadata"].get(field)) or {})
    if not args["overwrite"]:
        for key, value in changes.items():
            if key in current and current[key] != value or (field == "annotations" and key in current):
                if current[key] != value:
                    raise _taken(field, key, current[key], args["resource-version"])
    new_values = current | changes
    for key in removals:
        if key not in current and field == "labels":
            session.out(f'label "{key}" not found.\n')
        new_values.pop(key, None)
    meta = {key: value for key, value in old["metadata"].items() if key != field}
    if new_values:
        meta[field] = new_values
    if args["resource-version"]:
        meta["resourceVersion"] = args["resource-version"]
    new = old | {"metadata": meta}
    said = _said(old, new, done, field, args["overwrite"])
    shown = new
    if formats.dry_run(session) != "client":
        patch = threeway.json_merge(old, new)
        made = writing.patch(session, info, patch, "merge") if patch or args["resource-version"] else old
        # as upstream: what annotate prints is the server's answer, what label prints is its own work
        shown = made if field == "annotations" else new
    formats.printer(session, said)(formats.ordered(shown))


def _taken(field: str, key: str, value: str, version: str) -> KubectlError:
    if field == "annotations":
        return KubectlError(
            f"--overwrite is false but found the following declared annotation(s): '{key}' already has a value "
            f"({value})"
        )
    return KubectlError(f"'{key}' already has a value ({value}), and --overwrite is false")


def _said(old: Obj, new: Obj, done: str, field: str, overwrite: bool) -> str:
    if field == "annotations":
        return done
    before, after = json_text(old), json_text(new)
    if before == after:
        return "not labeled"
    return "unlabeled" if not overwrite and len(after) < len(before) else "labeled"
