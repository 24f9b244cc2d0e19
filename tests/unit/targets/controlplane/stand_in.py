"""Stand-ins for the four programs of a control plane: as processes they behave as the real ones do.

Run as ``stand_in.py NAME FLAGS…``. A flag that the real program does not have ends it with the real one's words. They
listen where they are told, over TLS with the certificates they are given, let in whom the real ones let in, need each
other as the real ones do, and end on SIGTERM. Behind kube-apiserver there is the built-in API with its controllers.
"""

from __future__ import annotations

import http.client
import http.server
import json
import os
import signal
import socket
import ssl
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import yaml

#: the flags of Kubernetes v1.36 and etcd 3.6 that a cluster of one machine may need
_SERVING = {"bind-address", "secure-port", "tls-cert-file", "tls-private-key-file", "cert-dir"}
_COMPONENT = _SERVING | {"authentication-kubeconfig", "authorization-kubeconfig", "kubeconfig", "leader-elect", "v"}
FLAGS = {
    "etcd": {
        "name", "data-dir", "listen-client-urls", "advertise-client-urls", "listen-peer-urls",
        "initial-advertise-peer-urls", "initial-cluster", "client-cert-auth", "trusted-ca-file", "cert-file",
        "key-file", "peer-client-cert-auth", "peer-trusted-ca-file", "peer-cert-file", "peer-key-file",
        "unsafe-no-fsync",
    },
    "kube-apiserver": _SERVING | {
        "advertise-address", "allow-privileged", "authorization-mode", "client-ca-file", "etcd-cafile", "etcd-certfile",
        "etcd-keyfile", "etcd-servers", "service-account-issuer", "service-account-key-file",
        "service-account-signing-key-file", "service-cluster-ip-range", "audit-log-path", "audit-policy-file", "v",
    },
    "kube-controller-manager": _COMPONENT | {
        "allocate-node-cidrs", "controllers", "use-service-account-credentials", "root-ca-file",
        "service-account-private-key-file", "kube-api-qps", "kube-api-burst", "max-endpoints-per-slice",
        "endpointslice-updates-batch-period", "endpoint-updates-batch-period", "mirroring-max-endpoints-per-subset",
        "node-monitor-grace-period",
    },
    "kube-scheduler": _COMPONENT,
}  # fmt: skip
#: kube-apiserver: these may not be missing
NEEDED = ("etcd-servers", "service-account-issuer", "service-account-key-file", "service-account-signing-key-file")


def parse(name: str, words: list[str]) -> dict[str, str]:
    flags = {}
    for word in words:
        flag, equals, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or flag not in FLAGS[name]:
            stop(f"unknown flag: --{flag}")
        flags[flag] = value if equals else "true"
    return flags


def stop(why: str) -> None:
    print(f"Error: {why}", file=sys.stderr, flush=True)
    sys.exit(1)


def listener(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port))
    except OSError:
        stop(f"listen tcp {host}:{port}: bind: address already in use")
        raise


