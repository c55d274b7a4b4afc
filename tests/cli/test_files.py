"""From files to parts and back: media types, markings, names that cannot leave their folder."""

import base64
import errno
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.cli import sealed_io
from exchange.cli.demo.disk import files_holding, pieces_of, spellings_of
from exchange.cli.enrolment import release_folder
from exchange.cli.instance import put_file, write_all_new, write_new
from exchange.cli.posting import STIX, declared_parts_of, guess_media_type, label_of, law_catalogue, part_of, parts_of
from exchange.cli.pulling import file_names, safe_name, save_parts
from exchange.cli.usage import UsageError
from exchange.client import AnswerError, ExchangeClient
from exchange.crypto.sealed_files import Identity, open_sealed
from exchange.kernel import ExchangeError, InvalidError, UnsafeSettingError
from exchange.wire import PulledPartBody, PulledReportBody

BUNDLE = json.dumps({"type": "bundle", "id": "bundle--1", "objects": []}).encode()


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.json", BUNDLE, STIX),
        ("a.JSON", BUNDLE, STIX),
        ("a.json", b'{"type": "indicator"}', "application/json"),
        ("a.json", b"[]", "application/json"),
        ("a.json", b"{not json", "application/json"),
        ("a.txt", b"hello", "text/plain"),
        ("a.txt", b"\xff\xfe", "application/octet-stream"),
        ("a.md", b"# a", "text/markdown"),
        ("a.pdf", b"%PDF", "application/pdf"),
        ("a", b"x", "application/octet-stream"),
        ("a.exe", b"MZ", "application/octet-stream"),
    ],
)
def test_media_type_is_guessed(name, content, kind):
    assert guess_media_type(name, content) == kind


@pytest.mark.parametrize(
    ("content", "encoding"),
    [(b"hello\r\n\t", "utf-8"), (b"\xff", "base64"), (b"", "utf-8"), (b"\x00", "base64"), (b"a\x1b[31m", "base64")],
)
def test_content_that_is_text_goes_as_text(content, encoding):
    assert part_of("a.bin", content).encoding == encoding


def test_part_marking_goes_to_its_file(tmp_path):
    files = [tmp_path / "a.txt", tmp_path / "b.txt"]
    for file in files:
        file.write_text("x")

    parts = parts_of(
        files, law_catalogue(), part_markings=["b.txt=NATO RESTRICTED"], media_types=[f"{files[0]}=text/x-own"]
    )

    assert [part.label and part.label.classification for part in parts] == [None, "RESTRICTED"]
    assert [part.media_type for part in parts] == ["text/x-own", "text/plain"]


@pytest.mark.parametrize("pair", ["c.txt=NATO SECRET", "NATO SECRET", "=NATO SECRET", "a.txt"])
def test_marking_of_no_file_is_refused(tmp_path, pair):
    (tmp_path / "a.txt").write_text("x")

    with pytest.raises(InvalidError, match="write FILE=TEXT"):
        parts_of([tmp_path / "a.txt"], law_catalogue(), part_markings=[pair], media_types=[])


@pytest.mark.parametrize("again", ["a.txt", "{file}"])
def test_part_that_is_marked_twice_has_none_of_the_two(tmp_path, again):
    """The last one counted: a line that was copied and not looked at marked a part lower than the one before it."""
    file = tmp_path / "a.txt"
    file.write_text("x")
    pairs = ["a.txt=NATO SECRET", f"{again.format(file=file)}=NATO RESTRICTED"]

    for make in (parts_of, declared_parts_of):
        with pytest.raises(UsageError, match="`NATO SECRET` and `NATO RESTRICTED`"):
            make([file], law_catalogue(), part_markings=pairs, media_types=[])
        assert make([file], law_catalogue(), part_markings=pairs[:1] * 2, media_types=[])


def test_policy_file_that_is_no_text_is_named(tmp_path, monkeypatch):
    (tmp_path / "classification").mkdir()
    (tmp_path / "classification" / "OWN.yaml").write_bytes(b"id: \xe9")
    monkeypatch.setenv("EXCHANGE_POLICIES_DIR", str(tmp_path))

    with pytest.raises(InvalidError, match=r"OWN\.yaml` is not UTF-8 text: byte 4 is wrong"):
        law_catalogue()


