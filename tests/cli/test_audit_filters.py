"""What an auditor may ask over HTTP may be asked on the command line too."""

import inspect
from typing import get_args, get_type_hints
from unittest.mock import Mock

import pytest
from typer.models import OptionInfo

from exchange.cli import audit_export, audit_search
from exchange.client import ExchangeClient
from exchange.entrypoints.api.audit_filters import FILTERS
from exchange.wire import ReadersBody


def options_of(verb) -> set[str]:
    """Return the first name of each option: Typer takes it for the default until it makes the command."""
    hints = get_type_hints(inspect.unwrap(verb), include_extras=True).values()
    return {str(each.default) for hint in hints for each in get_args(hint)[1:] if isinstance(each, OptionInfo)}


@pytest.mark.parametrize("verb", [audit_search.search, audit_export.export])
def test_every_filter_of_the_log_is_an_option(verb) -> None:
    assert {f"--{parameter.name}" for parameter in FILTERS} <= options_of(verb)


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"decision": "refused", "reasons": ["not-releasable"]}, "not-releasable"),
        ({"decision": "refused", "detail": {"codes": ["bad-text", "too-large"]}}, "bad-text, too-large"),
        ({"decision": "refused", "detail": {"part": 4, "finding": "withheld"}}, "withheld"),
        ({"decision": "permitted", "detail": {"finding": "absent"}}, ""),
        ({"decision": "refused"}, ""),
    ],
)
def test_every_refusal_whose_cause_is_shown_says_it_under_why(entry, told) -> None:
    """A part that was withheld stood there refused for nothing."""
    row = audit_search._row(Mock(entry=entry))

    assert row[4:6] == (entry["decision"], told)


@pytest.mark.parametrize(("laws", "warnings"), [(["a"], 0), (["b"], 1), (["a", "b"], 1), ([], 0)])
def test_other_policy_files_are_warned_of_where_there_were_any(monkeypatch, capsys, laws, warnings) -> None:
    """Of a day before the exchange began it was said that others had been in force."""
    day = {"since": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z"}
    told = {"id": "01980000-0000-7000-8000-000000000001", **day, "could": [], "did": [], "laws": laws, "law": "a"}
    monkeypatch.setattr(ExchangeClient, "readers_on", Mock(return_value=ReadersBody.model_validate(told)))

    audit_search.readers.__wrapped__(ExchangeClient.__new__(ExchangeClient), told["id"], "2026-01-01")

    assert capsys.readouterr().err.count("other policy files") == warnings
