"""The forms of ``-o``: YAML, JSON, names, JSONPath, and what a command says without it (``service/web created``).

Source: ``k8s.io/cli-runtime/pkg/genericclioptions`` and ``pkg/printers``.
"""
from __future__ import annotations

from collections.abc import Callable

from epkit.kubectl.builtin.args import Args
from epkit.kubectl.builtin.columns import CustomColumns
from epkit.kubectl.builtin.failures import KubectlError, NotInSubset
from epkit.kubectl.builtin.gotext import json_text, quote, syntax
from epkit.kubectl.builtin.jsonpath import JsonPath, JsonPathError
from epkit.kubectl.builtin.session import Session
from epkit.kubectl.builtin.yamlout import dump
from epkit.objects import Obj

_TEMPLATES = ("go-template", "go-template-file", "template", "templatefile")
_GENERAL = ("json", "jsonpath", "jsonpath-as-json", "jsonpath-file", "name", "yaml")

Print = Callable[[Obj], None]


def printer(session: Session, done: str, *, table: bool = False, tell_dry_run: bool = True) -> Print:
    """How the command prints one object: as ``-o`` says, else ``service/web created``.

    `done` is what was done, such as ``created``; a dry run is told after it, but where upstream does not. With `table`
    the forms of ``kubectl get`` are allowed too.

    Raises:
        KubectlError: there is no such form.
    """
    output = session.args["output"]
    if output in ("", "name"):
        said = _said(session, done) if tell_dry_run else done
        return lambda obj: session.out(named(obj) + (f" {said}" if not output else "") + "\n")
    form, _, argument = output.partition("=")
    text = _form(session.args, form, argument, output, table)
    count = 0

    def show(obj: Obj) -> None:
        nonlocal count
        if form == "yaml" and count:
            session.out("---\n")
        count += 1
        session.out(text(obj))

    return show


def structured(args: Args) -> bool:
    """Whether ``-o`` asks for the object itself, rather than for a line about it."""
    return args["output"] not in ("", "name")


def _said(session: Session, done: str) -> str:
    return {"client": f"{done} (dry run)", "server": f"{done} (server dry run)"}.get(dry_run(session), done)


def dry_run(session: Session) -> str:
    """``none``, ``client`` or ``server``.

    Raises:
        KubectlError: another value.
    """
    value = session.args.get("dry-run", "none")
    if value in ("none", "client", "server"):
        return str(value)
    if value == "unchanged":
        raise NotInSubset(f"{session.args.command} --dry-run without =client or =server")
    raise KubectlError(f'Invalid dry-run value ({value}). Must be "none", "server", or "client".')


def named(obj: Obj) -> str:
    """``endpointslice.discovery.k8s.io/web-abcde``"""
    group = obj["apiVersion"].rpartition("/")[0]
    kind = obj["kind"].lower()
    return f"{kind}{'.' + group if group else ''}/{obj['metadata']['name']}"


def _form(args: Args, form: str, argument: str, output: str, table: bool) -> Callable[[Obj], str]:
    managed = args["show-managed-fields"]
    if form in _TEMPLATES:
        raise NotInSubset(f"{args.command} -o {form}")
    match form:
        case "json" if output == form:
            return lambda obj: json_text(obj if managed else without_managed_fields(obj), 4, sort=False) + "\n"
        case "yaml" if output == form:
            return lambda obj: dump(obj if managed else without_managed_fields(obj))
        case "jsonpath" | "jsonpath-as-json" | "jsonpath-file":
            return _jsonpath(form, argument)
        case "custom-columns" if table:
            columns = CustomColumns(argument, not args["no-headers"])
            return lambda obj: columns.text(obj["items"] if "items" in obj else [obj])
        case "custom-columns-file" if table:
            raise NotInSubset(f"{args.command} -o custom-columns-file")
    allowed = sorted((*_GENERAL, *_TEMPLATES, *(("custom-columns", "custom-columns-file", "wide") if table else ())))
    raise KubectlError(
        f"unable to match a printer suitable for the output format {quote(output)}, allowed formats are: "
        + ",".join(allowed)
    )


def _jsonpath(form: str, template: str) -> Callable[[Obj], str]:
    if not template:
        raise KubectlError("template format specified but no template given")
    if form == "jsonpath-file":
        try:
            with open(template, encoding="utf-8") as file:
                template = file.read()
        except OSError:
            why = f"open {template}: no such file or directory"
            raise KubectlError(f"error reading --template {template}, {why}\n") from None
    try:
        path = JsonPath(template)
    except JsonPathError as error:
        raise KubectlError(f"error parsing jsonpath {template}, {error}\n") from None

    def text(obj: Obj) -> str:
        try:
            return path.json(obj) if form == "jsonpath-as-json" else path.text(obj)
        except JsonPathError as error:
            raise KubectlError(
                f"error executing jsonpath {quote(template)}: Error executing template: {error}. Printing more "
                f"information for debugging the template:\n\ttemplate was:\n\t\t{template}\n\tobject given to jsonpath "
                f"engine was:\n\t\t{syntax(obj)}\n\n\n"
            ) from None

    return text


def without_managed_fields(obj: Obj) -> Obj:
    """The object (or each item of a List) without ``metadata.managedFields``, as kubectl shows objects."""
    if "items" in obj and obj.get("kind", "").endswith("List"):
        return obj | {"items": [without_managed_fields(item) for item in obj["items"]]}
    meta = obj.get("metadata") or {}
    if "managedFields" not in meta:
        return obj
    return obj | {"metadata": {key: value for key, value in meta.items() if key != "managedFields"}}


def ordered(obj: Obj) -> Obj:
    """The object with sorted keys at every level: what comes from the server is printed so in JSON."""
    if isinstance(obj, dict):
        return {key: ordered(obj[key]) for key in sorted(obj)}
    if isinstance(obj, list):
        return [ordered(item) for item in obj]
    return obj
