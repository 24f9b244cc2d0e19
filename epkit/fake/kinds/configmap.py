"""ConfigMap and Secret, core/v1: named data.

Source: ``ValidateConfigMap`` and ``ValidateSecret`` of ``pkg/apis/core/validation``.
"""

from __future__ import annotations

import base64
from typing import Any

from epkit.fake.kinds import names, printing
from epkit.fake.kinds.base import Context, FieldError, Kind, Obj, forbidden, invalid, required, too_long
from epkit.fake.kinds.columns import AGE, NAME, column
from epkit.fake.kinds.common import drop_empty
from epkit.fake.kinds.metadata import immutable
from epkit.fake.kinds.names import name_is_subdomain

_LARGEST = 1024 * 1024
_IMMUTABLE = "field is immutable when `immutable` is set"
#: what a Secret of a type must hold
_REQUIRED_KEYS = {
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
}


def _validate_data(obj: Obj, keys: tuple[str, ...], is_base64: tuple[str, ...]) -> list[FieldError]:
    errors: list[FieldError] = []
    size = 0
    for field in keys:
        for key, value in (obj.get(field) or {}).items():
            errors += (invalid(f"{field}[{key}]", key, fault) for fault in names.config_map_key(key))
            size += len(value) * 3 // 4 if field in is_base64 else len(value.encode())
    for key in (obj.get("binaryData") or {}).keys() & (obj.get("data") or {}).keys():
        errors.append(invalid(f"data[{key}]", key, "duplicate of key present in binaryData"))
    if size > _LARGEST:
        errors.append(too_long("", _LARGEST))
    return errors


def _frozen(new: Obj, old: Obj, keys: tuple[str, ...]) -> list[FieldError]:
    errors: list[FieldError] = []
    if not old.get("immutable"):
        return errors
    if not new.get("immutable"):
        errors.append(forbidden("immutable", _IMMUTABLE))
    return errors + [forbidden(key, _IMMUTABLE) for key in keys if new.get(key) != old.get(key)]


def _validate_config_map(config_map: Obj, context: Context) -> list[FieldError]:
    return _validate_data(config_map, ("data", "binaryData"), ("binaryData",))


def _validate_config_map_update(new: Obj, old: Obj, context: Context) -> list[FieldError]:
    return _frozen(new, old, ("data", "binaryData")) + _validate_config_map(new, context)


def _config_map_row(config_map: Obj, now: float) -> list[Any]:
    entries = len(config_map.get("data") or ()) + len(config_map.get("binaryData") or ())
    return [config_map["metadata"]["name"], entries, printing.age(config_map, now)]


def _default_secret(secret: Obj) -> None:
    """``stringData`` is a way in: it is stored as ``data``."""
    drop_empty(secret)
    if "stringData" in secret:
        texts = secret.pop("stringData")
        encoded = {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}
        secret["data"] = {**(secret.get("data") or {}), **encoded}
    if not secret.get("type"):
        secret["type"] = "Opaque"


def _validate_secret(secret: Obj, context: Context) -> list[FieldError]:
    errors = _validate_data(secret, ("data",), ("data",))
    kind, data = secret["type"], secret.get("data") or {}
    errors += (required(f"data[{key}]") for key in _REQUIRED_KEYS.get(kind, ()) if key not in data)
    if kind == "kubernetes.io/basic-auth" and not ("username" in data or "password" in data):
        errors += [required("data[username]"), required("data[password]")]
    if kind == "kubernetes.io/service-account-token":
        if not (secret["metadata"].get("annotations") or {}).get("kubernetes.io/service-account.name"):
            errors.append(required("metadata.annotations[kubernetes.io/service-account.name]"))
    return errors


def _validate_secret_update(new: Obj, old: Obj, context: Context) -> list[FieldError]:
    return immutable("type", new["type"], old["type"]) + _frozen(new, old, ("data",)) + _validate_secret(new, context)


def _secret_row(secret: Obj, now: float) -> list[Any]:
    return [secret["metadata"]["name"], secret["type"], len(secret.get("data") or ()), printing.age(secret, now)]


CONFIG_MAP = Kind(
    group="",
    version="v1",
    kind="ConfigMap",
    plural="configmaps",
    schema="io.k8s.api.core.v1.ConfigMap",
    short_names=("cm",),
    columns=(NAME, column("Data", "ConfigMap.data"), AGE),
    row=_config_map_row,
    default=drop_empty,
    validate=_validate_config_map,
    validate_update=_validate_config_map_update,
    validate_name=name_is_subdomain,
    generation=None,
)

SECRET = Kind(
    group="",
    version="v1",
    kind="Secret",
    plural="secrets",
    schema="io.k8s.api.core.v1.Secret",
    columns=(NAME, column("Type", "Secret.type"), column("Data", "Secret.data"), AGE),
    row=_secret_row,
    default=_default_secret,
    validate=_validate_secret,
    validate_update=_validate_secret_update,
    validate_name=name_is_subdomain,
    generation=None,
    field_labels={"type": lambda secret: secret.get("type", "")},
)
