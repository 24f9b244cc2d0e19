"""Reads the Go struct types out of a Go program: names, JSON tags and field types, from its run-time type information.

The OpenAPI documents of Kubernetes do not say which fields are pointers, which carry ``omitempty``, and what a field's
Go type is called. A released kubectl knows all of it, because Go keeps it for reflection. Layout: Go 1.24's
``internal/abi/type.go`` and ``runtime/symtab.go``.
"""
from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

_KINDS = {
    1: "bool", 2: "int", 3: "int8", 4: "int16", 5: "int32", 6: "int64", 7: "uint", 8: "uint8", 9: "uint16",
    10: "uint32", 11: "uint64", 13: "float32", 14: "float64", 20: "interface", 24: "string",
}
_ARRAY, _MAP, _POINTER, _SLICE, _STRUCT = 17, 21, 22, 23, 25


@dataclass(frozen=True)
class Field:
    name: str
    tag: str
    type: int  # the address of the type
    embedded: bool


class Program:
    """The types of one Linux/amd64 ELF program built by Go 1.21 or newer, without position independence."""

    def __init__(self, path: Path) -> None:
        self._data = path.read_bytes()
        self._sections = self._read_sections()
        self._types, self._etypes, links = self._module_data()
        self.pointer_types = [self._types + offset for offset in links]

    def _read_sections(self) -> dict[str, tuple[int, int, int]]:
        (table,) = struct.unpack_from("<Q", self._data, 40)
        size, count, names = struct.unpack_from("<HHH", self._data, 58)
        raw = [struct.unpack_from("<IIQQQQ", self._data, table + i * size) for i in range(count)]
        at = raw[names][4]
        sections = {}
        for name, _, _, address, offset, length in raw:
            end = self._data.index(b"\0", at + name)
            sections[self._data[at + name:end].decode()] = (address, offset, length)
        return sections

    def _offset(self, address: int) -> int:
        for start, offset, length in self._sections.values():
            if start and start <= address < start + length:
                return offset + address - start
        raise ValueError(f"address {address:#x} lies in no section")

    def _word(self, address: int) -> int:
        (word,) = struct.unpack_from("<Q", self._data, self._offset(address))
        return int(word)

    def _module_data(self) -> tuple[int, int, list[int]]:
        pclntab = self._sections[".gopclntab"][0]
        link_address, link_offset, link_length = self._sections[".typelink"]
        rodata = self._sections[".rodata"][0]
        needle = struct.pack("<Q", pclntab)
        at = self._data.find(needle)
        while at >= 0:
            words = struct.unpack_from("<80Q", self._data, at)
            for i in range(20, 60):  # types, etypes, rodata, gofunc, textsectmap (3), typelinks (3)
                if words[i + 7] == link_address and words[i + 2] == rodata:
                    links = struct.unpack_from(f"<{link_length // 4}i", self._data, link_offset)
                    return words[i], words[i + 1], list(links)
            at = self._data.find(needle, at + 8)
        raise ValueError("no Go module data found: is this a Go program?")

    def _name(self, address: int) -> tuple[str, str, bool]:
        at = self._offset(address)
        flags = self._data[at]
        length, at = self._varint(at + 1)
        name = self._data[at:at + length].decode()
        tag = ""
        if flags & 2:
            tag_length, start = self._varint(at + length)
            tag = self._data[start:start + tag_length].decode()
        return name, tag, bool(flags & 8)

    def _varint(self, at: int) -> tuple[int, int]:
        value = shift = 0
        while True:
            byte = self._data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value, at

    def kind(self, address: int) -> int:
        return self._data[self._offset(address) + 23] & 0x1F

    def name(self, address: int) -> str:
        """The type's name as Go prints it: ``v1.Protocol``, ``[]v1.ServicePort``, ``*int32``."""
        at = self._offset(address)
        (offset,) = struct.unpack_from("<i", self._data, at + 40)
        name = self._name(self._types + offset)[0]
        return name[1:] if self._data[at + 20] & 2 else name  # the flag: an extra star stands in front

    def base(self, address: int) -> str:
        """The underlying kind: ``string``, ``int32``, ``struct``, ``slice``, ``map``, ``pointer``, ..."""
        kind = self.kind(address)
        return {_ARRAY: "array", _MAP: "map", _POINTER: "pointer", _SLICE: "slice", _STRUCT: "struct"}.get(
            kind, _KINDS.get(kind, f"kind {kind}"))

    def element(self, address: int) -> int:
        """What a pointer, slice or map holds."""
        return self._word(address + (56 if self.kind(address) == _MAP else 48))

    def package(self, address: int) -> str:
        """The import path of a struct type's package, or "" where it has no unexported field or no name."""
        offset = struct.unpack_from("<i", self._data, self._offset(address) + 80)[0]
        if not self._data[self._offset(address) + 20] & 1:
            return ""
        return self._name(self._types + offset)[0] if offset else ""

    def fields(self, address: int) -> list[Field]:
        start, count = self._word(address + 56), self._word(address + 64)
        found = []
        for i in range(count):
            name, tag, embedded = self._name(self._word(start + 24 * i))
            found.append(Field(name, tag, self._word(start + 24 * i + 8), embedded))
        return found

    def structs(self) -> dict[str, int]:
        """``import/path.Name`` -> the address of each named struct type that some pointer type refers to."""
        found: dict[str, int] = {}
        seen: set[int] = set()
        queue = list(self.pointer_types)
        while queue:
            address = queue.pop()
            if address in seen or not self._types <= address < self._etypes:
                continue
            seen.add(address)
            base = self.base(address)
            if base in ("pointer", "slice", "map"):
                queue.append(self.element(address))
            elif base == "struct":
                package = self.package(address)
                if package:
                    found[f"{package}.{self.name(address).split('.', 1)[-1]}"] = address
                queue.extend(field.type for field in self.fields(address))
        return found
