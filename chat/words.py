"""Codes into sentences, in the reader's language. Rows store codes; nobody else makes sentences."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from chat.frames import Stage
from chat.models import Generation, State
from chat.ranking import Ranking

ENDINGS = {
    "stop": "done",
    "length": "length",
    "time": "length",
    "window": "length",
    "filtered": "length",
}


TOO_LONG = ("prompt_too_long", "upstream_too_long")


def duration(seconds: int) -> str:
    """Seconds as people say them."""
    if seconds < 90:
        return _("%(n)d s") % {"n": seconds}
    return _("%(n)d min") % {"n": round(seconds / 60)}


def wait_range(low: int, high: int) -> str:
    """An expected wait as people say it."""
    if high <= 2:
        return _("a moment")
    if high < 90:
        return _("about %(low)d–%(high)d s") % {"low": low, "high": high}
    low, high = low // 60, -(-high // 60)
    if low == high or not low:
        return _("up to %(high)d min") % {"high": high}
    return _("about %(low)d–%(high)d min") % {"low": low, "high": high}


def stage(row: Generation, ranking: Ranking | None = None, alive: bool = True) -> Stage:
    """The line under a reply. `ranking` is needed for a waiting one's place; `alive` is whether
    any worker can run it."""
    if row.state == State.WAITING:
        return _waiting(row, ranking, alive)
    if row.state == State.RUNNING:
        return _running(row)
    return _ended(row)


def _waiting(row: Generation, ranking: Ranking | None, alive: bool) -> Stage:
    def said(name: str, words: str, **more: Any) -> Stage:
        return Stage(state=row.state, name=name, words=words, **more)

    if ranking is not None and row.pk not in ranking.places and not ranking.whole:
        words = _("In line, behind more than %(count)d others")
        return said("waiting", words % {"count": len(ranking.places) - 1})
    if ranking is None or row.pk not in ranking.places:
        return said("waiting", _("In line"))
    place = ranking.places[row.pk]
    if place is None:
        return said("after", _("After your current reply"))
    wait = ranking.wait(row.pk)
    standing = (
        _("Next in line") if place == 1 else _("%(place)s in line") % {"place": ordinal(place)}
    )
    if ranking.queue.paused:
        return said(
            "paused",
            _("%(standing)s · paused by the operators, your message is kept")
            % {"standing": standing},
            position=place,
        )
    if not alive:
        return said(
            "paused",
            _("%(standing)s · no model is running right now, your message is kept")
            % {"standing": standing},
            position=place,
        )
    if row.reply_end:
        return said(
            "continuing",
            _("%(standing)s · continues where it was interrupted") % {"standing": standing},
            position=place,
            wait=wait,
        )
    words = standing if wait is None else f"{standing} · {wait_range(*wait)}"
    return said("waiting", words, position=place, wait=wait)


def ordinal(place: int) -> str:
    """A place in line: 2nd, 3rd, 21st."""
    tail = "th" if 10 <= place % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    # Translators: a place in line; other languages may leave the ending out.
    return _("%(place)d%(tail)s") % {"place": place, "tail": tail}


def _running(row: Generation) -> Stage:
    if not row.reply_end:
        if row.strikes:
            return Stage(row.state, "continuing", _("Trying again after an interruption"))
        return Stage(row.state, "preparing", _("Reading your message"))
    if row.reasoning_end == row.reply_end:
        return Stage(row.state, "thinking", _("Thinking"))
    return Stage(row.state, "generating", _("Generating"))


def _ended(row: Generation) -> Stage:
    if row.state == State.DONE:
        name = ENDINGS.get(row.reason, "done")
        if row.reason == "time":
            return Stage(row.state, name, _("Cut: it ran for as long as one reply may"))
        if row.reason == "filtered":
            return Stage(row.state, name, _("Cut by the content filter of the model's server"))
        if name == "length":
            return Stage(row.state, name, _("Cut: it reached the longest length of a reply"))
        return Stage(row.state, name, _("Done"))
    if row.state == State.CANCELLED:
        if row.reason == "parent_ended":
            return Stage(row.state, "held", _("Not sent: the reply before it did not finish"))
        if row.reason == "stopped_by_operator":
            return Stage(row.state, "stopped", _("Stopped by an operator"), again=True)
        return Stage(row.state, "stopped", _("Stopped"))
    return Stage(
        row.state, "failed", failure(row.reason, row.detail), again=row.reason not in TOO_LONG
    )


def failure(reason: str, detail: dict[str, Any]) -> str:
    """Why a generation failed: what happened, what is kept, what to do."""
    said = {
        "prompt_too_long": _(
            "Too long for this model: your message has %(tokens)s tokens, it can read %(limit)s. "
            "Shorten it and send it again."
        ),
        "prompt_empty": _("There is nothing in this message that the model can read."),
        "engine_died": _(
            "The model stopped three times while working on this message. Your message is kept; "
            "try again or write it differently."
        ),
        "sampling_out_of_range": _("The model cannot run with this value of %(parameter)s."),
        "template_failed": _(
            "This model's chat template cannot write this conversation down. Start a new one."
        ),
        "upstream_too_long": _("Too long for this model. Shorten your message and send it again."),
        "upstream_cut": _(
            "The model's server broke off, and this reply cannot go on from there. What there is "
            "of it is kept; try again for a new one."
        ),
        "upstream_stalled": _(
            "The model's server said nothing for %(seconds)s s. Your message is kept; try again."
        ),
        "upstream_busy": _(
            "The model's server is too busy. Your message is kept; try again in a moment."
        ),
        "upstream_failed": _(
            "The model's server failed while working on this message. Your message is kept; try "
            "again or write it differently."
        ),
        "upstream_garbled": _(
            "The model's server sent what nobody can read. Your message is kept; try again."
        ),
        "upstream_refused": _(
            "The model's server refuses this message (status %(status)s). It is kept; write it "
            "differently, or tell the operators."
        ),
    }.get(reason, _("Something went wrong on our side. Your message is kept; try again."))
    return said % _Blank(detail)


def refusal(code: str, detail: dict[str, Any], retry: int) -> str:
    """Why a message was not taken; which limit, and when it ends."""
    if code == "queue_full":
        words = (
            ngettext(
                "The line is full: %(size)d message is waiting. Your text is kept.",
                "The line is full: %(size)d messages are waiting. Your text is kept.",
                detail["size"],
            )
            % detail
        )
        if detail.get("high"):
            words += " " + _("Expected wait: %(range)s.") % {
                "range": wait_range(detail["low"], detail["high"])
            }
        return words
    if code == "too_many_waiting":
        return (
            ngettext(
                "You already have %(limit)d message waiting, the most for one person. Your text is "
                "kept; send it when a reply has come.",
                "You already have %(limit)d messages waiting, the most for one person. Your text "
                "is kept; send it when a reply has come.",
                detail["limit"],
            )
            % detail
        )
    if code == "too_fast":
        return _(
            "That was faster than %(per_minute)d messages a minute. Your text is kept; send it "
            "again in %(retry)s."
        ) % {**detail, "retry": duration(retry)}
    return {
        "not_found": _("This conversation does not exist, or is not yours."),
        "id_used": _("This message was sent before with another text."),
        "not_allowed": _("You may not send messages."),
        "bad_value": _("This value is not possible."),
    }.get(code, _("This could not be done."))


def frame_error(code: str, most: int = 0, retry: int = 0) -> str:
    """What was wrong with a frame; of a limit, how much it allows and when it ends (seconds)."""
    said = {
        "binary": _("Only text frames are understood."),
        "unreadable": _("This frame is not valid JSON."),
        "frame_too_large": _("This frame is larger than 64 KiB."),
        "unknown_frame": _("This frame is not one of ours, or a field of it is wrong."),
        "bad_text": _("The text contains characters that cannot be stored."),
        "text_too_long": _("The text is longer than 32,000 characters. Shorten it."),
        "text_empty": _("There is no text to send."),
        "not_found": _("This conversation or reply does not exist, or is not yours."),
        "unavailable": _(
            "The site's storage does not answer right now. Nothing is lost; it is tried again."
        ),
        "too_many_frames": _("Too many frames: at most %(most)s a minute. Try again in %(retry)s."),
        "too_many_tabs": _(
            "You already have %(most)s tabs open here, the most for one person. Close one, then "
            "connect this one."
        ),
        "too_many_here": _(
            "%(most)s tabs are already open from your network address, the most for one address. "
            "Connect again when some have been closed."
        ),
    }.get(code, _("This could not be done."))
    return said % {"most": most, "retry": duration(retry)} if most else said


def engine_failure(reason: str, detail: dict[str, Any]) -> str:
    """Why there is no engine, for operators: the cause, and what to do."""
    detail = {**detail, "reason": reason}
    if reason == "model_missing":
        causes = {
            "folder": _("there is no such folder"),
            "files": _("the folder holds no model"),
            "offline": _("it is not in the cache, and it cannot be downloaded from here"),
            "gated": _("its makers give it only to those who have asked for it"),
        }
        detail["cause"] = causes.get(str(detail.get("why")), _("nobody knows a model of this name"))
    said = {
        "model_missing": _(
            "The model %(model)s cannot be loaded: %(cause)s. Set CHATSITE_MODEL to a folder or "
            "to the name of a model that is in the cache or can be downloaded."
        ),
        "model_unsupported": _("The model %(model)s cannot be run here: %(cause)s."),
        "model_broken": _("The files of the model %(model)s are damaged: %(cause)s."),
        "out_of_memory": _(
            "The model does not fit into memory. Choose a smaller one, fewer CHATSITE_SLOTS or a "
            "shorter CHATSITE_CONTEXT."
        ),
        "device_missing": _("There is no device %(device)s here. Set CHATSITE_DEVICE."),
        "dtype_unknown": _("There is no number format %(dtype)s. Set CHATSITE_DTYPE."),
        "loading_timeout": _(
            "The model was not loaded within %(seconds)s s. CHATSITE_LOAD_SECONDS sets the time."
        ),
        "upstream_away": _(
            "The model's server %(server)s cannot be reached. Start it, or set CHATSITE_OPENAI_URL."
        ),
        "upstream_key": _(
            "The model's server %(server)s does not accept the key. Set CHATSITE_OPENAI_KEY."
        ),
        "upstream_unnamed": _(
            "The server %(server)s lists %(models)s models. Name one with CHATSITE_OPENAI_MODEL."
        ),
        "upstream_no_model": _(
            "The server %(server)s has no model %(model)s, or nothing at this address. Set "
            "CHATSITE_OPENAI_MODEL and CHATSITE_OPENAI_URL (it mostly ends with /v1)."
        ),
        "upstream_unfit": _(
            "The server %(server)s did not answer a trial (%(status)s). It may still be "
            "loading its model."
        ),
        "engine_died": _("The engine's process ended while it was loading the model."),
        "engine_hung": _("The engine stood still for %(seconds)s s and was ended."),
    }.get(reason, _("The engine could not start: %(reason)s."))
    return said % _Blank(detail)


class _Blank(dict[str, Any]):
    """Parameters of a sentence; one that is missing reads "?"."""

    def __missing__(self, key: str) -> str:
        return "?"
