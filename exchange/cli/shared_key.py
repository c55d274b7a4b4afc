"""`exchange keys accept`: another cursor key, where the one that nodes held is lost everywhere."""

from typing import Annotated

import typer

from exchange.cli import output
from exchange.cli.instance import Host
from exchange.cli.keys_group import keys
from exchange.cli.verbs import JsonOption, host_verb
from exchange.usecases.own_keys import accept_shared_key


@keys.command("accept")
@host_verb
async def accept(
    host: Host,
    reason: Annotated[str, typer.Option("--reason", help="What became of the one before, for the record.")],
    as_json: JsonOption = False,
) -> None:
    """Take this host's cursor key for the one all nodes hold from now on; the one before is lost everywhere."""
    fingerprint = (await accept_shared_key(host.services, host.call(), reason)).value
    told = f"nodes hold the cursor key {fingerprint} from now on; next: it to every other node, restart each"
    output.show_done({"id": fingerprint, "key": "cursor"}, told, as_json=as_json)
