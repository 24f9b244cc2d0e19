"""The objects of ``-f``: files, folders and stdin, in YAML or JSON, several documents or a List.

Source: ``k8s.io/cli-runtime/pkg/resource/visitor.go`` and ``k8s.io/apimachinery/pkg/util/yaml``.
"""
from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from epkit.kubectl.builtin.failures import KubectlError, NotInSubset
from epkit.kubectl.builtin.gotext import quote
from epkit.kubectl.builtin.session import Session
from epkit.objects import Obj

_EXTENSIONS = (".json", ".yaml", ".yml")


@dataclass(slots=True)
class Document:
    """One object and where it came from."""

    obj: Obj
    source: str


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML 1.1 as Kubernetes reads it: a time stays the text it is."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def load(text: str) -> Any:
    """One YAML or JSON document; keys become texts, as in JSON."""
    return _texts(yaml.load(text, Loader=_Loader))


def _texts(value: Any) -> Any:
    if isinstance(value, dict):
        return {_key(key): _texts(item) for key, item in value.items()}
    return [_texts(item) for item in value] if isinstance(value, list) else value


def _key(key: Any) -> str:
    if isinstance(key, bool):
        return "true" if key else "false"
    return "null" if key is None else str(key)


def read(session: Session, names: list[str]) -> Iterator[Document | Exception]:
    """The objects of the named files in order; a document that cannot be read comes as the failure it is.

    Raises:
        KubectlError: a file that is not there.
    """
    for name in names:
        if name == "-":
            yield from documents(session.stdin, "STDIN")
        elif name.startswith(("http://", "https://")):
            raise NotInSubset(f"{session.args.command} -f with a URL")
        else:
            for path in _files(Path(name), bool(session.args.get("recursive")) and session.args.command != "wait"):
                yield from documents(path.read_text(encoding="utf-8"), str(path))


def _files(path: Path, recursive: bool) -> list[Path]:
    if not path.exists():
        raise KubectlError(f'the path "{path}" does not exist')
    if not path.is_dir():
        return [path]
    inside = sorted(path.rglob("*") if recursive else path.iterdir())
    return [file for file in inside if file.suffix in _EXTENSIONS and file.is_file()]


def documents(text: str, source: str) -> Iterator[Document | Exception]:
    """The objects of one text; the items of a List come one by one."""
    for part in _split(text):
        try:
            value = load(part)
        except yaml.YAMLError as error:
            yield KubectlError(f"error parsing {source}: error converting YAML to JSON: yaml: {yaml_fault(error)}")
            continue
        if value is None:
            continue
        yield from _objects(value, source)


def _split(text: str) -> list[str]:
    if text.lstrip().startswith("{"):
        return [text]
    return re.split(r"(?m)^---(?:[ \t].*)?$\n?", text)


def _objects(value: Any, source: str) -> Iterator[Document | Exception]:
    if not isinstance(value, dict):
        yield KubectlError(
            f"error validating {quote(source)}: error validating data: invalid object to validate; if you choose to "
            "ignore these errors, turn validation off with --validate=false"
        )
        return
    absent = [f"{field} not set" for field in ("apiVersion", "kind") if not value.get(field)]
    if absent:
        shown = absent[0] if len(absent) == 1 else f"[{', '.join(absent)}]"
        yield KubectlError(
            f"error validating {quote(source)}: error validating data: {shown}; if you choose to ignore these errors, "
            "turn validation off with --validate=false"
        )
    elif value["kind"].endswith("List") and isinstance(value.get("items"), list):
        for item in value["items"]:
            yield from _objects(item, source)
    else:
        yield Document(value, source)


#: libyaml's words for the faults that Python's parser names differently
_YAML_WORDS = (
    (re.compile(r"mapping values are not allowed here"), "mapping values are not allowed in this context"),
    (re.compile(r"found character '.*' that cannot start any token"), "found character that cannot start any token"),
    (re.compile(r"expected (.+), but got .*"), r"did not find expected \1"),
)


def yaml_fault(error: yaml.YAMLError) -> str:
    """What is wrong with a text, in the words of Go's parser."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return str(error)
    problem = error.problem or ""
    for pattern, words in _YAML_WORDS:
        problem = pattern.sub(words, problem)
    return f"line {error.problem_mark.line + 1}: {problem}" if error.problem_mark.line else problem
