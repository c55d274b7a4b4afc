"""`exchange agreement`: proposed and read by the operator or a member, moved by a member's signatory.

What has to do with signatures is in `treaties`.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from exchange.agreements.durations import moved_by
from exchange.agreements.strict_yaml import Document, read_yaml
from exchange.cli import output
from exchange.cli.agreement_group import (
    IdArgument,
    agreement_json,
    agreements,
    parties_of,
    review_of,
    show_agreement,
    warn_of_past,
)
from exchange.cli.asking import YesOption, ask, is_asked
from exchange.cli.instance import Host, read_text
from exchange.cli.verbs import JsonOption, Where, either_verb, member_verb
from exchange.cli.whole_lists import end_unless_whole, lists_whole
from exchange.client import ExchangeClient, ProblemError
from exchange.kernel import Fault, InvalidError
from exchange.wire import AgreementBody, OwnReachBody, WhoamiBody

Answer = TypeVar("Answer")
# One page of the list: enough to see how much hangs on it.
_COUNTED = 500


@agreements.command("propose")
@either_verb
async def propose(
    where: Where,
    file: Annotated[Path, typer.Argument(metavar="FILE.yaml", help="The agreement's text.")],
    as_json: JsonOption = False,
) -> None:
    """Lay an agreement before its parties, as operator (--dir) or as a party (--url)."""
    if isinstance(where, Host):
        # Imported late, here and below: the use cases bring the database along, which a member does without.
        from exchange.audit import EventName
        from exchange.cli.enrolment import refusal_recorded
        from exchange.usecases import propose_agreement

        async with refusal_recorded(where, EventName.AGREEMENT_PROPOSED):
            text = read_text(file)
        call = where.call()
        view = (await propose_agreement(where.services, call, text)).value
        body = AgreementBody.of(view.agreement, call.now)
    else:
        body = _over_https(ExchangeClient.propose_agreement, where, read_yaml(read_text(file)))
    show_agreement(body, "proposed", as_json=as_json)
    warn_of_past(body.validity.last_day, then="the agreement has expired, and nobody can sign it")


@agreements.command("simulate")
@either_verb
async def simulate(
    where: Where,
    file: Annotated[Path, typer.Argument(metavar="FILE.yaml", help="A draft that nobody has proposed.")],
    as_json: JsonOption = False,
) -> None:
    """Say what a draft would let whom post to whom, and who of your member could read; nothing is kept."""
    text = read_text(file)
    if isinstance(where, Host):
        from exchange.entrypoints.api.outlooks import outlook_body
        from exchange.usecases import simulate_agreement

        outlook = outlook_body((await simulate_agreement(where.services, where.call(), text)).value)
    else:
        outlook = _over_https(ExchangeClient.simulate_agreement, where, read_yaml(text))
    if as_json:
        output.show_json({"id": str(file), **outlook.model_dump(mode="json")})
        return
    lines = [(each.scope, each.contributor, each.reader, each.highest or "nothing") for each in outlook.lines]
    output.show_table(("scope", "posts", "to", "up to"), lines)
    own = [(each.scope, each.level, _counted(each)) for each in outlook.own]
    if own:
        output.show_table(("scope", "level", "clients of yours that could read"), own)


@agreements.command("show")
@either_verb
async def show(where: Where, id: IdArgument, as_json: JsonOption = False) -> None:  # noqa: A002
    """Show an agreement and where its parties stand."""
    if isinstance(where, Host):
        from exchange.usecases import show_agreement as use_case

        call = where.call()
        view = (await use_case(where.services, call, id)).value
        body = AgreementBody.of(view.agreement, call.now)
    else:
        body = where.agreement(id)
    show_agreement(body, None, as_json=as_json)


@agreements.command("list")
@either_verb
@lists_whole("agreements")
async def list_all(where: Where, as_json: JsonOption = False) -> None:
    """List agreements: all to the operator, to a member those it is a party of."""
    if isinstance(where, Host):
        from exchange.usecases import list_agreements

        call = where.call()
        listed = await list_agreements(where.services, call)
        bodies = [AgreementBody.of(view.agreement, call.now) for view in listed.value]
        unread = listed.unopened
    else:
        bodies, unread = where.agreements(), 0
    rows = ((body.id, body.title, body.state, parties_of(body), review_of(body)) for body in bodies)
    told = list(map(agreement_json, bodies))
    output.show_list(told, ("id", "title", "state", "parties", "review"), rows, as_json=as_json)
    end_unless_whole(unread, "agreements")


def _act(name: str, done: str, text: str, act: Callable[[ExchangeClient, str], AgreementBody]) -> None:
    """Register one act of a signatory."""

    @agreements.command(name, help=text)
    @member_verb
    def verb(client: ExchangeClient, id: IdArgument, as_json: JsonOption = False) -> None:  # noqa: A002
        show_agreement(act(client, id), done, as_json=as_json)


_act("suspend", "suspended", "Suspend your member's part (signatory).", ExchangeClient.suspend_agreement)
_act("resume", "resumed", "End your member's suspension (signatory).", ExchangeClient.resume_agreement)


@agreements.command("withdraw")
@member_verb
def withdraw(client: ExchangeClient, id: IdArgument, yes: YesOption = False, as_json: JsonOption = False) -> None:  # noqa: A002
    """Give notice that your member withdraws, which is not taken back (signatory)."""
    if is_asked(yes=yes):
        ask("gives notice that your member withdraws", _told_of_withdrawal(client, id))
    show_agreement(client.withdraw_agreement(id), "notice given", as_json=as_json)


def _told_of_withdrawal(client: ExchangeClient, agreement_id: str) -> dict[str, object]:
    """Return whom a withdrawal touches, when, and what becomes of the reports."""
    me, body = client.whoami(), client.agreement(agreement_id)
    told: dict[str, object] = {
        "id": body.id,
        "title": body.title,
        "state": body.state,
        "parties": parties_of(body),
        "who leaves": me.member,
    }
    if body.state == "draft":
        return {**told, "then": "nobody can sign it any more: it is withdrawn at once, for all its parties"}
    recalled = body.termination.shared_reports == "recalled"
    return {
        **told,
        "bound until": moved_by(datetime.now(UTC), body.termination.notice),
        "then": f"every report of {me.member} under it is {'recalled: its keys are destroyed' if recalled else 'kept'}",
        "reports": _count_of_reports(client, me, body.id),
        "instead": "`exchange agreement suspend` holds at once, and can be ended",
    }


def _count_of_reports(client: ExchangeClient, me: WhoamiBody, agreement_id: str) -> str:
    if "reader" not in me.roles:
        return "not counted: you are no reader"
    found = client.page(None, _COUNTED, agreement=agreement_id).items
    own = sum(header.originator == me.member for header in found)
    least = "at least " if len(found) == _COUNTED else ""
    return f"{least}{own} of {me.member}'s, {len(found) - own} of others', of those that you may read"


def _counted(reach: OwnReachBody) -> str:
    return ", ".join(f"{one.agency}: {one.full}" for one in reach.agencies) or "none"


def _over_https(act: Callable[[ExchangeClient, bytes], Answer], client: ExchangeClient, document: Document) -> Answer:
    """Send the file's value; faults come back as pointers and are shown with the lines they stand on."""
    if document.faults:
        raise InvalidError("the agreement file has faults", tuple(document.faults))
    try:
        return act(client, json.dumps(document.value).encode())
    except ProblemError as problem:
        lines = tuple(
            Fault(fault.pointer, fault.code, fault.message, document.line_of(fault.pointer)) for fault in problem.faults
        )
        if not lines:
            raise
        raise InvalidError(problem.detail, lines) from problem


# They add their verbs to `agreements`.
from exchange.cli import agreement_crisis, compliance, consultations, treaties  # noqa: E402, F401
