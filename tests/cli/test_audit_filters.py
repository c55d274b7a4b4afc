"""What an auditor may ask over HTTP may be asked on the command line too."""

import inspect
from typing import get_args, get_type_hints

import pytest
from typer.models import OptionInfo

from exchange.cli import audit_export, audit_search
from exchange.entrypoints.api.audit_filters import FILTERS


def options_of(verb) -> set[str]:
    """Return the first name of each option: Typer takes it for the default until it makes the command."""
    hints = get_type_hints(inspect.unwrap(verb), include_extras=True).values()
    return {str(each.default) for hint in hints for each in get_args(hint)[1:] if isinstance(each, OptionInfo)}


@pytest.mark.parametrize("verb", [audit_search.search, audit_export.export])
def test_every_filter_of_the_log_is_an_option(verb) -> None:
    assert {f"--{parameter.name}" for parameter in FILTERS} <= options_of(verb)
