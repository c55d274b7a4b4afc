"""Signatures of agreements: made with a signatory's own key under the very text, kept, and proved by themselves."""

import base64
from dataclasses import replace
from datetime import timedelta

import pytest

from exchange import usecases
from exchange.agreements import AgreementState, TreatyText, is_signed, text_of, verify_texts
from exchange.crypto import ObjectSignature
from exchange.kernel import ConflictError, ExchangeError, InvalidError, NotFoundError
from exchange.markings import Label
from exchange.members import Standing
from exchange.store import UnitOfWork
from exchange.usecases import Services
from tests.support.meanwhile import at_once
from tests.support.treaty import offered, sign_by_call, signed, signing_key
from tests.support.world import AGREEMENT, Attempt, World, thumbprint_of
from tests.usecases.test_amending import concluded


async def proposed(world: World):
    return (await usecases.propose_agreement(world.services, world.call(None), AGREEMENT)).value.agreement


async def attempted(world: World, agreement, given, *, by: str = "NOR signatory") -> Attempt:
    return await world.attempt(usecases.sign_agreement(world.services, world.call(by), agreement.id, given))


def codes(made: Attempt) -> set[str]:
    assert isinstance(made.error, ExchangeError)
    assert (made.entry["type"], made.entry["decision"]) == ("agreement.signed", "refused")
    return {fault.code for fault in getattr(made.error, "faults", ())} or {made.error.code}


async def test_log_holds_text_and_signatures_so_that_it_alone_proves_the_agreement(populated: World) -> None:
    agreement = await proposed(populated)
    await sign_by_call(populated.services, populated.call("NOR signatory"), agreement.id)
    entries = [entry for entry in await populated.entries() if entry.get("agreement") == agreement.id]
    (text,) = ["".join(entry["detail"]["canonical"]) for entry in entries if entry["type"] == "agreement.proposed"]
    (detail,) = [entry["detail"] for entry in entries if entry["type"] == "agreement.signed"]

    assert text.encode() == text_of(agreement).canonical
    assert detail["text"] == text_of(agreement).digest
    assert detail["signatory"] == populated.clients["NOR signatory"].id
    kept = await populated.services.store.agreement(agreement.id)
    assert kept is not None
    signature = kept.party("NOR").signature  # type: ignore[union-attr]  # it is a party
    assert signature is not None
    assert detail["key"] == signature.key.key_id

    logged = ObjectSignature(base64.b64decode(detail["ed25519"]), base64.b64decode("".join(detail["ml_dsa_65"])))
    assert is_signed(text_of(agreement), detail["text"], replace(signature, signature=logged))


async def test_signature_that_is_not_this_one_is_none(populated: World) -> None:
    agreement, other = await proposed(populated), await proposed(populated)
    client, key = populated.clients["NOR signatory"], signing_key(thumbprint_of("NOR signatory"))
    good = signed(agreement, client, key)
    foreign = populated.clients["GBR signatory"]

    assert codes(await attempted(populated, agreement, replace(good, text="0" * 64))) == {"text-differs"}
    assert codes(await attempted(populated, agreement, signed(other, client, key))) == {"text-differs"}
    unknown = signed(agreement, client, signing_key("nobody"))
    assert codes(await attempted(populated, agreement, unknown)) == {"unknown-key"}
    stolen = signed(agreement, foreign, signing_key(thumbprint_of("GBR signatory")))
    assert codes(await attempted(populated, agreement, stolen)) == {"unknown-key"}
    for wrong in (
        replace(good, signature=replace(good.signature, ed25519=b"")),
        replace(good, signature=replace(good.signature, ml_dsa_65=good.signature.ml_dsa_65[::-1])),
        signed(agreement, client, key, member="GBR"),
        signed(agreement, replace(client, id=foreign.id), key),
        replace(signed(other, client, key), text=good.text),
    ):
        assert codes(await attempted(populated, agreement, wrong)) == {"bad-signature"}
    assert (await attempted(populated, agreement, good)).error is None
    assert codes(await attempted(populated, agreement, good)) == {"conflict"}


async def test_key_signs_nothing_at_a_time_before_it_was_enrolled(populated: World) -> None:
    agreement = await proposed(populated)
    client, key = populated.clients["NOR signatory"], signing_key(thumbprint_of("NOR signatory"))
    # At a node whose clock is behind that of the one that enrolled it.
    populated.clock.now -= timedelta(microseconds=1)

    assert codes(await attempted(populated, agreement, signed(agreement, client, key))) == {"conflict"}


