"""A bare control plane, asked in process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from epkit.fake.plane import Plane
from epkit.targets.fake import make


@dataclass
class Reply:
    code: int
    body: Any
    warnings: list[str]

    @property
    def message(self) -> str:
        return str(self.body["message"])


class Asking:
    """Asks a plane in bytes, as a client does over HTTP."""

    def __init__(self, plane: Plane) -> None:
        self.plane = plane

    def __call__(
        self, method: str, path: str, body: Any = b"", kind: str = "application/json", **headers: str
    ) -> Reply:
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        bare, _, query = path.partition("?")
        given: Mapping[str, str] = {"content-type": kind, "user-agent": "test/1", **headers}
        answer = self.plane.request(method, bare, query, given, data)
        try:
            content = orjson.loads(answer.body)
        except orjson.JSONDecodeError:
            content = answer.body
        return Reply(answer.code, content, answer.warnings)


@pytest.fixture
def plane() -> Plane:
    return make(nodes="0", start=1_767_225_600.0)


@pytest.fixture
def ask(plane: Plane) -> Asking:
    return Asking(plane)
