"""Becoming somebody: guest, account, and a guest's chats that move to an account."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any

from asgiref.sync import async_to_sync
from django.conf import settings
from django.contrib.auth import login, update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.models import User
from django.contrib.auth.views import LoginView as DjangoLoginView
from django.core.cache import cache
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from chat import conversations, identity
from chat.forms import GUEST_PREFIX, LoginForm, SignupForm, StartForm
from chat.models import Conversation, Guest
from chat.views import FIRST, is_guest, welcome
from chatsite.addresses import client_address

BACKEND = "django.contrib.auth.backends.ModelBackend"
ADOPT = "guest to adopt"
"""The session's key for the guest whose chats are offered to the account."""


@require_POST
def start(request: HttpRequest) -> HttpResponse:
    """Make a guest of a visitor and keep their first message, which the page then sends."""
    form = StartForm(request.POST)
    text = request.POST.get("text", "")
    if not form.is_valid():
        return welcome(request, text, " ".join(map(str, form.errors["text"])), 400)
    if not request.user.is_authenticated:
        if not settings.CHATSITE_GUESTS:
            return redirect("login")
        guest = make_guest(client_address(request))
        if guest is None:
            problem = _(
                "Too many guests started from your network in the last hour. Your text is "
                "kept; log in, or try again later."
            )
            return welcome(request, text, problem, 429)
        login(request, guest, backend=BACKEND)
    if form.cleaned_data["text"]:
        request.session[FIRST] = form.cleaned_data["text"]
    return redirect("new-chat")


def make_guest(address: str) -> User | None:
    """A user without a password; None if too many came from this address within the hour."""
    hour_ago = timezone.now() - timedelta(hours=1)
    recent = Guest.objects.filter(address=address or None, created_at__gte=hour_ago)
    if recent.count() >= settings.CHATSITE_GUESTS_PER_HOUR:
        return None
    with transaction.atomic():
        user = User(username=GUEST_PREFIX + secrets.token_hex(8))
        user.set_unusable_password()
        user.save()
        user.username = f"{GUEST_PREFIX}{user.pk}"
        user.save(update_fields=["username"])
        Guest.objects.create(user=user, address=address or None)
    return user


@never_cache
@sensitive_post_parameters()
def signup(request: HttpRequest) -> HttpResponse:
    """Make an account. A guest's row becomes the account, so nothing has to move."""
    if not settings.CHATSITE_SIGNUP:
        raise Http404
    guest = is_guest(request)
    if request.user.is_authenticated and not guest:
        return redirect("new-chat")
    # Read anew: an invalid form leaves its values in the instance.
    instance = User.objects.get(pk=request.user.pk or 0) if guest else None
    form = SignupForm(request.POST or None, instance=instance)
    if request.method == "POST" and not _may_sign_up(client_address(request)):
        problem = _(
            "Too many accounts were made from your network in the last hour. Try again later."
        )
        form.add_error(None, problem)
    if request.method != "POST" or not form.is_valid():
        status = 429 if form.non_field_errors() else 200
        return render(request, "registration/signup.html", {"form": form}, status=status)
    with transaction.atomic():
        user = form.save()
        Guest.objects.filter(pk=user.pk).delete()
    if guest:
        update_session_auth_hash(request, user)
    else:
        login(request, user, backend=BACKEND)
    return redirect("new-chat")


def _may_sign_up(address: str) -> bool:
    """Count one more try to make an account, per address and hour, in each web process."""
    key = f"sign-ups:{address}"
    cache.add(key, 0, timeout=3_600)
    return cache.incr(key) <= int(settings.CHATSITE_SIGNUPS_PER_HOUR)


class LoginView(DjangoLoginView):
    """Django's own; it remembers which guest logged in, to offer their chats."""

    authentication_form = LoginForm

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        # Another tab may have signed up or logged in meanwhile; a guest may still do so here.
        if request.user.is_authenticated and not is_guest(request):
            return redirect(self.get_success_url())
        return super().get(request, *args, **kwargs)

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        guest = self.request.user.pk if is_guest(self.request) else None
        response = super().form_valid(form)
        if guest is not None:
            identity.tell(guest)
            if Conversation.objects.filter(user_id=guest).exists():
                self.request.session[ADOPT] = guest
                return redirect("adopt")
        return response


@never_cache
@login_required
def adopt(request: HttpRequest) -> HttpResponse:
    """After a guest's log-in: offer to move the guest's chats, and do it."""
    guest = Guest.objects.filter(pk=request.session.get(ADOPT, 0)).first()
    if guest is None or is_guest(request):
        return redirect("new-chat")
    if request.method != "POST":
        chats = Conversation.objects.filter(user_id=guest.user_id).count()
        return render(request, "registration/adopt.html", {"chats": chats})
    if request.POST.get("answer") == "move" and request.user.pk is not None:
        async_to_sync(conversations.adopt)(guest.user_id, request.user.pk)
    del request.session[ADOPT]
    return redirect("new-chat")
