"""`exchange profile`: save a connection under a name, for `--profile NAME`."""

from pathlib import Path
from typing import Annotated

import typer

from exchange.cli import output
from exchange.cli.own_clearance import warn_of_end
from exchange.cli.profiles import Door, endpoint_of, profiles_path, read_profiles, remove_profile, save_profile
from exchange.cli.program import app
from exchange.cli.verbs import JsonOption, member_verb
from exchange.client import ExchangeClient

profiles = typer.Typer(help="Saved connections to exchanges (member).", no_args_is_help=True)
app.add_typer(profiles, name="profile")


@profiles.command("add")
def add(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    url: Annotated[str, typer.Option("--url", help="Address of the exchange.")],
    cert: Annotated[Path, typer.Option("--cert", help="Your certificate, PEM.")],
    key: Annotated[Path, typer.Option("--key", help="Its private key, PEM.")],
    ca: Annotated[Path, typer.Option("--ca", help="The exchange's authority, PEM.")],
    as_json: JsonOption = False,
) -> None:
    """Save a connection; an earlier one of that name is replaced."""
    path = save_profile(name, endpoint_of(Door(url, cert, key, ca)))
    output.show_done({"id": name, **read_profiles()[name]}, f"saved `{name}` in {path}", as_json=as_json)


@profiles.command("list")
def list_all(as_json: JsonOption = False) -> None:
    """List the saved connections."""
    found = [{"id": name, **fields} for name, fields in sorted(read_profiles().items())]
    rows = ((each["id"], each.get("url"), each.get("cert")) for each in found)
    output.show_list(found, ("name", "url", "certificate"), rows, title=str(profiles_path()), as_json=as_json)


@profiles.command("remove")
def remove(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    as_json: JsonOption = False,
) -> None:
    """Remove a saved connection; certificate, key and kept receipts stay where they are."""
    receipts = remove_profile(name)
    if as_json:
        output.show_json({"id": name, "receipts": None if receipts is None else str(receipts)})
        return
    output.show_line(f"removed `{name}`; its certificate and key stay where they are")
    if receipts is not None:
        output.note(f"receipts, which prove what the exchange answered, are kept in {receipts}")


@profiles.command("whoami")
@member_verb
def whoami(client: ExchangeClient, as_json: JsonOption = False) -> None:
    """Show whom the exchange takes this connection for, and what it is cleared for."""
    found = client.whoami()
    if as_json:
        output.show_json(found)
        return
    fields = found.model_dump(exclude={"clearance"})
    clearance = found.clearance
    held = {"clearance": clearance.level, "compartments": clearance.compartments, "until": clearance.until}
    output.show_record({**fields, **held})
    warn_of_end(found)
