"""Lines of a description: labels, annotations, tolerations, events.

Source: ``k8s.io/kubectl/pkg/describe/describe.go``.
"""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from epkit.errors import ApiError
from epkit.kubectl.builtin import gosort
from epkit.kubectl.builtin.gotext import human_duration, seconds_of
from epkit.kubectl.builtin.session import Session
from epkit.kubectl.builtin.tables import align, escape
from epkit.objects import Obj, labels_of

_LONGEST_ANNOTATION = 140
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


class Writer:
    """Collects tab-separated lines and aligns them; `level` indents by two spaces each."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._aligned = ""
        self._lines: list[str] = []

    def put(self, level: int, text: str) -> None:
        """One line, or several at once."""
        self._lines.append("  " * level + text + "\n")

    def text(self) -> str:
        self.flush()
        return self._aligned

    def unaligned(self) -> str:
        """The lines with their tabs, as kubectl prints them where it forgets to align."""
        return "".join(self._lines)

    def flush(self) -> None:
        """What follows has columns of its own."""
        self._aligned += align(escape("".join(self._lines)), minimum=0, padding=2)
        self._lines = []

    def column(self, title: str, values: Iterable[str], indent: str = "") -> None:
        """A title and its values, one below the other; ``<none>`` without any."""
        lines = list(values) or ["<none>"]
        self._lines.append(f"{indent}{title}:\t{lines[0]}\n")
        self._lines += [f"{indent}\t{line}\n" for line in lines[1:]]

    def labels(self, title: str, labels: dict[str, str] | None, indent: str = "") -> None:
        self.column(title, [f"{key}={value}" for key, value in sorted((labels or {}).items())], indent)

    def annotations(self, title: str, annotations: dict[str, str] | None) -> None:
        """Long values and those of several lines go below their key; what kubectl applied last is left out."""
        lines: list[str] = []
        for key, value in sorted((annotations or {}).items()):
            if key == _LAST_APPLIED:
                continue
            value = value.removesuffix("\n")
            if len(value) + len(key) + 2 > _LONGEST_ANNOTATION or "\n" in value:
                lines.append(f"{key}:")
                lines += [f"  {_shorten(line)}" for line in value.split("\n")]
            else:
                lines.append(f"{key}: {value}")
        self.column(title, lines)

    def tolerations(self, title: str, tolerations: list[Obj] | None) -> None:
        self.column(title, [_toleration(t) for t in sorted(tolerations or (), key=lambda t: t.get("key", ""))])

    def taints(self, taints: list[Obj] | None) -> None:
        ordered = sorted(taints or (), key=lambda taint: f"{taint['effect']},{taint['key']}")
        self.column("Taints", [_taint(taint) for taint in ordered])

    def head(self, obj: Obj, namespaced: bool = True) -> None:
        """Name, namespace, labels and annotations: how most descriptions begin."""
        meta = obj["metadata"]
        self.put(0, f"Name:\t{meta['name']}")
        if namespaced:
            self.put(0, f"Namespace:\t{meta.get('namespace', '')}")
        self.labels("Labels", labels_of(obj))
        self.annotations("Annotations", meta.get("annotations"))

    def since(self, time: str | None) -> str:
        """How long ago it was, by the cluster's clock."""
        moment = seconds_of(time)
        return "<unknown>" if moment is None else human_duration(self.session.now() - moment)

    def events(self, events: list[Obj] | None) -> None:
        """The table of events; nothing at all for None, which is what ``--show-events=false`` asks for."""
        if events is None:
            return
        if not events:
            self.put(0, "Events:\t<none>")
            return
        self.flush()
        self.put(0, "Events:\n  Type\tReason\tAge\tFrom\tMessage")
        self.put(1, "----\t------\t----\t----\t-------")
        for event in gosort.sort(events, lambda a, b: _last(a) < _last(b)):
            source = (event.get("source") or {}).get("component") or event.get("reportingComponent", "")
            cells = (event.get("type", ""), event.get("reason", ""), self.interval(event), source)
            self.put(1, "\t".join((*cells, event.get("message", "").strip())))

    def interval(self, event: Obj) -> str:
        """When an event was last seen: ``5s``, or ``5s (x3 over 2m)``."""
        first = self.since(event.get("eventTime") or event.get("firstTimestamp"))
        series = event.get("series")
        if series:
            return f"{self.since(series.get('lastObservedTime'))} (x{series.get('count', 0)} over {first})"
        if event.get("count", 0) > 1:
            return f"{self.since(event.get('lastTimestamp'))} (x{event['count']} over {first})"
        return first


def _last(event: Obj) -> float:
    return seconds_of(event.get("lastTimestamp")) or 0.0


def _shorten(text: str) -> str:
    longest = _LONGEST_ANNOTATION - 2
    return text[:longest] + "..." if len(text) > longest else text


def _toleration(toleration: Obj) -> str:
    key, value, effect = (toleration.get(name, "") for name in ("key", "value", "effect"))
    text = key + (f"={value}" if value else "") + (f":{effect}" if effect else "")
    if toleration.get("operator") == "Exists" and not value:
        text += " op=Exists" if key or effect else "op=Exists"
    if toleration.get("tolerationSeconds") is not None:
        text += f" for {toleration['tolerationSeconds']}s"
    return text


def _taint(taint: Obj) -> str:
    key, value, effect = taint["key"], taint.get("value", ""), taint.get("effect", "")
    if not effect:
        return f"{key}={value}:" if value else str(key)
    return f"{key}={value}:{effect}" if value else f"{key}:{effect}"


def find_events(session: Session, obj: Obj, *, kind: str | None = None, uid: str | None = None) -> list[Obj] | None:
    """The events about an object, or None where they are not to be shown or cannot be read."""
    if not session.args["show-events"]:
        return None
    meta = obj["metadata"]
    namespace = meta.get("namespace", "")
    fields = {
        "involvedObject.name": meta["name"],
        "involvedObject.namespace": namespace,
        "involvedObject.kind": obj["kind"] if kind is None else kind,
        "involvedObject.uid": meta.get("uid", "") if uid is None else uid,
    }
    selector = ",".join(f"{key}={value}" for key, value in fields.items() if value or key.endswith("namespace"))
    try:
        return session.list(session.resources.find("events"), namespace, fieldSelector=selector)
    except ApiError:
        return []  # as upstream: a description is worth having without its events


def format_selector(selector: Any) -> str:
    """A ``metav1.LabelSelector`` as kubectl prints it (``metav1.FormatLabelSelector``)."""
    if selector is None:
        return "<none>"
    parts = [(key, f"{key}={value}") for key, value in (selector.get("matchLabels") or {}).items()]
    for entry in selector.get("matchExpressions") or ():
        key, values = entry["key"], ",".join(sorted(entry.get("values") or ()))
        words = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key}
        parts.append((key, words.get(entry["operator"], f"!{key}")))
    return ",".join(text for _, text in sorted(parts)) or "<none>"
