"""`exchange audit archive`: what it moves, what it only tells, and what the verifier says behind it."""

import asyncio
from datetime import timedelta

import pytest

from exchange import services
from exchange.audit import Actor, EntryDraft, EventName, Outcome
from exchange.cli import backups
from exchange.crypto.sealed_files import Identity, open_sealed
from exchange.kernel import system_clock
from exchange.settings import load_settings
from exchange.usecases.log.sequence_log import Sequencer, Step
from exchange.usecases.log.signed_backup import Signed, read_signed
from exchange.usecases.upkeep.backups import read_contents
from exchange.usecases.upkeep.legal_holds import HoldWatch
from tests.support.instance_log import own, sequence
from tests.support.store import run_apart


@pytest.fixture
def filled(instance, monkeypatch):
    """An instance with one whole bundle in its log, looked at forty days later."""
    asyncio.run(_fill(instance))
    monkeypatch.setattr(services, "system_clock", lambda: system_clock() + timedelta(days=40))
    return instance


async def _fill(instance):
    async with services.open_desk(load_settings(instance)) as desk:
        host = {"outcome": Outcome.REFUSED, "actor": Actor(kind="host"), "request_id": "r", "source": "host"}
        drafts = [EntryDraft(event=EventName.REPORT_LISTED, at=system_clock(), **host) for _ in range(260)]
        await asyncio.gather(*(desk.record(draft) for draft in drafts))
        sequencer = Sequencer(desk)
        while await sequencer.step() in {Step.MORE, Step.PLACED}:
            continue


def bundles(instance):
    return [path for path in (instance / "log" / "archive").rglob("*") if path.is_file()]


def test_dry_run_tells_and_moves_nothing(filled, operate):
    ran = operate("audit", "archive", "--older-than", 30, "--dry-run")

    assert ran.code == 0
    assert ran.out == f"256 entries older than 30 days would be moved to {(filled / 'log' / 'archive').as_uri()}\n"
    assert ran.err == ""
    assert bundles(filled) == []


def test_old_bundle_moves_and_the_log_verifies(filled, operate, monkeypatch):
    moved = operate("audit", "archive", "--older-than", 30, "--json").json
    again = operate("audit", "archive", "--older-than", 30, "--json").json

    assert (moved["entries"], again["entries"], moved["id"]) == (256, 0, (filled / "log" / "archive").as_uri())
    assert [path.name for path in bundles(filled)] == ["000"]
    monkeypatch.undo()
    sound = operate("audit", "verify", "--json").json
    assert sound["sound"], sound
    assert sound["entries"] >= 256


def test_missing_bundle_fails_the_verification(filled, operate, monkeypatch):
    assert operate("audit", "archive", "--older-than", 30).code == 0
    bundles(filled)[0].unlink()
    monkeypatch.undo()

    ran = operate("audit", "verify")
    assert ran.code == 1
    assert "tree: tile/entries/000" in ran.out.replace("\n", " ")
    assert "it is not there" in ran.out.replace("\n", " ")


def test_doctor_reads_the_newest_bundle(filled, operate, monkeypatch):
    def found():
        return next(each for each in operate("doctor", "--json").json if each["id"] == "archive")

    # Where nobody makes it searchable, the rows wait for that.
    sequence(filled, is_searchable=True)
    assert found()["told"] == "no entry was moved to one"
    assert operate("audit", "archive", "--older-than", 30).code == 0
    monkeypatch.undo()
    whole = found()
    assert (whole["state"], whole["told"].startswith("the newest bundle is in file:///")) == ("ok", True)
    (bundle,) = bundles(filled)
    bundle.chmod(0o600)
    bundle.write_bytes(bundle.read_bytes()[::-1])
    changed = found()
    assert (changed["state"], "was changed" in changed["told"]) == ("mend", True)
    bundle.unlink()
    gone = found()
    assert (gone["state"], "it is not there" in gone["told"]) == ("mend", True)
    assert "audit_archive_url" in gone["mend"]


def test_doctor_looks_at_all_else_where_the_archive_is_away(instance, exchange, operate, monkeypatch, tmp_path):
    recipient = exchange("keys", "recipient", "--out", tmp_path / "identity").out.strip()
    assert operate("backup", tmp_path / "backup", "--to", recipient).code == 0
    asyncio.run(_fill(instance))
    sequence(instance, is_searchable=True)
    monkeypatch.setattr(services, "system_clock", lambda: system_clock() + timedelta(days=40))
    assert operate("audit", "archive", "--older-than", 30).code == 0
    monkeypatch.undo()
    whole = {each["id"]: each for each in operate("doctor", "--json").json}
    (instance / "log" / "archive").rename(tmp_path / "away")
    away = {each["id"]: each for each in operate("doctor", "--json").json}

    assert away.keys() == whole.keys()
    assert whole["backup"]["told"].startswith("the newest was written at")
    for name in ("archive", "backup", "rows"):
        assert (whole[name]["state"], away[name]["state"]) == ("ok", "mend")
        assert "cannot be read from the archive" in away[name]["told"]
        assert "audit_archive_url" in away[name]["mend"]


def test_age_comes_from_the_settings_or_has_to_be_given(filled, operate, monkeypatch):
    unset = operate("audit", "archive")
    monkeypatch.setenv("EXCHANGE_AUDIT_RETENTION_DAYS", "30")

    assert unset.code == 2
    assert "how old?" in unset.err
    assert operate("audit", "archive", "--json").json["days"] == 30


