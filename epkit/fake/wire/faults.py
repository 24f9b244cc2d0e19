"""Finds words for what is wrong with a body, in those of ``sigs.k8s.io/json``, the API server's decoder.

It walks the body beside its definition. A value of the wrong type ends in the :class:`TypeFault` of the first one;
unknown and duplicate fields are collected, since only strict validation minds them, and left out of what it returns.
"""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from epkit.fake.wire import gojson, values
from epkit.fake.wire.schema import Definition, Field, definition

#: The decoder stops to collect after so many strict faults.
_MOST_STRICT_FAULTS = 100


class TypeFault(Exception):
    """A value that does not fit its Go type: ``json: cannot unmarshal string into Go struct field ...``."""


def json_type(value: Any) -> str:
    """What Go's errors call the type of a JSON value."""
    if isinstance(value, (dict, gojson.Pairs)):
        return "object"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return "number"
    return "string" if isinstance(value, str) else "null" if value is None else "array"


def inspect(
    raw: Any, of: Definition, path: str = "", go_type: str = "", unstructured: bool = False
) -> tuple[Any, list[str]]:
    """`raw` as plain dicts without unknown fields and nulls, and the strict faults in the order of the body.

    `path` is where `raw` stands, `go_type` its type if not the one that the definition's name gives. `unstructured`
    takes the rules and words of ``runtime.DefaultUnstructuredConverter``, which reads what a strategic merge made.
    Raises :class:`TypeFault`.
    """
    inspector = _Inspector(unstructured)
    cleaned = inspector.struct(raw, of, path, _Context(go_type or f"v1.{of.struct_name}", unstructured))
    if inspector.fault:
        raise TypeFault(inspector.fault)
    found = sorted(inspector.strict) if unstructured else list(inspector.strict)
    return cleaned, found[:_MOST_STRICT_FAULTS]


def duplicates(value: Any) -> list[str]:
    """The strict faults of a body that is decoded without a type: keys that stand twice."""
    found: dict[str, None] = {}

    def walk(value: Any, path: str) -> None:
        if type(value) is gojson.Pairs:
            seen: set[str] = set()
            for key, item in value:
                place = f"{path}.{key}" if path else key
                if key in seen:
                    found[f'duplicate field "{place}"'] = None
                seen.add(key)
                walk(item, place)
        elif type(value) is list:
            for i, item in enumerate(value):
                walk(item, f"{path}[{i}]")

    walk(value, "")
    return list(found)[:_MOST_STRICT_FAULTS]


class _Context:
    """Where Go's decoder thinks it is: the struct it fills, and the fields from the top without indices and keys."""

    def __init__(self, go_type: str, unstructured: bool, struct: str = "", fields: str = "") -> None:
        self.go_type = go_type  # of the value that is expected next
        self.unstructured = unstructured
        self.struct = struct
        self.fields = fields

    def field(self, struct: str, field: Field) -> _Context:
        fields = f"{self.fields}.{field.name}" if self.fields else field.name
        return _Context(field.go_type, self.unstructured, struct, fields)

    def item(self, go_type: str) -> _Context:
        return _Context(go_type, self.unstructured, self.struct, self.fields)

    def fault(self, value: Any, kind: str, go_type: str = "", text: str = "") -> TypeFault:
        """The fault of a value where Go has a `kind`; `text` is how a number that does not fit was written."""
        if self.unstructured:
            return TypeFault(self._unstructured_fault(value, kind))
        what = f"number {text}" if text else json_type(value)
        into = f"Go struct field {self.struct}.{self.fields}" if self.struct else "Go value"
        return TypeFault(f"json: cannot unmarshal {what} into {into} of type {go_type or self.go_type}")

    def _unstructured_fault(self, value: Any, kind: str) -> str:
        given = {"object": "map", "array": "slice", "number": type(value).__name__ + "64"}.get(
            json_type(value), json_type(value))
        if kind in ("map", "slice"):
            return f"cannot restore {kind} from {given}"
        if kind == "struct":
            return f"cannot restore struct from: {given}"
        if isinstance(value, (int, float)) and not isinstance(value, bool) and kind != "bool":
            return f"cannot convert {given} to {self.go_type}"
        return f"unrecognized type: {kind}"


