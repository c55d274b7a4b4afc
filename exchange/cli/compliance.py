"""`exchange agreement compliance|breaches`: what parties promised and did, and what they did not."""

from collections.abc import Iterator
from typing import Annotated

import typer

from exchange.cli import output
from exchange.cli.agreement_group import IdArgument, agreements
from exchange.cli.given import moment_text
from exchange.cli.verbs import JsonOption, member_verb
from exchange.cli.whole_lists import lists_whole
from exchange.client import ExchangeClient
from exchange.wire import ComplianceBody, RhythmBody


@agreements.command("compliance")
@member_verb
def compliance(
    client: ExchangeClient,
    id: IdArgument,  # noqa: A002
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="From when on [90 days ago]; at most 366 days.")
    ] = None,
    purpose: Annotated[str | None, typer.Option("--purpose", metavar="P", help="Why you read.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what each party promised and did, counted over what you may read (reader)."""
    found = client.duties.compliance(id, moment_text(since), purpose=purpose)
    if as_json:
        output.show_json(found)
    else:
        _show(found)
    if found.unopened:
        output.warn(
            f"{len(found.unopened)} reports or readers are not counted, or not as they should be, for what is stored of"
            " them is damaged or was altered: tell the exchange's operator, and count again once that is mended"
        )
        raise typer.Exit(1)


def _show(found: ComplianceBody) -> None:
    output.show_line(f"from {output.in_words(found.since)} to {output.in_words(found.until)}, of what you may read")
    reports = ("party", "scope", "posts", "share", "last", "owes", "in time", "late", "next due", "stands")
    output.show_table(reports, list(_reports(found)), title="reports")
    receipts = ("party", "scope", "precedence", "within", "in time", "late", "waiting", "overdue")
    output.show_table(receipts, list(_acknowledgements(found)), title="acknowledgements")


@agreements.command("breaches")
@member_verb
@lists_whole("breaches")
def breaches(client: ExchangeClient, id: IdArgument, as_json: JsonOption = False) -> None:  # noqa: A002
    """List what your member did not do for others, or others for it (signatory, as far as it is cleared)."""
    found = list(client.duties.breaches(id))
    rows = ((each.id, each.party, each.kind, each.owed_to, each.scope, each.report, each.due) for each in found)
    output.show_list(found, ("breach", "by", "owed", "to", "scope", "report", "due"), rows, as_json=as_json)


def _reports(found: ComplianceBody) -> Iterator[tuple[object, ...]]:
    for party in found.parties:
        for scope in party.scopes:
            share = None if scope.share_percent is None else f"{scope.share_percent} %"
            yield (party.member, scope.scope, scope.posts, share, scope.last_posted_at, *_rhythm(scope.rhythm))


def _rhythm(rhythm: RhythmBody | None) -> tuple[object, ...]:
    if rhythm is None:
        return ("nothing", None, None, None, None)
    every = "nothing now" if rhythm.every is None else f"every {rhythm.every}"
    late = f"{rhythm.late} and {rhythm.missed} missed" if rhythm.missed else rhythm.late
    return (every, rhythm.in_time, late, rhythm.due, "overdue" if rhythm.overdue else "ok")


def _acknowledgements(found: ComplianceBody) -> Iterator[tuple[object, ...]]:
    for party in found.parties:
        for scope in party.scopes:
            for each in scope.acknowledgements:
                counts = (each.in_time, each.late, each.waiting, each.overdue)
                yield (party.member, scope.scope, each.precedence, each.within, *counts)
