"""A day of the queue in minutes: its own policy code, people and workers made up; see README.md."""
