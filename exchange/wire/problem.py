"""Errors as JSON: RFC 9457 with the faults of the input."""

from pydantic import Field

from exchange.wire.base import AnswerModel

PROBLEM_MEDIA_TYPE = "application/problem+json"


class FaultBody(AnswerModel):
    """One thing wrong with the input; `pointer` is a JSON Pointer into the body, or names a parameter."""

    pointer: str = Field(examples=["/label/classification"])
    code: str = Field(examples=["unknown-level"])
    detail: str
    line: int | None = None


class ProblemBody(AnswerModel):
    """Why a request was not answered. `code` is stable; `title` and `detail` are for people."""

    type: str = Field(examples=["urn:exchange:problem:not-found"])
    title: str
    status: int
    code: str = Field(examples=["not-found"])
    detail: str
    request_id: str
    errors: list[FaultBody] | None = None
