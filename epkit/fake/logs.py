"""``kubectl logs``: what a container has written, as the kubelet hands it out through the API server.

Source: ``pkg/registry/core/pod/strategy.go`` (LogLocation), ``pkg/apis/core/validation`` (ValidatePodLogOptions) and
``pkg/kubelet/kubelet_pods.go`` (validateContainerLogStatus) of Kubernetes v1.36.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from epkit.fake.clock import format_micro_time, parse_time
from epkit.fake.containers import RUNNING, TERMINATED, Container
from epkit.fake.kinds.base import FieldError, invalid
from epkit.fake.pods import container_of, pod_of
from epkit.fake.wire import errors

if TYPE_CHECKING:
    from epkit.fake.simulation import Simulation

Line = tuple[float, str]


@dataclass(frozen=True)
class LogOptions:
    """``PodLogOptions``, from a query."""

    container: str = ""
    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    since_seconds: int | None = None
    since_time: float | None = None
    tail_lines: int | None = None
    limit_bytes: int | None = None

    @classmethod
    def parse(cls, query: Mapping[str, str], pod: str) -> LogOptions:
        """Raises the API server's 400 for what is no number, and its 422 for numbers that make no sense."""
        options = cls(
            query.get("container", ""),
            _truth(query.get("follow")),
            _truth(query.get("previous")),
            _truth(query.get("timestamps")),
            _number(query.get("sinceSeconds")),
            _moment(query.get("sinceTime")),
            _number(query.get("tailLines")),
            _number(query.get("limitBytes")),
        )
        faults = list(options._faults())
        if "stream" in query:
            faults.append(FieldError("FieldValueForbidden", "stream", "Forbidden: may not be specified"))
        if faults:
            raise errors.invalid("PodLogOptions", pod, faults)
        return options

    def _faults(self) -> list[FieldError]:
        faults = []
        if self.tail_lines is not None and self.tail_lines < 0:
            faults.append(invalid("tailLines", self.tail_lines, "must be greater than or equal to 0"))
        if self.limit_bytes is not None and self.limit_bytes < 1:
            faults.append(invalid("limitBytes", self.limit_bytes, "must be greater than 0"))
        if self.since_seconds is not None and self.since_time is not None:
            text = "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified"
            faults.append(FieldError("FieldValueForbidden", "", text))
        elif self.since_seconds is not None and self.since_seconds < 1:
            faults.append(invalid("sinceSeconds", self.since_seconds, "must be greater than 0"))
        return faults

    def chosen(self, lines: list[Line], now: float) -> list[Line]:
        """The lines that are asked for."""
        since = self.since_time if self.since_seconds is None else now - self.since_seconds
        if since is not None:
            lines = [line for line in lines if line[0] >= since]
        return lines if self.tail_lines is None else lines[max(0, len(lines) - self.tail_lines) :]

    def encode(self, lines: list[Line]) -> bytes:
        """The lines as they are sent."""
        texts = (f"{_stamp(moment)} {text}\n" if self.timestamps else f"{text}\n" for moment, text in lines)
        data = "".join(texts).encode()
        return data if self.limit_bytes is None else data[: self.limit_bytes]


def container_for(plane: Simulation, namespace: str, pod: str, options: LogOptions) -> Container | None:
    """The container whose log is meant; None for a pod that is on no node yet, whose log is empty.

    Raises:
        ApiError: there is none, or it has not written anything yet; what the API server or the kubelet says.
    """
    obj = pod_of(plane.store, namespace, pod)
    name = container_of(obj, options.container)
    node = obj["spec"].get("nodeName")
    if not node:
        return None
    worker = plane.kubelet.worker(namespace, pod)
    if worker is None:
        if plane.store.get("nodes", "", node) is None:
            raise errors.not_found("nodes", node)
        raise errors.bad_request(f'container "{name}" in pod "{pod}" is not available')
    if worker.node.stopped:
        target = f"https://{worker.node.internal_ip}:10250/containerLogs/{namespace}/{pod}/{name}"
        dial = f"dial tcp {worker.node.internal_ip}:10250: connect: no route to host"
        raise errors.unknown(f'Get "{target}": {dial}')
    container = next(each for each in worker.everyone if each.name == name)
    last = container.before if container.state in (RUNNING, TERMINATED) else container.ended
    if options.previous and last is None:
        raise errors.bad_request(f'previous terminated container "{name}" in pod "{pod}" not found')
    if not options.previous and container.state not in (RUNNING, TERMINATED) and container.ended is None:
        raise errors.bad_request(f'container "{name}" in pod "{pod}" is waiting to start: {container.why}')
    return container


def lines_of(container: Container, options: LogOptions) -> list[Line]:
    """The lines of the process that is meant. One that waits for its restart shows those of its last process."""
    return container.log(options.previous and container.state in (RUNNING, TERMINATED))


class LogFollow:
    """New lines of a log, taken as they come; served as a watch is."""

    def __init__(self, container: Container, options: LogOptions, now: float, notify: Callable[[], None]) -> None:
        self._container = container
        self._process = container.id
        self._options = options
        self._notify = notify
        lines = lines_of(container, options)
        self._seen = len(lines)
        self._unsent = options.chosen(lines, now)
        container.log_changed.append(notify)

    def take(self) -> list[Line]:
        """The lines since the last call."""
        unsent, self._unsent = self._unsent, []
        before = self._container.before
        restarted = self._container.id != self._process
        if not restarted or (before is not None and before.id == self._process):
            lines = self._container.log(previous=restarted)
            unsent += lines[self._seen :]
            self._seen = len(lines)
        return unsent

    @property
    def ended(self) -> bool:
        """The process has come to its end, and its log with it."""
        return not self._container.running or self._container.id != self._process

    def close(self) -> None:
        if self._notify in self._container.log_changed:
            self._container.log_changed.remove(self._notify)


def _stamp(moment: float) -> str:
    """
    >>> _stamp(1.5)
    '1970-01-01T00:00:01.500000000Z'
    """
    return format_micro_time(moment).removesuffix("Z") + "000Z"


def _truth(text: str | None) -> bool:
    return text is not None and text.lower() not in ("0", "false")


def _number(text: str | None) -> int | None:
    if text is None or text == "":
        return None
    try:
        return int(text)
    except ValueError:
        raise errors.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None


def _moment(text: str | None) -> float | None:
    if not text:
        return None
    try:
        return parse_time(text)
    except ValueError:
        raise errors.bad_request(
            f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": cannot parse "{text}" as "2006"'
        ) from None