class _Inspector:
    def __init__(self, unstructured: bool) -> None:
        self._unstructured = unstructured
        self.strict: dict[str, None] = {}
        self.fault = ""

    def _wrong(self, fault: Exception) -> None:
        if self._unstructured:
            raise fault  # there the first fault ends it; the JSON decoder goes on and reports the first in the end
        self.fault = self.fault or str(fault)

    def _pairs(self, value: Any, path: str, known: Any = None) -> Iterator[tuple[str, Any]]:
        """The items of an object, each key once with its last value; reports duplicates and what is not `known`."""
        seen: set[str] = set()
        for key, item in value.items() if type(value) is dict else value:
            place = f"{path}.{key}" if path else key
            if known is not None and key not in known:
                self.strict[f'unknown field "{place}"'] = None
                continue
            if key in seen:
                self.strict[f'duplicate field "{place}"'] = None
            seen.add(key)
            yield key, item

    def struct(self, value: Any, of: Definition, path: str, context: _Context) -> Any:
        if value is None:
            return {}
        if not isinstance(value, (dict, gojson.Pairs)):
            self._wrong(context.fault(value, "struct"))
            return {}
        made: dict[str, Any] = {}
        for key, item in self._pairs(value, path, of.fields):
            field = of.fields[key]
            place = f"{path}.{key}" if path else key
            made[key] = self._field(item, field, place, context.field(of.struct_name, field))
        return made

    def _field(self, value: Any, field: Field, path: str, context: _Context) -> Any:
        if value is None:
            # The quantity and IntOrString of Go make something of a null; all else stays as if left out.
            return {"quantity": "0", "intorstring": 0}.get(field.type) if field.struct else None
        if field.map:
            return self._map(value, field, path, context)
        if field.list:
            return self._list(value, field, path, context)
        return self._one(value, field, path, context.item(field.go_item))

    def _map(self, value: Any, field: Field, path: str, context: _Context) -> Any:
        if not isinstance(value, (dict, gojson.Pairs)):
            self._wrong(context.fault(value, "map"))
            return {}
        convert = self._list if field.list else self._one
        return {key: convert(item, field, f"{path}.{key}", context.item(field.go_item))
                for key, item in self._pairs(value, path)}

    def _list(self, value: Any, field: Field, path: str, context: _Context) -> Any:
        if value is None:
            return []
        if type(value) is not list:
            self._wrong(context.fault(value, "slice"))
            return []
        item_context = context.item(field.go_item)
        return [self._one(item, field, f"{path}[{i}]", item_context) for i, item in enumerate(value)]

    def _one(self, value: Any, field: Field, path: str, context: _Context) -> Any:
        if not field.leaf:
            return self.struct(value, definition(field.type), path, context)
        if field.type == "any":
            return gojson.plain(value)
        if value is None:
            return {"string": "", "bytes": "", "bool": False, "quantity": "0"}.get(field.type, 0)
        try:
            return _LEAVES[field.type](value, context)
        except (TypeFault, ValueError) as fault:
            fault = TypeFault(str(fault))
            if field.type in _UNMARSHALERS:
                raise fault from None
            self._wrong(fault)
            return None


def _string(value: Any, context: _Context) -> str:
    if type(value) is not str:
        raise context.fault(value, "string")
    return value


def _bool(value: Any, context: _Context) -> bool:
    if type(value) is not bool:
        raise context.fault(value, "bool")
    return value


def _integer(value: Any, context: _Context, bits: int, go_type: str = "") -> int:
    kind = f"int{bits}"
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise context.fault(value, kind, go_type)
    least, most = values.INT32 if bits == 32 else values.INT64
    if type(value) is int and least <= value <= most:
        return value
    if context.unstructured and value == int(value):
        wrapped = int(value) & ((1 << bits) - 1)  # Go converts without a check
        return wrapped - (1 << bits) if wrapped > most else wrapped
    raise context.fault(value, kind, go_type, getattr(value, "text", None) or repr(value))


def _float(value: Any, context: _Context) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise context.fault(value, "float64")
    return float(value)


def _int_or_string(value: Any, context: _Context) -> Any:
    return value if type(value) is str else _integer(value, _own_decoder(context), 32, "int32")


def _time(value: Any, context: _Context) -> str:
    if type(value) is not str:
        raise _own_decoder(context).fault(value, "string", "string")
    return values.time(value)


def _micro_time(value: Any, context: _Context) -> str:
    if type(value) is not str:
        raise _own_decoder(context).fault(value, "string", "string")
    return values.micro_time(value)


def _own_decoder(context: _Context) -> _Context:
    """Types with an UnmarshalJSON read JSON whoever calls them; from the converter they do not know where they are."""
    return _Context(context.go_type, False) if context.unstructured else context


def _quantity(value: Any, context: _Context) -> str:
    try:
        return values.quantity(value)
    except TypeError:
        return values.quantity("x")  # Quantity parses the raw text of whatever stands there: no number


def _bytes(value: Any, context: _Context) -> str:
    if type(value) is not str:
        raise context.fault(value, "slice")
    return values.base64_bytes(value)


#: Go types with a decoder of their own: its error ends the decoding at once, before what was noted earlier.
_UNMARSHALERS = frozenset({"intorstring", "microtime", "quantity", "time"})

_LEAVES: dict[str, Any] = {
    "bool": _bool, "bytes": _bytes, "float64": _float, "intorstring": _int_or_string, "microtime": _micro_time,
    "quantity": _quantity, "string": _string, "time": _time,
    "int32": lambda value, context: _integer(value, context, 32),
    "int64": lambda value, context: _integer(value, context, 64),
}
