"""The chat's pages. Everything that moves on them comes over the socket (chat/consumers.py)."""

from __future__ import annotations

import uuid
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.templatetags.static import static
from django.utils import timezone
from django.utils.functional import SimpleLazyObject
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from chat.history import path
from chat.models import Conversation, Generation, Guest, Queue
from chat.snapshots import finished
from chat.words import stage

LISTED = 200
"""Conversations in the sidebar; older ones are found by their address."""

FIRST = "first message"
"""The session's key for what somebody typed before they became a guest."""


def site(request: HttpRequest) -> dict[str, Any]:
    """What every page may say about the site; looked up only where a template asks for it."""
    return {
        "model_name": SimpleLazyObject(_model_name),
        "is_guest": SimpleLazyObject(lambda: is_guest(request)),
        "guests_open": settings.CHATSITE_GUESTS,
        "signup_open": settings.CHATSITE_SIGNUP,
    }


def _model_name() -> str:
    """As the worker wrote it into the queue; before the first one, what the settings say."""
    queue = Queue.objects.order_by("pk").first()
    return (queue.model if queue is not None else "") or Path(settings.CHATSITE_MODEL).name


def is_guest(request: HttpRequest) -> bool:
    """Whether this request comes from somebody without an account who has already started."""
    user = getattr(request, "user", None)
    return bool(user and user.is_authenticated and Guest.objects.filter(pk=user.pk).exists())


@never_cache
@require_safe
def new_chat(request: HttpRequest) -> HttpResponse:
    """An empty chat; for somebody not signed in, the landing page."""
    if not request.user.is_authenticated:
        return welcome(request)
    return _page(request, None, first=request.session.pop(FIRST, ""))


def welcome(
    request: HttpRequest, text: str = "", problem: str = "", status: int = 200
) -> HttpResponse:
    """The landing page, with a message that could not be taken and why."""
    context = {"examples": examples(), "text": text, "problem": problem}
    return render(request, "chat/welcome.html", context, status=status)


@never_cache
@require_safe
@login_required
def conversation(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """One of the reader's own conversations; anybody else's does not exist for them."""
    return _page(request, get_object_or_404(Conversation, pk=pk, user=request.user))


def _page(request: HttpRequest, current: Conversation | None, first: str = "") -> HttpResponse:
    turns = [finished(row) for row in path(current)] if current is not None else []
    context = {
        "current": current,
        "turns": turns,
        "groups": _groups(request),
        "first": first,
        "examples": examples(),
        "modules": _modules(),
    }
    return render(request, "chat/page.html", context)


def examples() -> list[str]:
    """Prompts for somebody who does not know what to ask."""
    return [
        _("How does the queue of this site work?"),
        _("Tell me a short story about a cat"),
        _("Make a table of three fruits and their colours"),
    ]


def _groups(request: HttpRequest) -> list[dict[str, Any]]:
    """The sidebar's lines by the day of their last message."""
    reader = request.user.pk or 0
    rows = list(Conversation.objects.filter(user_id=reader)[:LISTED])
    unfinished = Generation.objects.unfinished().filter(author_id=reader)
    stages = {row.conversation_id: stage(row) for row in unfinished.order_by("-id")}
    today = timezone.localdate()
    groups = {
        "today": (_("Today"), today),
        "yesterday": (_("Yesterday"), today - timedelta(days=1)),
        "week": (_("The last seven days"), today - timedelta(days=7)),
        "older": (_("Older"), None),
    }
    lines: dict[str, list[dict[str, Any]]] = {name: [] for name in groups}
    for row in rows:
        day = timezone.localdate(row.updated_at)
        name = next(name for name, (_words, since) in groups.items() if not since or day >= since)
        lines[name].append({"id": row.pk, "title": row.title, "stage": stages.get(row.pk)})
    return [
        {"name": name, "words": words, "rows": lines[name]}
        for name, (words, _since) in groups.items()
    ]


@lru_cache(maxsize=1)
def _modules() -> tuple[str, ...]:
    """Addresses of what main.js imports, so that browsers fetch all of it at once."""
    folder = Path(settings.BASE_DIR) / "static" / "chat"
    loaded_otherwise = {"main.js", "sheet.js", "theme-early.js"}
    names = sorted(file.name for file in folder.glob("*.js"))
    return tuple(static(f"chat/{name}") for name in names if name not in loaded_otherwise)
