"""Troubles that pass: what stands in for a function that fails at first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def failing_at_first(function: Callable[..., Any], *troubles: Exception) -> Callable[..., Any]:
    """The function, which raises each of these first, in turn."""
    left = list(reversed(troubles))

    def troubled(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - as the function it stands for
        if left:
            raise left.pop()
        return function(*arguments, **named)

    return troubled
