"""Witnesses over HTTP: who sees them, and what a member's witness may bring."""

import json
from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI

from exchange.audit import TreeHead, parse_checkpoint, parse_note
from exchange.usecases import describe_caller
from exchange.usecases.log.sequence_log import Step
from exchange.usecases.log.witnesses import set_quorum
from tests.support.witnessed_world import Watched, WitnessedWorld
from tests.support.world import World


@pytest.fixture
async def watched(world: World, service: FastAPI) -> AsyncIterator[Watched]:
    world.url = f"sqlite+aiosqlite:///{world.folder}/exchange.db"
    made = Watched(await WitnessedWorld.open(world))
    service.state.services = world.services
    yield made
    for witness in made.made.values():
        witness.close()
    await made.opened.close()


async def test_auditor_sees_who_stands_behind_the_log(watched: Watched, http, entry_of) -> None:
    witness = await watched.enrol("nor")
    await watched.ask("nor")

    answer = await http("auditor").get("/v1/audit/witnesses")

    body = answer.json()
    assert (answer.status_code, body["quorum"], body["has_quorum"], body["since"]) == (200, "none", True, None)
    assert body["items"] == [
        {
            "name": "nor",
            "key": str(witness.signer.verifier),
            "url": witness.url,
            "size": body["size"],
            "cosigned_at": body["items"][0]["cosigned_at"],
            "behind": 0,
        }
    ]
    assert (await entry_of(answer))["type"] == "witness.listed"


@pytest.mark.parametrize(("who", "status"), [("GBR reader", 403), ("stranger", 401), ("operator", 200)])
async def test_others_do_not_see_them(watched: Watched, http, entry_of, who: str, status: int) -> None:
    answer = await http(who).get("/v1/audit/witnesses")

    assert answer.status_code == status
    assert (await entry_of(answer))["type"] == "witness.listed"


async def test_member_brings_its_cosignature(watched: Watched, http, entry_of) -> None:
    witness = await watched.enrol("nor")
    kept = await watched.world.services.store.log.kept_checkpoint(1)

    answer = await http("auditor").post("/v1/audit/cosignatures", json={"checkpoint": witness.cosigned(kept.note)})

    assert (answer.status_code, answer.json()) == (200, {"size": kept.size, "witnesses": ["nor"]})
    assert (await entry_of(answer))["detail"] == {"size": kept.size, "witnesses": ["nor"]}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"checkpoint": "nonsense"}, 422),
        ({"checkpoint": ""}, 422),
        ({"checkpoint": "a" * 140_000}, 422),
        ({"checkpoint": "a\ud800"}, 400),
        ({"checkpoint": 1}, 422),
        ({}, 422),
        ({"checkpoint": "x", "more": 1}, 422),
    ],
)
async def test_what_is_no_checkpoint_is_refused_on_the_record(watched: Watched, http, entry_of, body, status) -> None:
    await watched.enrol("nor")

    answer = await http("auditor").post("/v1/audit/cosignatures", content=_json(body), headers=_JSON)

    assert answer.status_code == status
    assert (await entry_of(answer))["decision"] == "refused"


async def test_reader_brings_nothing(watched: Watched, http) -> None:
    witness = await watched.enrol("nor")
    kept = await watched.world.services.store.log.kept_checkpoint(1)

    answer = await http("GBR reader").post("/v1/audit/cosignatures", json={"checkpoint": witness.cosigned(kept.note)})

    assert answer.status_code == 403
    assert await watched.world.services.store.log.cosignatures(1, kept.size) == []


async def test_what_contradicts_the_log_is_a_conflict_and_freezes_it(watched: Watched, http, entry_of) -> None:
    held = watched.opened.signed(TreeHead(10**6, b"\x07" * 32)).decode()

    answer = await http("auditor").post("/v1/audit/cosignatures", json={"checkpoint": held})

    assert answer.status_code == 409
    assert (await entry_of(answer))["type"] == "witness.refused"
    assert await watched.opened.step() is Step.FROZEN


async def test_checkpoint_is_shown_with_its_cosignatures_newest_kept_or_witnessed(watched: Watched, http) -> None:
    for name in ("nor", "gbr"):
        await watched.enrol(name)
    await set_quorum(watched.world.services, watched.world.call(None), 2)
    witnessed = await watched.opened.keep()
    await watched.ask("nor")
    await watched.ask("gbr")
    kept = await watched.opened.grow()
    await watched.ask("nor")
    await describe_caller(watched.world.services, watched.world.call("GBR reader"))
    await watched.opened.step()

    async def shown(query: str) -> tuple[int, list[str]]:
        answer = await http("auditor").get(f"/v1/audit/checkpoint{query}")
        note = parse_note(answer.content)
        lines = [line.name.rpartition("/")[2] for line in note.signatures if line.name.startswith("witness")]
        return parse_checkpoint(note.text).size, sorted(lines)

    newest, no_lines = await shown("?kept=false")
    assert newest > kept.size > witnessed.size
    assert no_lines == []
    assert await shown("?kept=true") == (kept.size, ["nor"])
    assert await shown("?witnessed=true") == (witnessed.size, ["gbr", "nor"])


async def test_without_a_quorum_the_newest_that_anybody_cosigned_is_shown(watched: Watched, http) -> None:
    await watched.enrol("nor")
    await watched.ask("nor")
    cosigned = await watched.world.services.store.log.kept_checkpoint(1)
    await watched.opened.grow()

    answer = await http("auditor").get("/v1/audit/checkpoint?witnessed=true")

    assert parse_checkpoint(parse_note(answer.content).text).size == cosigned.size


async def test_checkpoint_with_a_quorum_that_never_was_is_absent(watched: Watched, http) -> None:
    await watched.enrol("nor")
    await set_quorum(watched.world.services, watched.world.call(None), 1)

    answer = await http("auditor").get("/v1/audit/checkpoint?witnessed=true")

    assert answer.status_code == 404


@pytest.mark.parametrize("query", ["?kept=1", "?kept=", "?witnessed=TRUE", "?kept=true&witnessed=true", "?newest=true"])
async def test_question_that_is_none_is_refused(watched: Watched, http, query: str) -> None:
    assert (await http("auditor").get(f"/v1/audit/checkpoint{query}")).status_code == 422


_JSON = {"Content-Type": "application/json"}


def _json(body: dict[str, object]) -> bytes:
    return json.dumps(body).encode()
