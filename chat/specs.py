"""The settings as the engine's process wants to hear them."""

from __future__ import annotations

from django.conf import settings

from chat.engine.spec import EchoSpec, EngineSpec, OpenAISpec


def engine_spec(model: str = "") -> EngineSpec:
    """Which engine the settings ask for; `model` names another model than they do."""
    kind = settings.CHATSITE_ENGINE
    usual = settings.CHATSITE_OPENAI_MODEL if kind == "openai" else settings.CHATSITE_MODEL
    return EngineSpec(
        kind=kind,
        model=model or usual,
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
        openai=OpenAISpec(
            url=settings.CHATSITE_OPENAI_URL,
            key=settings.CHATSITE_OPENAI_KEY,
            connect=settings.CHATSITE_OPENAI_CONNECT_SECONDS,
            first=settings.CHATSITE_OPENAI_FIRST_SECONDS,
            between=settings.CHATSITE_OPENAI_TOKEN_SECONDS,
            retries=settings.CHATSITE_OPENAI_RETRIES,
            resume=settings.CHATSITE_OPENAI_RESUME,
            temperature=settings.CHATSITE_TEMPERATURE,
            top_p=settings.CHATSITE_TOP_P,
        ),
    )
