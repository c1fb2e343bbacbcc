"""A database backend: Django's SQLite with turns for the writers of one process; see base.py."""