def tls(certificate: str, key: str, clients: str = "") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    if clients:
        context.load_verify_locations(clients)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def serve(at: socket.socket, context: ssl.SSLContext, answers: dict[str, str]) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            text = answers.get(self.path)
            self.send_response(404 if text is None else 200)
            self.end_headers()
            self.wfile.write((text or "not found").encode())

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(at.getsockname()[:2], Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = context.wrap_socket(at, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def ask(url: str, path: str, ca: str, certificate: str, key: str) -> int:
    context = ssl.create_default_context(cafile=ca)
    context.load_cert_chain(certificate, key)
    parts = urlsplit(url)
    connection = http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=5, context=context)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError as error:
        stop(f"{url}: {error}")
        raise
    finally:
        connection.close()


def etcd(flags: dict[str, str]) -> None:
    if flags["initial-cluster"] != f"default={flags['initial-advertise-peer-urls']}":
        stop("--initial-cluster has no --initial-advertise-peer-urls")
    Path(flags["data-dir"]).mkdir(mode=0o700)  # real ones refuse a used one with other ports
    for kind, prefix in (("client", ""), ("peer", "peer-")):
        url = urlsplit(flags[f"listen-{kind}-urls"])
        if flags[f"{prefix}client-cert-auth"] != "true":
            stop("this stand-in wants to be protected")
        context = tls(flags[f"{prefix}cert-file"], flags[f"{prefix}key-file"], flags[f"{prefix}trusted-ca-file"])
        at = listener(url.hostname or "", url.port or 0)
        serve(at, context, {"/health": '{"health":"true","reason":""}'} if kind == "client" else {})


def component(name: str, flags: dict[str, str]) -> None:
    config = yaml.safe_load(Path(flags["kubeconfig"]).read_text())
    server = config["clusters"][0]["cluster"]["server"]
    folder = Path(os.environ["STAND_IN_FOLDER"])
    files = []
    for what in (config["clusters"][0]["cluster"], config["users"][0]["user"]):
        for field, data in what.items():
            if field.endswith("-data"):
                import base64

                file = folder / f"{name}-{field}"
                file.write_bytes(base64.b64decode(data))
                files.append(str(file))
    if ask(server, "/api/v1/namespaces", *files) != 200:
        stop("the API server does not let me in")
    serve(
        listener(flags["bind-address"], int(flags["secure-port"])),
        tls(flags["tls-cert-file"], flags["tls-private-key-file"]),
        {"/healthz": "ok"},
    )


def kube_apiserver(flags: dict[str, str]) -> None:
    from epkit.fake.pace import Realtime
    from epkit.fake.plane import Plane
    from epkit.fake.server import Server

    for needed in NEEDED:
        if not flags.get(needed):
            stop(f"{needed} is a required flag")
    if flags["bind-address"] != "127.0.0.1" or flags["advertise-address"].startswith("127."):
        stop("bind-address and advertise-address")
    keys = flags["etcd-cafile"], flags["etcd-certfile"], flags["etcd-keyfile"]
    if ask(flags["etcd-servers"], "/health", *keys) != 200:
        stop("etcd is not healthy")
    for file in (flags["service-account-key-file"], flags["service-account-signing-key-file"]):
        if "KEY-----" not in Path(file).read_text():
            stop(f"{file} holds no key")
    if audit := flags.get("audit-log-path"):
        if yaml.safe_load(Path(flags["audit-policy-file"]).read_text())["kind"] != "Policy":
            stop("audit-policy-file")
        Path(audit).write_text('{"kind":"Event"}\n')

    class Authenticated(Server):
        def _admit(self, path, headers):
            return path, None  # who has a certificate gets in

    at = {"advertise_address": flags["advertise-address"], "secure_port": int(flags["secure-port"])}
    slices = {"max_endpoints_per_slice": int(os.environ.get("STAND_IN_SLICE", "100"))}
    plane = Plane(start=time.time(), flags={"kubernetes-service-controller": at, "endpointslice-controller": slices})
    plane.set_pace(Realtime(time.time, plane.clock.now))
    listener("127.0.0.1", int(flags["secure-port"])).close()
    server = Authenticated(plane, int(flags["secure-port"]))
    config = server._uvicorn.config
    config.ssl_certfile, config.ssl_keyfile = flags["tls-cert-file"], flags["tls-private-key-file"]
    config.ssl_ca_certs, config.ssl_cert_reqs = flags["client-ca-file"], ssl.CERT_REQUIRED
    server.start()


def main() -> None:
    name, *words = sys.argv[1:]
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    flags = parse(name, words)
    folder = Path(os.environ["STAND_IN_FOLDER"])
    folder.joinpath(f"{name}.json").write_text(json.dumps(flags))
    if name == os.environ.get("STAND_IN_FAILS"):
        print("I0101 00:00:00 starting\nE0101 00:00:01 something is wrong here", file=sys.stderr)
        sys.exit(3)
    if name == "etcd":
        etcd(flags)
    elif name == "kube-apiserver":
        kube_apiserver(flags)
    else:
        component(name, flags)
    ended.wait()
    os._exit(0)


if __name__ == "__main__":
    main()
