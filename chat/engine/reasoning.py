"""How a model marks its reasoning, recognised from its vocabulary or its template."""

from __future__ import annotations

from dataclasses import dataclass

from .control_tokens import ControlTokens

_PAIRS = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<seed:think>", "</seed:think>"),
    ("<reasoning>", "</reasoning>"),
    ("[THINK]", "[/THINK]"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("◁think▷", "◁/think▷"),
)


@dataclass(frozen=True, slots=True)
class Markers:
    """The texts around reasoning, and their tokens where they are single ones (else None)."""

    open: str
    close: str
    open_id: int | None
    close_id: int | None


def find_markers(control: ControlTokens, template: str) -> Markers | None:
    """The pair that this model uses; None for a model that does not reason."""
    for opening, closing in _PAIRS:
        ids = control.by_text.get(opening), control.by_text.get(closing)
        if None not in ids or closing in template:
            return Markers(opening, closing, *ids)
    return None
