"""Parts and declarations that are refused: nothing of them is left, and the refusal says what to do."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from exchange import usecases
from exchange.kernel import (
    ConflictError,
    ExchangeError,
    InvalidError,
    LimitExceededError,
    MalformedError,
    NotFoundError,
    TooLargeError,
)
from exchange.markings import Label
from exchange.reports import PostedPart
from exchange.usecases.posting import begin_upload
from exchange.usecases.posting.give_up_uploads import give_up_uploads
from tests.support.meanwhile import posted_meanwhile
from tests.support.put_back import columns_of
from tests.support.uploading import BINARY, LARGE, UPLOADS, awaited, begun, completed, nothing_kept, pulled, sent
from tests.support.world import World

# ── refused ────────────────────────────────────────────────────────────────────────────────────────────────────────────


class _UnforeseenError(Exception):
    """A fault that nobody foresaw."""


WRONG: list[tuple[str, bytes, dict[str, Any], type[Exception], str]] = [
    ("shorter", LARGE[:-1], {}, InvalidError, "wrong-size"),
    ("nothing", b"", {}, InvalidError, "wrong-size"),
    ("longer", LARGE + b"x", {}, TooLargeError, "too-large"),
    ("another", LARGE[::-1], {}, InvalidError, "wrong-digest"),
    ("stated longer", LARGE, {"stated": len(LARGE) + 1}, TooLargeError, "too-large"),
    ("stated shorter", LARGE, {"stated": len(LARGE) - 1}, InvalidError, "wrong-size"),
    ("cut", LARGE[:400_000], {"cut": True}, MalformedError, "malformed"),
]


async def test_part_that_is_not_what_was_declared_leaves_nothing(place: World, subtests: pytest.Subtests) -> None:
    upload = await begun(place, awaited(LARGE, sha256=hashlib.sha256(LARGE).hexdigest()))
    for name, content, others, kind, code in WRONG:
        attempt = await place.attempt(sent(place, upload, content, **others))

        with subtests.test(name):
            assert isinstance(attempt.error, kind)
            assert (attempt.entry["type"], attempt.entry["decision"]) == ("upload.part_received", "refused")
            assert attempt.entry["detail"] == {"codes": [code]}
            assert place.sql(UPLOADS) == [(0,)]
            assert place.sql("SELECT count(*) FROM part_piece") == [(0,)]
            with pytest.raises(ConflictError, match="part 1 has not come whole"):
                await completed(place, upload)
    # Sent again as it should be, it counts.
    await sent(place, upload)
    await completed(place, upload)
    assert await pulled(place, upload) == LARGE


async def test_fault_nobody_foresaw_leaves_nothing_for_long(place: World) -> None:
    upload = await begun(place)
    with pytest.raises(_UnforeseenError):
        await sent(place, upload, LARGE[:600_000], fault=_UnforeseenError())

    assert place.sql(UPLOADS) == [(0,)]
    assert await nothing_kept(place)


TYPES = [
    ("text/plain", b"caf\xe9 " * 90_000, "not UTF-8"),
    ("text/plain", b"a\x00b " * 90_000, "NUL"),
    ("text/plain", "é".encode() * 150_000 + b"\xc3", "not UTF-8"),
    ("application/pdf", LARGE, "does not begin like"),
    ("application/json", b'{"a": 1', "not JSON"),
    ("application/stix+json;version=2.1", b'{"type": "report"}', "STIX bundle"),
]


async def test_content_of_another_type_is_refused(populated: World, subtests: pytest.Subtests) -> None:
    for media_type, content, told in TYPES:
        upload = await begun(populated, awaited(content, "a", media_type))
        attempt = await populated.attempt(sent(populated, upload, content))

        with subtests.test(media_type=media_type, told=told):
            assert isinstance(attempt.error, InvalidError)
            assert told in attempt.error.faults[0].message
            assert attempt.entry["detail"] == {"codes": ["wrong-content"]}
    assert populated.sql(UPLOADS) == [(0,)]


@pytest.mark.parametrize(
    ("media_type", "content"),
    [
        ("text/plain", "é€𝄞".encode() * 60_000),
        ("application/pdf", b"%PDF-" + LARGE),
        ("application/json", json.dumps(["x"] * 100_000).encode()),
    ],
)
async def test_content_of_its_type_is_taken(populated: World, media_type: str, content: bytes) -> None:
    upload = await begun(populated, awaited(content, "a", media_type))
    await sent(populated, upload, content)
    await completed(populated, upload)
    assert await pulled(populated, upload) == content


async def test_bundle_marked_higher_than_its_label_is_refused(populated: World) -> None:
    bundle = json.dumps(
        {
            "type": "bundle",
            "id": "bundle--01980000-0000-4000-8000-000000000001",
            "objects": [
                {
                    "type": "indicator",
                    "object_marking_refs": ["marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed"],
                }
            ],
        }
    ).encode()
    upload = await begun(populated, awaited(bundle, "a.json", "application/stix+json;version=2.1"))
    attempt = await populated.attempt(sent(populated, upload, bundle))

    assert isinstance(attempt.error, InvalidError)
    assert attempt.entry["detail"] == {"codes": ["below-content"]}


async def test_part_that_was_not_declared_is_not_taken(populated: World) -> None:
    upload = await begun(populated)
    for number in (0, 2, 9999):
        with pytest.raises(NotFoundError):
            await sent(populated, upload, number=number)
    assert populated.sql(UPLOADS) == [(0,)]


async def test_more_than_a_report_may_have_is_refused_before_any_of_it_comes(
    populated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = replace(populated.services.uploads, most_bytes=1000, most_read_whole_bytes=500, open_per_client=2)
    world = replace(populated, services=replace(populated.services, uploads=limits))
    with pytest.raises(TooLargeError, match="may have 1000"):
        await begun(world, awaited(b"x" * 600), awaited(b"y" * 401, "b.bin"))
    with pytest.raises(InvalidError) as refused:
        await begun(world, awaited(b"x" * 501, "a.json", "application/json"))
    assert [(fault.pointer, fault.code) for fault in refused.value.faults] == [
        ("/parts/0/size_bytes", "too-large-to-check")
    ]
    first = await begun(world, awaited(b"x"))
    # What somebody wrote takes no room: it is not the client's to give up.
    names = ", ".join(name for name in columns_of(world, "upload") if name != "id")
    for other in range(2):
        world.sql(f"INSERT INTO upload (id, {names}) SELECT $1, {names} FROM upload WHERE id = $2", str(other), first)
    with monkeypatch.context() as meanwhile:
        written = posted_meanwhile(meanwhile, begin_upload, "opened_declaration", world)
        await begun(world, awaited(b"x"))
    assert len(written) == 1  # nobody waits to write while they are tried
    attempt = await world.attempt(begun(world, awaited(b"x")))
    assert isinstance(attempt.error, LimitExceededError)
    assert (attempt.entry["type"], attempt.entry["decision"]) == ("upload.begun", "refused")
    await begun(world, awaited(b"x"), name="NOR contributor", label=Label("NATO", "SECRET", releasable_to=("NOR",)))
    await sent(world, first, b"x")
    await completed(world, first)
    await begun(world, awaited(b"x"))


async def test_what_is_past_its_time_takes_no_room_while_a_hold_keeps_it(populated: World) -> None:
    limits = replace(populated.services.uploads, open_per_client=1)
    world = replace(populated, services=replace(populated.services, uploads=limits))
    await begun(world, awaited(b"x"))
    world.clock.advance(limits.given_up_after)
    assert not await give_up_uploads(world.services, world.clock.now, is_held=True)

    await begun(world, awaited(b"x"))
    with pytest.raises(LimitExceededError):
        await begun(world, awaited(b"x"))


async def test_what_is_not_begun_leaves_no_content_that_came_along(place: World) -> None:
    limits = replace(place.services.uploads, open_per_client=1)
    world = replace(place, services=replace(place.services, uploads=limits))
    along = PostedPart(None, BINARY, "b.bin", LARGE[:8192])
    posted = world.posted(parts=(awaited(LARGE), along))

    async def begin(key: str) -> Any:
        call = world.call("GBR contributor")
        return await usecases.begin_upload(world.services, call, posted, idempotency_key=key)

    await begin("first")
    kept = debris(world)
    assert (await begin("first")).value.is_replayed
    with pytest.raises(LimitExceededError):
        await begin("second")
    post = world.posted(parts=(along,))
    with pytest.raises(ConflictError, match="another request"):
        await usecases.post_report(world.services, world.call("GBR contributor"), post, idempotency_key="first")
    assert debris(world) == kept
    assert kept[0] == []
    await usecases.post_report(world.services, world.call("GBR contributor"), post, idempotency_key="third")
    kept = debris(world)
    await usecases.post_report(world.services, world.call("GBR contributor"), post, idempotency_key="third")
    assert debris(world) == kept


def debris(world: World) -> tuple[list[Any], list[Path]]:
    files = [path for path in world.folder.rglob("parts/*/*") if path.is_file()]
    return world.sql("SELECT location FROM blob_debris"), sorted(files)


FAULTS: list[tuple[str, dict[str, Any], type[ExchangeError]]] = [
    ("no agreement", {"agreement": "01980000-0000-7000-8000-00000000000f"}, NotFoundError),
    ("above the ceiling", {"label": Label("NATO", "TOP SECRET", releasable_to=("GBR", "NOR"))}, InvalidError),
    ("outside the scope", {"topic": "terrorism"}, InvalidError),
    ("unknown source", {"supersedes": "01980000-0000-7000-8000-00000000000f"}, InvalidError),
    ("no consent", {"on_behalf_of": "NOR"}, InvalidError),
    ("bad name", {"parts": (awaited(b"x", "../a"),)}, InvalidError),
    ("bad type", {"parts": (awaited(b"x", "a", "Text"),)}, InvalidError),
]


async def test_what_may_not_be_posted_is_not_begun(populated: World, subtests: pytest.Subtests) -> None:
    for name, others, kind in FAULTS:
        posted = populated.posted(**{"parts": (awaited(LARGE),), **others})
        attempt = await populated.attempt(
            usecases.begin_upload(populated.services, populated.call("GBR contributor"), posted)
        )

        with subtests.test(name):
            assert isinstance(attempt.error, kind)
            assert (attempt.entry["type"], attempt.entry["decision"]) == ("upload.begun", "refused")
    assert populated.sql("SELECT count(*) FROM upload") == [(0,)]


async def test_whole_post_never_takes_a_part_without_its_content(populated: World) -> None:
    posted = populated.posted(parts=(awaited(LARGE),))
    with pytest.raises(InvalidError, match="not whole"):
        await usecases.post_report(populated.services, populated.call("GBR contributor"), posted)
    report = await populated.post()
    with pytest.raises(InvalidError, match="not whole"):
        await usecases.amend_report(populated.services, populated.call("GBR contributor"), report, posted)
