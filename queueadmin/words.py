"""What the dashboard says, in the operator's language: alerts, records, answers to acts."""

from __future__ import annotations

from typing import Any

from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from chat import words
from chat.models import QueueChange, Worker

Subject = dict[str, Any]


def setting(name: str) -> str:
    """A setting's name as part of a sentence."""
    return {
        "limit": _("the limit"),
        "size": _("the size of the line"),
        "running_per_user": _("replies in progress per person"),
        "waiting_per_user": _("waiting messages per person"),
        "slots": _("the number of slots"),
    }.get(name, name)


def number(value: int) -> str:
    """A whole number with its thousands told apart."""
    return str(number_format(value, use_l10n=True, force_grouping=True))


def effect(running: int, limit: int, slots: int, binds: str) -> str:
    """What limit and slots do at this moment, and which of the two binds."""
    if binds == "paused":
        return _("Paused: nothing starts, whatever the limit.")
    if binds == "worker":
        return _("No worker is ready, so nothing can run.")
    if running > min(limit, slots):
        over = running - min(limit, slots) + 1
        return _("More are in progress than allowed: %(over)s end before another starts.") % {
            "over": number(over)
        }
    values = {"limit": number(limit), "slots": number(slots)}
    if binds == "slots":
        return (
            ngettext(
                "The slots bind: the workers have %(slots)s, so a higher limit changes nothing.",
                "The slots bind: the workers have %(slots)s, so a higher limit changes nothing.",
                slots,
            )
            % values
        )
    if running < limit:
        return (
            ngettext(
                "%(limit)s at once; the workers have slots for %(slots)s.",
                "%(limit)s at once; the workers have slots for %(slots)s.",
                limit,
            )
            % values
        )
    if limit == slots:
        return _("Limit and slots are equal, and all are in use.")
    return (
        _("The limit binds: all its places are in use. The workers have %(slots)s slots.") % values
    )


def room(waiting: int, size: int) -> str:
    """How many more may come."""
    left = max(0, size - waiting)
    if not left:
        return _("no room left")
    return ngettext("room for %(n)s more", "room for %(n)s more", left) % {"n": number(left)}


def binding(binds: str, full: bool) -> str:
    """What stops more from running, in two words; what would, unless all places are `full`."""
    return {
        "limit": _("the limit binds") if full else _("by the limit"),
        "slots": _("the slots bind") if full else _("by the slots"),
        "worker": _("no worker is ready"),
        "paused": _("paused"),
    }[binds]


def places(slots: int) -> str:
    """What living workers can run."""
    return ngettext("%(n)s slot", "%(n)s slots", slots) % {"n": number(slots)}


def wait(seconds: tuple[int, int] | None) -> str:
    """What a new message may expect."""
    return words.wait_range(*seconds) if seconds else _("not known yet")


def worker_state(row: Worker, dead: bool) -> str:
    """A worker's state in a word."""
    return _("silent") if dead else str(Worker.State(row.state).label)


def no_worker(waiting: int, loading: bool) -> tuple[str, str]:
    """Nobody can generate: what that means, and what to do."""
    if loading:
        return (
            _("The model is still loading."),
            _("Messages wait in line and are kept; the first ones start when it is ready."),
        )
    said = _("No worker is alive: nothing is generated.")
    if waiting:
        said = (
            ngettext(
                "No worker is alive: nothing is generated, %(waiting)s message waits and is kept.",
                "No worker is alive: nothing is generated, %(waiting)s messages wait and are kept.",
                waiting,
            )
        ) % {"waiting": number(waiting)}
    return said, _("Start one, or look into its log why it ended.")


def broken(row: Worker) -> tuple[str, str]:
    """A worker that has no engine."""
    return (
        _("The worker %(name)s cannot run its model.") % {"name": row.name},
        words.engine_failure(row.reason, row.detail),
    )


def silent(row: Worker) -> tuple[str, str]:
    """A worker whose heart has stopped beating while others live."""
    return (
        _("The worker %(name)s has stopped answering.") % {"name": row.name},
        _("What it was working on goes on with another worker. Start it again if it is missed."),
    )


def paused(change: QueueChange | None) -> tuple[str, str]:
    """The queue is paused, and by whom."""
    said = _("The queue is paused: nothing starts.")
    if change is not None:
        said = _("The queue is paused by %(who)s: nothing starts.") % {"who": change.actor_name}
    return said, _("Replies in progress go on. Resume starts the waiting ones again.")


def full(size: int) -> tuple[str, str]:
    """The line has no room left."""
    return (
        _("The line is full: new messages are turned away."),
        _("%(size)s may wait. A higher limit shortens the line, a larger size lets more wait.")
        % {"size": number(size)},
    )


def no_events() -> tuple[str, str]:
    """This web process hears no events."""
    return (
        _("Redis does not answer: pages hear of what happens up to 10 s late."),
        _("Nothing is lost. Start Redis, or correct REDIS_URL; it is called again all the time."),
    )


def recorded(change: QueueChange) -> str:
    """What somebody did, as the end of a sentence that begins with their name."""
    if change.act == "cancel":
        return _("stopped the reply of %(subject)s") % {"subject": change.subject}
    if change.act == "slots":
        return _("set the slots of %(worker)s from %(before)s to %(after)s") % {
            "worker": change.subject,
            "before": number(change.before.get("slots", 0)),
            "after": number(change.after.get("slots", 0)),
        }
    if change.act != "configure":
        return f"{change.act} {change.subject}".strip()
    said = []
    for name, value in change.after.items():
        if name == "paused":
            said.append(_("paused the queue") if value else _("resumed the queue"))
        else:
            said.append(
                _("set %(name)s from %(before)s to %(after)s")
                % {
                    "name": setting(name),
                    "before": number(change.before.get(name, 0)),
                    "after": number(value),
                }
            )
    return ", ".join(said)


def done_set(name: str, value: int) -> str:
    """A setting was changed."""
    return _("Done: %(name)s is now %(value)s.") % {"name": setting(name), "value": number(value)}


def done_slots(worker: str, slots: int) -> str:
    """A worker got another number of slots."""
    return ngettext(
        "Done: %(worker)s runs at most %(slots)s reply at once.",
        "Done: %(worker)s runs at most %(slots)s replies at once.",
        slots,
    ) % {"worker": worker, "slots": number(slots)}


def refusal(code: str, detail: Subject) -> str:
    """Why an act was not carried out, and what to do instead."""
    name = setting(str(detail.get("name", "")))
    if code == "zero":
        return _("A limit of 0 is not possible: to stop work, pause the queue.")
    if code == "bad_value":
        return _("Not changed: %(name)s must be a whole number from 1 to %(most)s.") % {
            "name": name,
            "most": number(int(detail.get("most", 1))),
        }
    if code == "changed":
        said = {"name": name, "now": number(detail["now"]), "who": detail.get("who", "")}
        if not said["who"]:
            return _("Not changed: %(name)s is %(now)s by now.") % said
        return _("Not changed: %(who)s has just set %(name)s to %(now)s.") % said
    return {
        "not_permitted": _("You may watch this queue, but not do this."),
        "ended": _("This reply has already ended."),
        "not_found": _("This reply does not exist any more."),
        "worker_gone": _("Not changed: this worker is not ready any more."),
    }.get(code, _("This could not be done."))
