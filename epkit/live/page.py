"""What a live view shows, as HTML: a picture with its alternative text, slices with signs in the margin, a table.

Everything stands on white cards, as all of epkit's pictures do, so that it reads the same in a light and a dark theme.
Everything that comes from a cluster is cleaned and escaped.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from html import escape

from epkit.live import changes
from epkit.live.changes import ADDED, REMOVED, Budget, Line
from epkit.live.tape import Tape
from epkit.objects import Obj, condition, key_of, name_of
from epkit.story import Written
from epkit.views import palette
from epkit.views.diagram import Diagram
from epkit.views.text import clean, count
from epkit.views.topology import Topology, describe, looks_of

#: Of the writes, so many before the moment that is looked at are listed, and so many after it.
WRITES_BEFORE, WRITES_AFTER = 24, 6
#: So many slices are listed; of the others there is a count.
MOST_SLICES = 20

ADDED_GROUND, REMOVED_GROUND, LATER_GROUND = "#dcf3ea", "#fde6da", "#f0f0f0"
#: Every pair of a text's colour and its ground.
PAIRS = [
    (palette.INK, palette.CARD), (palette.FAINT, palette.CARD), (palette.INK, palette.HEAD),
    (palette.INK, ADDED_GROUND), (palette.INK, REMOVED_GROUND), (palette.INK, LATER_GROUND),
]  # fmt: skip

STYLE = f"""<style>
.epkit-live .epkit-card {{ background: {palette.CARD}; color: {palette.INK}; border: 1px solid {palette.FAINT};
  padding: 6px 10px; line-height: 1.35; box-sizing: border-box; }}
.epkit-live .epkit-past {{ border: 3px dashed {palette.BLUE}; }}
.epkit-live img {{ max-width: 100%; height: auto; display: block; }}
.epkit-live pre {{ margin: 2px 0 8px; font: 12px/1.4 Menlo, Consolas, "Liberation Mono", monospace; color: inherit;
  background: none; white-space: pre-wrap; overflow-wrap: anywhere; }}
.epkit-live pre span {{ display: block; padding-left: 2ch; text-indent: -2ch; }}
.epkit-live .epkit-added {{ background: {ADDED_GROUND}; font-weight: bold; }}
.epkit-live .epkit-removed {{ background: {REMOVED_GROUND}; font-style: italic; }}
.epkit-live .epkit-faint {{ color: {palette.FAINT}; }}
.epkit-live table {{ border-collapse: collapse; width: 100%; font-size: 11px; }}
.epkit-live caption {{ text-align: left; font-weight: bold; padding-bottom: 4px; }}
.epkit-live th, .epkit-live td {{ text-align: left; vertical-align: top; padding: 1px 6px;
  border-bottom: 1px solid {palette.RULE}; white-space: nowrap; }}
.epkit-live td.epkit-name {{ white-space: normal; overflow-wrap: anywhere; min-width: 11ch; }}
.epkit-live td.epkit-words {{ white-space: normal; }}
.epkit-live th {{ background: {palette.HEAD}; }}
.epkit-live .epkit-here td {{ background: {palette.HEAD}; font-weight: bold; }}
.epkit-live .epkit-later td {{ background: {LATER_GROUND}; font-style: italic; }}
.epkit-live button:focus-visible, .epkit-live input:focus-visible, .epkit-live .noUi-handle:focus-visible,
.epkit-live .widget-html:focus-visible {{ outline: 3px solid {palette.BLUE}; outline-offset: 2px;
  box-shadow: 0 0 0 6px {palette.CARD}; z-index: 1; }}
