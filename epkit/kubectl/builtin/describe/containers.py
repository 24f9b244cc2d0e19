"""Containers in a pod or a pod template.

Source: ``k8s.io/kubectl/pkg/describe/describe.go`` (describeContainers).
"""
from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import quote

from epkit.kubectl.builtin.describe.writer import Writer
from epkit.kubectl.builtin.gotext import plain, rfc1123
from epkit.kubectl.builtin.gotext import quote as go_quote
from epkit.objects import Obj

Resolve = Callable[[str], str]


def containers(
    w: Writer, title: str, items: list[Obj] | None, statuses: list[Obj] | None, resolve: Resolve | None, space: str
) -> None:
    """A block of containers; `space` is the template's indentation, empty for a pod."""
    by_name = {status["name"]: status for status in statuses or ()}
    w.put(0, f"{space}{title}:{'' if items else ' <none>'}")
    for container in items or ():
        status = by_name.get(container["name"])
        _basics(w, container, status, space)
        for title_, lines in (("Command", container.get("command")), ("Args", container.get("args"))):
            if lines:
                w.put(2, f"{title_}:")
                for line in "\n".join(lines).split("\n"):
                    w.put(3, line)
        if status is not None:
            _state(w, "State", status.get("state") or {})
            if (status.get("lastState") or {}).get("terminated"):
                _state(w, "Last State", status["lastState"])
            w.put(2, f"Ready:\t{bool(status.get('ready'))}")
            w.put(2, f"Restart Count:\t{status.get('restartCount', 0)}")
        resources(w, container.get("resources"), 2)
        for word in ("Liveness", "Readiness", "Startup"):
            if container.get(f"{word.lower()}Probe"):
                w.put(2, f"{word}:\t{probe(container[f'{word.lower()}Probe'])}")
        _environment_from(w, container)
        _environment(w, container, resolve)
        _mounts(w, container)


def _basics(w: Writer, container: Obj, status: Obj | None, space: str) -> None:
    w.put(1, f"{' ' if space else ''}{container['name']}:")
    if status is not None:
        w.put(2, f"Container ID:\t{status.get('containerID', '')}")
    w.put(2, f"Image:\t{container.get('image', '')}")
    if status is not None:
        w.put(2, f"Image ID:\t{status.get('imageID', '')}")
    for title, field in (("Port", "containerPort"), ("Host Port", "hostPort")):
        ports = ", ".join(f"{port.get(field, 0)}/{port.get('protocol', '')}" for port in container.get("ports") or ())
        w.put(2, f"{title}s:\t{ports}" if "," in ports else f"{title}:\t{ports or '<none>'}")
    seccomp = (container.get("securityContext") or {}).get("seccompProfile")
    if seccomp:
        w.put(2, f"SeccompProfile:\t{seccomp['type']}")
        if seccomp["type"] == "Localhost":
            w.put(3, f"LocalhostProfile:\t{seccomp['localhostProfile']}")


def _state(w: Writer, title: str, state: Obj) -> None:
    if state.get("running") is not None:
        w.put(2, f"{title}:\tRunning")
        w.put(3, f"Started:\t{rfc1123(state['running'].get('startedAt'))}")
    elif state.get("terminated") is not None:
        ended = state["terminated"]
        w.put(2, f"{title}:\tTerminated")
        for name, field in (("Reason", "reason"), ("Message", "message")):
            if ended.get(field):
                w.put(3, f"{name}:\t{ended[field]}")
        w.put(3, f"Exit Code:\t{ended.get('exitCode', 0)}")
        if ended.get("signal", 0) > 0:
            w.put(3, f"Signal:\t{ended['signal']}")
        w.put(3, f"Started:\t{rfc1123(ended.get('startedAt'))}")
        w.put(3, f"Finished:\t{rfc1123(ended.get('finishedAt'))}")
    else:
        w.put(2, f"{title}:\tWaiting")
        reason = (state.get("waiting") or {}).get("reason")
        if reason:
            w.put(3, f"Reason:\t{reason}")


def resources(w: Writer, requirements: Obj | None, level: int) -> None:
    for title, field in (("Limits", "limits"), ("Requests", "requests")):
        amounts = (requirements or {}).get(field)
        if amounts:
            w.put(level, f"{title}:")
            for name, amount in sorted(amounts.items()):
                w.put(level + 1, f"{name}:\t{amount}")


