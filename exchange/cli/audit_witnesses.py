"""`exchange audit witnesses`, and enrolment: `exchange audit witness add | remove | quorum` (operator)."""

from typing import Annotated

import typer

from exchange.audit import NO_QUORUM, LogPolicy
from exchange.cli import output
from exchange.cli.audit_group import audits
from exchange.cli.audit_witness import witness
from exchange.cli.instance import Host
from exchange.cli.verbs import JsonOption, Where, either_verb, host_verb
from exchange.client.witness import keys_in
from exchange.wire import WitnessListBody

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The witness's name in the policy.")]


@audits.command("witnesses")
@either_verb
async def list_all(where: Where, as_json: JsonOption = False) -> None:
    """Show who stands behind the newest kept checkpoint, how far behind each is, and whether they are enough."""
    body = await _shown(where)
    if as_json:
        output.show_json({"id": body.origin, **body.model_dump(mode="json")})
        return
    quorum, witnessed = f"{body.quorum}: met", body.witnessed_size
    if not body.has_quorum:
        quorum = f"{body.quorum}: missing since {_told(body.since)}"
    elif body.quorum == NO_QUORUM:
        # Every checkpoint has it, also where nobody witnesses the log: who looks here asks who did.
        quorum, witnessed = "none is asked for", max((each.size or 0 for each in body.items), default=0) or None
    fields = {"log": body.origin, "checkpoint": body.size, "quorum": quorum}
    output.show_record({**fields, "witnessed up to": witnessed})
    rows = [(each.name, each.size, each.behind, _told(each.cosigned_at), each.url) for each in body.items]
    output.show_table(("witness", "size", "behind", "as of", "address"), rows)


@witness.command("add")
@host_verb
async def add(
    host: Host,
    name: NameArgument,
    key: Annotated[str, typer.Argument(metavar="VKEY", help="The witness's verifier key, or @FILE with it alone.")],
    url: Annotated[str | None, typer.Option("--url", help="Where it serves; unset: it comes here by itself.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Enrol a witness (operator): its cosignatures are taken from now on."""
    from exchange.usecases.log.witnesses import add_witness

    added = (await add_witness(host.services, host.call(), name, "\n".join(keys_in((key,))), url)).value
    told = {"id": added.name, "key": str(added.key), "url": added.url}
    sentence = f"added {added.name} ({added.key.name}, key id {added.key.key_id.hex()})"
    output.show_done(told, sentence, as_json=as_json)


@witness.command("remove")
@host_verb
async def remove(host: Host, name: NameArgument, as_json: JsonOption = False) -> None:
    """End a witness's enrolment (operator); what it cosigned stays."""
    from exchange.usecases.log.witnesses import remove_witness

    _show_policy((await remove_witness(host.services, host.call(), name)).value, f"removed {name}", as_json=as_json)


@witness.command("quorum")
@host_verb
async def quorum(
    host: Host,
    threshold: Annotated[int, typer.Argument(metavar="K", help="So many of the enrolled witnesses; 0 for none.")],
    as_json: JsonOption = False,
) -> None:
    """Say how many witnesses must stand behind a checkpoint (operator)."""
    from exchange.usecases.log.witnesses import set_quorum

    _show_policy((await set_quorum(host.services, host.call(), threshold)).value, "changed", as_json=as_json)


async def _shown(where: Where) -> WitnessListBody:
    if not isinstance(where, Host):
        return where.witnesses()
    from exchange.usecases.log.witnesses import show_witnesses

    return WitnessListBody.of((await show_witnesses(where.services, where.call())).value)


def _show_policy(policy: LogPolicy, done: str, *, as_json: bool) -> None:
    from exchange.usecases.log.witnesses import told_quorum

    names, needed = [each.name for each in policy.witnesses], told_quorum(policy)
    told = {"id": "witnesses", "witnesses": names, "quorum": needed}
    sentence = f"{done}: the quorum is {needed}, enrolled are {output.listed(names)}"
    output.show_done(told, sentence, as_json=as_json)


def _told(moment: object) -> str | None:
    return None if moment is None else str(moment).replace("+00:00", "Z")
