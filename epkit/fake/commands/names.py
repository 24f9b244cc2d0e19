"""getent and nslookup: which address is behind a name. nslookup prints as the one of BIND does."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

from epkit.fake.commands.run import Command, Run, Steps
from epkit.fake.dns import NXDOMAIN, Record, reverse_name
from epkit.fake.resolver import Found
from epkit.fake.traffic import TIMED_OUT

_TYPES = ("A", "AAAA", "CNAME", "PTR", "SRV")


def nslookup(run: Run, args: list[str]) -> Steps:
    """``nslookup [-type=SRV] NAME [SERVER]``."""
    types: tuple[str, ...] = ("A", "AAAA")
    names = []
    for arg in args:
        option, _, value = arg.partition("=")
        if option.lower() in ("-type", "-query", "-q", "-querytype") and value.upper() in _TYPES:
            types = (value.upper(),)
        elif arg.startswith("-"):
            return run.fail(f"nslookup: {arg}: the simulated nslookup takes -type= with one of {', '.join(_TYPES)}")
        else:
            names.append(arg)
    if not names:
        return run.fail("nslookup: name a host: nslookup [-type=TYPE] NAME [SERVER]")
    resolver = run.network.resolver()
    if len(names) > 1:
        server = yield from resolver.addresses(names[1], ("A",))
        if not server.addresses:
            return run.fail(f"nslookup: couldn't get address for '{names[1]}': not found")
        resolver.config = replace(resolver.config, servers=server.addresses)
    name = names[0]
    if _is_address(name):
        name, types = reverse_name(name) + ".", ("PTR",)
    found = yield from resolver.search(name, types)
    if found.failure:
        return _no_server(run, found)
    if types != ("PTR",):
        run.out(f"Server:\t\t{found.server}\nAddress:\t{found.server}#53\n\n")
    if found.code == NXDOMAIN:
        run.out(f"** server can't find {found.name}: {NXDOMAIN}\n\n")
        return 1
    records = list(dict.fromkeys(record for reply in found.replies for record in reply.records))
    if not records:
        run.out(f"*** Can't find {found.name}: No answer\n\n")
        return 0
    run.out("".join(map(_shown, records)) + "\n")
    return 0


def _no_server(run: Run, found: Found) -> int:
    if found.failure == TIMED_OUT or not found.server:
        run.out(";; connection timed out; no servers could be reached\n\n")
    else:
        run.out(f";; communications error to {found.server}#53: connection refused\n" * 3)
        run.out(";; no servers could be reached\n\n")
    return 1


def _shown(record: Record) -> str:
    match record.type:
        case "CNAME":
            return f"{record.name}\tcanonical name = {record.data}.\n"
        case "PTR":
            return f"{record.name}\tname = {record.data}.\n"
        case "SRV":
            numbers = f"{record.priority} {record.weight} {record.port}"
            return f"{record.name}\tservice = {numbers} {record.data}.\n"
    return f"Name:\t{record.name}\nAddress: {record.data}\n"


def getent(run: Run, args: list[str]) -> Steps:
    """``getent hosts NAME``."""
    if args[:1] != ["hosts"] or len(args) < 2:
        return run.fail("getent: the simulated getent knows one database: getent hosts NAME")
    code = 0
    for name in args[1:]:
        found = yield from run.network.resolver().addresses(name)
        records = [record for reply in found.replies for record in reply.records if record.type in ("A", "AAAA")]
        six = [record for record in records if record.type == "AAAA"]
        for record in six or records:
            run.out(f"{record.data:<15} {record.name or name}\n")
        code = code if records else 2
    return code


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


COMMANDS: dict[str, Command] = {"getent": getent, "nslookup": nslookup}
