"""The rate-limiting work queue of client-go, on the fake's loop."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from epkit.errors import ApiError
from epkit.fake.clock import Timer
from epkit.fake.loop import Loop
from epkit.objects import Obj

Handler = Callable[[Obj], None]
UpdateHandler = Callable[[Obj, Obj], None]


class SyncError(Exception):
    """A sync that failed and is to be tried again; its text is what upstream logs."""


class WorkQueue:
    """client-go's rate-limiting work queue with its workers: each key is in it at most once.

    `sync` is called with a key. An :class:`ApiError` or :class:`SyncError` that it raises puts the key back after
    `base` x 2^failures seconds, at most `limit`; after `retries` failures the key is dropped. Of several `workers` each
    takes a key at the same moment: what one of them writes reaches nobody's cache before the others have done theirs.
    """

    def __init__(
        self,
        name: str,
        loop: Loop,
        sync: Callable[[str], None],
        *,
        base: float = 0.005,
        limit: float = 1000.0,
        retries: int = 15,
        workers: int = 1,
        log: Callable[[str], None] | None = None,
    ) -> None:
        self.name = name
        self.sync = sync
        self._loop = loop
        self._base, self._limit, self._retries = base, limit, retries
        self._workers = workers
        self._log = log or (lambda _: None)
        self._queue: dict[str, None] = {}
        self._waiting: dict[str, Timer] = {}
        self._backing_off: dict[str, Timer] = {}
        self._failures: dict[str, int] = {}
        self._posted = False
        self._stopped = False
        #: how often a sync ended how: for metrics and lessons
        self.syncs = 0
        loop.before_settling(self._try_once_more)

    def add(self, key: str) -> None:
        """Have `key` synced as soon as its turn comes."""
        if self._stopped or key in self._queue:
            return
        self._queue[key] = None
        self._post()

    def add_after(self, key: str, delay: float) -> None:
        """Have `key` synced after `delay` seconds; of two waits for one key the shorter counts."""
        if delay <= 0:
            self.add(key)
            return
        due = self._loop.clock.now + delay
        waiting = self._waiting.get(key)
        if waiting is not None:
            if waiting.when <= due:
                return
            waiting.cancel()

        def enqueue() -> None:
            self._waiting.pop(key, None)
            self.add(key)

        label = f"{self.name}: {key} has waited {delay:g} s"
        self._waiting[key] = self._loop.clock.call_later(delay, enqueue, settles=True, label=label)

    def add_rate_limited(self, key: str) -> None:
        """Have `key` synced after its back-off. An instant clock does not jump over that."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay = min(self._base * 2**failures, self._limit)

        def enqueue() -> None:
            self._backing_off.pop(key, None)
            self.add(key)

        if key in self._backing_off:
            self._backing_off[key].cancel()
        label = f"{self.name}: tries {key} again"
        self._backing_off[key] = self._loop.clock.call_later(delay, enqueue, settles=False, label=label)

    def forget(self, key: str) -> None:
        """Its failures no longer count."""
        self._failures.pop(key, None)

    def failures(self, key: str) -> int:
        return self._failures.get(key, 0)

    def stop(self) -> None:
        """Drop everything; nothing is synced any more."""
        self._stopped = True
        self._queue.clear()
        for timer in [*self._waiting.values(), *self._backing_off.values()]:
            timer.cancel()
        self._waiting.clear()
        self._backing_off.clear()

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def stuck(self) -> list[str]:
        """Keys that keep failing and wait for their next try."""
        return sorted(self._backing_off)

    def _post(self) -> None:
        if not self._posted and self._queue:
            self._posted = True
            self._loop.post(self._work, f"{self.name}: syncs {next(iter(self._queue))}")

    def _work(self) -> None:
        self._posted = False
        for key in list(islice(self._queue, self._workers)):
            if self._queue.pop(key, key) is not None:  # stopped meanwhile
                return
            before = self._failures.get(key, 0)
            self._run(key, counts=True, before=before)
        self._post()

    def _run(self, key: str, counts: bool, before: int) -> None:
        self.syncs += 1
        try:
            self.sync(key)
        except (ApiError, SyncError) as error:
            if not counts:
                return
            if before >= self._retries:
                self._log(f"Retry budget exceeded, dropping {key} out of the queue: {error}")
                self.forget(key)
            else:
                self._log(f"Error syncing {key}, retrying: {error}")
                self.add_rate_limited(key)
        else:
            self.forget(key)
            if (timer := self._backing_off.pop(key, None)) is not None:
                timer.cancel()

    def _try_once_more(self) -> None:
        """After a change, a key in back-off is tried once, without using up its budget."""
        for key in [] if self._stopped else list(self._backing_off):
            label = f"{self.name}: tries {key} after a change"
            self._loop.post(lambda key=key: self._retry(key), label)  # type: ignore[misc]

    def _retry(self, key: str) -> None:
        if key in self._backing_off and not self._stopped:
            self._run(key, counts=False, before=0)
