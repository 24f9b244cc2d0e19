"""YAML as the API server reads it: turned into JSON first, by the rules of ``sigs.k8s.io/yaml``.

That is YAML 1.1 without times and base-60 numbers; keys become strings.

>>> load(b"a: yes\\nb: 2026-01-01\\n1: 0755")
{'a': True, 'b': '2026-01-01', '1': 493}
"""
from __future__ import annotations

import re
from typing import Any

import orjson
import yaml

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class YamlError(ValueError):
    """The text of go-yaml, such as ``yaml: line 2: mapping values are not allowed in this context``."""


class _Loader(_Base):  # type: ignore[misc]
    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers
                if tag not in ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:int", "tag:yaml.org,2002:float")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def __init__(self, stream: bytes) -> None:
        super().__init__(stream)
        self.duplicates: list[str] = []

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[str, Any]:
        self.flatten_mapping(node)
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = _key(self.construct_object(key_node, deep=True))
            if key in mapping:
                self.duplicates.append(f'line {key_node.start_mark.line + 1}: key "{key}" already set in map')
            mapping[key] = self.construct_object(value_node, deep=True)
        return mapping


def _key(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float)):
        return str(value)
    raise YamlError(f"unsupported map key of type: {type(value).__name__}")


def _integer(loader: Any, node: Any) -> Any:
    text = node.value.replace("_", "")
    sign = -1 if text.startswith("-") else 1
    digits = text.lstrip("+-")
    if digits[:2].lower() in ("0x", "0b", "0o"):
        return sign * int(digits, 0)
    return sign * int(digits, 8 if len(digits) > 1 and digits[0] == "0" else 10)


def _float(loader: Any, node: Any) -> Any:
    number = loader.construct_yaml_float(node)
    return int(number) if number.is_integer() and abs(number) < 1e21 else number  # so JSON shows it


_Loader.add_constructor("tag:yaml.org,2002:float", _float)
_Loader.add_constructor("tag:yaml.org,2002:map", lambda loader, node: loader.construct_mapping(node, True))
_Loader.add_constructor("tag:yaml.org,2002:int", _integer)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int",
    re.compile(r"[-+]?(?:0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO]?[0-7_]+|0|[1-9][0-9_]*)$"), list("-+0123456789"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"),
    list("-+0123456789."))


def load(body: bytes) -> Any:
    """The value of the first document in `body`. Raises :class:`YamlError`."""
    return load_strict(body)[0]


def load_strict(body: bytes) -> tuple[Any, str]:
    """As :func:`load`, with go-yaml's text about duplicate keys, or ""."""
    try:
        return orjson.loads(body), ""  # most YAML bodies are JSON
    except orjson.JSONDecodeError:
        pass
    loader = None
    try:
        loader = _Loader(body)
        value = loader.get_data() if loader.check_data() else None
        duplicates = loader.duplicates
    except (yaml.MarkedYAMLError, yaml.reader.ReaderError, RecursionError, ValueError, OverflowError) as fault:
        raise YamlError(_words(fault)) from None
    finally:
        if loader is not None:
            loader.dispose()
    text = "yaml: unmarshal errors:\n  " + "\n  ".join(duplicates) if duplicates else ""
    return value, text


def _words(fault: Exception) -> str:
    if isinstance(fault, YamlError):
        return str(fault)
    if isinstance(fault, yaml.MarkedYAMLError):
        mark = fault.problem_mark or fault.context_mark
        where = f"line {mark.line + 1}: " if mark is not None else ""
        return f"yaml: {where}{fault.problem or fault.context}"
    if isinstance(fault, yaml.reader.ReaderError):
        return f"yaml: {fault.reason}"
    return f"yaml: {fault}"