def test_missing_file_is_named(tmp_path):
    with pytest.raises(InvalidError, match=r"none\.txt"):
        parts_of([tmp_path / "none.txt"], law_catalogue(), part_markings=[], media_types=[])


@pytest.mark.parametrize("text", ["SECRET", "nato secret", "NATO SECRET//", "", "NATO SECRET//REL TO", "NATO  SECRET"])
def test_marking_that_is_none_is_refused(text):
    with pytest.raises(ExchangeError):
        label_of(text, law_catalogue())


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("a.json", "a.json"),
        ("../../etc/passwd", "passwd"),
        ("..", "part"),
        (".", "part"),
        ("", "part"),
        ("/", "part"),
        (".bashrc", "bashrc"),
        ("..\\..\\a.exe", "a.exe"),
        ("a\x00b.txt", "a_b.txt"),
        ("a\u202etxt.exe", "a_txt.exe"),
        ("C:evil", "C_evil"),
        ("-rf", "rf"),
        ("a" * 10 + "-" + "b" * 119, "b" * 119),
        ("--", "part"),
    ],
)
def test_name_becomes_one_that_stays_in_its_folder(name, safe):
    assert safe_name(name) == safe


@given(st.text(max_size=300))
def test_no_name_leaves_its_folder(name):
    safe = safe_name(name)

    assert safe
    assert "/" not in safe
    assert "\\" not in safe
    assert not safe.startswith((".", "-", " "))
    assert safe.isprintable()
    assert len(safe.encode()) <= 120


class Named:
    def __init__(self, number, name):
        self.number, self.name = number, name


@given(st.lists(st.sampled_from(["a.txt", "A.TXT", "../a.txt", "", "2-a.txt", "3-a.txt"]), max_size=6))
def test_no_two_parts_share_a_file(names):
    made = file_names([Named(number, name) for number, name in enumerate(names, start=1)])

    assert len({name.casefold() for name in made}) == len(names)


@given(st.binary(min_size=200, max_size=3000).filter(lambda content: len(set(content)) > 1))
def test_search_finds_what_is_in_the_clear(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("disk")
    (folder / "deep").mkdir()
    (folder / "deep" / ".hidden-wal").write_bytes(b"\x00" * 1000 + content + b"\x00" * 1000)

    assert files_holding(folder, pieces_of(content)) == ["deep/.hidden-wal"]


@given(st.text(min_size=40, max_size=2000).filter(lambda text: len(set(text.encode())) > 10), st.binary(max_size=4))
def test_search_finds_what_is_kept_as_it_was_sent(text, before):
    """The demo stayed green over a server that kept each body as it came: as text in JSON, or in base64."""
    content = text.encode()
    spelled = spellings_of(pieces_of(content))

    for kept in (json.dumps(text), json.dumps(text, ensure_ascii=False), base64.b64encode(before + content).decode()):
        assert any(piece in kept.encode() for piece in (*pieces_of(content), *spelled))


def test_search_of_bytes_that_are_no_text_is_for_their_base64_alone():
    content = bytes(range(200, 256))

    spelled = spellings_of(pieces_of(content))

    for before in range(3):
        kept = base64.b64encode(bytes(before) + content)
        assert sum(piece in kept for piece in spelled) == len(spelled) // 3


def test_search_finds_a_piece_between_two_chunks(tmp_path):
    piece = bytes(range(65, 89))
    (tmp_path / "db").write_bytes(b"\x00" * ((1 << 20) - 7) + piece + b"\x00" * 100)

    assert files_holding(tmp_path, [piece]) == ["db"]


def test_search_passes_over_what_a_server_renames_meanwhile(tmp_path, monkeypatch):
    (tmp_path / "there").write_bytes(b"a secret of the state")
    listed = [tmp_path / ".there.1234", tmp_path / "there"]
    monkeypatch.setattr("exchange.cli.demo.disk.files_below", lambda _folder: listed)

    assert files_holding(tmp_path, [b"a secret of the state"]) == ["there"]


def test_search_finds_nothing_where_there_is_nothing(tmp_path):
    (tmp_path / "db").write_bytes(b"\x00" * 5000)

    assert files_holding(tmp_path, pieces_of(BUNDLE)) == []


@pytest.mark.parametrize("content", [b"x", b"GBR\n", b"Norway", bytes(5000), b" " * 100, b"  \n" * 50])
def test_what_is_there_by_chance_is_not_searched_for(content):
    assert pieces_of(content) == []


def out_of_room(_handle):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("failure", "raised", "told"),
    [
        (out_of_room, UnsafeSettingError, r"`.*/a\.key` cannot be written: no space left on device"),
        (lambda _handle: (_ for _ in ()).throw(KeyboardInterrupt), KeyboardInterrupt, None),
    ],
)
def test_new_file_that_is_not_whole_is_not_left(tmp_path, monkeypatch, failure, raised, told):
    monkeypatch.setattr(os, "fsync", failure)

    with pytest.raises(raised, match=told):
        write_new(tmp_path / "a.key", b"secret", mode=0o600)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("failure", [out_of_room, lambda _handle: (_ for _ in ()).throw(KeyboardInterrupt)])
