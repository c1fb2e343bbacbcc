"""Removes what is kept no longer; `serve` does the same by itself once a day."""

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from chat.retention import purge


class Command(BaseCommand):
    """`manage.py purge`."""

    help = "Remove guests who never chatted and ended sessions (serve does it daily)."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"Removed {purge(timezone.now())} guests and all ended sessions.")
