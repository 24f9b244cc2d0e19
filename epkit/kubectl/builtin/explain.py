"""``kubectl explain``: a kind's fields, from the server's OpenAPI v3 documents.

Source: ``k8s.io/kubectl/pkg/explain/v2/templates/plaintext.tmpl``; lines break as in ``mitchellh/go-wordwrap``.
"""
from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from epkit.kubectl.builtin.discovery import Mapping, NoSuchResource
from epkit.kubectl.builtin.failures import ExitError, KubectlError, NotInSubset
from epkit.kubectl.builtin.gotext import quote
from epkit.kubectl.builtin.session import Session
from epkit.objects import Obj

_ENUM_SHOWN = 4


def explain(session: Session) -> None:
    """Print what a kind or a field is for, and its fields."""
    args = session.args
    if not args.words:
        raise KubectlError(
            'You must specify the type of resource to explain. Use "kubectl api-resources" for a complete list of '
            "supported resources."
        )
    if len(args.words) > 1:
        raise KubectlError("We accept only this format: explain RESOURCE")
    if args["output"] == "plaintext-openapiv2":
        raise NotInSubset("explain -o plaintext-openapiv2")
    if args["output"] not in ("plaintext", "md"):
        raise KubectlError(f"unrecognized format: {args['output']}")
    if args["output"] == "md":
        raise NotInSubset("explain -o md")
    mapping, path = _target(session, args.words[0])
    api_version = args["api-version"] or mapping.api_version
    found = next(
        (m for m in session.resources.mappings if m.api_version == api_version and m.plural == mapping.plural), None
    )
    group, _, version = api_version.rpartition("/")
    if found is None:
        raise KubectlError(f"couldn't find resource for {quote(f'{group}/{version}, Resource={mapping.plural}')}")
    document = _document(session, found)
    if found.group:
        session.out(f"GROUP:      {found.group}\n")
    session.out(f"KIND:       {found.kind}\nVERSION:    {found.version}\n\n")
    page = _Page(document, args["recursive"])
    text = page.output(page.kind(found), path, frozenset())
    if not text:
        raise KubectlError(f"field {quote(path[-1])} does not exist")
    session.out(text + "\n")


def _target(session: Session, word: str) -> tuple[Mapping, list[str]]:
    """The resource and the path of fields in ``endpointslices.endpoints`` or ``deployments.apps.spec``."""
    name, *rest = word.split(".")
    for mapping in session.resources.mappings:
        group = mapping.group.split(".") if mapping.group else []
        if group and name.lower() in (mapping.plural, mapping.singular, *mapping.short_names):
            if rest[: len(group)] == group:
                return mapping, rest[len(group) :]
    try:
        return session.resources.find(name), rest
    except NoSuchResource as fault:
        session.err(f"{fault}\n")  # as upstream, which does not call it an error here
        raise ExitError from None


def _document(session: Session, mapping: Mapping) -> Obj:
    path = f"apis/{mapping.api_version}" if mapping.group else f"api/{mapping.api_version}"
    entry = session.send("GET", "/openapi/v3")["paths"].get(path)
    if entry is None:
        raise KubectlError(f"couldn't find resource for {quote(mapping.gvr)}")
    url, _, query = entry["serverRelativeURL"].partition("?")
    pairs = dict(pair.partition("=")[::2] for pair in query.split("&") if pair)
    return session.send("GET", url, pairs)