@pytest.mark.parametrize("before", [0, 1, 2, 3])
def test_of_files_that_belong_together_some_are_not_left(tmp_path, monkeypatch, failure, before):
    """Half of an instance's keys stood in the way of all of them: `holds custody already`."""
    (tmp_path / "there").mkdir()
    synced, sync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda each: failure(each) if len(synced) == before else synced.append(sync(each)))
    files = {tmp_path / name: b"secret" for name in ("there/a", "new/deep/b")}

    with pytest.raises((UnsafeSettingError, KeyboardInterrupt)):
        write_all_new(files, mode=0o600)
    monkeypatch.setattr(os, "fsync", sync)

    assert sorted(tmp_path.rglob("*")) == [tmp_path / "there"]
    write_all_new(files, mode=0o600)
    assert {path.read_bytes() for path in files} == {b"secret"}
    with pytest.raises(UnsafeSettingError, match="exists already"):
        write_all_new(dict(reversed(files.items())), mode=0o600)
    assert {path.read_bytes() for path in files} == {b"secret"}


def test_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(UnsafeSettingError, match=rf"^`{tmp_path}/file/below` cannot be written: not a directory$"):
        write_all_new({tmp_path / "new" / "a": b"", tmp_path / "file" / "below" / "b": b""}, mode=0o600)

    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def sealed(path):
    with sealed_io.SealedWriter(path, Identity.new().recipient) as writer:
        writer.write(b"content")


@pytest.mark.parametrize(
    "write",
    [
        sealed,
        lambda path: write_new(path, b"content", mode=0o600),
        lambda path: put_file(path, b"content", mode=0o600),
    ],
    ids=["sealed", "new", "put"],
)
def test_power_cut_leaves_what_was_written_and_its_name(tmp_path, monkeypatch, write):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(Path(f"/proc/self/fd/{handle}").readlink()))

    write(tmp_path / "file")

    content, name = synced
    assert (content.parent, name) == (tmp_path, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_of_two_that_write_one_sealed_file_the_second_is_refused_and_the_first_whole(tmp_path):
    """The second one took the first one's place, and the first put what the second had written so far into its own."""
    path, identity = tmp_path / "backup", Identity.new()
    with sealed_io.SealedWriter(path, identity.recipient) as writer:
        writer.write(b"content")
        with (
            pytest.raises(InvalidError, match="is being written already: wait for that, or name another file"),
            sealed_io.SealedWriter(path, identity.recipient) as second,
        ):
            second.write(b"another")

    assert b"".join(open_sealed(identity, memoryview(path.read_bytes()))) == b"content"
    with pytest.raises(InvalidError, match="exists already"), sealed_io.SealedWriter(path, identity.recipient):
        pass
    assert [each.name for each in tmp_path.iterdir()] == ["backup"]


def test_what_a_killed_process_left_beside_a_sealed_file_is_in_nobodys_way(tmp_path):
    identity = Identity.new()
    sealed(tmp_path / "older")
    (tmp_path / "older").rename(tmp_path / ".older.part")
    for name in (".backup.part", ".others.part"):
        (tmp_path / name).write_bytes(b"x" * 100_000)

    with sealed_io.SealedWriter(tmp_path / "a", identity.recipient) as longer:
        longer.write(b"x" * 2_000_000)
        with sealed_io.SealedWriter(tmp_path / "backup", identity.recipient) as writer:
            writer.write(b"content")

    assert b"".join(open_sealed(identity, memoryview((tmp_path / "backup").read_bytes()))) == b"content"
    assert sorted(path.name for path in tmp_path.iterdir()) == [".others.part", "a", "backup"]


def test_key_that_a_killed_enrolment_left_goes_with_the_next_one(tmp_path):
    (tmp_path / ".enrol-killed").mkdir()
    (tmp_path / ".enrol-killed" / "client.key").write_bytes(b"a private key")

    with release_folder(tmp_path) as folder:
        (folder / "client.key").write_bytes(b"another")

    assert [path.name for path in tmp_path.iterdir()] == ["client.key"]


def test_key_of_one_enrolled_is_where_it_was_said_to_be_after_a_power_cut(tmp_path, monkeypatch):
    """Its name in the folder was not on the disk when the command ended, and the client was enrolled with it."""
    synced = []

    def sync(folder):
        synced.append((folder, sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))))

    monkeypatch.setitem(release_folder.__wrapped__.__globals__, "sync_folder", sync)
    with release_folder(tmp_path / "there") as folder:
        (folder / "client.key").write_bytes(b"a private key")

    assert synced == [(tmp_path / "there", []), (tmp_path, ["there"]), (tmp_path / "there", ["client.key"])]


