"""Noise that depends on a key and a token's id only: the same on every machine and device."""

from __future__ import annotations

import torch

_WORD = 0xFFFFFFFF
_LONG = 0xFFFFFFFFFFFFFFFF


def key_of(seed: int, position: int) -> tuple[int, int]:
    """Two signed 32-bit words for a seed and the absolute position of a token (splitmix64)."""
    mixed = _splitmix64((_splitmix64(seed & _LONG) + position) & _LONG)
    return _signed(mixed & _WORD), _signed(mixed >> 32)


def gumbel(ids: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
    """Gumbel noise for token ids of shape (rows or 1, ids) under keys of shape (rows, 2)."""
    mixed = ids.to(torch.int32) * _signed(0x9E3779B1) ^ keys[:, :1]
    _stir(mixed, 16, 0x21F0AAAD)
    mixed ^= keys[:, 1:]
    _stir(mixed, 15, 0xD35A2D97)
    mixed ^= (mixed >> 15) & 0x1FFFF
    # 23 bits and a half: never 0 and never 1, so both logarithms are finite
    uniform = (mixed & 0x7FFFFF).float().add_(0.5).mul_(2.0**-23)
    return uniform.log_().neg_().log_().neg_()


def _stir(mixed: torch.Tensor, shift: int, factor: int) -> None:
    """One round of a 32-bit integer hash (Mulvey and Wellons' triple32 constants)."""
    mixed ^= (mixed >> shift) & ((1 << (32 - shift)) - 1)
    mixed *= _signed(factor)


def _splitmix64(state: int) -> int:
    state = (state + 0x9E3779B97F4A7C15) & _LONG
    state = ((state ^ state >> 30) * 0xBF58476D1CE4E5B9) & _LONG
    state = ((state ^ state >> 27) * 0x94D049BB133111EB) & _LONG
    return state ^ state >> 31


def _signed(word: int) -> int:
    return word - 0x100000000 if word & 0x80000000 else word
