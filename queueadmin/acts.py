"""Carries out what an operator asks for, if permitted; the record is written by chat/operators.py.

Knows frames and permissions, no sockets.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.models import AbstractUser
from django.utils import translation
from django.utils.translation import gettext as _

from chat import operators
from chat.admission import QueueRefusal
from chat.database import web
from chat.models import Generation, QueueChange
from chat.operators import Actor
from queueadmin import words
from queueadmin.frames import AnyInbound, Cancel, Done, Pause, Refused, Resume, Set, Slots
from queueadmin.identity import acts_of

NEEDS: dict[type[AnyInbound], str] = {
    Set: "set",
    Slots: "set",
    Pause: "pause",
    Resume: "pause",
    Cancel: "cancel",
}


@dataclass(frozen=True, slots=True)
class Desk:
    """Where an operator acts: which queue, who, and in which language answers are wanted."""

    queue: int
    user: AbstractUser
    language: str


async def carry_out(desk: Desk, act: AnyInbound) -> Done | Refused:
    """Do it and say so, or say why not; every act is answered once."""
    try:
        if NEEDS[type(act)] not in await web(acts_of, desk.user):
            raise QueueRefusal("not_permitted")
        said = await _carry_out(desk, act)
    except QueueRefusal as refusal:
        with translation.override(desk.language):
            return Refused(str(act.id), refusal.code, words.refusal(refusal.code, refusal.detail))
    return Done(str(act.id), said)


async def _carry_out(desk: Desk, act: AnyInbound) -> str:
    match act:
        case Set():
            return await _set(desk, act)
        case Slots():
            return await _set_slots(desk, act)
        case Cancel():
            return await _cancel(desk, act)
        case Pause() | Resume():
            paused = isinstance(act, Pause)
            await operators.configure(desk.queue, Actor(desk.user), paused=paused)
            with translation.override(desk.language):
                return _("The queue is paused.") if paused else _("The queue works again.")


async def _set(desk: Desk, act: Set) -> str:
    if act.value == 0 and act.name == "limit":
        raise QueueRefusal("zero", name=act.name)
    try:
        await operators.configure(
            desk.queue, Actor(desk.user), {act.name: act.seen}, **{act.name: act.value}
        )
    except QueueRefusal as refusal:
        if refusal.code == "changed":
            refusal.detail["who"] = await web(_who_set, desk.queue, act.name)
        raise
    with translation.override(desk.language):
        return words.done_set(act.name, act.value)


async def _set_slots(desk: Desk, act: Slots) -> str:
    actor = Actor(desk.user)
    try:
        row = await operators.set_slots(act.worker, desk.queue, actor, act.value, act.seen)
    except QueueRefusal as refusal:
        if refusal.code == "changed":
            refusal.detail["who"] = await web(_who_set, desk.queue, "slots")
        raise
    with translation.override(desk.language):
        return words.done_slots(row.name, act.value)


def _who_set(queue: int, name: str) -> str:
    rows = QueueChange.objects.filter(queue=queue, after__has_key=name)
    return rows.order_by("-id").values_list("actor_name", flat=True).first() or ""


async def _cancel(desk: Desk, act: Cancel) -> str:
    row = await web(
        Generation.objects.filter(pk=act.generation, queue=desk.queue)
        .select_related("author")
        .first
    )
    if row is None:
        raise QueueRefusal("not_found")
    if not await operators.cancel_for(row.pk, Actor(desk.user)):
        raise QueueRefusal("ended")
    with translation.override(desk.language):
        return _("The reply of %(user)s is stopped; what it wrote is kept.") % {
            "user": row.author.get_username()
        }
