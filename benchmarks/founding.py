"""A new instance with its members, agreements and clients, all made through the use cases that operators call."""

import hashlib
import os
from datetime import timedelta
from pathlib import Path

from benchmarks.places import AGREEMENTS, CONNECTIONS, MEMBERS, SCOPE, Person, Place, parties_of
from exchange.agreements import Agreement, sign_text, text_of
from exchange.cli.enrolment import issue_into
from exchange.cli.init import make_instance
from exchange.cli.instance import Host, open_host
from exchange.crypto import CertificateFacts, ObjectSigningKey
from exchange.kernel import new_id
from exchange.settings import InstanceLayout
from exchange.usecases import (
    Call,
    Enrolment,
    GivenSignature,
    OfferedKey,
    add_member,
    enrol_client,
    enrol_signatory_key,
    propose_agreement,
    sign_agreement,
)

SETTINGS = "requests_per_second = 1000000  # what is measured is the service, not its limit\n"

_KEYS: dict[str, ObjectSigningKey] = {}
"""Of the signatories, by member."""

AGREEMENT = """\
title: Arrangement {number} on warning of cyber threats
parties: [{parties}]
policy: NATO
validity: {{from: 2020-01-01, until: 2099-12-31, review_every: P2Y}}
scopes:
  - name: {scope}
    topics: [cyber]
    regions: [EUR]
    kinds: [intrep, indicator-set]
    purposes: [defence]
    ceiling: {ceiling}
    compartments: [ATOMAL]
    contributors: [{parties}]
    readers: [{parties}]
    onward_release: never
    retention: P5Y
obligations: []
termination: {{notice: P90D, shared_reports: recalled}}
"""


async def found(folder: Path) -> Place:
    """Make an instance in `folder` with everybody in it and every agreement in force, and no report."""
    layout = InstanceLayout(folder)
    await make_instance(layout)
    with layout.settings_file.open("a") as file:
        file.write(SETTINGS)
    place = Place(folder)
    async with open_host(folder) as host:
        for member in MEMBERS:
            await add_member(host.services, host.call(), member, f"Member {member}")
        for member in MEMBERS:
            signatory = await _enrol(host, member, "signatory", _stand_in(host, member))
            key = _KEYS[member] = ObjectSigningKey.new(os.urandom)
            public = key.verifying_key
            offered = OfferedKey(public.ed25519.raw, public.ml_dsa_65.raw, key.prove_possession())
            await enrol_signatory_key(host.services, host.call(), signatory, offered)
        for number in range(AGREEMENTS):
            place.agreements.append(await _agree(host, number))
        for connection in range(CONNECTIONS):
            place.readers.append(await _person(host, place, connection * 3, "reader"))
            place.contributors.append(await _person(host, place, connection * 3, "contributor"))
    return place


async def _agree(host: Host, number: int) -> str:
    parties = parties_of(number)
    text = AGREEMENT.format(number=number, parties=", ".join(parties), scope=SCOPE, ceiling="SECRET")
    agreement_id = (await propose_agreement(host.services, host.call(), text)).value.agreement.id
    agreement = await _kept(host, agreement_id)
    for member in parties:
        await sign_as(host, member, agreement)
    return agreement_id


async def sign_as(host: Host, member: str, agreement: Agreement) -> None:
    """Sign the text of `agreement`, or of what an amendment would make of it, for `member`."""
    call = call_as(host, member)
    client = (await host.services.store.caller(str(call.thumbprint))).client
    assert client is not None
    text, key = text_of(agreement), _KEYS[member]
    signature = sign_text(text, key, member=member, signatory=client.id)
    given = GivenSignature(text.digest, key.verifying_key.key_id, signature)
    await sign_agreement(host.services, call, agreement.id, given)


def call_as(host: Host, member: str, role: str = "signatory") -> Call:
    """Return one act of a member's client that signs or releases in this process, now."""
    now = host.services.clock()
    thumbprint = _stand_in(host, member, role).thumbprint
    return Call(new_id(now, host.services.randomness), "host", thumbprint, now)


async def enrol_releaser(host: Host, member: str) -> None:
    """Enrol a client that recalls reports of `member` in this process and never connects."""
    await _enrol(host, member, "releaser", _stand_in(host, member, "releaser"))


async def _kept(host: Host, agreement_id: str) -> Agreement:
    agreement = await host.services.store.agreement(agreement_id)
    assert agreement is not None
    return agreement


async def _person(host: Host, place: Place, number: int, role: str) -> Person:
    member = MEMBERS[number]
    folder = place.folder / "people" / f"{member}-{role}"
    folder.mkdir(parents=True)
    certificate = issue_into(folder, host.layout, f"{member} {role}", organisation=f"{member}/SIGINT", request=None)
    client_id = await _enrol(host, member, role, certificate)
    return Person(client_id, member, number, certificate.thumbprint, folder)


async def _enrol(host: Host, member: str, role: str, certificate: CertificateFacts) -> str:
    # SECRET and no compartment: an ordinary reader, who sees less than the parties of an agreement may.
    enrolment = Enrolment(f"{member} {role}", member, "SIGINT", (role,), "SECRET", certificate)
    return str((await enrol_client(host.services, host.call(), enrolment)).value.client.id)


def _stand_in(host: Host, member: str, role: str = "signatory") -> CertificateFacts:
    """Return facts of a certificate for a client that acts in this process and never connects."""
    now = host.services.clock()
    thumbprint = hashlib.sha256(f"{role} of {member}".encode()).hexdigest()
    day = timedelta(days=1)
    return CertificateFacts(
        thumbprint, f"{member} {role}", now - day, now + 30 * day, is_authority=False, public_key=thumbprint
    )
