"""date, env, false, hostname, id, ip, printenv, pwd, sleep, ss, true, whoami: what a container says of itself."""

from __future__ import annotations

import ipaddress
import re
from datetime import UTC, datetime

from epkit.fake import program
from epkit.fake.commands.run import Command, Run, Steps


def date(run: Run, args: list[str]) -> int:
    """The cluster's time, which is not the wall's."""
    now = datetime.fromtimestamp(run.now(), UTC)
    forms = [each[1:] for each in args if each.startswith("+")]
    form = forms[0] if forms else "%a %b %e %H:%M:%S UTC %Y"
    seconds, nanos = str(int(run.now())), f"{now.microsecond * 1000:09}"
    form = form.replace("%s", seconds).replace("%N", nanos).replace("%e", f"{now.day:>2}")
    form = form.replace("%T", "%H:%M:%S").replace("%F", "%Y-%m-%d")
    run.out(now.strftime(form) + "\n")
    return 0


def env(run: Run, args: list[str]) -> int:
    if args:
        return run.fail("env: the simulated env lists the variables; to set one, use: sh -c 'NAME=value; …'", 125)
    run.out("".join(f"{name}={value}\n" for name, value in run.env.items()))
    return 0


def printenv(run: Run, args: list[str]) -> int:
    if not args:
        return env(run, args)
    missing = False
    for name in args:
        if name in run.env:
            run.out(run.env[name] + "\n")
        else:
            missing = True
    return int(missing)


def hostname(run: Run, args: list[str]) -> int:
    name = (run.files.get("/etc/hostname") or run.env.get("HOSTNAME", "")).strip()
    match args:
        case []:
            run.out(name + "\n")
        case ["-i" | "-I" | "--ip-address" | "--all-ip-addresses"]:
            run.out(run.network.address + (" \n" if args[0] == "-I" else "\n"))
        case ["-s"]:
            run.out(name.partition(".")[0] + "\n")
        case ["-f" | "--fqdn"]:
            lines = (line.split() for line in (run.files.get("/etc/hosts") or "").splitlines())
            run.out(next((words[1] for words in lines if words[:1] == [run.network.address]), name) + "\n")
        case _:
            return run.fail("hostname: the simulated hostname takes -i, -s or -f", 4)
    return 0


def identity(run: Run, args: list[str]) -> int:
    context = run.container.spec.get("securityContext") or {}
    user, group = context.get("runAsUser", 0), context.get("runAsGroup", 0)
    if args == ["-u"]:
        run.out(f"{user}\n")
    else:
        names = ["(root)" if number == 0 else "" for number in (user, group)]
        run.out(f"uid={user}{names[0]} gid={group}{names[1]} groups={group}{names[1]}\n")
    return 0


def whoami(run: Run, args: list[str]) -> int:
    user = (run.container.spec.get("securityContext") or {}).get("runAsUser", 0)
    return _say(run, "root" if user == 0 else f"whoami: unknown uid {user}")


def ip(run: Run, args: list[str]) -> int:
    """``ip addr`` and ``ip route``, as the usual network plugins set them up."""
    words = [each for each in args if not each.startswith("-")]
    only = next((family for family in ("4", "6") if f"-{family}" in args), "")
    network = ipaddress.ip_network(run.network.node_network)
    address = run.network.address
    gateway, length = network[1], network.prefixlen
    forever = "       valid_lft forever preferred_lft forever"
    match words:
        case [what, *_] if "address".startswith(what):
            hardware = "0a:58:" + ":".join(f"{byte:02x}" for byte in ipaddress.ip_address(address).packed[-4:])
            lines = ["1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN qlen 1000"]
            lines += ["    link/loopback 00:00:00:00:00:00 brd 00:00:00:00:00:00"] * (only == "")
            lines += ["    inet 127.0.0.1/8 scope host lo", forever] * (only != "6")
            lines += ["    inet6 ::1/128 scope host", forever] * (only != "4")
            lines += ["2: eth0@if3: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP"] * (only != "6")
            lines += [f"    link/ether {hardware} brd ff:ff:ff:ff:ff:ff"] * (only == "")
            inet = f"    inet {address}/{length} brd {network[-1]} scope global eth0"
            lines += [inet, forever] * (only != "6")
        case [what, *_] if "route".startswith(what):
            lines = [f"default via {gateway} dev eth0", f"{network} dev eth0 scope link  src {address}"]
        case _:
            return run.fail("ip: the simulated ip knows: ip addr, ip route")
    return _say(run, *lines)


def ss(run: Run, args: list[str]) -> int:
    """The ports that the container listens on: ``ss -ltn``, also as netstat."""
    lines = ["State   Recv-Q  Send-Q    Local Address:Port    Peer Address:Port"]
    lines += [f"LISTEN  0       511             0.0.0.0:{port:<10}   0.0.0.0:*" for port in sorted(run.container.ports)]
    return _say(run, *lines)


def sleep(run: Run, args: list[str]) -> Steps:
    """Virtual time, as everything here."""
    if not args:
        return run.fail("sleep: missing operand")
    for word in args:
        if not re.fullmatch(r"(\d+\.?\d*|\.\d+)[smhd]?|inf(inity)?", word):
            return run.fail(f"sleep: invalid time interval '{word}'")
    yield program.duration(args)
    return 0


def _say(run: Run, *lines: str) -> int:
    run.out("".join(f"{line}\n" for line in lines))
    return 0


COMMANDS: dict[str, Command] = {
    "date": date,
    "env": env,
    "false": lambda run, args: 1,
    "hostname": hostname,
    "id": identity,
    "ip": ip,
    "netstat": ss,
    "printenv": printenv,
    "pwd": lambda run, args: _say(run, run.here),
    "sleep": sleep,
    "ss": ss,
    "true": lambda run, args: 0,
    "whoami": whoami,
}
