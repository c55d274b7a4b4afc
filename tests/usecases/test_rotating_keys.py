"""Rotation: everything ends up under the newest version and opens, whatever happens meanwhile, and nothing else does."""

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from exchange import usecases
from exchange.audit import EventName
from exchange.custody import FileCustodian, create_root_file
from exchange.kernel import ConflictError, NotFoundError, UnavailableError
from exchange.store import KeptKind
from exchange.store.books.kept_keys import KeptKeys
from exchange.usecases.upkeep import rotate_keys
from exchange.usecases.upkeep.rotate_keys import key_status, rewrap
from tests.support.placing import place_entries
from tests.support.put_back import kept_rows
from tests.support.rotating import SMALL, add_version, everything, host, require_all_open, under
from tests.support.uploading import LARGE, awaited, begun, completed, pulled, sent
from tests.support.world import World

BLOBS = {
    "report": ("sealed_header", "id"),
    "report_part": ("wrapped_key", "report_id"),
    "upload": ("sealed_header", "id"),
    "upload_part": ("wrapped_key", "upload_id"),
    "information_request": ("sealed_header", "id"),
    "subscription": ("wrapped_secret", "id"),
}


async def rotated(world: World, **others: Any) -> rotate_keys.Rotated:
    return await rewrap(world.services, host(world), **others)


def seals(world: World) -> dict[str, Any]:
    return {name: world.sql(f"SELECT {blob} FROM {name} ORDER BY 1") for name, (blob, _) in BLOBS.items()}


def fresh(world: World) -> World:
    """Return the world as a process sees it that begins now."""
    custodian = FileCustodian.load(world.folder / "custody" / "roots.json")
    return replace(world, services=replace(world.services, custodian=custodian))


async def test_everything_is_under_the_newest_version_and_opens(place: World) -> None:
    kept = await everything(place)
    before = await under(place)
    assert all(set(counts) == {1} for counts in before.values())
    pieces = place.sql("SELECT location, number, content FROM part_piece ORDER BY location, number")
    parts = place.sql("SELECT report_id, number, ciphertext, location FROM report_part ORDER BY report_id, number")

    assert await add_version(place) == 2
    assert await under(place) == before
    shown: list[tuple[int, int]] = []
    done = await rotated(place, progress=lambda count, total: shown.append((count, total)))

    after = await under(place)
    assert (done.version, done.left, done.unopened) == (2, 0, ())
    assert {kind: counts.get(2) for kind, counts in after.items()} == {
        # The rotation's own entries are the host's: no personal data, no key.
        kind: counts[1]
        for kind, counts in before.items()
    }
    assert all(set(counts) == {2} for counts in after.values())
    assert done.renewed == {kind: counts[1] for kind, counts in before.items()}
    assert shown[-1] == (sum(done.renewed.values()),) * 2
    # What the keys are of is as it was, byte for byte.
    assert place.sql("SELECT location, number, content FROM part_piece ORDER BY location, number") == pieces
    assert parts == place.sql(
        "SELECT report_id, number, ciphertext, location FROM report_part ORDER BY report_id, number"
    )
    await require_all_open(fresh(place), kept)


async def test_it_is_on_the_record_with_counts_and_no_key(populated: World) -> None:
    await populated.post()
    await add_version(populated)
    attempt = await populated.attempt(rotated(populated))

    told = [(entry["type"], entry["detail"]) for entry in attempt.entries]
    assert told[0] == ("key.rotation_begun", {"version": 2, "left": attempt.value.renewed_in_all})
    assert told[-1][1] == {
        "version": 2,
        "state": "finished",
        "renewed": attempt.value.renewed_in_all,
        "left": 0,
        "unopened": 0,
    }
    batches = [detail for name, detail in told if name == "key.rotated" and "kind" in detail]
    assert {detail["kind"]: detail["renewed"] for detail in batches} == {
        kind.value: count for kind, count in attempt.value.renewed.items() if count
    }
    (added,) = [
        entry
        for entry in await populated.entries()
        if entry["type"] == "key.created" and entry["detail"].get("kind") == "root"
    ]
    assert (added["object"], added["actor"]) == ({"type": "key", "id": "file/2"}, {"kind": "host"})


