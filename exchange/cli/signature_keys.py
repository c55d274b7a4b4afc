"""`exchange client signature-key`: the keys that a signatory signs agreements with (operator)."""

from pathlib import Path
from typing import Annotated

import typer

from exchange.cli import output
from exchange.cli.asking import YesOption, ask_meanwhile, is_asked
from exchange.cli.client_group import IdArgument, clients
from exchange.cli.instance import Host
from exchange.cli.treaties import read_offer
from exchange.cli.verbs import JsonOption, Where, either_verb
from exchange.cli.whole_lists import end_unless_whole, lists_whole
from exchange.wire import SignatoryKeyBody

keys = typer.Typer(help="A signatory's keys: what signs agreements for its member.", no_args_is_help=True)
clients.add_typer(keys, name="signature-key")


@keys.command("add")
@either_verb
async def add(
    where: Where,
    id: IdArgument,  # noqa: A002
    file: Annotated[Path, typer.Argument(metavar="FILE.pub", help="What `exchange agreement key` wrote.")],
    as_json: JsonOption = False,
) -> None:
    """Enrol a signatory's key, as the operator of the exchange (--dir) or of its member (--url)."""
    offer = read_offer(file)
    if isinstance(where, Host):
        from exchange.usecases import OfferedKey, enrol_signatory_key

        offered = OfferedKey(*offer.raw(), offer.proof.to_signature())
        enrolled = (await enrol_signatory_key(where.services, where.call(), id, offered)).value
        body = SignatoryKeyBody.of(enrolled)
    else:
        body = where.enrol_signature_key(id, offer)
    _show([body], "enrolled", as_json=as_json)


@keys.command("retire")
@either_verb
async def retire(
    where: Where,
    id: IdArgument,  # noqa: A002
    key_id: Annotated[str, typer.Argument(metavar="KEY", help="The key's id, as `list` shows it.")],
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Retire a key from the next signature on; what it signed stands."""
    if is_asked(yes=yes):
        others = sum(each.retired_at is None and each.key != key_id for each in (await _keys(where, id))[0])
        told = {
            "client": id,
            "key": key_id,
            "left": others or "none: it can sign nothing until another one is enrolled",
        }
        await ask_meanwhile("retires a key for signing for good", told)
    if isinstance(where, Host):
        from exchange.usecases import retire_signatory_key

        left = (await retire_signatory_key(where.services, where.call(), id, key_id)).value
        bodies = [SignatoryKeyBody.of(each) for each in left]
    else:
        bodies = where.retire_signature_key(id, key_id)
    _show(bodies, "retired", as_json=as_json)


@keys.command("list")
@either_verb
@lists_whole("keys")
async def list_all(where: Where, id: IdArgument, as_json: JsonOption = False) -> None:  # noqa: A002
    """List every key that a signatory ever had."""
    bodies, unread = await _keys(where, id)
    _show(bodies, None, as_json=as_json)
    end_unless_whole(unread, "keys")


async def _keys(where: Where, client_id: str) -> tuple[list[SignatoryKeyBody], int]:
    if not isinstance(where, Host):
        return where.signature_keys(client_id), 0
    from exchange.usecases import list_signatory_keys

    found = await list_signatory_keys(where.services, where.call(), client_id)
    return [SignatoryKeyBody.of(each) for each in found.value], found.unopened


def _show(bodies: list[SignatoryKeyBody], done: str | None, *, as_json: bool) -> None:
    found = [body.model_dump(mode="json") | {"id": body.key} for body in bodies]
    rows = ((body.key, body.member, body.enrolled_at, body.retired_at) for body in bodies)
    output.show_list(found, ("key", "member", "enrolled", "retired"), rows, title=done, as_json=as_json)
