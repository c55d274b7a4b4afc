"""`exchange audit alerts`: what the exchange alarms its auditors about."""

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Annotated

import typer

from exchange.cli import output
from exchange.cli.audit_group import audits
from exchange.cli.verbs import JsonOption, member_verb
from exchange.client import ExchangeClient
from exchange.client.exports import pages_for_ever
from exchange.wire import AlertBody

# As long as an alert may take from its cause: looking more often finds nothing.
_FOLLOW_SECONDS = 2.0


@audits.command()
@member_verb
def alerts(
    client: ExchangeClient,
    rule: Annotated[str | None, typer.Option("--rule", metavar="NAME", help="Only alerts of this rule.")] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on: print alerts as they are raised.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List the alerts that you may see, oldest first (auditor); each look is an entry of the log."""
    if follow:
        # Ctrl-C is how one stops following: that is done, not failed.
        with suppress(KeyboardInterrupt):
            _follow(client, rule, as_json=as_json)
        return
    found = [alert for page in _pages(client, rule) for alert in page]
    if rule is not None and not found:
        # Which rules there are is the exchange's own to know: who misspells one is told no more than who is patient.
        output.warn(f"you see no alert of a rule `{rule}`: its name is written as in the column `rule`")
    output.show_list(
        found, ("raised", "severity", "rule", "about", "member", "entry"), map(_row, found), as_json=as_json
    )


def _pages(client: ExchangeClient, rule: str | None) -> Iterator[list[AlertBody]]:
    """Yield pages until one is empty."""
    after: str | None = None
    while True:
        page = client.alerts(after=after, rule=rule)
        if not page.items:
            return
        yield page.items
        after = page.next


def _follow(client: ExchangeClient, rule: str | None, *, as_json: bool) -> None:
    for page in pages_for_ever(lambda at: client.alerts(after=at, rule=rule), None, time.sleep):
        for alert in page.items:
            if as_json:
                output.show_json_line(alert.model_dump_json())
            else:
                output.show_line("  ".join(str(output.in_words(value)) for value in _row(alert)))
        output.flush()
        if not page.items:
            time.sleep(_FOLLOW_SECONDS)


def _row(alert: AlertBody) -> tuple[object, ...]:
    about = f"{alert.subject.type} {alert.subject.id}"
    return (alert.raised_at, alert.severity, alert.rule, about, alert.member or "-", alert.entry)
