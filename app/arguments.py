"""What the command line takes for a number, a share, a temperature: argparse types.

Imports nothing heavy, as all of the command line.
"""

import argparse
from collections.abc import Callable


def whole(least: int, most: int | None = None) -> Callable[[str], int]:
    """The type of a whole number within bounds."""

    def number(text: str) -> int:
        value = int(text)
        if value < least or (most is not None and value > most):
            bounds = f"at least {least}" if most is None else f"{least} to {most}"
            raise argparse.ArgumentTypeError(f"must be {bounds}, got {value}")
        return value

    number.__name__ = "whole number"
    return number


def temperature(text: str) -> float:
    """Above 0, at most 5."""
    value = float(text)
    if not 0 < value <= 5:
        raise argparse.ArgumentTypeError(f"must be above 0 and at most 5, got {value:g}")
    return value


def temperatures(text: str) -> tuple[float, ...]:
    """Several with commas between, or ``none``."""
    if text.strip() == "none":
        return ()
    found = sorted({temperature(part) for part in text.split(",")})
    if 1.0 in found:
        raise argparse.ArgumentTypeError("1 is asked for anyway")
    return tuple(found)


def share(text: str) -> float:
    """0 to 1."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must be 0 to 1, got {value:g}")
    return value


def open_share(text: str) -> float:
    """Above 0 and below 1."""
    value = float(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"must be above 0 and below 1, got {value:g}")
    return value


def stop_error(text: str) -> float:
    """A probability of deciding otherwise, below one half."""
    value = float(text)
    if not 0 < value < 0.5:
        raise argparse.ArgumentTypeError(f"must be above 0 and below 0.5, got {value:g}")
    return value
