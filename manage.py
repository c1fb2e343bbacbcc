#!/usr/bin/env python
"""Runs Chatsite's commands; `python manage.py serve` is the one to start with."""

import os
import sys

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatsite.settings")
    from django.conf import settings
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        _ = settings.DEBUG  # the environment is read here
    except ImproperlyConfigured as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(78)  # EX_CONFIG of sysexits.h, as in chat/checks.py
    execute_from_command_line(sys.argv)
