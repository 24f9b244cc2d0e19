"""The caches against the built-in API server over HTTP, with a network that can be cut."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from test_processes import soon

from epkit.client import Answer, Client
from epkit.errors import EpkitError
from epkit.fake import kubeconfig
from epkit.fake.clock import Clock
from epkit.fake.controllers.informer import Informer
from epkit.fake.loop import Loop
from epkit.fake.pace import Realtime
from epkit.fake.plane import Plane
from epkit.fake.server import Server
from epkit.objects import name_of
from epkit.targets.controlplane.watches import Cached, Watches
from epkit.targets.http import HttpTransport


class Network:
    """A transport that can be cut, and that writes down from where watches start."""

    def __init__(self, inner: HttpTransport) -> None:
        self.inner = inner
        self.down = False
        self.lost = 0
        self.since: list[str] = []
        self.answers: list[dict] = []  # to be given to the next watches in place of the server's

    def send(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: Any = None, **how: Any
    ) -> Answer:
        if self.down:
            raise EpkitError("The cluster does not answer")
        return self.inner.send(method, path, query, body, **how)

    def watch(self, path: str, query: Mapping[str, str], **how: Any) -> Iterator[dict]:
        if self.down:
            raise EpkitError("The cluster does not answer")
        self.since.append(query["resourceVersion"])
        if self.answers:
            yield self.answers.pop(0)
            return
        for event in self.inner.watch(path, {**query, "timeoutSeconds": "1"}, **how):
            if self.down:
                self.lost += 1
                raise EpkitError("The connection is lost")
            yield event


@pytest.fixture
def plane():
    made = Plane(start=time.time())
    made.set_pace(Realtime(time.time, made.clock.now))
    return made


@pytest.fixture
def network(plane, tmp_path):
    with Server(plane) as server:
        kubeconfig.write(tmp_path / "config", kubeconfig.content(server.url, server.secret))
        yield Network(HttpTransport.from_kubeconfig(str(tmp_path / "config")))


@pytest.fixture
def watches(network):
    made = Watches(Client(network), Loop(Clock(0.0)), lambda: None, ["configmaps"])
    yield made
    made.stop()


def put(plane: Plane, name: str, value: str = "") -> None:
    client = plane.client("test")
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}}
    if (found := client.find("configmaps", name, "default")) is not None:
        client.update("configmaps", {**found, "data": {"value": value}})
    else:
        client.create("configmaps", obj | {"data": {"value": value}})


def names(watches: Watches) -> set[str]:
    return {name_of(obj) for obj in watches.list("configmaps") if name_of(obj) != "kube-root-ca.crt"}


def heard(watches: Watches) -> list[str]:
    """What an informer's handlers are told, for the objects of a test."""
    told: list[str] = []
    watches.subscribe("configmaps", lambda type, obj: told.append(f"{type} {name_of(obj)}"))
    return told


def test_what_there_is_and_what_comes(plane, watches):
    put(plane, "first")
    watches.start(10)
    assert names(watches) == {"first"}
    assert watches.list("configmaps")[0]["kind"] == "ConfigMap"  # items of lists do not say so
    told = heard(watches)
    put(plane, "second")
    put(plane, "first", "new")
    plane.client("test").delete("configmaps", "first", "default")
    assert soon(lambda: told == ["ADDED second", "MODIFIED first", "DELETED first"])
    assert names(watches) == {"second"}
    assert watches.get("configmaps", "default", "second")["kind"] == "ConfigMap"


def test_a_watch_is_taken_up_where_it_ended(plane, network, watches):
    watches.start(10)
    told = heard(watches)
    put(plane, "first")
    assert soon(lambda: told == ["ADDED first"])
    version = watches.get("configmaps", "default", "first")["metadata"]["resourceVersion"]
    assert soon(lambda: network.since[-1] == version)
    put(plane, "second")
    assert soon(lambda: told == ["ADDED first", "ADDED second"])
    assert watches.lists == {"configmaps": 1}


def test_a_lost_connection_loses_nothing(plane, network, watches):
    watches.start(10)
    told = heard(watches)
    network.down = True
    put(plane, "first")
    put(plane, "second")
    assert soon(lambda: network.lost)
    assert told == []
    network.down = False
    assert soon(lambda: told == ["ADDED first", "ADDED second"])
    assert watches.lists == {"configmaps": 1}


def test_a_version_that_is_gone_is_listed_anew_and_the_difference_told(plane, network, watches):
    put(plane, "stays")
    put(plane, "changes")
    put(plane, "goes")
    watches.start(10)
    told = heard(watches)
    network.down = True
    put(plane, "changes", "new")
    plane.client("test").delete("configmaps", "goes", "default")
    put(plane, "comes")
    gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
    network.answers.append({"type": "ERROR", "object": gone})
    assert soon(lambda: network.lost)
    network.down = False
    assert soon(lambda: len(told) == 3)
    assert sorted(told) == ["ADDED comes", "DELETED goes", "MODIFIED changes"]
    assert names(watches) == {"stays", "changes", "comes"}
    assert watches.lists == {"configmaps": 2}


def test_a_bookmark_moves_the_place(plane, network, watches):
    bookmark = {"kind": "ConfigMap", "metadata": {"resourceVersion": "1"}}
    put(plane, "first")
    version = plane.store.version
    bookmark["metadata"]["resourceVersion"] = str(version)
    network.answers.append({"type": "BOOKMARK", "object": bookmark})
    watches.start(10)
    told = heard(watches)
    put(plane, "second")
    assert soon(lambda: told == ["ADDED second"])
    assert network.since[1] == str(version)


def test_an_informer_hears_all_of_it(plane, watches):
    put(plane, "first")
    watches.start(10)
    loop = watches._loop
    informer = Informer("configmaps", loop, watches, "test")
    with loop.lock:
        informer.start()
        loop.run_due()
    assert informer.get("default", "first") is not None
    put(plane, "second")
    assert soon(lambda: loop.run_due() or informer.get("default", "second"))


def test_a_server_that_does_not_answer(network):
    network.down = True
    watches = Watches(Client(network), Loop(Clock(0.0)), lambda: None, ["configmaps"])
    with pytest.raises(EpkitError, match="did not list its configmaps within 0.3 s"):
        watches.start(0.3)


def test_reads_of_the_cache(plane, network, watches):
    put(plane, "first")
    watches.start(10)
    client = Client(Cached(watches))
    assert name_of(client.get("configmaps", "first", "default")) == "first"
    assert client.find("configmaps", "none", "default") is None
    assert name_of(client.list("configmaps", "default", labels="!app").items[0]) == "first"
    assert not client.list("configmaps", "default", labels="app=web").items
    assert not client.list("configmaps", "elsewhere").items