@pytest.mark.parametrize("is_own", [True, False], ids=["by the settings", "by the log"])
def test_legal_hold_refuses_and_still_tells(filled, operate, monkeypatch, is_own):

    def found():
        return next(each["told"] for each in operate("doctor", "--json").json if each["id"] == "legal holds")

    assert found() == "none is on"
    if is_own:
        monkeypatch.setenv("EXCHANGE_AUDIT_LEGAL_HOLD", "true")
        assert found() == "at this node by `audit_legal_hold`"
    else:
        hold = operate("hold", "put", "--reason", "inquiry 17", "--json").json
        assert operate("hold", "list", "--json").json == [hold]
        assert f"{hold['since'][:19].replace('T', ' ')}Z  inquiry 17" in operate("hold", "list").out
        assert found() == f"{hold['id']} since {hold['since']} (inquiry 17)"

    held = operate("audit", "archive", "--older-than", 30)
    assert (held.code, bundles(filled)) == (1, [])
    assert "legal hold" in held.err
    dry = operate("audit", "archive", "--older-than", 30, "--dry-run", "--json")
    assert (dry.json["entries"], "until it is lifted nothing is moved" in dry.err) == (256, True)


def test_hold_whose_entry_is_damaged_is_told_and_lifted_by_the_entry(instance, operate):
    operate("hold", "put", "--reason", "inquiry 17")
    sequence(instance, is_searchable=True)
    of_hold = "(SELECT id FROM audit_search WHERE event = 'hold.put')"
    own(instance, f"UPDATE audit_entry SET content = CAST('{{}}' AS BLOB) WHERE id IN {of_hold}")

    told = next(each for each in operate("doctor", "--json").json if each["id"] == "legal holds")
    (found,) = operate("hold", "list", "--json").json
    entry = found["id"]
    other = operate("hold", "put", "--reason", "inquiry 18", "--json").json["id"]
    lifted = operate("hold", "lift", entry, "--reason", "its entry is lost for good")
    last = operate("hold", "lift", other, "--reason", "closed")

    assert (told["state"], entry in told["told"], "hold lift" in told["mend"]) == ("mend", True, True)
    assert (found["since"], "damaged" in found["reason"]) == (None, True)
    assert lifted.out == f"legal hold {entry} is lifted; still on: {other}\n"
    assert last.out.endswith("is lifted; none is on now, and what is over its time is destroyed\n")
    assert operate("hold", "list", "--json").json == []


def test_sequencer_archives_what_the_settings_say(filled, operate, monkeypatch):
    """A hold that is on keeps it from that; its every round is one look."""
    monkeypatch.setenv("EXCHANGE_AUDIT_RETENTION_DAYS", "30")
    hold = operate("hold", "put", "--reason", "inquiry 17", "--json").json["id"]
    looks, is_on = [], HoldWatch.is_on

    async def looked(watch):
        looks.append(await is_on(watch))
        return looks[-1]

    monkeypatch.setattr(HoldWatch, "is_on", looked)
    monkeypatch.setattr(services, "ARCHIVE_SECONDS", 0.1)

    async def run():
        stopping = asyncio.Event()
        running = asyncio.create_task(services.sequence(load_settings(filled), stopping))
        async with asyncio.timeout(30):
            while len(looks) < 5:  # noqa: ASYNC110  another task of ours looks
                await asyncio.sleep(0.05)
            assert bundles(filled) == []
            await asyncio.to_thread(operate, "hold", "lift", hold, "--reason", "closed")
            while not bundles(filled):  # noqa: ASYNC110  another task of ours writes files
                await asyncio.sleep(0.05)
        stopping.set()
        await running

    asyncio.run(run())
    assert [path.name for path in bundles(filled)] == ["000"]


def test_backup_holds_what_the_archiver_moves_while_it_is_made(filled, exchange, operate, monkeypatch, tmp_path):
    assert exchange("keys", "recipient", "--out", tmp_path / "identity").code == 0
    identity, placed = Identity.from_text((tmp_path / "identity").read_text()), backups.blob_place

    def meanwhile(settings):
        run_apart(lambda: operate("audit", "archive", "--older-than", 30))
        return placed(settings)

    monkeypatch.setattr(backups, "blob_place", meanwhile)
    assert operate("backup", tmp_path / "backup", "--to", identity.recipient.text).code == 0

    assert len(bundles(filled)) == 1
    lines = b"".join(open_sealed(identity, (tmp_path / "backup").read_bytes())).splitlines()
    contents = read_contents(read_signed(lines, Signed()))
    assert len(contents.archived) == contents.rows["log_archive"]
    assert all(name.startswith("log/archive/") for name in contents.archived)


def test_archive_comes_back_with_a_backup(filled, exchange, operate, monkeypatch, tmp_path):
    assert operate("audit", "archive", "--older-than", 30).code == 0
    monkeypatch.undo()
    recipient = exchange("keys", "recipient", "--out", tmp_path / "identity").out.strip()
    assert operate("keys", "escrow", "--to", recipient, "--out", tmp_path / "keys").code == 0
    assert operate("backup", tmp_path / "backup", "--to", recipient).code == 0
    place = tmp_path / "place"
    for verb in (("keys", "restore", tmp_path / "keys"), ("restore", tmp_path / "backup")):
        ran = exchange(*verb, "--identity", tmp_path / "identity", "--dir", place)
        assert ran.code == 0, ran.err

    assert [path.read_bytes() for path in bundles(place)] == [path.read_bytes() for path in bundles(filled)]
    assert len(bundles(place)) == 1
