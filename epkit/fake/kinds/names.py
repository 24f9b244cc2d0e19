"""Names, label keys and values, port names: what Kubernetes accepts, and its words when it does not.

Every function answers with a tuple of faults, empty when there is none, as the functions of
``k8s.io/apimachinery/pkg/util/validation`` and ``pkg/api/validate/content`` do. Answers are cached: a cluster uses few
names, and uses them often.

>>> dns_label("web-1")
()
>>> dns_label("with.dot")
('must not contain dots',)
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

Faults = tuple[str, ...]

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_OLD_LABEL = "[a-z]([-a-z0-9]*[a-z0-9])?"
_KEY_NAME = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_VALUE = f"({_KEY_NAME})?"

_is_label = re.compile(_LABEL).fullmatch
_is_subdomain = re.compile(_SUBDOMAIN).fullmatch
_is_old_label = re.compile(_OLD_LABEL).fullmatch
_is_key_name = re.compile(_KEY_NAME).fullmatch
_is_value = re.compile(_VALUE).fullmatch
_is_port_charset = re.compile("[-a-z0-9]+").fullmatch
_has_letter = re.compile("[a-z]").search
_is_config_key = re.compile("[-._a-zA-Z0-9]+").fullmatch


def _pattern(text: str, pattern: str, *examples: str) -> str:
    """``RegexError``: the two blanks before each "or" are upstream's."""
    shown = "".join(
        f"'{example}', " + (" or " if number + 1 < len(examples) else "") for number, example in enumerate(examples)
    )
    return f"{text} (e.g. {shown}regex used for validation is '{pattern}')"


_LABEL_FAULT = _pattern(
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character",
    _LABEL,
    "my-name",
    "123-abc",
)
_SUBDOMAIN_FAULT = _pattern(
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character",
    _SUBDOMAIN,
    "example.com",
)
_OLD_LABEL_FAULT = _pattern(
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character",
    _OLD_LABEL,
    "my-name",
    "abc-123",
)
_KEY_FAULT = _pattern(
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
    _KEY_NAME,
    "MyName",
    "my.name",
    "123-abc",
)
_VALUE_FAULT = _pattern(
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character",
    _VALUE,
    "MyValue",
    "my_value",
    "12345",
)
_CONFIG_KEY_FAULT = _pattern(
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
    "[-._a-zA-Z0-9]+",
    "key.name",
    "KEY_NAME",
    "key-name",
)


def _at_most(length: int) -> str:
    return f"must be no more than {length} characters"


@lru_cache(maxsize=4096)
def dns_label(value: str) -> Faults:
    """An RFC 1123 label: at most 63 characters, no dots."""
    faults = (_at_most(63),) if len(value) > 63 else ()
    if _is_label(value):
        return faults
    return (*faults, "must not contain dots" if _is_subdomain(value) else _LABEL_FAULT)


@lru_cache(maxsize=16384)
def dns_subdomain(value: str) -> Faults:
    """An RFC 1123 subdomain: labels joined by dots, at most 253 characters."""
    faults = (_at_most(253),) if len(value) > 253 else ()
    return faults if _is_subdomain(value) else (*faults, _SUBDOMAIN_FAULT)


@lru_cache(maxsize=1024)
def dns_1035_label(value: str) -> Faults:
    """A label that starts with a letter."""
    faults = (_at_most(63),) if len(value) > 63 else ()
    return faults if _is_old_label(value) else (*faults, _OLD_LABEL_FAULT)


@lru_cache(maxsize=4096)
def label_key(value: str) -> Faults:
    """A label key, also called a qualified name: ``name`` or ``example.com/name``."""
    faults: list[str] = []
    prefix, slash, name = value.partition("/")
    if not slash:
        name = value
    elif "/" in name:
        return (
            f"a valid label key {_KEY_FAULT} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
        )
    elif not prefix:
        faults.append("prefix part must be non-empty")
    else:
        faults += ["prefix part " + fault for fault in dns_subdomain(prefix)]
    if not name:
        faults.append("name part must be non-empty")
    elif len(name) > 63:
        faults.append("name part " + _at_most(63))
    if not _is_key_name(name):
        faults.append("name part " + _KEY_FAULT)
    return tuple(faults)


@lru_cache(maxsize=16384)
def label_value(value: str) -> Faults:
    faults = (_at_most(63),) if len(value) > 63 else ()
    return faults if _is_value(value) else (*faults, _VALUE_FAULT)


@lru_cache(maxsize=1024)
def port_name(value: str) -> Faults:
    """The name of a container port (an IANA service name): at most 15 characters, one of them a letter."""
    faults = []
    if len(value) > 15:
        faults.append(_at_most(15))
    if not _is_port_charset(value):
        faults.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not _has_letter(value):
        faults.append("must contain at least one letter (a-z)")
    if "--" in value:
        faults.append("must not contain consecutive hyphens")
    if value and "-" in (value[0], value[-1]):
        faults.append("must not begin or end with a hyphen")
    return tuple(faults)


def port_number(value: int) -> Faults:
    return () if 1 <= value <= 65535 else ("must be between 1 and 65535, inclusive",)


@lru_cache(maxsize=1024)
def config_map_key(value: str) -> Faults:
    """A key of a ConfigMap or Secret, which becomes a file name."""
    faults = []
    if len(value) > 253:
        faults.append(_at_most(253))
    if not _is_config_key(value):
        faults.append(_CONFIG_KEY_FAULT)
    if value == ".":
        faults.append("must not be '.'")
    elif value == "..":
        faults.append("must not be '..'")
    elif value.startswith(".."):
        faults.append("must not start with '..'")
    return tuple(faults)


def _name_rule(rule: Callable[[str], Faults]) -> Callable[[str, bool], list[str]]:
    def check(name: str, is_prefix: bool = False) -> list[str]:
        if is_prefix and len(name) > 1 and name.endswith("-"):
            name = name[:-2] + "a"  # a prefix may end in a dash; the letter that follows makes it a name
        return list(rule(name))

    return check


#: rules for ``metadata.name``: (name, is it a generateName prefix?) -> faults
name_is_label = _name_rule(dns_label)
name_is_subdomain = _name_rule(dns_subdomain)
name_is_1035_label = _name_rule(dns_1035_label)