</style>"""


def card(content: str, *, past: bool = False, role: str = "") -> str:
    """Content on a white card, with a thick dashed frame for the past."""
    kind = "epkit-card epkit-past" if past else "epkit-card"
    role = f' role="{role}"' if role else ""
    return f'<div class="{kind}"{role}>{content}</div>'


def heading(tape: Tape, moment: float, start: float) -> str:
    name = f"{clean(tape.namespace)}/svc/{clean(tape.name)}"
    time = datetime.fromtimestamp(int(moment), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return STYLE + card(f"<b>{escape(name)}</b> at {time} ({since(moment, start)})")


def since(moment: float, start: float) -> str:
    """A moment as the seconds since the story's start, as :meth:`Cluster.events` lists it.

    >>> since(12.34, 0)
    '+12.3s'
    """
    return f"+{moment - start:.1f}s"


def summary(topology: Topology | None, tape: Tape) -> str:
    """What there is, in a few words."""
    if topology is None:
        return f"there is no Service {clean(tape.name)}"
    ready = looks_of(topology.endpoints)[palette.READY]
    return f"{count(len(topology.slices), 'slice')}, {ready:,} of {count(len(topology.endpoints), 'endpoint')} ready"


def picture(topology: Topology | None, tape: Tape) -> str:
    """The topology's picture with its sentence as alternative text.

    Raises:
        EpkitError: there is no Graphviz.
    """
    from epkit.views.topology_dot import dot

    if topology is None:
        return words(sentence(None, tape))
    return _image(describe(topology), dot(topology))


def sentence(topology: Topology | None, tape: Tape) -> str:
    """The picture in words."""
    if topology is None:
        return f"There is no Service {clean(tape.name)} in the namespace {clean(tape.namespace)} at this moment."
    return describe(topology)


def words(text: str) -> str:
    """Words where the picture would be."""
    return f"<p>{escape(text)}</p>"


@lru_cache(maxsize=32)
def _image(sentence: str, dot: str) -> str:
    """The picture as an image: a page may hold many, and what is inside of one cannot reach the page."""
    data = b64encode(Diagram(sentence, dot).svg.encode()).decode()
    return f'<img alt="{escape(sentence)}" src="data:image/svg+xml;base64,{data}">'


# -- slices --------------------------------------------------------------------------------------------------------


def slices(topology: Topology | None, tape: Tape, position: int | None, start: float) -> str:
    """The slices as YAML, what their last writes changed with signs; first those that changed just now."""
    shown = topology.slices if topology is not None else []
    whole = sum(len(one.get("endpoints") or ()) for one in shown) <= changes.MOST_WHOLE
    how = {key_of(one): tape.change(one, position) for one in shown}
    budget = Budget()
    recent: list[str] = []
    others: list[str] = []
    for write in tape.gone(position):
        what = "was deleted" if write.type == "DELETED" else "no longer names this Service"
        said = f"{what} just now, at {since(write.at, start)} by {write.who or 'unknown'}"
        recent.append(_slice(write.old or write.obj, said, compare_gone(write.old, budget)))
    for one in sorted(shown, key=lambda one: not ((change := how[key_of(one)]) and change.recent)):
        change = how[key_of(one)]
        if change is None:
            said = "not changed since the story began"
            others.append(_slice(one, said, changes.compare(one, one, budget) if whole else []))
            continue
        last = change.writes[-1]
        writers = ", ".join(dict.fromkeys(write.who or "unknown" for write in change.writes))
        verb = "created" if change.old is None else "changed"
        said = f"{verb} {'just now, ' if change.recent else ''}at {since(last.at, start)} by {writers}"
        if len(change.writes) > 1:
            said += f", in {len(change.writes)} writes"
        lines = changes.compare(change.old, one, budget, whole=whole) if whole or change.recent else []
        (recent if change.recent else others).append(_slice(one, said, lines))
    parts = [*recent, *others]
    more = f"<p>… and {count(len(parts) - MOST_SLICES, 'more slice')}.</p>" if len(parts) > MOST_SLICES else ""
    note = "" if whole else " There are many endpoints: only what changed just now is shown."
    legend = f"Signs in the margin: {ADDED} added, {REMOVED} removed, … left out.{note}"
    return f"<b>Slices</b>, YAML <div class='epkit-faint'>{legend}</div>" + "".join(parts[:MOST_SLICES]) + more


def compare_gone(old: Obj | None, budget: Budget) -> list[Line]:
    """The lines of a slice that went."""
    return changes.compare(old, None, budget, whole=False)


def _slice(one: Obj, said: str, lines: list[Line]) -> str:
    counted = looks_of(one.get("endpoints") or ())
    states = ", ".join(f"{look.sign} {number:,} {look.word}" for look, number in counted.items()) or "no endpoints"
    head = f"<div><b>{escape(clean(name_of(one)))}</b>: {escape(states)}; {escape(clean(said))}</div>"
    return head + (f"<pre>{''.join(map(_line, lines))}</pre>" if lines else "")


def _line(line: Line) -> str:
    text = f"{line.sign} {escape(clean(line.text), quote=False)}\n"
    match line.sign:
        case changes.ADDED:
            return f'<span class="epkit-added">{text}</span>'
        case changes.REMOVED:
            return f'<span class="epkit-removed">{text}</span>'
        case changes.LEFT_OUT:
            return f'<span class="epkit-faint">{text}</span>'
    return f"<span>{text}</span>"


# -- writes --------------------------------------------------------------------------------------------------------


def writes(tape: Tape, position: int | None, start: float) -> str:
    """Who wrote what when, newest first; what lies after the moment that is looked at, marked as later."""
    at = tape.length if position is None else position
    first, last = max(1, at - WRITES_BEFORE + 1), min(tape.length, at + WRITES_AFTER)
    rows = []
    for number, write in zip(range(last, first - 1, -1), reversed(tape.writes(first, last)), strict=True):
        kind, mark = ("epkit-later", "later") if number > at else ("epkit-here", "▶") if number == at else ("", "")
        cells = (mark, str(number), since(write.at, start), write.who or "unknown", write.type, *_what(write))
        rows.append(f'<tr class="{kind}">{_cells(cells)}</tr>')
    left = first - 1
    if left:
        rows.append(f'<tr><td colspan="7">… and {count(left, "earlier write")}</td></tr>')
    if not rows:
        rows.append('<tr><td colspan="7">Nothing was written yet.</td></tr>')
    heads = "".join(f'<th scope="col">{word}</th>' for word in ("", "NO", "AT", "WHO", "EVENT", "OBJECT", "THEN"))
    return f"<table><caption>Writes, newest first</caption><tr>{heads}</tr>{''.join(rows)}</table>"


def _cells(texts: Iterable[str]) -> str:
    kinds = ("", "", "", "epkit-name", "", "epkit-name", "epkit-words")
    return "".join(f'<td class="{kind}">{escape(clean(text))}</td>' for kind, text in zip(kinds, texts, strict=True))


def _what(write: Written) -> tuple[str, str]:
    return f"{write.resource}/{name_of(write.obj)}", "" if write.type == "DELETED" else state_of(write)


def state_of(write: Written) -> str:
    """What a write left behind, in a few words."""
    obj = write.obj
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    match write.resource:
        case "endpointslices":
            ready = looks_of(obj.get("endpoints") or ())[palette.READY]
            return f"{ready:,} of {len(obj.get('endpoints') or ()):,} ready"
        case "pods":
            if obj["metadata"].get("deletionTimestamp"):
                return "terminating"
            ready = (condition(obj, "Ready") or {}).get("status") == "True"
            return f"{status.get('phase', '')}{', ready' if ready else ', not ready'}" if status else ""
        case "nodes":
            return f"Ready is {(condition(obj, 'Ready') or {}).get('status', 'not set')}"
        case "deployments" | "replicasets" | "statefulsets":
            return f"{status.get('readyReplicas') or 0:,} of {spec.get('replicas') or 0:,} ready"
    return ""
