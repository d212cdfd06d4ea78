"""What a flow's page and its deployments say of it."""

from typing import Any, TypeVar

from prefect import Flow

AnyFlow = TypeVar("AnyFlow", bound=Flow[..., Any])


def in_sentences(made: AnyFlow) -> AnyFlow:
    """Describe a flow by its docstring's sentences alone: the form of a run shows what stands there of parameters."""
    made.description = (made.description or "").partition("\n\nArgs:")[0]
    return made
