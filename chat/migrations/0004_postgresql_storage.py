"""What PostgreSQL needs beside the indexes of the models; nothing changes on SQLite."""

from django.db import migrations

INDEXES = (
    # A claim and a ranking read the waiting ones in order. A finished row is not in this index;
    # the full one, which SQLite needs, would be written twice more for every generation.
    """CREATE INDEX generation_waiting ON chat_generation (queue_id, priority DESC, turn, id)
       WHERE state = 'waiting'""",
    "DROP INDEX generation_order",
)
INDEXES_BACK = (
    "CREATE INDEX generation_order ON chat_generation (state, queue_id, priority DESC, turn, id)",
    "DROP INDEX generation_waiting",
)

# A reply is rewritten with every flush, in place where its page has room, and leaves a dead copy:
# these are cleared away after hundreds, not after a fifth of a table that is mostly old chats.
VACUUM = {
    "fillfactor": "70",
    "autovacuum_vacuum_scale_factor": "0.01",
    "autovacuum_vacuum_threshold": "500",
    "autovacuum_analyze_scale_factor": "0.02",
    "toast.autovacuum_vacuum_scale_factor": "0.01",
    "toast.autovacuum_vacuum_threshold": "2000",
}

# Compressing a long reply again with every flush costs four times the flush with the default
# method. Without lz4 in the server, texts that grow are not compressed at all.
GROWING = ("reply", "reply_ids")


def forwards(apps, schema_editor):
    if schema_editor.connection.vendor != "postgresql":
        return
    for sql in INDEXES:
        schema_editor.execute(sql)
    settings = ", ".join(f"{name} = {value}" for name, value in VACUUM.items())
    schema_editor.execute(f"ALTER TABLE chat_generation SET ({settings})")
    change = "SET COMPRESSION lz4" if _has_lz4(schema_editor.connection) else "SET STORAGE EXTERNAL"
    for column in GROWING:
        schema_editor.execute(f"ALTER TABLE chat_generation ALTER COLUMN {column} {change}")


def _has_lz4(connection):
    sql = """SELECT count(*) FROM pg_settings
             WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)"""
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return bool(cursor.fetchone()[0])


def backwards(apps, schema_editor):
    if schema_editor.connection.vendor != "postgresql":
        return
    for sql in INDEXES_BACK:
        schema_editor.execute(sql)
    schema_editor.execute(f"ALTER TABLE chat_generation RESET ({', '.join(VACUUM)})")
    for column in GROWING:
        for change in ("SET STORAGE EXTENDED", "SET COMPRESSION DEFAULT"):
            schema_editor.execute(f"ALTER TABLE chat_generation ALTER COLUMN {column} {change}")


class Migration(migrations.Migration):

    dependencies = [("chat", "0003_recent_sends")]

    operations = [migrations.RunPython(forwards, backwards)]
