"""`exchange agreement`: proposed and read by the operator or a member, signed by a member's signatory."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from exchange.agreements.strict_yaml import Document, read_yaml
from exchange.cli import output
from exchange.cli.instance import Host, read_text
from exchange.cli.program import app
from exchange.cli.verbs import JsonOption, Where, either_verb, member_verb
from exchange.client import ExchangeClient, ProblemError
from exchange.kernel import Fault, InvalidError
from exchange.wire import AgreementBody

agreements = typer.Typer(help="Agreements between members.", no_args_is_help=True)
app.add_typer(agreements, name="agreement")

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The agreement's id.")]


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
        body = _propose_over_https(where, read_yaml(text))
    _show(body, "proposed", as_json=as_json)


@agreements.command("show")
@either_verb
async def show(where: Where, id: IdArgument, as_json: JsonOption = False) -> None:  # noqa: A002
    """Show an agreement and where its parties stand."""
    if isinstance(where, Host):
        from exchange.usecases import show_agreement

        call = where.call()
        view = (await show_agreement(where.services, call, id)).value
        body = AgreementBody.of(view.agreement, call.now)
    else:
        body = where.agreement(id)
    _show(body, None, as_json=as_json)


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
    rows = [(body.id, body.title, body.state, _parties(body)) for body in bodies]
    output.show_table(("id", "title", "state", "parties"), rows)


def _act(name: str, done: str, text: str, act: Callable[[ExchangeClient, str], AgreementBody]) -> None:
    """Register one act of a signatory."""

    @agreements.command(name, help=text)
    @member_verb
    def verb(client: ExchangeClient, id: IdArgument, as_json: JsonOption = False) -> None:  # noqa: A002
        _show(act(client, id), done, as_json=as_json)


_act("sign", "signed", "Sign for your member (signatory).", ExchangeClient.sign_agreement)
_act("suspend", "suspended", "Suspend your member's part (signatory).", ExchangeClient.suspend_agreement)
_act("resume", "resumed", "End your member's suspension (signatory).", ExchangeClient.resume_agreement)
_act("withdraw", "withdrawn", "Withdraw your member, for good (signatory).", ExchangeClient.withdraw_agreement)


def agreement_json(body: AgreementBody) -> dict[str, object]:
    """Return an agreement as the HTTP interface shows it."""
    return body.model_dump(mode="json", by_alias=True)


def _propose_over_https(client: ExchangeClient, document: Document) -> AgreementBody:
    """Propose the file's value; faults come back as pointers and are shown with the lines they stand on."""
    if document.faults:
        raise InvalidError("the agreement file has faults", tuple(document.faults))
    try:
        return client.propose_agreement(json.dumps(document.value).encode())
    except ProblemError as problem:
        lines = tuple(
            Fault(fault.pointer, fault.code, fault.message, document.line_of(fault.pointer)) for fault in problem.faults
        )
        if not lines:
            raise
        raise InvalidError(problem.detail, lines) from problem


def _parties(body: AgreementBody) -> str:
    return ", ".join(f"{party.member} {party.state}" for party in body.parties)


def _show(body: AgreementBody, done: str | None, *, as_json: bool) -> None:
    if as_json:
        output.show_json(agreement_json(body))
        return
    fields: dict[str, object] = {
        "id": body.id,
        "title": body.title,
        "state": body.state,
        "in force": f"{body.validity.first_day} to {body.validity.last_day}",
        "policy": body.policy,
        "parties": _parties(body),
    }
    for scope in body.scopes:
        fields[f"scope {scope.name}"] = (
            f"{', '.join(scope.topics)} up to {scope.ceiling}: "
            f"from {', '.join(scope.contributors)} to {', '.join(scope.readers)}"
        )
    output.show_record(fields, title=done)