async def test_nothing_to_do_does_nothing(populated: World) -> None:
    await populated.post()

    attempt = await populated.attempt(rotated(populated))

    assert attempt.entries == []
    assert attempt.value.renewed_in_all == attempt.value.left == 0


async def test_version_is_added_once_until_everything_is_under_it(populated: World) -> None:
    await populated.post()

    assert [await add_version(populated), await add_version(populated)] == [2, None]
    await rotated(populated)
    assert await add_version(populated) == 3
    assert (await key_status(populated.services)).custody.current == 3


@pytest.mark.parametrize("step", ["rotate", "rewrap"])
async def test_version_that_died_before_its_entry_gets_it_later(
    populated: World, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    await populated.post()

    await add_and_die(populated, monkeypatch)
    if step == "rotate":
        assert await add_version(populated) is None
    else:
        assert (await rotated(populated)).left == 0

    events = [(entry["type"], entry.get("object")) for entry in await populated.entries()]
    assert events.count(("key.created", {"type": "key", "id": "file/2"})) == 1


async def add_and_die(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Add a version, and end before it is on the record."""

    def died(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(rotate_keys, "_added_draft", died)
        with pytest.raises(KeyboardInterrupt):
            await add_version(world)


async def test_two_nodes_that_add_one_at_once_have_one_key(populated: World, tmp_path: Path) -> None:
    await populated.post()
    shutil.copytree(populated.folder / "custody", tmp_path / "other" / "custody")
    nodes = [fresh(populated), fresh(replace(populated, folder=tmp_path / "other"))]

    told = await asyncio.gather(*(add_version(node) for node in nodes), return_exceptions=True)

    assert sorted(map(type, told), key=str) == [ConflictError, int]
    entries = [entry for entry in await populated.entries() if entry.get("object") == {"type": "key", "id": "file/2"}]
    assert len(entries) == 1
    (winner,) = [node for node, each in zip(nodes, told, strict=True) if each == 2]
    assert entries[0]["detail"]["fingerprint"] == (await winner.services.custodian.status()).fingerprint(2)


async def test_key_that_never_got_on_the_record_gives_way_to_the_one_that_did(
    populated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await populated.post()
    path = populated.folder / "custody" / "roots.json"
    before = await asyncio.to_thread(path.read_bytes)
    first, second = fresh(populated), fresh(populated)
    await add_and_die(first, monkeypatch)
    dead = await asyncio.to_thread(path.read_bytes)
    # The other node's copy of the file is as it was.
    await asyncio.to_thread(path.write_bytes, before)
    assert await add_version(second) == 2
    counts = await asyncio.to_thread(path.read_bytes)
    await asyncio.to_thread(path.write_bytes, dead)
    again = fresh(populated)

    for act in (add_version(again), rotated(again)):
        with pytest.raises(ConflictError, match="another key of version 2"):
            await act
    assert all(set(each) <= {1} for each in (await under(populated)).values())
    await asyncio.to_thread(path.write_bytes, counts)
    assert (await rotated(fresh(populated))).left == 0


async def test_two_nodes_never_add_two_keys_of_one_number(populated: World, tmp_path: Any) -> None:
    await populated.post()
    path = populated.folder / "custody" / "roots.json"
    own = await asyncio.to_thread(path.read_bytes)
    await add_version(populated)
    await asyncio.to_thread(path.write_bytes, own)  # the other node's copy of the file is as it was
    other = fresh(populated)

    with pytest.raises(ConflictError, match="another node"):
        await add_version(other)
    await place_entries(populated, is_searchable=True)
    for act in (add_version(other), rotated(other)):  # told "all is under version 1", who takes it for the end?
        with pytest.raises(ConflictError, match="another node"):
            await act
    await rotated(populated)
    for act in (add_version(other), rotated(other)):
        with pytest.raises(ConflictError, match="version 2, which is not in the key file here"):
            await act
    assert (await key_status(other.services)).missing == (2,)


async def test_keys_of_another_instance_rotate_nothing(populated: World, tmp_path: Path) -> None:
    await populated.post()
    create_root_file(tmp_path / "custody-of-another.json", populated.clock.now, os.urandom)
    custodian = FileCustodian.load(tmp_path / "custody-of-another.json")
    other = replace(populated, services=replace(populated.services, custodian=custodian))

    # A second version on the record would keep the right file from ever getting one.
    for act in (add_version(other), rotated(other)):
        with pytest.raises(UnavailableError, match="another instance"):
            await act
    assert not [entry for entry in await populated.entries() if entry["type"].startswith("key.")]


# ── ended at any moment ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_ended_between_any_two_transactions_it_goes_on(populated: World, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = await everything(populated)
    await add_version(populated)
    total = sum(counts[1] for counts in (await under(populated)).values())
    monkeypatch.setattr(rotate_keys, "_AT_ONCE", 1)

    def stop(done: int, _total: int) -> None:
        raise KeyboardInterrupt

    # Killed after each commit.
    for left in range(total, 0, -1):
        assert (await key_status(populated.services)).older == left
        with pytest.raises(KeyboardInterrupt):
            await rotated(populated, progress=stop)
    assert (await rotated(populated)).left == 0
    await require_all_open(fresh(populated), kept)


async def test_ended_before_a_commit_nothing_of_it_was_done(populated: World, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = await everything(populated)
    await add_version(populated)
    before = seals(populated)
    put = KeptKeys.put

    async def killed(self: KeptKeys, *given: Any) -> int:
        assert await put(self, *given)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(KeptKeys, "put", killed)
        with pytest.raises(KeyboardInterrupt):
            await rotated(populated)

    assert seals(populated) == before
    assert (await rotated(populated)).left == 0
    await require_all_open(fresh(populated), kept)


# ── what happens meanwhile wins ─────────────────────────────────────────────────────────────────────────────────────


def meanwhile(world: World, monkeypatch: pytest.MonkeyPatch, kind: KeptKind, act: Callable[[], Awaitable[Any]]) -> None:
    """Let `act` happen between reading the rows of `kind` and putting them anew."""
    put = rotate_keys._put
    happened: list[bool] = []

    async def interrupted(run: Any, of: KeptKind, renewed: Any) -> int:
        if of is kind and not happened:
            happened.append(True)
            assert renewed
            await act()
        return await put(run, of, renewed)

    monkeypatch.setattr(rotate_keys, "_put", interrupted)


@pytest.mark.parametrize("kind", [KeptKind.REPORT_HEADER, KeptKind.REPORT_PART])
async def test_recalled_meanwhile_stays_destroyed(
    populated: World, monkeypatch: pytest.MonkeyPatch, kind: KeptKind
) -> None:
    await populated.enrol("GBR releaser", "GBR", "releaser")
    report, other = await populated.post(content=b"one"), await populated.post(content=SMALL)
    await add_version(populated)
    call = populated.call("GBR releaser")
    meanwhile(populated, monkeypatch, kind, lambda: usecases.recall_report(populated.services, call, report, "at risk"))

    done = await rotated(populated)

    assert (done.left, done.unopened) == (0, ())
    assert populated.sql("SELECT sealed_header FROM report WHERE id = $1", report) == [(b"",)]
    assert populated.sql("SELECT wrapped_key, ciphertext FROM report_part WHERE report_id = $1", report) == [(b"", b"")]
    with pytest.raises(NotFoundError):
        await usecases.pull_report(populated.services, populated.call("NOR reader"), report)
    pull = await usecases.pull_report(populated.services, populated.call("NOR reader"), other)
    assert pull.value.parts == ((1, SMALL),)


@pytest.mark.parametrize("kind", [KeptKind.REPORT_HEADER, KeptKind.REPORT_PART])
async def test_amended_meanwhile_stays_amended(
    populated: World, monkeypatch: pytest.MonkeyPatch, kind: KeptKind
) -> None:
    report = await populated.post(content=b"first")
    await add_version(populated)
    call, posted = populated.call("GBR contributor"), populated.posted(content=b"second")
    meanwhile(
        populated,
        monkeypatch,
        kind,
        lambda: usecases.amend_report(populated.services, call, report, posted, if_version=None),
    )

    done = await rotated(populated)

    assert (done.left, done.unopened) == (0, ())
    pull = await usecases.pull_report(populated.services, populated.call("NOR reader"), report)
    assert pull.value.parts == ((1, b"second"),)


async def test_erased_meanwhile_stays_erased(populated: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await usecases.describe_caller(populated.services, populated.call("NOR reader"))
    await add_version(populated)
    client = populated.clients["NOR reader"].id

    async def erase() -> None:
        wanted = usecases.WantedErasure(client, "2026-06", "asked for by the data subject")
        asked = await usecases.request_erasure(populated.services, populated.call("operator"), wanted)
        await usecases.approve_erasure(populated.services, populated.call("auditor"), asked.value.act.id)

    meanwhile(populated, monkeypatch, KeptKind.PERSONAL_KEY, erase)
    done = await rotated(populated)

    assert (done.left, done.unopened) == (0, ())
    rows = populated.sql("SELECT wrapped_key, key_version FROM personal_key WHERE subject = $1", client)
    assert {bytes(blob) for blob, _ in rows} == {b""}


async def test_key_erased_after_a_rotation_is_under_no_version_in_sqlite_s_files(populated: World) -> None:
    client = populated.clients["NOR reader"].id
    await usecases.describe_caller(populated.services, populated.call("NOR reader"))
    wrapped = "SELECT wrapped_key FROM personal_key WHERE subject = $1"
    blobs = [bytes(blob) for (blob,) in populated.sql(wrapped, client)]
    await add_version(populated)
    await rotated(populated)
    blobs += [bytes(blob) for (blob,) in populated.sql(wrapped, client)]
    wanted = usecases.WantedErasure(client, "2026-06", "asked for by the data subject")
    asked = await usecases.request_erasure(populated.services, populated.call("operator"), wanted)
    await usecases.approve_erasure(populated.services, populated.call("auditor"), asked.value.act.id)

    assert len(set(blobs)) == len(blobs) >= 2
    assert {bytes(blob) for (blob,) in populated.sql(wrapped, client)} == {b""}
    if populated.url.startswith("sqlite"):
        files = [path for path in populated.folder.glob("exchange.db*") if path.name != "exchange.db-shm"]
        assert not [path for path in files for blob in blobs if blob in path.read_bytes()]


async def test_part_sent_again_meanwhile_is_the_one_that_counts(
    populated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = await begun(populated, awaited(b"first"))
    await sent(populated, upload, b"first")
    await add_version(populated)
    meanwhile(populated, monkeypatch, KeptKind.UPLOAD_PART, lambda: sent(populated, upload, b"other"))

    assert (await rotated(populated)).left == 0

    await completed(populated, upload)
    assert await pulled(populated, upload) == b"other"


@pytest.mark.parametrize("kind", [KeptKind.UPLOAD, KeptKind.UPLOAD_PART])
async def test_completed_meanwhile_it_is_a_report(
    populated: World, monkeypatch: pytest.MonkeyPatch, kind: KeptKind
) -> None:
    upload = await begun(populated, awaited(LARGE))
    await sent(populated, upload)
    await add_version(populated)
    meanwhile(populated, monkeypatch, kind, lambda: completed(populated, upload))

    assert (await rotated(populated)).left == 0

    assert populated.sql("SELECT sealed_header FROM upload") == [(b"",)]
    assert await pulled(populated, upload) == LARGE


async def test_removed_subscription_keeps_no_secret(populated: World, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = await everything(populated)
    await add_version(populated)
    call = populated.call("NOR reader")
    meanwhile(
        populated,
        monkeypatch,
        KeptKind.SUBSCRIPTION,
        lambda: usecases.remove_subscription(populated.services, call, kept.subscription),
    )

    assert (await rotated(populated)).left == 0

    assert populated.sql("SELECT wrapped_secret FROM subscription") == [(b"",)]


async def test_others_go_on_while_it_runs(populated: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await populated.enrol("GBR releaser", "GBR", "releaser")
    reports = [await populated.post(content=b"report %d" % number) for number in range(6)]
    await add_version(populated)
    monkeypatch.setattr(rotate_keys, "_AT_ONCE", 2)
    services, posted = populated.services, populated.posted(content=b"amended")
    recalls = [usecases.recall_report(services, populated.call("GBR releaser"), one, "at risk") for one in reports[:2]]
    author = populated.call("GBR contributor")
    amendments = [usecases.amend_report(services, author, one, posted, if_version=None) for one in reports[2:4]]
    reader = populated.call("NOR reader")

    await asyncio.gather(
        rotated(populated), *recalls, *amendments, *(usecases.pull_report(services, reader, one) for one in reports[4:])
    )

    assert (await rotated(populated)).left == 0
    parts = [(await usecases.pull_report(services, reader, one)).value.parts for one in reports[2:]]
    assert parts == [((1, content),) for content in (b"amended", b"amended", b"report 4", b"report 5")]
    for one in reports[:2]:
        assert populated.sql("SELECT sealed_header FROM report WHERE id = $1", one) == [(b"",)]
        assert populated.sql("SELECT wrapped_key FROM report_part WHERE report_id = $1", one) == [(b"",)]


# SQLite has one writer at a time: nobody holds a row there.
@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_who_holds_a_row_is_not_waited_for_and_it_comes_later(populated: World) -> None:
    held, free = await populated.post(), await populated.post()
    await add_version(populated)
    async with populated.services.store.unit_of_work() as unit:
        await unit.reports().held(held)
        done = await asyncio.wait_for(rotated(populated), 60)

    assert done.left == 2
    assert populated.sql("SELECT key_version FROM report WHERE id = $1", free) == [(2,)]
    assert (await rotated(populated)).left == 0


async def test_node_that_runs_on_wraps_under_the_version_it_meets(populated: World) -> None:
    kept = await everything(populated)
    # The operator's process has a custodian of its own; the node's is the one that was there before.
    operator = fresh(populated)
    await add_version(operator)
    first = await populated.post()
    assert populated.sql("SELECT key_version FROM report WHERE id = $1", first) == [(1,)]
    await rotated(operator)
    await require_all_open(populated, kept)
    second = await populated.post()

    assert populated.sql("SELECT key_version FROM report WHERE id = $1", second) == [(2,)]
    assert (await rotated(operator)).left == 0


# ── what is not what it should be ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        ("UPDATE report SET sealed_header = $1 WHERE id = $2", "report-header"),
        ("UPDATE report_part SET wrapped_key = $1 WHERE report_id = $2", "report-part"),
    ],
)
async def test_what_does_not_open_is_recorded_and_left_as_it_is(populated: World, damage: str, kind: str) -> None:
    report, other = await populated.post(), await populated.post(content=SMALL)
    await add_version(populated)
    populated.sql(damage, b"\1" * 60, report)

    attempt = await populated.attempt(rotated(populated))

    (place,) = attempt.value.unopened
    assert place.startswith(f"{kind} {report}")
    assert attempt.value.left == 1
    failed = [entry for entry in attempt.entries if entry["type"] == EventName.KEY_OPENED.value]
    assert [(entry["decision"], entry["detail"]) for entry in failed] == [("failed", {"place": place})]
    table, blob = ("report", "sealed_header") if kind == "report-header" else ("report_part", "wrapped_key")
    key = BLOBS[table][1]
    assert populated.sql(f"SELECT {blob}, key_version FROM {table} WHERE {key} = $1", report) == [(b"\1" * 60, 1)]
    pull = await usecases.pull_report(populated.services, populated.call("NOR reader"), other)
    assert pull.value.parts == ((1, SMALL),)


async def test_moved_seals_are_not_made_openable(populated: World) -> None:
    first, second = await populated.post(), await populated.post()
    await add_version(populated)
    ((blob,),) = populated.sql("SELECT wrapped_key FROM report_part WHERE report_id = $1", first)
    populated.sql("UPDATE report_part SET wrapped_key = $1 WHERE report_id = $2", bytes(blob), second)

    assert (await rotated(populated)).unopened == (f"report-part {second} 1",)


async def test_row_that_says_something_else_is_left(populated: World, subtests: pytest.Subtests) -> None:
    place = f"report-part {await populated.post()} 1"
    await add_version(populated)
    put_back = kept_rows(populated, {"release_class": ("id",), "report_part": ("report_id", "number")})
    for damage in (
        "UPDATE report_part SET label_index = 7",
        "UPDATE release_class SET facts = '{'",
        "UPDATE release_class SET facts = '{}'",
        "UPDATE report_part SET key_id = 'elsewhere/x'",
        "UPDATE report_part SET wrap_suite = 'rot13'",
    ):
        populated.sql(damage)
        with subtests.test(damage):
            assert place in (await rotated(populated)).unopened
        put_back()
    assert place not in (await rotated(populated)).unopened


async def test_part_that_was_never_declared_is_left(populated: World) -> None:
    upload = await begun(populated, awaited(b"a"))
    await sent(populated, upload, b"a")
    await add_version(populated)
    populated.sql("UPDATE upload_part SET number = 3")

    assert (await rotated(populated)).unopened == (f"upload-part {upload} 3",)


@pytest.mark.parametrize("version", [999, 0])
async def test_version_that_nobody_added_is_named_and_the_rest_goes_on(populated: World, version: int) -> None:
    altered, other = [await populated.post() for _ in range(2)]
    await add_version(populated)
    populated.sql("UPDATE report SET key_version = $1 WHERE id = $2", version, altered)

    made = await populated.attempt(rotated(populated))

    assert made.value.unopened == (f"report-header {altered}",)
    assert made.value.left == 1
    assert populated.sql("SELECT key_version FROM report WHERE id = $1", other) == [(2,)]
    failed = [entry["detail"] for entry in made.entries if entry["type"] == "key.opened"]
    assert failed == [{"place": f"report-header {altered}"}]
    status = await key_status(populated.services)
    assert (status.missing, status.unknown, status.strange) == ((), (version,), (f"report-header {altered}",))
    assert await add_version(populated) == 3


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)  # PostgreSQL takes no text there
async def test_version_that_is_a_text_is_named_and_the_rest_goes_on(populated: World) -> None:
    altered, other = [await populated.post() for _ in range(2)]
    await add_version(populated)
    populated.sql("UPDATE report_part SET key_version = 'x' WHERE report_id = $1", altered)

    assert (await rotated(populated)).unopened == (f"report-part {altered} 1",)
    assert populated.sql("SELECT key_version FROM report_part WHERE report_id = $1", other) == [(2,)]


async def test_version_that_is_elsewhere_is_asked_for_by_a_row(populated: World) -> None:
    report = await populated.post()
    populated.sql("UPDATE report SET key_version = 2")

    with pytest.raises(ConflictError, match=f"the first row is report-header {report}"):
        await rotated(populated)


async def test_entry_that_was_altered_is_no_word_for_another_key(populated: World) -> None:
    """What it said was believed: the key of this node's own file was taken for another node's, or another for it."""
    await populated.post()
    await add_version(populated)
    await place_entries(populated, is_searchable=True)
    ((added, content),) = populated.sql(
        "SELECT id, content FROM audit_entry WHERE id = $1", await added_entry(populated)
    )
    populated.unguard()
    fingerprint = (await key_status(populated.services)).custody.fingerprint(2).encode()
    assert fingerprint in bytes(content)
    other = bytes(content).replace(fingerprint, fingerprint[::-1])
    populated.sql("UPDATE audit_entry SET content = $1 WHERE id = $2", other, added)

    made = await populated.attempt(rotated(populated))

    assert made.value.left == 0
    assert [entry["object"]["id"] for entry in made.entries if entry["type"] == "key.created"] == ["file/2"]


async def added_entry(world: World) -> str:
    (added,) = [entry["id"] for entry in await world.entries() if entry["type"] == "key.created"]
    return added


@pytest.mark.parametrize("is_placed", [False, True], ids=["waiting", "placed"])
async def test_damaged_entry_does_not_keep_keys_from_being_rotated(populated: World, *, is_placed: bool) -> None:
    await populated.post()
    await add_version(populated)
    if is_placed:
        await place_entries(populated, is_searchable=True)
    added = await added_entry(populated)
    populated.unguard()
    populated.sql("UPDATE audit_entry SET content = $1 WHERE id = $2", b"x", added)

    made = await populated.attempt(rotated(populated))

    assert made.value.left == 0
    # The key is on the record again.
    assert [entry["object"]["id"] for entry in made.entries if entry["type"] == "key.created"] == ["file/2"]
