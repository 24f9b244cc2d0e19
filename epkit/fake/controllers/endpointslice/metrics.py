"""The controller's metrics, by the names under which ``/metrics`` shows them.

They tell what a sync cost and how well slices are packed: ``num_endpoint_slices`` minus ``desired_endpoint_slices`` is
the number of slices that perfect packing would save.

Sources: ``staging/src/k8s.io/endpointslice/metrics``, Kubernetes v1.36.
"""
from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from epkit.fake.controllers.endpointslice.endpoints import PortMapKey
from epkit.fake.controllers.endpointslice.utils import SlicesByAction

#: 2, 4, 8 … 32768
POWERS_OF_TWO = tuple(2.0**power for power in range(1, 16))
_DEFAULT_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

LabelValues = tuple[str, ...]


@dataclass
class Counter:
    """A number that only grows, or one for each combination of label values."""

    name: str
    help: str
    labels: tuple[str, ...] = ()
    stability: str = "ALPHA"
    type: str = "counter"
    values: dict[LabelValues, float] = field(default_factory=dict)

    def inc(self, *labels: str) -> None:
        self.values[labels] = self.values.get(labels, 0) + 1

    def value(self, *labels: str) -> float:
        return self.values.get(labels, 0)


@dataclass
class Gauge:
    """A number that goes up and down."""

    name: str
    help: str
    labels: tuple[str, ...] = ()
    stability: str = "ALPHA"
    type: str = "gauge"
    values: dict[LabelValues, float] = field(default_factory=dict)

    def set(self, value: float, *labels: str) -> None:
        self.values[labels] = value

    def value(self, *labels: str) -> float:
        return self.values.get(labels, 0)


@dataclass
class Distribution:
    """What a histogram has seen for one combination of label values; `counts` are cumulative, one for each bucket."""

    counts: list[int]
    count: int = 0
    sum: float = 0


@dataclass
class Histogram:
    """How often values up to each bound were observed."""

    name: str
    help: str
    labels: tuple[str, ...] = ()
    stability: str = "ALPHA"
    buckets: Sequence[float] = _DEFAULT_BUCKETS
    type: str = "histogram"
    values: dict[LabelValues, Distribution] = field(default_factory=dict)

    def observe(self, value: float, *labels: str) -> None:
        seen = self.values.setdefault(labels, Distribution([0] * len(self.buckets)))
        seen.count += 1
        seen.sum += value
        for index, bound in enumerate(self.buckets):
            seen.counts[index] += value <= bound

    def value(self, *labels: str) -> Distribution:
        return self.values.get(labels, Distribution([0] * len(self.buckets)))


Metric = Counter | Gauge | Histogram


def render(metrics: Iterable[Metric]) -> str:
    """The text that Prometheus reads.

    >>> print(render([Gauge("endpoints_desired", "Number of endpoints desired", stability="BETA", values={(): 3})]))
    # HELP endpoints_desired [BETA] Number of endpoints desired
    # TYPE endpoints_desired gauge
    endpoints_desired 3
    <BLANKLINE>
    """
    lines = []
    for metric in metrics:
        if metric.values:
            lines.append(f"# HELP {metric.name} [{metric.stability}] {metric.help}")
            lines.append(f"# TYPE {metric.name} {metric.type}")
        for labels in sorted(metric.values):
            pairs = [f'{name}="{text}"' for name, text in zip(metric.labels, labels, strict=True)]
            if isinstance(metric, Histogram):
                seen = metric.value(*labels)
                bounds = [f"{bound:g}" for bound in metric.buckets] + ["+Inf"]
                for bound, count in zip(bounds, [*seen.counts, seen.count], strict=True):
                    lines.append(_sample(f"{metric.name}_bucket", [*pairs, f'le="{bound}"'], count))
                lines.append(_sample(f"{metric.name}_sum", pairs, seen.sum))
                lines.append(_sample(f"{metric.name}_count", pairs, seen.count))
            else:
                lines.append(_sample(metric.name, pairs, metric.value(*labels)))
    return "".join(f"{line}\n" for line in lines)


def _sample(name: str, pairs: list[str], value: float) -> str:
    return f"{name}{{{','.join(pairs)}}} {value:g}" if pairs else f"{name} {value:g}"


class EfficiencyInfo(NamedTuple):
    """Endpoints with one set of ports, and the slices that hold them."""

    endpoints: int
    slices: int


