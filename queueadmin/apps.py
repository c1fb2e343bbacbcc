"""The operators' pages: Django's admin, with the queue as its first page."""

from __future__ import annotations

from django.apps import AppConfig
from django.contrib import admin
from django.contrib.admin import sites


class QueueAdminConfig(AppConfig):
    name = "queueadmin"

    def ready(self) -> None:
        # After unfold's site and before django.contrib.admin fills it: their order in
        # INSTALLED_APPS.
        from queueadmin.site import OperatorSite

        site = OperatorSite()
        admin.site = site
        sites.site = site
