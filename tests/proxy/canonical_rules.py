"""Bring rules into the canonical form of the recordings: see recordings/README.md."""

from __future__ import annotations

import re

ANY_ORDER = {"KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-EXTERNAL-SERVICES", "KUBE-PROXY-FIREWALL"}
SERVICE_PORT = re.compile(r'--comment "([^" ]+/[^" ]+)')
BLOCK = re.compile(r"\t(chain|map|set) ")
BLOCK_ORDER = {"set": 0, "map": 1, "chain": 2}


def _service_port(rule: str) -> str:
    found = SERVICE_PORT.search(rule)
    return found[1] if found else "~"


def iptables(text: str) -> str:
    """Chains sorted; rules in their order, grouped by service port where kube-proxy's order is random."""
    out: list[str] = []
    table, chains = "", dict[str, tuple[str, list[str]]]()
    for line in map(str.rstrip, text.splitlines()):
        if line.startswith("*"):
            table, chains = line, {}
        elif line.startswith(":"):
            name, policy, *_ = line[1:].split()
            chains[name] = (policy, [])
        elif line.startswith("-A"):
            chains[line.split()[1]][1].append(line)
        elif line == "COMMIT":
            out += [table, *(f":{name} {chains[name][0]}" for name in sorted(chains))]
            for name in sorted(chains):
                rules = chains[name][1]
                out += sorted(rules, key=_service_port) if name in ANY_ORDER else rules
            out.append("COMMIT")
    return "\n".join(out) + "\n"


def nft(text: str) -> str:
    """Sets, maps and chains sorted; elements one a line and sorted; rules in their order."""
    lines = text.splitlines()
    blocks: dict[str, list[str]] = {}
    loose: list[str] = []
    current: str | None = None
    i = 1
    while i < len(lines):
        line = lines[i]
        if current is None and BLOCK.match(line):
            current = line.strip()[:-2]
            blocks[current] = []
        elif line == "\t}":
            current = None
        elif current is not None and line.strip().startswith("elements = {"):
            elements = line.strip()[len("elements = {") :]
            while not elements.rstrip().endswith("}"):
                i += 1
                elements += " " + lines[i].strip()
            parts = sorted(part.strip() for part in re.split(r",\s+", elements.rstrip()[:-1].strip()) if part.strip())
            blocks[current] += ["\t\telements = {", *("\t\t\t" + part for part in parts), "\t\t}"]
        elif current is not None:
            blocks[current].append(line)
        elif line.strip() and line != "}":
            loose.append(line)
        i += 1
    out = [lines[0], *loose]
    for name in sorted(blocks, key=lambda block: (BLOCK_ORDER[block.split()[0]], block)):
        out += ["\t" + name + " {", *blocks[name], "\t}"]
    return "\n".join([*out, "}"]) + "\n"