class EfficiencyCache:
    """Sums up endpoints, slices, and slices with perfect packing over all Services and sets of ports.

    `placeholder`: without any endpoint there is still one slice to be had.
    """

    def __init__(self, max_endpoints: int, endpoints: Gauge, actual: Gauge, desired: Gauge, placeholder: bool) -> None:
        self._max_endpoints = max_endpoints
        self._gauges = (endpoints, actual, desired)
        self._placeholder = placeholder
        self._cache: dict[str, tuple[int, int, int]] = {}

    def set(self, key: str, ports: Mapping[Any, EfficiencyInfo]) -> None:
        """Note what `key` comes to now."""
        desired = sum(math.ceil(info.endpoints / self._max_endpoints) for info in ports.values())
        if desired == 0 and self._placeholder:
            desired = 1
        self._update(key, (
            sum(info.endpoints for info in ports.values()),
            sum(info.slices for info in ports.values()),
            desired,
        ))

    def delete(self, key: str) -> None:
        if key in self._cache:
            self._update(key, (0, 0, 0))
            del self._cache[key]

    def _update(self, key: str, now: tuple[int, int, int]) -> None:
        before = self._cache.get(key, (0, 0, 0))
        for gauge, old, new in zip(self._gauges, before, now, strict=True):
            gauge.set(gauge.value() + new - old)
        self._cache[key] = now


def in_order(metrics: object) -> Iterator[Metric]:
    """The metrics among an object's attributes, by name."""
    found = [each for each in vars(metrics).values() if isinstance(each, Metric)]
    return iter(sorted(found, key=lambda metric: metric.name))


class EndpointSliceMetrics:
    """All metrics of the EndpointSlice controller; iterate to get them in order.

    >>> metrics = EndpointSliceMetrics(max_endpoints_per_slice=100)
    >>> metrics.changes.inc("create")
    >>> metrics.changes.value("create")
    1
    """

    subsystem = "endpoint_slice_controller"

    def __init__(self, max_endpoints_per_slice: int) -> None:
        def name(short: str) -> str:
            return f"{self.subsystem}_{short}"

        self.changes = Counter(name("changes"), "Number of EndpointSlice changes", ("operation",))
        self.desired_slices = Gauge(
            name("desired_endpoint_slices"),
            "Number of EndpointSlices that would exist with perfect endpoint allocation",
            stability="BETA",
        )
        self.endpoints_added = Histogram(
            name("endpoints_added_per_sync"),
            "Number of endpoints added on each Service sync",
            stability="BETA",
            buckets=POWERS_OF_TWO,
        )
        self.endpoints_desired = Gauge(name("endpoints_desired"), "Number of endpoints desired", stability="BETA")
        self.endpoints_removed = Histogram(
            name("endpoints_removed_per_sync"),
            "Number of endpoints removed on each Service sync",
            stability="BETA",
            buckets=POWERS_OF_TWO,
        )
        self.slices_changed = Histogram(
            name("endpointslices_changed_per_sync"),
            "Number of EndpointSlices changed on each Service sync",
            ("topology", "traffic_distribution"),
        )
        self.num_slices = Gauge(name("num_endpoint_slices"), "Number of EndpointSlices", stability="BETA")
        self.traffic_distribution = Gauge(
            name("services_count_by_traffic_distribution"),
            "Number of Services using some specific trafficDistribution",
            ("traffic_distribution",),
            stability="BETA",
        )
        self.syncs = Counter(name("syncs"), "Number of EndpointSlice syncs", ("result",))
        self._cache = EfficiencyCache(
            max_endpoints_per_slice, self.endpoints_desired, self.num_slices, self.desired_slices, placeholder=True
        )
        self._traffic_distributions: dict[str, str] = {}

    def __iter__(self) -> Iterator[Metric]:
        return in_order(self)

    def observe_sync(self, key: str, ports: Mapping[PortMapKey, EfficiencyInfo], slices: SlicesByAction) -> None:
        """Note how many endpoints come and go with a sync, and what the Service then has for each set of ports."""
        self.endpoints_added.observe(slices.added)
        self.endpoints_removed.observe(slices.removed)
        self._cache.set(key, ports)

    def update_traffic_distribution(self, key: str, value: str | None) -> None:
        """Note which trafficDistribution a Service follows. All but PreferClose count as one, as in v1.36."""
        if value is None:
            self._traffic_distributions.pop(key, None)
        else:
            self._traffic_distributions[key] = value if value == "PreferClose" else "ImplementationSpecific"
        self.traffic_distribution.values.clear()
        for each in sorted(set(self._traffic_distributions.values())):
            self.traffic_distribution.set(sum(each == other for other in self._traffic_distributions.values()), each)

    def delete_service(self, key: str) -> None:
        """Forget a Service that is gone."""
        self._cache.delete(key)
        self.update_traffic_distribution(key, None)
