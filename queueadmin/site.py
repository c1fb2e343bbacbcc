"""The admin site: its first page is the queue, for whoever may watch it."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.templatetags.static import static
from django.urls import URLPattern, path, reverse_lazy
from django.utils.translation import gettext_lazy as _
from unfold.sites import UnfoldAdminSite

from queueadmin.identity import WATCH


class OperatorSite(UnfoldAdminSite):
    """unfold's admin with the dashboard inside."""

    def extra_urls(self) -> list[URLPattern]:
        """Pages that belong to no model."""
        from queueadmin.views import queue_page

        return [path("queue/", self.admin_view(queue_page), name="queue")]

    def index(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if request.user.has_perm(WATCH):
            return redirect(f"{self.name}:queue")
        return super().index(request, extra_context)  # type: ignore[no-any-return]


def mark(request: HttpRequest) -> str:
    """The address of the site's sign."""
    return static("chat/mark.svg")


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The sidebar. Items that this operator may not open are left out."""
    return [
        _group(
            _("Queue"),
            (_("Live"), "stream", "queue", WATCH),
            (_("Replies"), "chat", "chat_generation_changelist", "chat.view_generation"),
            (_("Changes"), "history", "chat_queuechange_changelist", "chat.view_queuechange"),
            (_("Workers"), "memory", "chat_worker_changelist", "chat.view_worker"),
            (_("Queues"), "tune", "chat_queue_changelist", "chat.view_queue"),
        ),
        _group(
            _("People"),
            (_("Users"), "person", "auth_user_changelist", "auth.view_user"),
            (_("Groups"), "group", "auth_group_changelist", "auth.view_group"),
        ),
    ]


def _group(title: Any, *items: tuple[Any, str, str, str]) -> dict[str, Any]:
    return {
        "title": title,
        "items": [
            {
                "title": name,
                "icon": icon,
                "link": reverse_lazy(f"admin:{page}"),
                "permission": _holds(permission),
            }
            for name, icon, page, permission in items
        ],
    }


def _holds(permission: str) -> Any:
    return lambda request: request.user.has_perm(permission)
