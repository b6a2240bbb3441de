"""Responses in the background: what their workflow and its activities are told, and say."""

from dataclasses import dataclass

BACKGROUND_WORKFLOW = "BackgroundResponseWorkflow"


def background_workflow_id(response_id: str) -> str:
    """Id of the workflow that has a response made."""
    return f"response-{response_id}"


@dataclass(frozen=True, slots=True)
class BackgroundInput:
    """A response to be made: what was asked lies in PostgreSQL.

    `seconds_left` until it is given up; `searchable` where the server has the gateway's search
    attributes.
    """

    response_id: str
    project: str
    seconds_left: float
    searchable: bool = True


@dataclass(frozen=True, slots=True)
class BackgroundOf:
    """A response, for activities that need nothing more."""

    response_id: str


@dataclass(frozen=True, slots=True)
class BackgroundEnd:
    """The status of a response, and how many attempts it has had."""

    status: str
    attempts: int


@dataclass(frozen=True, slots=True)
class EndBackgroundInput:
    """A response that is to end without an answer: `failed` or `cancelled`."""

    response_id: str
    status: str
