"""The dashboard's page: a frame without figures, which its socket fills at once."""

from __future__ import annotations

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from chat.admission import default_queue
from chat.models import Queue
from chat.operators import CHANGEABLE
from queueadmin.frames import PROTOCOL
from queueadmin.identity import WATCH, acts_of


@require_safe
def queue_page(request: HttpRequest) -> HttpResponse:
    """/admin/queue/: one queue, live. The admin site has let only active staff come here."""
    user = request.user
    if not user.has_perm(WATCH):
        raise PermissionDenied
    queue = _queue_of(request)
    return TemplateResponse(
        request,
        "queueadmin/board.html",
        {
            **admin.site.each_context(request),
            "title": _("Queue"),
            "queue": queue,
            "queues": Queue.objects.order_by("pk"),
            "protocol": PROTOCOL,
            "acts": acts_of(user),  # type: ignore[arg-type]
            "most": CHANGEABLE,
        },
    )


def _queue_of(request: HttpRequest) -> Queue:
    wanted = request.GET.get("queue", "")
    if not wanted:
        return default_queue()
    if not (wanted.isascii() and wanted.isdigit() and len(wanted) < 19):
        raise Http404
    queue = Queue.objects.filter(pk=int(wanted)).first()
    if queue is None:
        raise Http404
    return queue
