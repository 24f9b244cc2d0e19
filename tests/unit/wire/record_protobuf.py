"""Records what a real kubectl sends as protobuf, into ``protobuf_bodies.json``. Run by hand, not by the tests.

    python tests/unit/wire/record_protobuf.py /path/to/kubectl

A small server answers discovery and OpenAPI as the fake does, keeps the body of each POST, and says 201 to all. Beside
each body stands what the same kubectl prints for the same command with ``--dry-run=client -o json``, where it can.
"""
from __future__ import annotations

import base64
import json
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from epkit.fake import kinds
from epkit.fake.wire import discovery, openapi

COMMANDS = [
    "create deployment my-deployment --image=nginx --replicas=2 --port=80",
    "create service clusterip web --tcp=80:8080 --tcp=443",
    "create service nodeport web --tcp=80:http --node-port=30080",
    "create service loadbalancer web --tcp=80",
    "create service externalname web --external-name=example.com",
    "create namespace demo",
    "create configmap settings --from-literal=colour=red --from-file=logo=BINARY",
    "create secret generic token --from-literal=password=secret",
    "create serviceaccount robot",
    "create job once --image=busybox -- echo hello",
    "create poddisruptionbudget budget --selector=app=web --min-available=50%",
    "create poddisruptionbudget budget --selector=app=web --max-unavailable=1",
]
WITHOUT_DRY_RUN = [
    "auth can-i list pods --namespace demo",
    "auth can-i get /healthz",
    "auth can-i --list",
    "auth whoami",
    "create token robot --duration=10m",
]


class _Recorder(BaseHTTPRequestHandler):
    bodies: list[tuple[str, bytes]] = []
    _discovery = discovery.Discovery(kinds.KINDS)

    def do_GET(self) -> None:
        path = self.path.split("?", 1)[0]
        found = self._discovery.answer(path, self.headers.get("Accept", ""))
        if found is None:
            document = openapi.document(path, kinds.KINDS)
            found = (document, "application/json") if document is not None else None
        if path == "/version":
            found = (b'{"major":"1","minor":"36","gitVersion":"v1.36.2"}', "application/json")
        self._answer(200 if found else 404, *(found or (b"{}", "application/json")))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Content-Type"] == "application/vnd.kubernetes.protobuf":
            self.bodies.append((self.path.split("?", 1)[0], body))
        self._answer(201, b'{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Success"}', "application/json")

    def _answer(self, code: int, body: bytes, content_type: str) -> None:
        self.send_response(code)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def main(kubectl: str) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Recorder)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        binary = Path(folder) / "binary"
        binary.write_bytes(b"\x00\x01\xfe\xff")

        def run(command: str, *more: str) -> subprocess.CompletedProcess[str]:
            words = [word.replace("BINARY", str(binary)) for word in command.split()]
            at = words.index("--") if "--" in words else len(words)
            words[at:at] = [f"--server=http://127.0.0.1:{server.server_port}", f"--cache-dir={folder}/cache", *more]
            return subprocess.run([kubectl, *words], capture_output=True, text=True, check=False)

        version = json.loads(run("version --client -o json").stdout)["clientVersion"]["gitVersion"]
        recorded = []
        for command in COMMANDS + WITHOUT_DRY_RUN:
            _Recorder.bodies.clear()
            run(command)
            expected = None
            if command in COMMANDS:
                expected = json.loads(run(command, "--dry-run=client", "-o", "json").stdout)
            if not _Recorder.bodies:
                print(f"no protobuf body: {command}", file=sys.stderr)
            for path, body in _Recorder.bodies[:1]:
                recorded.append({"command": command, "path": path, "body": base64.b64encode(body).decode(),
                                 "dry_run": expected})
    server.shutdown()
    out = Path(__file__).with_name("protobuf_bodies.json")
    out.write_text(json.dumps({"kubectl": version, "bodies": recorded}, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