def probe(given: Obj) -> str:
    """``http-get http://:8080/ready delay=0s timeout=1s period=10s #success=1 #failure=3``"""
    times = (
        f"delay={given.get('initialDelaySeconds', 0)}s timeout={given.get('timeoutSeconds', 0)}s "
        f"period={given.get('periodSeconds', 0)}s #success={given.get('successThreshold', 0)} "
        f"#failure={given.get('failureThreshold', 0)}"
    )
    if given.get("exec"):
        return f"exec {plain(given['exec'].get('command') or [])} {times}"
    if given.get("httpGet"):
        http = given["httpGet"]
        host, port = http.get("host", ""), str(http.get("port", ""))
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        path = quote(http.get("path", ""), safe="/$&+,:;=@!*'()~")
        slash = "" if not path or path.startswith("/") else "/"
        return f"http-get {http.get('scheme', '').lower()}://{address}{slash}{path} {times}"
    if given.get("tcpSocket"):
        tcp = given["tcpSocket"]
        return f"tcp-socket {tcp.get('host', '')}:{tcp.get('port', '')} {times}"
    if given.get("grpc"):
        return f"grpc <pod>:{given['grpc'].get('port', 0)} {given['grpc'].get('service', '')} {times}"
    return f"unknown {times}"


def _environment_from(w: Writer, container: Obj) -> None:
    if not container.get("envFrom"):
        return
    w.put(2, "Environment Variables from:")
    for entry in container["envFrom"]:
        kind = "ConfigMap" if entry.get("configMapRef") else "Secret"
        reference = entry.get("configMapRef") or entry.get("secretRef") or {}
        prefix = f" with prefix '{entry['prefix']}'" if entry.get("prefix") else ""
        optional = plain(bool(reference.get("optional")))
        w.put(3, f"{reference.get('name', '')}\t{kind}{prefix}\tOptional: {optional}")


def _environment(w: Writer, container: Obj, resolve: Resolve | None) -> None:
    variables = container.get("env") or ()
    w.put(2, "Environment:" + ("" if variables else "\t<none>"))
    for variable in variables:
        name, source = variable["name"], variable.get("valueFrom")
        if not source:
            first, *more = variable.get("value", "").split("\n")
            w.put(3, f"{name}:\t{first}")
            for line in more:
                w.put(3, f"\t{line}")
        elif source.get("fieldRef"):
            field = source["fieldRef"]
            value = resolve(field["fieldPath"]) if resolve else ""
            w.put(3, f"{name}:\t{value} ({field.get('apiVersion', '')}:{field['fieldPath']})")
        elif source.get("resourceFieldRef"):
            wanted = source["resourceFieldRef"]["resource"]
            kind, _, resource = wanted.partition(".")
            amount = ((container.get("resources") or {}).get(kind) or {}).get(resource, "0")
            if amount == "0" and wanted in ("limits.cpu", "limits.memory"):
                amount = "node allocatable"
            w.put(3, f"{name}:\t{amount} ({wanted})")
        elif source.get("secretKeyRef"):
            key = source["secretKeyRef"]
            optional = plain(bool(key.get("optional")))
            w.put(3, f"{name}:\t<set to the key '{key['key']}' in secret '{key['name']}'>\tOptional: {optional}")
        elif source.get("configMapKeyRef"):
            key = source["configMapKeyRef"]
            optional = plain(bool(key.get("optional")))
            w.put(3, f"{name}:\t<set to the key '{key['key']}' of config map '{key['name']}'>\tOptional: {optional}")


def _mounts(w: Writer, container: Obj) -> None:
    mounts = sorted(container.get("volumeMounts") or (), key=lambda mount: mount["mountPath"])
    w.put(2, "Mounts:" + ("" if mounts else "\t<none>"))
    for mount in mounts:
        flags = ["ro" if mount.get("readOnly") else "rw"]
        if mount.get("subPath"):
            flags.append(f"path={go_quote(mount['subPath'])}")
        w.put(3, f"{mount['mountPath']} from {mount['name']} ({','.join(flags)})")


_SUBSCRIPT = re.compile(r"metadata\.(annotations|labels)\['(.+)'\]")


def field_of(pod: Obj) -> Resolve:
    """Looks up what a ``fieldRef`` names in the pod's metadata; anything else is left blank, as upstream."""
    meta = pod["metadata"]

    def resolve(path: str) -> str:
        match = _SUBSCRIPT.fullmatch(path)
        if match:
            return str((meta.get(match[1]) or {}).get(match[2], ""))
        name = path.removeprefix("metadata.")
        if name in ("name", "namespace", "uid"):
            return str(meta.get(name, ""))
        if name in ("labels", "annotations"):
            return "\n".join(f"{key}={go_quote(value)}" for key, value in sorted((meta.get(name) or {}).items()))
        return ""

    return resolve
