"""The tables behind the dashboard, to look things up in. Prompts and replies are not shown.

What the dashboard changes is read-only here, so that every change goes the recorded way.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from asgiref.sync import async_to_sync
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from chat import events
from chat.models import Generation, Queue, QueueChange, Worker
from queueadmin import words


class ReadOnly(ModelAdmin):
    """A table to look at, for whoever holds the model's view permission; superusers, too."""

    list_per_page = 50
    show_full_result_count = False
    list_display_links: tuple[str, ...] | None = None

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Queue)
class QueueAdmin(ReadOnly):
    list_display = ("name", "model", "limit", "size", "paused")
    fields = (
        "name",
        "model",
        "limit",
        "size",
        "running_per_user",
        "waiting_per_user",
        "paused",
    )


@admin.register(Worker)
class WorkerAdmin(ReadOnly):
    list_display = ("name", "queue", "state", "model", "device", "slots", "seen_at")
    list_filter = ("state", "queue")
    fields = ("name", "queue", "state", "model", "device", "slots", "speed", "memory", "seen_at")


@admin.register(Generation)
class GenerationAdmin(ReadOnly):
    list_display = (
        "id",
        "author",
        "state",
        "reason",
        "created_at",
        "waited",
        "took",
        "token_count",
        "attempt",
    )
    list_display_links = ("id",)
    list_filter = ("state", ("created_at", admin.DateFieldListFilter), "reason", "queue")
    list_select_related = ("author",)
    search_fields = ("=id", "author__username")
    search_help_text = _("Number of a reply, or name of a user")
    ordering = ("-id",)
    fields = (
        "queue",
        "author",
        "state",
        "reason",
        "priority",
        "created_at",
        "claimed_at",
        "first_token_at",
        "ended_at",
        "token_count",
        "attempt",
        "strikes",
        "worker",
        "fingerprint",
        "dropped_turns",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Generation]:
        texts = ("prompt", "turns", "reply", "reply_ids", "prompt_ids")
        return super().get_queryset(request).defer(*texts)  # type: ignore[no-any-return]

    @admin.display(description=_("waited"))
    def waited(self, row: Generation) -> str:
        """Seconds from being sent to the last claim."""
        return _seconds(row.created_at, row.claimed_at)

    @admin.display(description=_("took"))
    def took(self, row: Generation) -> str:
        """Seconds from the last claim to the end."""
        return _seconds(row.claimed_at, row.ended_at)


def _seconds(start: Any, end: Any) -> str:
    return f"{(end - start).total_seconds():.1f} s" if start and end else "–"


@admin.register(QueueChange)
class QueueChangeAdmin(ReadOnly):
    list_display = ("at", "actor_name", "what", "queue", "source")
    list_display_links = ("at",)
    list_filter = ("act", "source", ("at", admin.DateFieldListFilter), "queue")
    search_fields = ("actor_name", "subject")
    fields = ("at", "actor_name", "source", "queue", "act", "subject", "before", "after")

    @admin.display(description=_("what"))
    def what(self, row: QueueChange) -> str:
        """The change as the end of a sentence."""
        return words.recorded(row)


admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ModelAdmin):  # type: ignore[type-arg]
    """Accounts. Only superusers hand out rights, or touch other superusers."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "is_active", "is_staff", "date_joined", "last_login")
    list_filter = ("is_active", "is_staff", "is_superuser", "groups")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = super().get_readonly_fields(request, obj)
        if request.user.is_superuser:
            return fields
        return (*fields, "is_staff", "is_superuser", "groups", "user_permissions")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may_touch(request, obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may_touch(request, obj) and super().has_delete_permission(request, obj)

    def _may_touch(self, request: HttpRequest, obj: Any) -> bool:
        return obj is None or not obj.is_superuser or request.user.is_superuser

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Rights are stored last; whoever holds a socket open is told once they are."""
        super().save_related(request, form, formsets, change)
        user = form.instance.pk
        tell = partial(async_to_sync(events.publish), events.user_group(user))
        transaction.on_commit(partial(tell, events.identity_changed(user)))

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        # What people wrote goes with them, though nobody may delete a single reply here.
        deleted, counts, needed, protected = super().get_deleted_objects(objs, request)
        needed.discard(Generation._meta.verbose_name)
        return deleted, counts, needed, protected


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, ModelAdmin):
    """Sets of permissions. Only superusers hand out rights."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)
