"""`exchange webhook`: be told of new reports; a reader's own verbs, and the host's for what nobody took."""

from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from exchange.cli import output
from exchange.cli.given import id_given
from exchange.cli.instance import Host
from exchange.cli.program import app
from exchange.cli.report_options import PurposeOption
from exchange.cli.verbs import JsonOption, Where, either_verb, member_verb
from exchange.cli.whole_lists import end_unless_whole, lists_whole
from exchange.client import ExchangeClient

webhooks = typer.Typer(help="Webhooks: be told of new reports, see what was not taken.", no_args_is_help=True)
app.add_typer(webhooks, name="webhook")

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The subscription's id.", callback=id_given)]


@webhooks.command("add")
@member_verb
def add(
    client: ExchangeClient,
    address: Annotated[str, typer.Argument(metavar="URL", help="Where you are told: https://HOST/PATH.")],
    purpose: PurposeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Be told of what you may read from now on (reader); prints the secret, this once."""
    new = client.webhooks.add(address, purpose=purpose)
    told = {"id": new.id, "url": new.url, "secret": new.secret}
    output.show_record(told, title="subscribed", document=new, as_json=as_json)


@webhooks.command("list")
@either_verb
@lists_whole("subscriptions")
async def list_all(where: Where, as_json: JsonOption = False) -> None:
    """List your subscriptions; the host's operator sees everybody's."""
    if isinstance(where, Host):
        from exchange.usecases import list_subscriptions

        found = await list_subscriptions(where.services, where.call())
        listed = [{"id": row.id, "client": row.client, "url": row.url} for row in found.value]
        _show(listed, listed, as_json=as_json)
        end_unless_whole(found.unopened, "subscriptions")
    else:
        bodies = where.webhooks.all()
        _show(bodies, [dict(body) for body in bodies], as_json=as_json)


def _show(found: Sequence[object], rows: Sequence[Mapping[str, object]], *, as_json: bool) -> None:
    columns = tuple(rows[0]) if rows else ("id", "url")
    output.show_list(found, columns, (tuple(row.values()) for row in rows), as_json=as_json)


@webhooks.command("remove")
@either_verb
async def remove(where: Where, id: IdArgument, as_json: JsonOption = False) -> None:  # noqa: A002
    """End a subscription: nothing more is sent there."""
    if isinstance(where, Host):
        from exchange.usecases import remove_subscription

        ended = (await remove_subscription(where.services, where.call(), id)).value.id
    else:
        ended = where.webhooks.remove(id).id
    output.show_record({"id": ended}, title="removed", as_json=as_json)


@webhooks.command("test")
@member_verb
def send_test(client: ExchangeClient, id: IdArgument, as_json: JsonOption = False) -> None:  # noqa: A002
    """Have a message sent that tells of nothing; `deliveries` says what became of it."""
    output.show_record({"id": client.webhooks.test(id)}, title="on its way", as_json=as_json)


@webhooks.command("deliveries")
@either_verb
@lists_whole("deliveries")
async def deliveries(where: Where, id: IdArgument, as_json: JsonOption = False) -> None:  # noqa: A002
    """Show what was delivered and what nobody took, the newest hundred."""
    columns = ("id", "state", "tries", "told")
    if isinstance(where, Host):
        from exchange.usecases import list_deliveries

        found = await list_deliveries(where.services, where.call(), id)
        # Which reports these are is nothing that an operator is told.
        listed = [
            dict(zip(columns, (row.id, row.state.value, row.tries, row.told), strict=True)) for row in found.value
        ]
        unread = found.unopened
    else:
        listed, unread = [body.model_dump(mode="json") for body in where.webhooks.deliveries(id)], 0
    output.show_list(listed, columns, (tuple(one[name] for name in columns) for one in listed), as_json=as_json)
    end_unless_whole(unread, "deliveries")


@webhooks.command("replay")
@either_verb
async def replay(where: Where, id: IdArgument, as_json: JsonOption = False) -> None:  # noqa: A002
    """Have sent again what nobody took, as far as its reader may still read it."""
    if isinstance(where, Host):
        from exchange.usecases import replay_deliveries

        count = (await replay_deliveries(where.services, where.call(), id)).value
    else:
        count = where.webhooks.replay(id)
    output.show_record({"id": id, "replayed": count}, title="tried again", as_json=as_json)
