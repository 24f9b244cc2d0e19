"""``kubectl create``: from files, and deployments, namespaces, service accounts and config maps from flags.

Source: ``k8s.io/kubectl/pkg/cmd/create``. The objects have the field order of the Go types, which ``-o json`` shows.
"""
from __future__ import annotations

import base64
import re
from pathlib import Path

from epkit.errors import ApiError
from epkit.kubectl.builtin import formats, writing
from epkit.kubectl.builtin.failures import KubectlError, NotInSubset, UsageError, raise_all
from epkit.kubectl.builtin.gotext import quote
from epkit.kubectl.builtin.selection import Info, select
from epkit.kubectl.builtin.session import Session
from epkit.objects import Obj


def from_files(session: Session) -> None:
    """``kubectl create -f``"""
    args = session.args
    if args.words:
        raise UsageError("create", f"Unexpected args: [{' '.join(args.words)}]")
    if not args["filename"]:
        raise KubectlError("must specify one of -f and -k")
    show = formats.printer(session, "created")
    selection = select(session)
    failures = list(selection.failures)
    for info in selection.infos:
        obj = writing.with_note(info.obj) if args["save-config"] else info.obj
        try:
            made = obj if formats.dry_run(session) == "client" else writing.create(session, info, obj)
            show(formats.ordered(made))
        except ApiError as error:
            failures.append(error)
    if not selection.infos and not failures:
        raise KubectlError("no objects passed to create")
    raise_all(failures)


def typed(session: Session, obj: Obj, *, what: str = "") -> None:
    """Create an object made from flags, and print it. `what` begins the text of a failure, as it does upstream."""
    args = session.args
    mapping = session.resources.of_kind(obj["apiVersion"], obj["kind"]) if _online(session) else None
    if mapping is None or mapping.namespaced:
        if session.namespace_given:
            obj = obj | {"metadata": _with_namespace(obj["metadata"], session.namespace)}
    show = formats.printer(session, "created")
    if args["save-config"]:
        obj = writing.with_note(obj)
    if formats.dry_run(session) == "client":
        return show(obj)
    if args["output"] == "json":
        raise NotInSubset(f"{args.command} -o json of what was created (use -o yaml)")
    assert mapping is not None
    namespace = session.namespace if mapping.namespaced else ""
    try:
        made = writing.create(session, Info(mapping, namespace, obj["metadata"]["name"], obj), obj)
    except ApiError as error:
        if what:
            raise KubectlError(f"failed to create {what}: {error.message}") from None
        raise
    show(_as_typed({"apiVersion": obj["apiVersion"], "kind": obj["kind"]} | made))


def _as_typed(made: Obj) -> Obj:
    """What the server made, as it prints after Go's types: with the empty fields that those never leave out."""
    if made["kind"] == "Deployment":
        spec = made["spec"]
        template = spec["template"] | {"metadata": {"creationTimestamp": None, **spec["template"]["metadata"]}}
        return {"status": {}} | made | {"spec": spec | {"template": template}}
    return made


def _online(session: Session) -> bool:
    return formats.dry_run(session) != "client" or session.namespace_given


def _with_namespace(meta: Obj, namespace: str) -> Obj:
    """With the namespace right after the name, as in the Go type."""
    return {"name": meta["name"], "namespace": namespace} | {k: v for k, v in meta.items() if k != "name"}


def meta(name: str, labels: dict[str, str] | None = None) -> Obj:
    found: Obj = {"name": name, "creationTimestamp": None}
    return found | {"labels": labels} if labels else found


def deployment(session: Session) -> None:
    """``kubectl create deployment NAME --image=…``"""
    args = session.args
    if not args["image"]:
        raise KubectlError('required flag(s) "image" not set')
    name, images, command = writing.one_name(session), args["image"], args.after_dashes or []
    if len(images) > 1 and command:
        raise KubectlError("cannot specify multiple --image options and command")
    containers: list[Obj] = []
    for image in images:
        container: Obj = {"name": _container_name(image), "image": image}
        if command:
            container["command"] = command
        if args["port"] >= 0 and not containers:
            container["ports"] = [{"containerPort": args["port"]}]
        containers.append(container | {"resources": {}})
    labels = {"app": name}
    typed(
        session,
        {
            "kind": "Deployment",
            "apiVersion": "apps/v1",
            "metadata": meta(name, labels),
            "spec": {
                "replicas": args["replicas"],
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"creationTimestamp": None, "labels": labels},
                    "spec": {"containers": containers},
                },
                "strategy": {},
            },
            "status": {},
        },
        what="deployment",
    )


def _container_name(image: str) -> str:
    """The image's last part without tag and digest, as a DNS label."""
    name = image.rpartition("/")[2]
    for mark in ":@":
        name = name.partition(mark)[0]
    return re.sub(r"[^-a-z0-9]", "-", name.lower()).strip("-") if name else name


def namespace(session: Session) -> None:
    """``kubectl create namespace NAME``"""
    name = writing.one_name(session)
    typed(
        session,
        {"kind": "Namespace", "apiVersion": "v1", "metadata": meta(name), "spec": {}, "status": {}},
    )


def service_account(session: Session) -> None:
    """``kubectl create serviceaccount NAME``"""
    name = writing.one_name(session)
    typed(session, {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": meta(name)}, what="serviceaccount")


def config_map(session: Session) -> None:
    """``kubectl create configmap NAME --from-literal=key=value --from-file=[key=]path``"""
    args = session.args
    name = writing.one_name(session)
    if args["from-env-file"] and (args["from-file"] or args["from-literal"]):
        raise KubectlError("from-env-file cannot be combined with from-file or from-literal")
    data: dict[str, str] = {}
    binary: dict[str, str] = {}

    def add(key: str, value: bytes) -> None:
        if not re.fullmatch(r"[-._a-zA-Z0-9]+", key):
            raise KubectlError(
                f"{quote(key)} is not a valid key name for a ConfigMap: a valid config key must consist of "
                "alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used "
                "for validation is '[-._a-zA-Z0-9]+')"
            )
        if key in data or key in binary:
            raise KubectlError(
                f'cannot add key {quote(key)}, another key by that name already exists in Data for ConfigMap "{name}"'
            )
        try:
            data[key] = value.decode()
        except UnicodeDecodeError:
            binary[key] = base64.b64encode(value).decode()

    for source in args["from-file"]:
        for key, path in _files(source):
            add(key, _read(path))
    for literal in args["from-literal"]:
        key, equals, value = literal.partition("=")
        if not equals or not key:
            raise KubectlError(f"invalid literal source {literal}, expected key=value")
        add(key, value.encode())
    for source in args["from-env-file"]:
        for line in _read(Path(source)).decode().splitlines():
            line = line.strip()
            if line and not line.startswith("#"):
                key, _, value = line.partition("=")
                add(key, value.encode())
    obj: Obj = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": meta(name)}
    obj |= {"data": dict(sorted(data.items()))} if data else {}
    obj |= {"binaryData": dict(sorted(binary.items()))} if binary else {}
    typed(session, obj, what="configmap")


def _files(source: str) -> list[tuple[str, Path]]:
    key, equals, given = source.partition("=")
    path = Path(given if equals else source)
    if not equals and path.is_dir():
        return [(file.name, file) for file in sorted(path.iterdir()) if file.is_file()]
    return [(key if equals else path.name, path)]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        raise KubectlError(f"error reading {path}: no such file or directory") from None
