"""What one more piece of a reply costs the database: `python -m benchmarks.append`.

Flushes of eight replies at once, with short and long prompts beside them and short and long replies
to append to, on the database of the environment (in a test database of its own).
"""

from __future__ import annotations

import os
import random
import statistics
import string
import time
import uuid

PIECE, FLUSHES, AT_ONCE = " token", 200, 8
LETTERS = string.ascii_lowercase + "     "


def text(length: int) -> str:
    """Words that no compression makes vanish."""
    return "".join(random.choices(LETTERS, k=length))


def token_ids(length: int) -> str:
    return "".join(f" {random.randint(0, 150_000)}" for _ in range(length // 4))


def run(prompt: int, reply: int) -> list[float]:
    """Milliseconds of each flush with prompts and stored replies of so many characters."""
    from django.db import transaction
    from django.utils import timezone

    from chat.claims import Claim, Growth
    from chat.database import commit_soon
    from chat.models import Generation, Queue
    from tests.cast import person

    queue, _ = Queue.objects.get_or_create(name="append")
    author = person(uuid.uuid4().hex)
    rows = [
        Generation.objects.create(
            queue=queue,
            author=author,
            client_id=uuid.uuid4(),
            prompt=text(prompt),
            prompt_ids=token_ids(prompt),
            reply=text(reply),
            reply_ids=token_ids(reply),
            reply_end=reply,
            state="running",
            attempt=1,
            turn=0,
            line="l",
            created_at=timezone.now(),
        )
        for _ in range(AT_ONCE)
    ]
    took = []
    for flush in range(FLUSHES):
        began = time.perf_counter()
        with transaction.atomic():
            commit_soon()
            for row in rows:
                expected = reply + flush * len(PIECE)
                growth = Growth(Claim(row.pk, 1), expected, PIECE, (12_345,), 0)
                assert Generation.objects.append(growth, timezone.now())
        took.append((time.perf_counter() - began) * 1_000)
    return took


def main() -> None:
    import django

    django.setup()
    from django.db import connection
    from django.test.utils import setup_databases, teardown_databases

    before = setup_databases(verbosity=0, interactive=False, aliases=["default"])
    try:
        print(f"{connection.vendor}: a flush of {AT_ONCE} replies, ms (median, 95 %)")
        for prompt in (100, 32_000):
            for reply in (0, 2_000, 8_000, 32_000):
                took = run(prompt, reply)
                late = statistics.quantiles(took, n=20)[-1]
                middle = statistics.median(took)
                print(f"  prompt {prompt:6,}  reply {reply:6,}  {middle:6.2f}  {late:6.2f}")
    finally:
        teardown_databases(before, verbosity=0)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatsite.settings")
    main()
