"""A report whose parts are sent by themselves, with the command line alone."""

import hashlib

import pytest

pytestmark = pytest.mark.journey

MARKING = ("--marking", "NATO RESTRICTED//REL TO GBR, NOR")


def test_large_files_are_sent_part_by_part_and_pulled_whole(house, tmp_path):
    # Large enough to be sent by itself unasked, and larger than any whole body may be.
    capture = tmp_path / "capture.pcap"
    capture.write_bytes(hashlib.shake_256(b"capture").digest(17 * 1024 * 1024))
    note = tmp_path / "note.txt"
    note.write_text("what was seen\n")

    posted = house.post(*MARKING, files=(capture, note))
    assert posted.code == 0, posted.err
    pulled = house.as_("nor", "report", "pull", posted.json["id"], "--out", tmp_path / "out", "--json")

    assert [part["size_bytes"] for part in pulled.json["parts"]] == [17 * 1024 * 1024, 14]
    assert (tmp_path / "out" / "capture.pcap").read_bytes() == capture.read_bytes()
    assert (tmp_path / "out" / "note.txt").read_bytes() == note.read_bytes()


def test_small_file_is_sent_by_itself_where_that_is_asked_for(house, tmp_path):
    note = tmp_path / "note.txt"
    note.write_text("what was seen\n")
    words = (*MARKING, "--stream", "--idempotency-key", "streamed-once")

    posted = house.post(*words, files=(note,))
    again = house.post(*words, files=(note,))

    assert posted.code == 0, posted.err
    assert (again.code, "complete" in again.err) == (1, True)
    pulled = house.as_("nor", "report", "pull", posted.json["id"], "--out", tmp_path / "out", "--json")
    assert (pulled.code, (tmp_path / "out" / "note.txt").read_text()) == (0, "what was seen\n")


def test_what_was_not_completed_is_found_and_given_up(house, tmp_path):
    note = tmp_path / "note.txt"
    note.write_text("what was seen\n")
    page = tmp_path / "page.pdf"
    page.write_bytes(b"no page")
    before = {each["id"] for each in house.as_("gbr", "report", "uploads", "list", "--json").json}
    # Its first part comes whole, its second is none of its type.
    failed = [house.post(*MARKING, "--stream", files=(note, page)) for _ in range(2)]

    found = house.as_("gbr", "report", "uploads", "list", "--json").json
    ids = [each["id"] for each in found if each["id"] not in before]
    assert [(each["parts"], each["parts_received"], each["received_bytes"]) for each in found[-2:]] == [(2, 1, 14)] * 2
    # Whoever gave no key is told how to go on, and how to end it.
    assert [ran.code for ran in failed] == [1, 1]
    assert all(
        f"give-up {each}" in ran.err and "--idempotency-key" in ran.err for each, ran in zip(ids, failed, strict=True)
    )
    given_up = house.as_("gbr", "report", "uploads", "give-up", *ids, "--json")

    assert (given_up.code, given_up.json) == (0, [{"id": each} for each in ids])
    again = house.as_("gbr", "report", "uploads", "give-up", ids[0])
    assert (again.code, "given-up" in again.err) == (1, True)


def test_content_that_is_none_of_its_type_is_refused_and_nothing_is_posted(house, tmp_path):
    page = tmp_path / "page.pdf"
    page.write_bytes(b"no page")
    before = len(house.as_("nor", "report", "list", "--json").json)

    refused = house.post(*MARKING, "--stream", files=(page,))

    assert (refused.code, "does not begin like application/pdf" in refused.err) == (1, True)
    assert len(house.as_("nor", "report", "list", "--json").json) == before


def test_purpose_is_stated_however_a_report_is_sent(house, tmp_path):
    note = tmp_path / "note.txt"
    note.write_text("what was seen\n")
    refused = [house.post(*MARKING, *how, "--purpose", "curiosity", files=(note,)) for how in ((), ("--stream",))]
    posted = [house.post(*MARKING, *how, "--purpose", "defence", files=(note,)) for how in ((), ("--stream",))]
    report = posted[0].json["id"]
    again = ("report", "amend", report), ("report", "supersede", report)
    refused += [house.as_("gbr", *words, note, "--purpose", "curiosity") for words in again]

    assert [ran.code for ran in posted] == [0, 0]
    assert [(ran.code, "no known purpose" in ran.err) for ran in refused] == [(1, True)] * 4


def test_refusal_of_one_of_several_files_names_it(house, tmp_path):
    note, page, list_ = tmp_path / "note.txt", tmp_path / "page.pdf", tmp_path / "list.json"
    note.write_text("what was seen\n")
    page.write_bytes(b"no page")
    list_.write_bytes(b"{")

    whole = house.post(*MARKING, files=(note, list_))
    streamed = house.post(*MARKING, "--stream", files=(note, page))
    twice = house.post(*MARKING, "--stream", files=(note, page, page))

    assert (whole.code, streamed.code, twice.code) == (1, 1, 1)
    assert "/parts/1 is `list.json`" in whole.err
    assert "`page.pdf` was not taken: " in streamed.err
    assert "/parts/2 is `page.pdf`" in twice.err
