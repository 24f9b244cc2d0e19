"""Runs inside a network namespace: answers on its addresses, and connects where it is told.

    python netns_agent.py '["10.244.2.2", "10.244.3.2"]' '[8080, 8443]'

Every listener answers with "its own address and port|the client's address". On the standard input come JSON lines
{"src", "dst", "port", "proto", "n"}; for each, one line goes out: a list with the answer of every connection, or
"refused", "timeout", "unreachable".
"""

from __future__ import annotations

import errno
import json
import socket
import sys
import threading

TIMEOUT = 0.4
KINDS = {"TCP": socket.SOCK_STREAM, "UDP": socket.SOCK_DGRAM}


def made_socket(address: str, kind: int) -> socket.socket:
    return socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)


def text_of(address: tuple) -> str:
    return f"[{address[0]}]:{address[1]}" if ":" in address[0] else f"{address[0]}:{address[1]}"


def serve_tcp(listener: socket.socket) -> None:
    while True:
        connection, peer = listener.accept()
        connection.sendall(f"{text_of(connection.getsockname())}|{peer[0]}".encode())
        connection.close()


def serve_udp(listener: socket.socket) -> None:
    while True:
        _, peer = listener.recvfrom(100)
        listener.sendto(f"{text_of(listener.getsockname())}|{peer[0]}".encode(), peer)


def listen(address: str, port: int) -> None:
    for kind, serve in ((socket.SOCK_STREAM, serve_tcp), (socket.SOCK_DGRAM, serve_udp)):
        listener = made_socket(address, kind)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        if kind == socket.SOCK_STREAM:
            listener.listen(64)
        threading.Thread(target=serve, args=(listener,), daemon=True).start()


def connect(src: str | None, dst: str, port: int, proto: str) -> str:
    client = made_socket(dst, KINDS[proto])
    client.settimeout(TIMEOUT)
    try:
        if src:
            client.bind((src, 0))
        client.connect((dst, port))
        if proto == "UDP":
            client.send(b"?")
        return client.recv(200).decode()
    except TimeoutError:
        return "timeout"
    except OSError as error:
        if error.errno in (errno.ECONNREFUSED, errno.EPERM):  # a node's own datagram that is rejected: EPERM
            return "refused"
        if error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH):
            return "unreachable"
        raise
    finally:
        client.close()


def main() -> None:
    for address in json.loads(sys.argv[1]):
        for port in json.loads(sys.argv[2]):
            listen(address, port)
    print("ready", flush=True)
    for line in sys.stdin:
        told = json.loads(line)
        answers: list[str] = []
        for _ in range(told["n"]):
            answers.append(connect(told["src"], told["dst"], told["port"], told["proto"]))
            if "|" not in answers[-1]:
                break
        print(json.dumps(answers), flush=True)


if __name__ == "__main__":
    main()
