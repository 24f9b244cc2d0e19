"""The form in which the API server gives an object back: the compiled decoders of :mod:`.decode`.

For each definition there is one function, made when it is first used. It takes a decoded JSON object and returns a new
one as it would come back from a round trip through the Go types and through protobuf, in which etcd keeps them: without
nulls, empty lists, empty maps and zero values that have ``omitempty``, and with everything that has not.

A function raises :class:`Odd`, KeyError, TypeError or ValueError for anything that is not plainly right, and leaves it
to :mod:`.faults` to find out what that is.
"""
from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from epkit.fake.wire import schema, values

Obj = dict[str, Any]
Convert = Callable[[Any], Any]


class Odd(Exception):
    """Something that the fast way does not take: look closer."""


def _string(value: Any) -> str:
    if type(value) is not str:
        raise Odd
    return value


def _bool(value: Any) -> bool:
    if type(value) is not bool:
        raise Odd
    return value


def _integer(bounds: tuple[int, int]) -> Convert:
    least, most = bounds

    def convert(value: Any) -> int:
        if type(value) is not int or not least <= value <= most:
            raise Odd
        return value

    return convert


def _float(value: Any) -> float:
    if type(value) not in (int, float):
        raise Odd
    return float(value)


def _any(value: Any) -> Any:
    return value


_LEAF_DECODERS: dict[str, Convert] = {
    "any": _any, "bool": _bool, "bytes": values.base64_bytes, "float64": _float, "int32": _integer(values.INT32),
    "int64": _integer(values.INT64), "intorstring": values.int_or_string, "microtime": values.micro_time,
    "quantity": values.quantity, "string": _string, "time": values.time,
}


def _list_of(convert: Convert) -> Convert:
    def decode(value: Any) -> Any:
        if type(value) is not list:
            raise Odd
        return [convert(item) for item in value]

    return decode


def _map_of(convert: Convert) -> Convert:
    def decode(value: Any) -> Any:
        if type(value) is not dict:
            raise Odd
        return {key: convert(item) for key, item in value.items()}

    return decode


def _fielddecoder(field: schema.Field) -> Convert:
    convert = _LEAF_DECODERS.get(field.type) or decoder(field.type)
    if field.list:
        convert = _list_of(convert)
    return _map_of(convert) if field.map else convert


def _zero(field: schema.Field) -> Callable[[], Any]:
    """Makes what Go writes for the field when nothing was given."""
    if field.pointer or field.list or field.map or field.type in ("any", "bytes", "time", "microtime"):
        return lambda: None
    if not field.leaf:
        decode = decoder(field.type)
        return lambda: decode({})
    value = {"string": "", "bool": False, "quantity": "0"}.get(field.type, 0)
    return lambda: value


@cache
def decoder(name: str) -> Convert:
    """The function that decodes a dict as the definition `name`."""
    fields = schema.definition(name).fields.values()
    table: dict[str, tuple[Convert, bool]] = {}
    always: dict[str, Callable[[], Any]] = {}
    for field in fields:
        drops_empty = not field.pointer and not field.struct and field.type != "any"
        table[field.name] = (_fielddecoder(field), drops_empty)
        if field.zero:
            continue
        if not field.omit or field.struct or (field.type == "any" and not field.pointer):
            always[field.name] = _zero(field)

    def decode(value: Any) -> Obj:
        if type(value) is not dict:
            raise Odd
        made: Obj = {}
        for key, item in value.items():
            convert, drops_empty = table[key]
            if item is None:
                continue
            if convert is _string:
                if type(item) is not str:
                    raise Odd
            else:
                item = convert(item)
            if item or not drops_empty:
                made[key] = item
        for key, zero in always.items():
            if key not in made:
                made[key] = zero()
        return made

    return decode