@dataclass(slots=True)
class _Page:
    document: Obj
    recursive: bool

    def kind(self, mapping: Mapping) -> Obj:
        """The schema of a kind.

        Raises:
            KubectlError: the document has none.
        """
        wanted = {"group": mapping.group, "version": mapping.version, "kind": mapping.kind}
        for schema in self.document["components"]["schemas"].values():
            if wanted in (schema.get("x-kubernetes-group-version-kind") or ()):
                return schema
        raise KubectlError(f"GVK {wanted} not found in OpenAPI schema")

    def _resolve(self, schema: Obj) -> Obj:
        reference = schema.get("$ref", "")
        found: Obj = self.document["components"]["schemas"].get(reference.rpartition("/")[2]) if reference else schema
        return found or schema

    def output(self, schema: Obj, path: list[str], seen: frozenset[str]) -> str:
        """The page of the field at the end of the path; empty where there is no such field."""
        reference, resolved = schema.get("$ref", ""), self._resolve(schema)
        if not path:
            text = "DESCRIPTION:\n" + _indent(_wrap(self._description(schema) or "<empty>", 76), 4) + "\n"
            fields = "".join(self._fields(schema, 1, frozenset()))
            return text + (f"FIELDS:\n{fields}" if fields else "")
        if reference and reference in seen:
            return ""
        seen = seen | {reference}
        properties = resolved.get("properties") or {}
        if path[0] in properties:
            field, head = properties[path[0]], ""
            if len(path) == 1:
                head = f"FIELD: {path[0]} <{self._type(field)}>\n{_enum_page(field)}\n\n"
            inner = self.output(field, path[1:], frozenset())
            return head + inner if inner else ""
        for key in ("items", "additionalProperties"):
            if isinstance(resolved.get(key), dict):
                return self.output(resolved[key], path, seen)
        return next(filter(None, (self.output(each, path, seen) for each in resolved.get("allOf") or ())), "")

    def _description(self, schema: Obj) -> str:
        resolved = self._resolve(schema)
        text = f"{resolved['description']}\n" if resolved.get("description") else ""
        return text + "".join(self._description(each) for each in _siblings(resolved))

    def _fields(self, schema: Obj, level: int, seen: frozenset[str]) -> Iterator[str]:
        reference, resolved = schema.get("$ref", ""), self._resolve(schema)
        if reference and reference in seen:
            return
        seen = seen | {reference}
        for name, field in sorted((resolved.get("properties") or {}).items()):
            yield self._field(name, field, level, name in (resolved.get("required") or ()))
            if self.recursive:
                yield from self._fields(field, level + 1, seen)
        for each in _siblings(resolved):
            yield from self._fields(each, level, seen)

    def _field(self, name: str, field: Obj, level: int, required: bool) -> str:
        space = level * 2
        text = f"{' ' * space}{name}\t<{self._type(field)}>{' -required-' if required else ''}"
        if field.get("enum"):
            shown = [str(value) or '""' for value in field["enum"]]
            more = ", ...." if len(shown) > _ENUM_SHOWN else ""
            text += f"\n{' ' * space}enum: {', '.join(shown[:_ENUM_SHOWN])}{more}"
        text += "\n"
        if self.recursive:
            return text
        return text + _indent(_wrap(field.get("description") or "<no description>", 78 - space), space + 2) + "\n\n"

    def _type(self, schema: Obj) -> str:
        if schema.get("items"):
            return f"[]{self._type(schema['items'])}"
        if isinstance(schema.get("additionalProperties"), dict):
            return f"map[string]{self._type(schema['additionalProperties'])}"
        if len(schema.get("allOf") or ()) == 1 and not schema.get("properties"):
            return self._type(schema["allOf"][0])
        if schema.get("$ref"):
            kind = self._resolve(schema).get("type", "object")
            return schema["$ref"].rpartition(".")[2] if kind == "object" else str(kind)
        kind = schema.get("type", "object")
        return "Object" if kind == "object" else str(kind)


def _siblings(resolved: Obj) -> list[Obj]:
    found: list[Any] = [*(resolved.get("allOf") or ()), resolved.get("items"), resolved.get("additionalProperties")]
    return [each for each in found if isinstance(each, dict) and each]


def _enum_page(field: Obj) -> str:
    if not field.get("enum"):
        return ""
    return "ENUM:" + "".join(f"\n    {value or chr(34) * 2}" for value in field["enum"])


def _indent(text: str, space: int) -> str:
    return "\n".join(" " * space + line for line in text.split("\n"))


def _wrap(text: str, width: int) -> str:
    return "\n".join(_wrap_line(line, width) for line in text.split("\n"))


def _wrap_line(line: str, width: int) -> str:
    """Break at the spaces before a word that would pass the width; other spaces stay as they are."""
    out: list[str] = []
    current = 0
    for spaces, word in _PARTS.findall(line):
        past = current + len(spaces) + len(word) > width
        # the break comes at the letter that passes the width, unless the word alone is that long by then
        if word and past and width - current - len(spaces) + 1 < width:
            out.append("\n" + word)
            current = len(word)
        elif word or not past:
            out.append(spaces + word)
            current += len(spaces) + len(word)
    return "".join(out)


_PARTS = re.compile(r"(\s*)(\S*)")
