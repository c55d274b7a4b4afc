"""`exchange member`: the states and organisations that take part."""

from typing import Annotated

import typer

from exchange.cli import output
from exchange.cli.instance import Host
from exchange.cli.program import app
from exchange.cli.verbs import JsonOption, host_verb
from exchange.cli.whole_lists import end_unless_whole
from exchange.members import Member
from exchange.usecases import add_member, list_members, resume_member, suspend_member
from exchange.wire import MemberBody

members = typer.Typer(help="Members: states and registered organisations (operator).", no_args_is_help=True)
app.add_typer(members, name="member")

CodeArgument = Annotated[
    str, typer.Argument(metavar="CODE", help="ISO 3166-1 alpha-3 (GBR) or an organisation's code.")
]


@members.command("add")
@host_verb
async def add(
    host: Host,
    code: CodeArgument,
    name: Annotated[str, typer.Option("--name", help="The member's name.")],
    as_json: JsonOption = False,
) -> None:
    """Add a member."""
    _show((await add_member(host.services, host.call(), code, name)).value, "added", as_json=as_json)


@members.command("list")
@host_verb
async def list_all(host: Host, as_json: JsonOption = False) -> None:
    """List the members."""
    listed = await list_members(host.services, host.call())
    rows = ((one.code, one.name, one.standing.value) for one in listed.value)
    output.show_list(list(map(member_json, listed.value)), ("code", "name", "standing"), rows, as_json=as_json)
    end_unless_whole(listed.unopened, "members")


@members.command("suspend")
@host_verb
async def suspend(host: Host, code: CodeArgument, as_json: JsonOption = False) -> None:
    """Suspend a member: none of its clients can act from the next request on."""
    _show((await suspend_member(host.services, host.call(), code)).value, "suspended", as_json=as_json)


@members.command("resume")
@host_verb
async def resume(host: Host, code: CodeArgument, as_json: JsonOption = False) -> None:
    """End a member's suspension."""
    _show((await resume_member(host.services, host.call(), code)).value, "resumed", as_json=as_json)


def member_json(member: Member) -> dict[str, object]:
    """Return a member as the HTTP interface shows it, with its code as its `id`."""
    return {"id": member.code, **MemberBody.of(member).model_dump(mode="json")}


def _show(member: Member, done: str, *, as_json: bool) -> None:
    told = f"{done} {member.code} ({member.name}), {member.standing.value}"
    output.show_done(member_json(member), told, as_json=as_json)
