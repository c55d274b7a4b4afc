"""The operator's part of the demo, on the host: an instance, its members and clients, a proposal, a revocation."""

import os
from collections.abc import Mapping, Sequence

from exchange.agreements import AgreementState
from exchange.cli.demo import cast
from exchange.cli.demo.stage import Stage
from exchange.cli.enrolment import Newcomer, enrol_with_files, release_folder
from exchange.cli.init import OWN_MEMBER, make_instance
from exchange.cli.instance import Host, open_host, write_new
from exchange.crypto import KeyAndCertificate, ObjectSigningKey, issue_client, new_authority
from exchange.kernel import system_clock
from exchange.members import Standing
from exchange.settings import InstanceLayout
from exchange.usecases import (
    OfferedKey,
    add_member,
    change_standing,
    enrol_signatory_key,
    propose_agreement,
    read_entries,
)

STRANGER = "not-enrolled"
FOREIGNER = "foreign-authority"
_MOST_ENTRIES = 1000


async def set_up(stage: Stage) -> None:
    """Make the instance, enrol everybody, lay the agreement before its parties."""
    script = stage.script
    await make_stage(stage)
    async with open_host(stage.folder) as host:
        with script.step("members and clients are enrolled"):
            await enrol_everybody(stage, host, cast.MEMBERS, cast.PLAYERS)
        with script.step("an agreement is proposed"):
            await _propose(stage, host)
    _make_strangers(stage)


async def make_stage(stage: Stage) -> None:
    """Make the instance."""
    with stage.script.step("a new instance") as check:
        await make_instance(InstanceLayout(stage.folder))
        check(str(stage.folder), is_right=True)


async def revoke(stage: Stage, player: cast.Player) -> None:
    """Revoke a client while the server runs."""
    async with open_host(stage.folder) as host:
        with stage.script.step(f"{player.name} is revoked"):
            revoked = await change_standing(host.services, host.call(), stage.clients[player.name], Standing.REVOKED)
            is_right = revoked.value.client.standing is Standing.REVOKED
            stage.script.check(f"{player.name} is revoked", "at the host, while the server runs", is_right=is_right)


async def read_log(stage: Stage) -> None:
    """Read the audit log as the host may, oldest first."""
    async with open_host(stage.folder) as host:
        stage.entries = (await read_entries(host.services, host.call(), limit=_MOST_ENTRIES)).value


async def enrol_everybody(stage: Stage, host: Host, members: Mapping[str, str], players: Sequence[cast.Player]) -> None:
    """Enrol the members and their clients, each with files of its own, and every signatory's key."""
    for code, name in members.items():
        await add_member(host.services, host.call(), code, name)
    stage.script.check("members are enrolled", f"{', '.join(members)}, besides {OWN_MEMBER}", is_right=True)
    for player in players:
        newcomer = Newcomer(
            name=player.name,
            member=player.member,
            agency=player.agency,
            roles=player.roles,
            level=player.level,
            compartments=player.compartments,
            until=player.until(system_clock()),
        )
        view = await enrol_with_files(host, newcomer, stage.files_of(player.name))
        stage.clients[player.name] = view.client.id
        stage.names[view.client.id] = player.name
        if "signatory" in player.roles:
            await _enrol_key(stage, host, player)
    told = f"{len(stage.clients)}, each with its own certificate and clearance"
    stage.script.check("clients are enrolled", told, is_right=len(stage.clients) == len(players))


async def _enrol_key(stage: Stage, host: Host, player: cast.Player) -> None:
    key = ObjectSigningKey.new(os.urandom)
    public = key.verifying_key
    offered = OfferedKey(public.ed25519.raw, public.ml_dsa_65.raw, key.prove_possession())
    await enrol_signatory_key(host.services, host.call(), stage.clients[player.name], offered)
    stage.keys[player.name] = key


async def _propose(stage: Stage, host: Host) -> None:
    call = host.call()
    view = (await propose_agreement(host.services, call, cast.agreement_text(call.now.date()))).value
    stage.agreement = view.agreement.id
    stage.names[stage.agreement] = "arrangement"
    found = f"{view.agreement.terms.title}: {view.state.value}"
    stage.script.check("an agreement is proposed", found, is_right=view.state is AgreementState.DRAFT)


def _make_strangers(stage: Stage) -> None:
    """Write two certificates that must open nothing: one that nobody enrolled, one of a foreign authority."""
    layout = InstanceLayout(stage.folder)
    authority_pem = layout.authority_certificate_file.read_bytes()
    own = KeyAndCertificate(layout.authority_key_file.read_bytes(), authority_pem)
    foreign = new_authority("authority of somebody else", system_clock())
    for name, authority in ((STRANGER, own), (FOREIGNER, foreign)):
        pair = issue_client(authority, name, organisation="NOR/NSM", now=system_clock())
        with release_folder(stage.files_of(name)) as folder:
            write_new(folder / "client.pem", pair.certificate_pem, mode=0o644)
            write_new(folder / "client.key", pair.key_pem, mode=0o600)
            write_new(folder / "ca.pem", authority_pem, mode=0o644)