async def test_retired_key_signs_nothing_more_and_what_it_signed_stands(populated: World) -> None:
    client, key = populated.clients["NOR signatory"], signing_key(thumbprint_of("NOR signatory"))
    agreement = await proposed(populated)
    made = await populated.attempt(
        usecases.retire_signatory_key(
            populated.services, populated.call("operator"), client.id, key.verifying_key.key_id
        )
    )
    refused = await attempted(populated, agreement, signed(agreement, client, key))
    again = await populated.attempt(
        usecases.retire_signatory_key(populated.services, populated.call(None), client.id, key.verifying_key.key_id)
    )

    assert [each.retired_at for each in made.value.value] == [populated.clock.now]
    assert codes(refused) == {"unknown-key"}
    assert isinstance(again.error, NotFoundError)
    shown = await usecases.show_agreement(populated.services, populated.call(None), populated.agreement_id)
    assert shown.value.state is AgreementState.IN_FORCE


async def test_operator_retires_no_key_of_another_member_in_the_name_of_a_client_of_its_own(populated: World) -> None:
    await populated.enrol("GBR operator", "GBR", "operator")
    own, key = populated.clients["GBR signatory"], signing_key(thumbprint_of("NOR signatory")).verifying_key
    made = await populated.attempt(
        usecases.retire_signatory_key(populated.services, populated.call("GBR operator"), own.id, key.key_id)
    )

    assert isinstance(made.error, NotFoundError)
    assert populated.sql("SELECT retired_at FROM signatory_key WHERE key_id = $1", key.key_id) == [(None,)]


async def test_key_that_two_retire_at_once_is_retired_once(populated: World, monkeypatch: pytest.MonkeyPatch) -> None:
    client, key = populated.clients["NOR signatory"], signing_key(thumbprint_of("NOR signatory"))
    first, second = (
        populated.attempt(
            usecases.retire_signatory_key(populated.services, populated.call(by), client.id, key.verifying_key.key_id)
        )
        for by in ("operator", None)
    )
    one, late = await at_once(monkeypatch, UnitOfWork, "record", first, second)

    assert one.error is None
    assert isinstance(late.error, NotFoundError)


async def test_key_is_enrolled_once_for_an_active_signatory_by_who_holds_it(populated: World) -> None:
    await populated.enrol("NOR operator", "NOR", "operator")
    services, key = populated.services, signing_key("new")
    signatory, reader = populated.clients["NOR signatory"], populated.clients["NOR reader"]

    async def enrol(client, offer, by: str | None = "NOR operator") -> Attempt:
        return await populated.attempt(usecases.enrol_signatory_key(services, populated.call(by), client.id, offer))

    foreign = await enrol(populated.clients["GBR signatory"], offered(key))
    no_signatory = await enrol(reader, offered(key))
    unproven = await enrol(signatory, replace(offered(key), proof=signing_key("other").prove_possession()))
    no_key = await enrol(signatory, replace(offered(key), ed25519=b"short"))
    first = await enrol(signatory, offered(key))
    second = await enrol(signatory, offered(key))

    assert isinstance(foreign.error, NotFoundError)
    assert (type(no_signatory.error), no_signatory.error.code) == (ConflictError, "no-signatory")  # type: ignore[union-attr]  # it failed
    assert isinstance(unproven.error, InvalidError)
    assert isinstance(no_key.error, InvalidError)
    assert first.value.value.member == "NOR"
    assert first.entry["id"] == first.value.value.entry
    assert first.entry["detail"]["key"] == key.verifying_key.key_id
    assert isinstance(second.error, ConflictError)
    keys = (await usecases.list_signatory_keys(services, populated.call("NOR reader"), signatory.id)).value
    assert {each.key for each in keys} == {signing_key(thumbprint_of("NOR signatory")).verifying_key, key.verifying_key}
    await usecases.change_standing(services, populated.call(None), signatory.id, Standing.SUSPENDED)
    assert (await enrol(signatory, offered(signing_key("later")))).error.code == "no-signatory"  # type: ignore[union-attr]  # it failed


async def test_signature_made_up_in_the_database_counts_for_nothing(populated: World) -> None:
    agreement = await proposed(populated)
    for member in ("GBR", "NOR"):
        await sign_by_call(populated.services, populated.call(f"{member} signatory"), agreement.id)
    populated.sql(
        "UPDATE agreement_party SET state = 'signed', signed_at = 1 WHERE agreement_id = $1 AND member = 'DNK'",
        agreement.id,
    )
    bare = (await usecases.show_agreement(populated.services, populated.call(None), agreement.id)).value
    copied = "text, 'DNK', agreement_id, signatory, key_id, ed25519, ml_dsa_65, signed_at"
    populated.sql(
        f"INSERT INTO agreement_signature SELECT {copied} FROM agreement_signature"
        " WHERE agreement_id = $1 AND member = 'NOR'",
        agreement.id,
    )
    forged = (await usecases.show_agreement(populated.services, populated.call(None), agreement.id)).value

    assert bare.state is forged.state is AgreementState.DRAFT


