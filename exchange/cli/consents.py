"""How a request for the originator's consent is shown, whatever it asks for."""

from collections.abc import Mapping

from exchange.cli import output
from exchange.wire import DerivationBody, OnwardBody

_WITHDRAWN = "withdrawn"

Shown = OnwardBody | DerivationBody


def state_of(found: Shown) -> str:
    """Return where a request stands, in a word for people."""
    return found.state if found.withdrawn_at is None else _WITHDRAWN


def show_consent(found: Shown, done: str, *, as_json: bool, told: Mapping[str, str | None] | None = None) -> None:
    """Show a request, titled by what was `done`; `told` stands for fields that people are told in other words."""
    told = {"state": state_of(found), "grant": None, **(told or {})}
    output.show_body(found, title=done, told=told, as_json=as_json)
