"""The settings as the engine's process wants to hear them."""

from __future__ import annotations

from django.conf import settings

from chat.engine.spec import EchoSpec, EngineSpec


def engine_spec(model: str = "") -> EngineSpec:
    """Which engine the settings ask for; `model` names another model than they do."""
    return EngineSpec(
        kind=settings.CHATSITE_ENGINE,
        model=model or settings.CHATSITE_MODEL,
        device=settings.CHATSITE_DEVICE,
        dtype=settings.CHATSITE_DTYPE,
        slots=settings.CHATSITE_SLOTS,
        context_length=settings.CHATSITE_CONTEXT,
        threads=settings.CHATSITE_THREADS,
        load_deadline=settings.CHATSITE_LOAD_SECONDS,
        # An idle engine beats once a second: less would call it hung.
        hang_after=max(3, settings.CHATSITE_HANG_SECONDS),
        echo=EchoSpec(
            step_delay=settings.CHATSITE_ECHO_DELAY,
            recite=settings.CHATSITE_ECHO_TEXT,
            reasoning=settings.CHATSITE_ECHO_REASONING,
            crash_word=settings.CHATSITE_ECHO_POISON,
            hang_word=settings.CHATSITE_ECHO_HANG,
            kill_word=settings.CHATSITE_ECHO_KILL,
        ),
    )
