"""``kubectl set image`` and ``kubectl set selector``.

Source: ``k8s.io/kubectl/pkg/cmd/set`` (set_image.go, set_selector.go).
"""
from __future__ import annotations

import re

from epkit.errors import ApiError
from epkit.kubectl.builtin import formats, merge_keys, threeway, writing
from epkit.kubectl.builtin.failures import KubectlError, NotInSubset, raise_all
from epkit.kubectl.builtin.gotext import quote
from epkit.kubectl.builtin.selection import Info, select
from epkit.kubectl.builtin.session import Session
from epkit.objects import Obj, copy
from epkit.selectors import SelectorError, parse


def image(session: Session) -> None:
    """Change the images of containers: ``deployment/web nginx=nginx:1.27``."""
    args = session.args
    words, images = _split(args.words)
    if not images and (words or args["filename"]):
        slashes = ["/" in word for word in words]
        if all(slashes) or not any(slashes):
            raise KubectlError("at least one image update is required")
    if "*" in images and len(images) > 1:
        raise KubectlError(
            "all containers are already specified by *, but saw more than one container_name=container_image pairs"
        )
    selection = select(session, words, latest=True)
    failures = list(selection.failures)
    for info in selection.infos:
        try:
            _set_images(session, info, images)
        except ApiError as error:
            failures.append(KubectlError(f"failed to patch image update to pod template: {error.message}"))
        except KubectlError as fault:
            failures.append(fault)
    raise_all(failures)


def _split(words: list[str]) -> tuple[list[str], dict[str, str]]:
    at = next((i for i, word in enumerate(words) if "=" in word), len(words))
    images = {}
    for word in words[at:]:
        name, equals, value = word.partition("=")
        if not equals:
            raise KubectlError(f"all resources must be specified before image changes: {word}")
        images[name] = value
    return words[:at], images


def _pod_spec(info: Info, obj: Obj) -> Obj:
    if info.mapping.kind == "Pod":
        return obj["spec"]
    try:
        return obj["spec"]["template"]["spec"]
    except KeyError:
        why = f"the object is not a pod or does not have a pod template: *{info.mapping.version}.{info.mapping.kind}"
        raise KubectlError(f"{info.mapping.plural}/{info.name} {why}") from None


def _set_images(session: Session, info: Info, images: dict[str, str]) -> None:
    changed = copy(info.obj)
    spec = _pod_spec(info, changed)
    containers = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    missing = [name for name in images if name != "*" and all(c["name"] != name for c in containers)]
    for container in containers:
        wanted = images.get(container["name"], images.get("*"))
        if wanted is not None:
            container["image"] = wanted
    if missing:
        raise_all([KubectlError(f"unable to find container named {quote(name)}") for name in missing])
    patch = threeway.two_way(info.obj, changed, merge_keys.of_kind(info.mapping.group, info.mapping.kind))
    if not patch:
        return
    if formats.dry_run(session) != "client":
        changed = writing.patch(session, info, patch, "strategic")
    formats.printer(session, "image updated")(formats.ordered(changed))


def selector(session: Session) -> None:
    """Replace the whole selector: ``service web app=other``."""
    args = session.args
    if not args.words:
        raise KubectlError("one selector is required")
    words, text = args.words[:-1], args.words[-1]
    try:
        parse(text)
        if re.fullmatch(r"[^=!<>(), ]+", text):
            raise KubectlError(f"match expression [{{{text} Exists []}}] not supported on this object")
        wanted = dict(part.split("=", 1) for part in text.replace("==", "=").split(","))
    except SelectorError as fault:
        raise KubectlError(f"couldn't parse the selector string {quote(text)}: {_explained(text, fault)}") from None
    except ValueError:
        raise NotInSubset("set selector with other terms than key=value") from None
    selection = select(session, words, latest=True)
    raise_all(selection.failures)
    for info in selection.infos:
        if info.mapping.kind != "Service" or info.mapping.group:
            raise KubectlError("setting a selector is only supported for Services")
        if args["resource-version"] and len(selection.infos) > 1:
            raise KubectlError("resource-version may only be used with a single resource")
        changed = info.obj | {"spec": info.obj["spec"] | {"selector": wanted}}
        if formats.dry_run(session) != "client":
            patch = threeway.json_merge(info.obj, changed)
            if args["resource-version"]:
                patch = {"metadata": {"resourceVersion": args["resource-version"]}} | patch
            changed = writing.patch(session, info, patch, "strategic") if patch else changed
        formats.printer(session, "selector updated")(formats.ordered(changed))


def _explained(text: str, fault: SelectorError) -> str:
    return f"unable to parse requirement: {fault}"
