"""The rows that are the truth: conversations, generations, queues, workers and the trail.

The QuerySet of Generation names its sets and is the only place that changes a generation's row;
who is told of a change is the business of chat/generation_queue.py.
"""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from chat.transitions import GenerationQuerySet


class Guest(models.Model):
    """Marks a user who came without an account. Guests of one address share a line."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="guest"
    )
    address = models.GenericIPAddressField(null=True)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    def __str__(self) -> str:
        return f"guest {self.user_id}"


class Conversation(models.Model):
    """One chat of one user: a tree of generations."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="conversations")
    title = models.CharField(max_length=120, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField()

    class Meta:
        ordering = ["-updated_at"]
        indexes = [models.Index(fields=["user", "-updated_at"], name="conversation_recent")]

    def __str__(self) -> str:
        return self.title or str(self.id)


class Queue(models.Model):
    """Who waits for which model, and how many may run. Operators change it while it runs."""

    name = models.CharField(_("name"), max_length=60, unique=True)
    model = models.CharField(_("model"), max_length=200, blank=True)
    limit = models.PositiveIntegerField(_("limit"), default=4)
    size = models.PositiveIntegerField(_("size"), default=1_000)
    running_per_user = models.PositiveIntegerField(_("running per user"), default=1)
    waiting_per_user = models.PositiveIntegerField(_("waiting per user"), default=5)
    paused = models.BooleanField(_("paused"), default=False)
    turn_served = models.BigIntegerField(default=0, editable=False)

    class Meta:
        verbose_name = _("queue")
        verbose_name_plural = _("queues")
        permissions = [
            ("watch_queue", "Can watch the queue live"),
            ("set_limit", "Can change the limit"),
            ("pause_queue", "Can pause and resume the queue"),
            ("cancel_generation", "Can stop other people's replies"),
        ]

    def __str__(self) -> str:
        return self.name


class Worker(models.Model):
    """A process that runs generations. Its heartbeat is a counter: clocks are never compared.

    `slots` is how many generations it may run now: its engine's `capacity`, or fewer if operators
    want so (`wanted`, null if they have said nothing). `host` is the machine it was started on.
    """

    class State(models.TextChoices):
        LOADING = "loading", _("loading")
        READY = "ready", _("ready")
        BROKEN = "broken", _("broken")
        STOPPED = "stopped", _("stopped")

    name = models.CharField(max_length=100, unique=True)
    queue = models.ForeignKey(Queue, models.CASCADE, related_name="workers")
    state = models.CharField(max_length=10, choices=State.choices, default=State.LOADING)
    incarnation = models.UUIDField(default=uuid.uuid4)
    heartbeat = models.BigIntegerField(default=0)
    slots = models.PositiveIntegerField(default=0)
    capacity = models.PositiveIntegerField(default=0, db_default=0)
    wanted = models.PositiveIntegerField(null=True)
    host = models.CharField(max_length=100, blank=True, default="", db_default="")
    model = models.CharField(max_length=200, blank=True)
    fingerprint = models.CharField(max_length=64, blank=True)
    device = models.CharField(max_length=60, blank=True)
    reason = models.CharField(max_length=40, blank=True)
    detail = models.JSONField(default=dict, blank=True)
    memory = models.BigIntegerField(default=0, help_text=_("bytes, worker and engine together"))
    speed = models.FloatField(default=0.0, help_text=_("tokens per second, all slots together"))
    seen_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("worker")
        verbose_name_plural = _("workers")

    def __str__(self) -> str:
        return self.name


class State(models.TextChoices):
    """The five states of a generation. On the pages, running reads "in progress"."""

    WAITING = "waiting", _("waiting")
    RUNNING = "running", _("in progress")
    DONE = "done", _("done")
    FAILED = "failed", _("failed")
    CANCELLED = "cancelled", _("stopped")


class Generation(models.Model):
    """One turn: a prompt, the reply so far, and its place in the queue.

    `attempt` counts claims and fences off old ones. `reply_end` is the length of `reply` in code
    points; its first `reasoning_end` are the model's reasoning. `prompt_ids` and `reply_ids` are
    token ids in decimal with single spaces, of the model that `fingerprint` names; `reply_ids` may
    run ahead of `reply`. `claimed_tokens` is `token_count` at the last claim: an engine that dies
    before it grew gives a strike. `reason` and `detail` say how it ended, in a code.
    """

    queue = models.ForeignKey(Queue, models.CASCADE, related_name="generations")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="generations")
    conversation = models.ForeignKey(
        Conversation, models.CASCADE, null=True, related_name="generations"
    )
    parent = models.ForeignKey("self", models.CASCADE, null=True, related_name="children")
    client_id = models.UUIDField()

    prompt = models.TextField()
    turns = models.JSONField(null=True)
    parameters = models.JSONField(default=dict)

    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    priority = models.SmallIntegerField(default=0)
    turn = models.BigIntegerField()
    line = models.CharField(max_length=60)
    attempt = models.PositiveIntegerField(default=0)
    strikes = models.PositiveSmallIntegerField(default=0)
    worker = models.ForeignKey(Worker, models.SET_NULL, null=True, related_name="generations")

    fingerprint = models.CharField(max_length=64, blank=True)
    prompt_ids = models.TextField(blank=True)
    dropped_turns = models.PositiveIntegerField(default=0)
    reply = models.TextField(blank=True)
    reply_ids = models.TextField(blank=True)
    reply_end = models.PositiveIntegerField(default=0)
    reasoning_end = models.PositiveIntegerField(default=0)
    token_count = models.PositiveIntegerField(default=0)
    claimed_tokens = models.PositiveIntegerField(default=0)

    reason = models.CharField(max_length=40, blank=True)
    detail = models.JSONField(default=dict, blank=True)

    created_at = models.DateTimeField()
    claimed_at = models.DateTimeField(null=True)
    first_token_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    objects = GenerationQuerySet.as_manager()

    class Meta:
        verbose_name = _("reply")
        verbose_name_plural = _("replies")
        constraints = [
            models.UniqueConstraint(fields=["author", "client_id"], name="generation_once"),
        ]
        indexes = [
            models.Index(
                fields=["state", "queue", "-priority", "turn", "id"], name="generation_order"
            ),
            models.Index(fields=["queue", "line", "-turn"], name="generation_line"),
            models.Index(fields=["author", "state"], name="generation_author"),
            models.Index(fields=["author", "-created_at"], name="generation_recent"),
            models.Index(fields=["conversation", "id"], name="generation_thread"),
            # Few run, however many wait: a claim reads them all, and must not walk past the others.
            models.Index(
                fields=["queue", "author"],
                name="generation_running",
                condition=Q(state="running"),
            ),
            models.Index(
                fields=["queue", "-ended_at"], name="generation_ended", condition=Q(state="done")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.pk}/{self.attempt} {self.state}"

    @property
    def answer(self) -> str:
        """The reply without the model's reasoning."""
        return self.reply[self.reasoning_end :]

    @property
    def ended(self) -> bool:
        return self.state not in (State.WAITING, State.RUNNING)


class QueueChange(models.Model):
    """What an operator changed: append-only, and it survives the operator's account."""

    class Source(models.TextChoices):
        PAGE = "page", _("page")
        TERMINAL = "terminal", _("terminal")
        API = "api", "API"

    at = models.DateTimeField(auto_now_add=True, db_index=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="queue_changes"
    )
    actor_name = models.CharField(_("who"), max_length=150)
    source = models.CharField(max_length=10, choices=Source.choices)
    queue = models.ForeignKey(Queue, models.CASCADE, related_name="changes")
    act = models.CharField(max_length=40)
    subject = models.CharField(max_length=120, blank=True)
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)

    class Meta:
        ordering = ["-id"]
        verbose_name = _("change of the queue")
        verbose_name_plural = _("changes of the queue")

    def __str__(self) -> str:
        return f"{self.actor_name}: {self.act} {self.subject}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise TypeError("a recorded change cannot be changed")
        super().save(*args, **kwargs)
