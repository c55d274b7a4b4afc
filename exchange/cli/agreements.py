"""`exchange agreement`: proposed and read by the operator or a member, moved by a member's signatory.

What has to do with signatures is in `treaties`.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from exchange.agreements.strict_yaml import Document, read_yaml
from exchange.cli import output
from exchange.cli.agreement_group import IdArgument, agreement_json, agreements, parties_of, review_of, show_agreement
from exchange.cli.instance import Host, read_text
from exchange.cli.verbs import JsonOption, Where, either_verb, member_verb
from exchange.client import ExchangeClient, ProblemError
from exchange.kernel import Fault, InvalidError
from exchange.wire import AgreementBody, OwnReachBody

Answer = TypeVar("Answer")


@agreements.command("propose")
@either_verb
async def propose(
    where: Where,
    file: Annotated[Path, typer.Argument(metavar="FILE.yaml", help="The agreement's text.")],
    as_json: JsonOption = False,
) -> None:
    """Lay an agreement before its parties, as operator (--dir) or as a party (--url)."""
    text = read_text(file)
    if isinstance(where, Host):
        # Imported late, here and below: the use cases bring the database along, which a member does without.
        from exchange.usecases import propose_agreement

        call = where.call()
        view = (await propose_agreement(where.services, call, text)).value
        body = AgreementBody.of(view.agreement, call.now)
    else:
        body = _over_https(ExchangeClient.propose_agreement, where, read_yaml(text))
    show_agreement(body, "proposed", as_json=as_json)


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
        output.show_json(outlook.model_dump(mode="json"))
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
async def list_all(where: Where, as_json: JsonOption = False) -> None:
    """List agreements: all to the operator, to a member those it is a party of."""
    if isinstance(where, Host):
        from exchange.usecases import list_agreements

        call = where.call()
        views = (await list_agreements(where.services, call)).value
        bodies = [AgreementBody.of(view.agreement, call.now) for view in views]
    else:
        bodies = where.agreements()
    if as_json:
        output.show_json([agreement_json(body) for body in bodies])
        return
    rows = [(body.id, body.title, body.state, parties_of(body), review_of(body)) for body in bodies]
    output.show_table(("id", "title", "state", "parties", "review"), rows)


def _act(name: str, done: str, text: str, act: Callable[[ExchangeClient, str], AgreementBody]) -> None:
    """Register one act of a signatory."""

    @agreements.command(name, help=text)
    @member_verb
    def verb(client: ExchangeClient, id: IdArgument, as_json: JsonOption = False) -> None:  # noqa: A002
        show_agreement(act(client, id), done, as_json=as_json)


_act("suspend", "suspended", "Suspend your member's part (signatory).", ExchangeClient.suspend_agreement)
_act("resume", "resumed", "End your member's suspension (signatory).", ExchangeClient.resume_agreement)
_act(
    "withdraw",
    "notice given",
    "Give notice that your member withdraws, which is not taken back (signatory).",
    ExchangeClient.withdraw_agreement,
)


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