def test_key_of_one_enrolment_is_not_replaced_by_that_of_another_at_the_same_time(tmp_path):
    with release_folder(tmp_path) as folder:
        (folder / "client.key").write_bytes(b"the first one's")
        busy = "another client's files are being written"
        with pytest.raises(UnsafeSettingError, match=busy), release_folder(tmp_path) as other:
            (other / "client.key").write_bytes(b"the second one's")

    assert (tmp_path / "client.key").read_bytes() == b"the first one's"
    assert [path.name for path in tmp_path.iterdir()] == ["client.key"]


def test_disk_without_room_for_a_part_is_told_of_the_folder(tmp_path, monkeypatch):
    def content(*_given, **_named):
        raise OSError(errno.ENOSPC, "No space left on device")
        yield

    part = PulledPartBody.model_construct(number=1, name="a.txt")
    report = PulledReportBody.model_construct(id="x", parts=[part])
    client = ExchangeClient.__new__(ExchangeClient)
    monkeypatch.setattr(client, "content", content)

    with pytest.raises(InvalidError, match=rf"^`{tmp_path}/out` cannot be written: no space left on device$"):
        save_parts(client, report, tmp_path / "out", force=False, purpose=None)

    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("numbers", [(1, 1), (2, 1, 2), (0,), (-1,), (100_000,), (10**300, 1)])
def test_parts_that_are_not_numbered_as_parts_are_become_no_files(tmp_path, numbers):
    """Of two with one number the second took the first one's file, and both were said to be in it."""
    parts = [PulledPartBody.model_construct(number=each, name=f"{at}.txt") for at, each in enumerate(numbers)]
    report = PulledReportBody.model_construct(id="x", parts=parts)

    with pytest.raises(AnswerError, match=r"^the answer numbers its parts as no report does: -?[0-9]") as refused:
        save_parts(ExchangeClient.__new__(ExchangeClient), report, tmp_path / "out", force=True, purpose=None)

    assert len(refused.value.message) < 300
    assert list(tmp_path.iterdir()) == []


def test_two_that_pull_a_part_into_one_folder_both_find_it_whole_and_one_that_was_killed_leaves_nothing(
    tmp_path, monkeypatch
):
    part = PulledPartBody.model_construct(number=1, name="a.txt")
    report = PulledReportBody.model_construct(id="x", parts=[part])
    client = ExchangeClient.__new__(ExchangeClient)
    begun, seen = [], []

    def pull():
        save_parts(client, report, tmp_path, force=True, purpose=None)
        seen.append((tmp_path / "a.txt").read_bytes())

    def content(*_given, **_named):
        yield b"half "
        begun.append(1)
        if len(begun) == 1:
            pull()
        yield b"and half"

    monkeypatch.setattr(client, "content", content)
    (tmp_path / ".pulled-killed").write_bytes(b"plaintext")
    pull()

    assert seen == [b"half and half"] * 2
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
