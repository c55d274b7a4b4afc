"""Every answer that a test gets over HTTP is one that the document has: its status, its media type and its headers."""

import re
from collections.abc import Iterable
from functools import cache
from typing import Any

import httpx2

from exchange.entrypoints.api import api_document

_PARAMETER = re.compile(r"\{(\w+)\}")


@cache
def _paths() -> tuple[re.Pattern[str], tuple[dict[str, Any], ...]]:
    """Return what paths of the document look like, each a group, and what is at each; those without a parameter come first."""
    documented = sorted(api_document()["paths"].items(), key=lambda each: each[0].count("{"))
    pattern = "|".join(f"({_pattern(path)})" for path, _ in documented)
    return re.compile(pattern), tuple(operations for _, operations in documented)


def _pattern(path: str) -> str:
    # The place of a tile has slashes in it.
    pieces = (("(?:.+)" if name == "index" else "(?:[^/]+)") if place % 2 else re.escape(name)
              for place, name in enumerate(_PARAMETER.split(path)))  # fmt: skip
    return "".join(pieces)


def undocumented(
    method: str, path: str, status: int, media_type: str | None, headers: Iterable[str] = ()
) -> str | None:
    """Return what the document does not say of an answer, None where it says it, or knows no such path."""
    pattern, known = _paths()
    found = pattern.fullmatch(path)
    if found is None:
        return None
    operations = known[(found.lastindex or 0) - 1]
    asked = "get" if method == "HEAD" else method.lower()
    # Of a method that a path has not, the others of the path say what is answered.
    operation = operations.get(asked) or next(iter(operations.values()))
    answer = operation["responses"].get(str(status))
    if answer is None:
        return f"{method} {path} answered {status}, and {operation['operationId']} documents no such answer"
    if "$ref" in answer:
        answer = api_document()["components"]["responses"][answer["$ref"].rpartition("/")[2]]
    if media_type is not None and not {media_type, "*/*"} & set(map(_bare, answer["content"])):
        return f"{method} {path} answered {status} as {media_type}, documented are {sorted(answer['content'])}"
    untold = _told_somewhere() & {name.lower() for name in headers} - {name.lower() for name in answer["headers"]}
    return f"{method} {path} answered {status} with {sorted(untold)}, which is documented elsewhere" if untold else None


@cache
def _told_somewhere() -> frozenset[str]:
    """Return the headers that the document has of any answer, but for those of the receipt, held everywhere.

    What stands on every answer, such as `Cache-Control`, is no answer's own.
    """
    answers = [
        each for known in _paths()[1] for operation in known.values() for each in operation["responses"].values()
    ]
    headers = {name.lower() for each in answers for name in each.get("headers", {})}
    return frozenset(headers - {"x-audit-entry", "x-audit-leaf"})


def require_documented(method: str, path: str, answer: httpx2.Response) -> None:
    """Fail the test whose request was answered as no document says."""
    media_type = _bare(answer.headers.get("content-type", "")) or None
    found = undocumented(method, path, answer.status_code, media_type, answer.headers)
    assert found is None, found


def _bare(media_type: str) -> str:
    return media_type.partition(";")[0]
