"""What people send by forms: a first message, a name and a password."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm, BaseUserCreationForm
from django.contrib.auth.models import User
from django.utils.translation import gettext_lazy as _

from chat.frames import MAX_TEXT, FrameError, check_text
from chat.words import frame_error

GUEST_PREFIX = "guest-"
"""Names of guests; nobody signs up under one."""


class StartForm(forms.Form):
    """The first message of somebody who is not signed in; it may be empty."""

    text = forms.CharField(required=False, strip=False, max_length=2 * MAX_TEXT)

    def clean_text(self) -> str:
        # Browsers send line breaks of forms as CRLF; the page's own messages have LF.
        text: str = self.cleaned_data["text"].replace("\r\n", "\n")
        if not text.strip():
            return ""
        try:
            check_text(text)
        except FrameError as error:
            raise forms.ValidationError(frame_error(error.code)) from None
        return text


class LoginForm(AuthenticationForm):
    """Django's own, with the look of our fields."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.label_suffix = ""
        dress(self)


class SignupForm(BaseUserCreationForm):  # type: ignore[type-arg]
    """A name and a password. With `instance`, a guest becomes the account and keeps the row."""

    class Meta:
        model = User
        fields = ("username",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.label_suffix = ""
        self.fields["username"].help_text = ""
        self.fields["password1"].help_text = _(
            "At least 8 characters; not your name, not only digits, not a common password."
        )
        self.fields["password2"].help_text = ""
        if not self.is_bound:
            self.initial["username"] = ""
        dress(self)

    def clean_username(self) -> str:
        name: str = self.cleaned_data["username"]
        if name.lower().startswith(GUEST_PREFIX):
            raise forms.ValidationError(_("Names that start with “guest-” belong to guests."))
        taken = User.objects.filter(username__iexact=name)
        if taken.exclude(pk=self.instance.pk).exists():
            raise forms.ValidationError(_("This name is taken."))
        return name

    def save(self, commit: bool = True) -> User:
        user: User = super().save(commit=commit)
        return user


def dress(form: forms.BaseForm) -> None:
    """Our fields' look, and error and help texts tied to their fields for screen readers."""
    for field in form.fields.values():
        field.widget.attrs["class"] = "field"
