"""Volumes of a pod or a pod template.

Source: ``k8s.io/kubectl/pkg/describe/describe.go`` (describeVolumes), for the sources that need no storage provider.
"""
from __future__ import annotations

from epkit.kubectl.builtin.describe.writer import Writer
from epkit.kubectl.builtin.failures import NotInSubset
from epkit.kubectl.builtin.gotext import plain
from epkit.objects import Obj


def volumes(w: Writer, items: list[Obj] | None, space: str) -> None:
    """A block of volumes.

    Raises:
        NotInSubset: a volume of a storage provider.
    """
    if not items:
        w.put(0, f"{space}Volumes:\t<none>")
        return
    w.put(0, f"{space}Volumes:")
    for volume in items:
        w.put(1, f"{' ' if space else ''}{volume['name']}:")
        source = next((key for key in volume if key != "name"), "emptyDir")
        given = volume.get(source) or {}
        for line in _lines(source, given):
            w.put(2, line)


def _lines(source: str, given: Obj) -> list[str]:
    match source:
        case "projected":
            return [
                "Type:\tProjected (a volume that contains injected data from multiple sources)",
                *(line for entry in given.get("sources") or () for line in _projected(entry)),
            ]
        case "hostPath":
            return [
                "Type:\tHostPath (bare host directory volume)",
                f"Path:\t{given.get('path', '')}",
                f"HostPathType:\t{given.get('type', '')}",
            ]
        case "emptyDir":
            return [
                "Type:\tEmptyDir (a temporary directory that shares a pod's lifetime)",
                f"Medium:\t{given.get('medium', '')}",
                f"SizeLimit:\t{given.get('sizeLimit') or '<unset>'}",
            ]
        case "secret":
            return [
                "Type:\tSecret (a volume populated by a Secret)",
                f"SecretName:\t{given.get('secretName', '')}",
                f"Optional:\t{_optional(given)}",
            ]
        case "configMap":
            return [
                "Type:\tConfigMap (a volume populated by a ConfigMap)",
                f"Name:\t{given.get('name', '')}",
                f"Optional:\t{_optional(given)}",
            ]
        case "persistentVolumeClaim":
            return [
                "Type:\tPersistentVolumeClaim (a reference to a PersistentVolumeClaim in the same namespace)",
                f"ClaimName:\t{given.get('claimName', '')}",
                f"ReadOnly:\t{plain(bool(given.get('readOnly')))}",
            ]
        case "downwardAPI":
            return [
                "Type:\tDownwardAPI (a volume populated by information about the pod)",
                "Items:",
                *("  " + line for item in given.get("items") or () for line in _item(item)),
            ]
    raise NotInSubset(f"describe of a {source} volume")


def _projected(entry: Obj) -> list[str]:
    if entry.get("secret"):
        return [f"SecretName:\t{entry['secret'].get('name', '')}", f"Optional:\t{_optional(entry['secret'])}"]
    if entry.get("downwardAPI"):
        return ["DownwardAPI:\ttrue"]
    if entry.get("configMap"):
        return [f"ConfigMapName:\t{entry['configMap'].get('name', '')}", f"Optional:\t{_optional(entry['configMap'])}"]
    if entry.get("serviceAccountToken"):
        return [f"TokenExpirationSeconds:\t{entry['serviceAccountToken'].get('expirationSeconds', 0)}"]
    return []


def _item(item: Obj) -> list[str]:
    found = [(item.get("fieldRef") or {}).get("fieldPath"), (item.get("resourceFieldRef") or {}).get("resource")]
    return [f"{what} -> {item.get('path', '')}" for what in found if what]


def _optional(given: Obj) -> str:
    return plain(bool(given.get("optional")))
