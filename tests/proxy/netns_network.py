"""A node, pods and the rest of the world, as network namespaces with the addresses of the recordings.

    pods 10.244.1.2, .3, .100 ──veth──┐
                                      node-1 172.31.254.11 ──veth── world: pods of other nodes, machines outside
    rpod 10.244.2.9 ────────veth──────┘

Each pod's gateway is 10.244.1.1. "rpod" is the client on another node: it has a wire of its own, so that what answers
it passes node-1 again.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

AGENT = Path(__file__).with_name("netns_agent.py")
PODS = {"p2": "1.2", "p3": "1.3", "pod": "1.100", "rpod": "2.9"}
WORLD = [
    *("10.244.2.2", "10.244.3.2", "10.244.3.3", "192.0.2.10", "192.0.2.11"),
    *("198.51.100.7", "198.51.100.99", "fd00:10:244:2::2", "fd00:10:244:3::2", "2001:db8:1::7"),
]
NODE = ["172.31.254.11", "fd00:254::11"]
#: What outsiders reach through node-1, and what nobody but its rules knows.
SERVICE_RANGES = ["10.96.0.0/16", "203.0.113.0/24", "fd00:10:96::/112"]
PORTS = [8080, 8443, 5353]


def addresses_of(number: str) -> tuple[str, str]:
    """A pod's addresses: "1.2" -> 10.244.1.2 and fd00:10:244:1::2."""
    return f"10.244.{number}", f"fd00:10:244:{number.replace('.', '::')}"


class Network:
    """A context manager: namespaces that are its own, with an agent in each, all gone at the end."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.names = ["node", "world", *PODS]
        self.agents: dict[str, subprocess.Popen[str]] = {}

    def run(self, name: str, command: str, text: str = "") -> str:
        whole = ["ip", "netns", "exec", self.prefix + name, *command.split()]
        done = subprocess.run(whole, input=text, capture_output=True, text=True, timeout=30)
        if done.returncode:
            raise RuntimeError(f"{command}: {done.stderr}")
        return done.stdout

    def __enter__(self) -> Network:
        try:
            for name in self.names:
                subprocess.run(["ip", "netns", "add", self.prefix + name], check=True)
            self._build()
            self._start_agents()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for agent in self.agents.values():
            agent.kill()
            agent.wait()
        for name in self.names:
            subprocess.run(["ip", "netns", "delete", self.prefix + name], capture_output=True)

    def _ip(self, name: str, *commands: str) -> None:
        """Run ``ip`` commands; those that begin with "-6 " in one call of ``ip -6``, after the others."""
        for option, chosen in (
            ("", [c for c in commands if not c.startswith("-6 ")]),
            ("-6 ", [c.removeprefix("-6 ") for c in commands if c.startswith("-6 ")]),
        ):
            if chosen:
                self.run(name, f"ip {option}-batch -", "\n".join(chosen) + "\n")

    def _sysctl(self, name: str, *settings: str) -> None:
        for setting in settings:
            key, _, value = setting.partition("=")
            self.run(name, f"tee /proc/sys/{key.replace('.', '/')}", value)

    def _veth(self, one: str, one_device: str, other: str, other_device: str) -> None:
        self._ip(one, f"link add {one_device} type veth peer name {other_device} netns {self.prefix}{other}")

    def _build(self) -> None:
        for name in self.names:
            self._sysctl(name, "net.ipv6.conf.default.accept_dad=0", "net.ipv6.conf.all.accept_dad=0")
            self._ip(name, "link set lo up")
        routing = ("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", "net.ipv4.conf.all.rp_filter=0")
        self._sysctl("node", *routing, "net.ipv4.conf.default.rp_filter=0", "net.ipv4.conf.all.route_localnet=1")
        self._sysctl("world", *routing, "net.ipv4.icmp_ratelimit=0", "net.ipv6.icmp.ratelimit=0")
        self._sysctl("node", "net.ipv4.icmp_ratelimit=0", "net.ipv6.icmp.ratelimit=0")

        self._veth("node", "eth0", "world", "eth0")
        self._ip(
            "node",
            "address add 172.31.254.11/24 dev eth0",
            "address add fd00:254::11/64 dev eth0 nodad",
            "link set eth0 up",
            "route add default via 172.31.254.1",
        )
        self._ip(
            "world",
            "address add 172.31.254.1/24 dev eth0",
            "address add fd00:254::1/64 dev eth0 nodad",
            "link set eth0 up",
            *(f"address add {ip}/{128 if ':' in ip else 32} dev lo" for ip in WORLD),
            *(
                f"route add {cidr} via 172.31.254.11"
                for cidr in ("10.244.1.0/24", "10.244.2.9/32", *SERVICE_RANGES)
                if ":" not in cidr
            ),
        )
        self._ip("node", "-6 route add default via fd00:254::1")
        via = [cidr for cidr in ("fd00:10:244:1::/64", *SERVICE_RANGES) if ":" in cidr]
        self._ip("world", *(f"-6 route add {cidr} via fd00:254::11" for cidr in via))
        # What the node sends on with a service's address still in it ends here, with "host unreachable".
        for cidr in SERVICE_RANGES:
            six = "-6 " if ":" in cidr else ""
            self._ip("world", f"{six}rule add iif eth0 to {cidr} unreachable")

        for pod, number in PODS.items():
            self._veth("node", f"v{pod}", pod, "eth0")
            v4, v6 = addresses_of(number)
            self._ip(
                "node",
                f"address add 10.244.1.1/32 dev v{pod}",
                f"address add fd00:10:244:1::1/128 dev v{pod} nodad",
                f"link set v{pod} up",
                f"route add {v4}/32 dev v{pod}",
                f"-6 route add {v6}/128 dev v{pod}",
            )
            self._ip(
                pod,
                f"address add {v4}/32 dev eth0",
                f"address add {v6}/128 dev eth0 nodad",
                "link set eth0 up",
                "route add 10.244.1.1/32 dev eth0",
                "route add default via 10.244.1.1",
                "-6 route add fd00:10:244:1::1/128 dev eth0",
                "-6 route add default via fd00:10:244:1::1",
            )

    def _start_agents(self) -> None:
        addresses = {"node": NODE, "world": [ip for ip in WORLD if not ip.startswith("198.51.100.")]}
        addresses |= {pod: list(addresses_of(number)) for pod, number in PODS.items()}
        for name in self.names:
            command = ["ip", "netns", "exec", self.prefix + name, sys.executable, str(AGENT)]
            command += [json.dumps(addresses[name]), json.dumps(PORTS)]
            self.agents[name] = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for name, agent in self.agents.items():
            assert agent.stdout is not None
            if agent.stdout.readline() != "ready\n":
                raise RuntimeError(f"the agent in {name} did not start")

    def connect(self, where: str, src: str | None, dst: str, port: int, proto: str, n: int) -> list[Any]:
        """Connect `n` times, one after the other, and return what each got. It stops where one failed."""
        agent = self.agents[where]
        assert agent.stdin is not None and agent.stdout is not None
        agent.stdin.write(json.dumps({"src": src, "dst": dst, "port": port, "proto": proto, "n": n}) + "\n")
        agent.stdin.flush()
        return json.loads(agent.stdout.readline())
