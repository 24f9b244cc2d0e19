"""LiveView: what is drawn when, and what the controls do."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from epkit.errors import EpkitError
from epkit.live import page
from epkit.live.feed import Forgotten, feed_of
from epkit.live.panel import AT_ONCE, Panel, speed_in_words
from epkit.live.pulse import Pulse
from epkit.live.tape import Tape
from epkit.objects import name_of, namespace_of
from epkit.views.lookup import find_service
from epkit.views.text import clean, count
from epkit.views.topology import Topology

if TYPE_CHECKING:
    from epkit.cluster import Cluster

#: More open views of a cluster than anybody looks at; the oldest goes, since a cell was run again and again.
MOST_VIEWS = 8
#: How many seconds of the cluster's time the next write is waited for.
PATIENCE = 60.0


class LiveView:
    """A Service, followed: its topology, its slices with what changed, who wrote what when; and a clock to hold.

    Controls: Play or Pause; Step, which does the next single thing, and Next write, which steps up to the next write
    that concerns the Service (both pause first); Speed of playing; Moment, a slider over all those writes, and Write,
    the same as a number; Now, back to the present. A click while a cell runs is carried out after it.

    Make one with :meth:`epkit.Cluster.live`. It ends with :meth:`close`, or with its cluster.

    >>> cluster.live("svc/web")
    Live view of Service web in the namespace default: 1 slice, 3 of 3 endpoints ready.
    """

    def __init__(self, cluster: Cluster, what: str) -> None:
        service = find_service(cluster, what)
        self._cluster = cluster
        self._feed = feed_of(cluster)
        story = self._feed.story()
        self._start = story.start
        self._tape = Tape(namespace_of(service), name_of(service), story, self._feed.refused)
        self._position: int | None = None  # which of the tape's positions is looked at; None: the present
        self._said = ""  # what the last control did
        self._showing = False  # controls are being set to what is so; nobody has used them
        self._stepping = False  # one picture at the end will do
        self.closed = False
        self._panel = Panel()
        self._pulse = Pulse(self._draw)
        self._draw()
        self._connect()
        self._end_listening = self._feed.listen(self._changed)

    def __repr__(self) -> str:
        name = f"Service {clean(self._tape.name)} in the namespace {clean(self._tape.namespace)}"
        if self.closed:
            return f"The live view of {name} is closed."
        return f"Live view of {name}: {page.summary(self._tape.topology(), self._tape)}."

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        if self.closed:
            return {"text/plain": repr(self)}
        for other in self._cluster._live_views:  # of a cell that is run again: one place beside the notebook is enough
            if other is not self and other.follows_same(self):
                other._panel.leave_sidecar()
        return {**self._panel.bundle(f"svc/{clean(self._tape.name)}"), "text/plain": repr(self)}

    def follows_same(self, other: LiveView) -> bool:
        """Do both follow the same Service?"""
        return (self._tape.namespace, self._tape.name) == (other._tape.namespace, other._tape.name)

    def close(self) -> None:
        """End the view and take it off the page."""
        if self.closed:
            return
        self.closed = True
        self._end_listening()
        self._pulse.close()
        self._panel.close()

    # -- following -------------------------------------------------------------------------------------------------

    def _changed(self) -> None:
        """Objects or time have changed; called from any thread."""
        if self._pulse.at_home:
            self._take()  # at once, so that what one command brought about stays one change
        if not self._stepping:
            self._pulse.changed()

    def _take(self) -> None:
        """Take in what was written."""
        try:
            writes = self._feed.news()
        except Forgotten:
            self._tape = Tape(self._tape.namespace, self._tape.name, self._feed.story(), self._feed.refused)
            self._position = None
            self._said = "The cluster has forgotten its past (compaction): the view begins anew."
            return
        length = self._tape.length
        forgotten = self._tape.add(writes)
        if self._position is not None:
            self._position = max(0, self._position - forgotten)
        if self._tape.length + forgotten > length:
            self._said = ""

    def _draw(self) -> None:
        try:
            self._take()
            tape, position, panel = self._tape, self._position, self._panel
            topology = tape.topology(position)
            past = position is not None
            panel.heading.value = page.heading(tape, self._moment(), self._start)
            self._show_controls()
            panel.picture.value = page.card(_picture(topology, tape), past=past)
            panel.slices.value = page.card(page.slices(topology, tape, position, self._start), past=past)
            panel.writes.value = page.card(page.writes(tape, position, self._start), past=past)
            self._tell(topology)
        except Exception as error:  # it must not fail the command whose change is drawn, and is told where one looks
            self._panel.say(f"This view cannot be drawn: {type(error).__name__}: {error}. The cluster goes on.")

    def _show_controls(self) -> None:
        self._showing = True
        try:
            self._panel.show_position(self._position, self._tape.length)
            self._panel.show_clock(self._feed.clock, self._feed.speed)
        finally:
            self._showing = False

    def _moment(self) -> float:
        """The time that is looked at."""
        if self._position is None:
            return self._feed.now
        return self._tape.write(self._position).at if self._position else self._start

    def _tell(self, topology: Topology | None) -> None:
        """The state as text."""
        tape, position = self._tape, self._position
        summary = page.summary(topology, tape)
        if position is None:
            where = f"{self._clock_in_words()}, at the present: {summary}."
        else:
            where = f"Looking back, before write 1 of {tape.length}: {summary}."
            if position:
                write = tape.write(position)
                where = (
                    f"Looking back at write {position} of {tape.length}, {page.since(write.at, self._start)}: "
                    f"{write.who or 'unknown'} {write.type} {write.resource}/{name_of(write.obj)}; {summary}."
                )
        self._panel.say(f"{self._said} {where}".strip())

    def _clock_in_words(self) -> str:
        match self._feed.clock:
            case "paused":
                return "Paused"
            case "instant":
                return f"Playing {AT_ONCE}"
            case "realtime":
                return f"Playing {speed_in_words(self._feed.speed)}"
        return "Following a cluster whose time cannot be held"

    # -- the controls ----------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        panel = self._panel
        panel.play.on_click(lambda _: self._do(self._play_or_pause))
        panel.step.on_click(lambda _: self._do(self._step))
        panel.next.on_click(lambda _: self._do(self._next_write))
        panel.now.on_click(lambda _: self._do(lambda: self._look_at(None)))
        panel.speed.observe(lambda _: self._do(self._change_speed), names="value")
        panel.moment.observe(lambda _: self._do(self._slide), names="value")
        panel.number.observe(lambda _: self._do(self._choose), names="value")

    def _do(self, action: Callable[[], str | None]) -> None:
        """Carry out what a control asks for, in the view's own thread, and say what it did."""
        if self._showing and self._pulse.at_home:
            return

        def act() -> None:
            if self.closed:
                return
            try:
                said = action()
            except EpkitError as error:
                said = str(error)
            if said is not None:
                self._said = said
                self._tell(self._tape.topology(self._position))

        self._pulse.run(act)

    def _play_or_pause(self) -> str:
        if self._cluster.paused:
            return self._play()
        self._cluster.pause()
        return ""

    def _play(self) -> str:
        speed = self._panel.speed.value
        if speed == 0:
            self._cluster.resume("instant")
            self._cluster.settle()
            return ""
        try:
            self._cluster.resume("realtime", speed)
        except RuntimeError as error:  # a kernel in a browser has no threads
            self._cluster.pause()
            raise EpkitError(f"Time cannot run with the wall's clock here ({error}). Choose {AT_ONCE}.") from None
        return ""

    def _step(self) -> str:
        if not self._cluster.paused:
            self._cluster.pause()
        self._look_at(None)
        done = self._cluster.step()
        return f"Step: {clean(done)}." if done else "Step: nothing is left to do."

    def _next_write(self) -> str:
        if not self._cluster.paused:
            self._cluster.pause()
        self._look_at(None)
        before, end, steps = self._tape.length, self._feed.now + PATIENCE, 0
        self._stepping = True
        try:
            while self._tape.length == before:
                done = self._cluster.step()
                steps += 1
                if done is None:
                    return "Nothing is left to do."
                if self._feed.now > end:
                    return f"Nothing that concerns this Service was written in {PATIENCE:g} s of the cluster's time."
        finally:
            self._stepping = False
            self._pulse.changed()
        return f"{count(steps, 'step')}, the last: {clean(done)}."

    def _change_speed(self) -> str | None:
        """A chosen speed holds at once while time moves, and from the next Play on while it does not."""
        clock, speed = self._feed.clock, self._panel.speed.value
        if clock == "paused":  # said, as else nothing tells that anything was chosen
            return f"From the next Play on: {speed_in_words(speed) if speed else AT_ONCE}."
        if speed == (0 if clock == "instant" else self._feed.speed):
            return None
        return self._play()

    def _slide(self) -> str | None:
        return self._look_at(self._panel.position(self._tape.length))

    def _choose(self) -> str | None:
        number = self._panel.number.value
        return self._look_at(None if number >= self._tape.length else number)

    def _look_at(self, position: int | None) -> str | None:
        if position == self._position:
            return None
        self._position = position
        self._said = ""
        self._pulse.changed()
        return None


def _picture(topology: Topology | None, tape: Tape) -> str:
    try:
        return page.picture(topology, tape)
    except EpkitError as error:  # no Graphviz: words do as well
        return page.words(f"{page.sentence(topology, tape)} ({error})")


def open_view(cluster: Cluster, what: str, views: list[LiveView]) -> LiveView:
    """A new view; it is put into `views`, from which those that are closed go.

    Raises:
        EpkitError: there is no such Service; the text names the nearest ones.
    """
    view = LiveView(cluster, what)
    views[:] = [one for one in views if not one.closed]
    if len(views) >= MOST_VIEWS:
        views.pop(0).close()
    views.append(view)
    return view
