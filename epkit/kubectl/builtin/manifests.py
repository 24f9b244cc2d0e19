"""The objects of ``-f``: files, folders and stdin, in YAML or JSON, several documents or a List.

Source: ``k8s.io/cli-runtime/pkg/resource/visitor.go`` and ``k8s.io/apimachinery/pkg/util/yaml``.
"""
from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from epkit.kubectl.builtin import decoding
from epkit.kubectl.builtin.failures import KubectlError, NotInSubset, Several
from epkit.kubectl.builtin.gotext import quote
from epkit.kubectl.builtin.session import Session
from epkit.kubectl.builtin.yamlin import Unreadable, load
from epkit.objects import Obj

_EXTENSIONS = (".json", ".yaml", ".yml")


@dataclass(slots=True)
class Document:
    """One object and where it came from."""

    obj: Obj
    source: str
    #: it is an item of a List
    listed: bool = False


def read(session: Session, names: list[str]) -> Iterator[Document | Exception]:
    """The objects of the named files in order; a document that cannot be read comes as the failure it is.

    Raises:
        KubectlError: a file that is not there.
    """
    if names.count("-") > 1:
        raise KubectlError("standard input cannot be used for multiple arguments")
    validates = session.args.command in decoding.VALIDATING and session.args.get("validate") not in ("false", "ignore")
    for name in names:
        if name == "-":
            yield from documents(session.stdin, "STDIN", validates=validates)
        elif name.startswith(("http://", "https://")):
            raise NotInSubset(f"{session.args.command} -f with a URL")
        else:
            for path in _files(Path(name), bool(session.args.get("recursive")) and session.args.command != "wait"):
                yield from documents(path.read_text(encoding="utf-8"), str(path), validates=validates)


def _files(path: Path, recursive: bool) -> list[Path]:
    if not path.exists():
        raise KubectlError(f'the path "{path}" does not exist')
    if not path.is_dir():
        return [path]
    inside = sorted(path.rglob("*") if recursive else path.iterdir())
    return [file for file in inside if file.suffix in _EXTENSIONS and file.is_file()]


def documents(text: str, source: str, *, validates: bool = False) -> Iterator[Document | Exception]:
    """The objects of one text; the items of a List come one by one.

    A text that is no YAML, or an object that does not stand up to the schema, ends the file; one that cannot be
    decoded does not.
    """
    try:
        for value in _values(text, source):
            if validates:
                decoding.validate(value, source)
            fault = decoding.fault(value)
            if fault:
                yield KubectlError(f"unable to decode {quote(source)}: {fault}")
            elif decoding.is_list(value):
                for item in decoding.items(value):
                    yield Several([item]) if isinstance(item, Exception) else Document(item, source, listed=True)
            else:
                yield Document(value, source)
    except KubectlError as failure:
        yield failure


def _values(text: str, source: str) -> Iterator[Any]:
    for part in re.split(r"(?m)^---(?:[ \t].*)?$\n?", text):
        if part.lstrip().startswith("{"):
            try:
                yield from _jsons(part)
                continue
            except json.JSONDecodeError as error:
                if error.pos >= len(error.doc) or error.msg.startswith("Unterminated string"):
                    raise KubectlError(f"error parsing {source}: unexpected EOF") from None
                # else it is YAML in braces
        try:
            value = load(part)
        except Unreadable as error:
            raise KubectlError(f"error parsing {source}: error converting YAML to JSON: {error}") from None
        if value is not None:
            yield value


def _jsons(text: str) -> list[Any]:
    """The JSON documents of a text, one after another."""
    found, rest = [], text.strip()
    while rest:
        value, end = json.JSONDecoder().raw_decode(rest)
        found.append(value)
        rest = rest[end:].lstrip()
    return found