async def test_terms_altered_in_the_database_are_terms_that_nobody_signed(populated: World) -> None:
    report = await populated.post()
    await usecases.pull_report(populated.services, populated.call("NOR reader"), report)
    populated.sql(
        "UPDATE agreement SET terms = replace(terms, 'SECRET', 'TOP SECRET') WHERE id = $1", populated.agreement_id
    )
    async with populated.another_node() as second:
        with pytest.raises(NotFoundError):
            await usecases.pull_report(second, populated.call("NOR reader"), report)
    state = (
        await usecases.show_agreement(populated.services, populated.call(None), populated.agreement_id)
    ).value.state

    assert state is AgreementState.DRAFT


async def test_former_text_altered_in_the_database_opens_no_older_report(populated: World) -> None:
    label = Label("NATO", "SECRET", releasable_to=("DNK", "GBR", "NOR"))
    await populated.agree(AGREEMENT.replace("readers: [GBR, NOR, DNK]", "readers: [GBR, NOR]"))
    old = await populated.post(label=label)
    await concluded(populated, AGREEMENT)
    new = await populated.post(label=label)

    async def reads(name: str, report: str, services: Services) -> bool:
        try:
            await usecases.pull_report(services, populated.call(name), report)
        except NotFoundError:
            return False
        return True

    async with populated.another_node() as second:
        assert [await reads("DNK reader", report, second) for report in (old, new)] == [False, True]
        assert await reads("NOR reader", old, second)
    wider = (
        """UPDATE agreement SET terms = replace(terms, '"readers":["GBR","NOR"]', '"readers":["GBR","NOR","DNK"]')"""
    )
    populated.sql(f"{wider} WHERE id = $1 AND superseded_at IS NOT NULL", populated.agreement_id)
    assert populated.sql('SELECT count(*) FROM agreement WHERE terms LIKE \'%"NOR"],"onward%\'') == [(0,)]
    async with populated.another_node() as third:
        assert [await reads("DNK reader", report, third) for report in (old, new)] == [False, True]
        # What nobody signed opens it to nobody.
        assert not await reads("NOR reader", old, third)
        assert await reads("NOR reader", new, third)
    broken = "UPDATE agreement SET terms = '{}' WHERE id = $1 AND superseded_at IS NOT NULL"
    populated.sql(broken, populated.agreement_id)
    async with populated.another_node() as fourth:
        assert [await reads("DNK reader", report, fourth) for report in (old, new)] == [False, True]


async def test_evidence_verifies_alone_and_is_for_parties(populated: World) -> None:
    agreement_id = populated.agreement_id
    made = await populated.attempt(
        usecases.export_agreement(populated.services, populated.call("DNK reader"), agreement_id)
    )
    foreign = await populated.attempt(
        usecases.export_agreement(populated.services, populated.call("ESP signatory"), agreement_id)
    )
    evidence = made.value.value
    keys = {each.key.key_id: each for each in evidence.keys}
    findings = verify_texts(evidence.texts, keys)

    assert all(finding.is_good for finding in findings)
    assert len(keys) == len(evidence.texts[0].signatures) == 3
    assert isinstance(evidence.texts[0].text, TreatyText)
    enrolments = {entry["id"] for entry in await populated.entries() if entry["type"] == "signatory.key_enrolled"}
    assert {each.entry for each in evidence.keys} <= enrolments
    assert made.entry["type"] == "agreement.exported"
    assert isinstance(foreign.error, NotFoundError)


async def test_text_longer_than_the_log_takes_is_refused(populated: World) -> None:
    scope = AGREEMENT[AGREEMENT.index("  - name") : AGREEMENT.index("obligations")]
    scopes = "".join(scope.replace("cyber-threats", f"scope-{number}") for number in range(200))
    made = await populated.attempt(
        usecases.propose_agreement(populated.services, populated.call(None), AGREEMENT.replace(scope, scopes))
    )

    assert isinstance(made.error, InvalidError)
    assert [fault.code for fault in made.error.faults] == ["too-long"]


async def test_database_refuses_to_change_what_was_signed_or_whose_a_key_is(populated: World) -> None:
    for change in (
        "UPDATE agreement_signature SET signatory = 'x'",
        "DELETE FROM agreement_signature",
        "UPDATE signatory_key SET client_id = 'x'",
        "DELETE FROM signatory_key",
    ):
        with pytest.raises(Exception, match=r"signed|retired"):
            populated.sql(change)
