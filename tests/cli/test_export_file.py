"""An export on its way into a file: stopped anywhere and gone on with, no line is lost or doubled."""

import resource

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exchange.audit.export import FORMATS, FormatName, Place, Statement
from exchange.cli.export_file import ExportFile
from exchange.kernel import InvalidError, MalformedError
from tests.core.audit.export.exported import FULL, at_place, with_text

ENTRIES = [at_place(FULL, position=position) for position in (0, 3, 4, 9, 12)] + [with_text("=1\n\u2028x")]
ENTRIES[-1] = type(ENTRIES[-1])(Place(2, 0), *[getattr(ENTRIES[-1], name) for name in ("leaf", "entry", "content")])
TOLD = Statement("2026-03-01T12:00:00Z", "1.4", None, None, 0, "2.1", "note")
ASKED = {"member": "NOR"}


def opened(path, name, asked=ASKED):
    return ExportFile(path, FORMATS[name], asked)


def write(file, entries):
    for entry in entries:
        file.add(entry)


def exported(path, name=FormatName.NDJSON):
    with opened(path, name) as file:
        file.begin(None, force=True)
        write(file, ENTRIES)
        file.finish(TOLD)


def whole(tmp_path, name):
    path = tmp_path / f"whole-{name.value}"
    exported(path, name)
    return path.read_bytes()


@pytest.mark.parametrize("name", FormatName)
def test_finished_file_has_head_entries_and_statement(tmp_path, name):
    form = FORMATS[name]
    statement = Statement(TOLD.at, None, "1.0", "2.0", 6, "2.1", "note")

    assert whole(tmp_path, name) == b"".join(
        [form.head, *map(form.entry_line, ENTRIES), form.statement_line(statement)]
    )
    assert [path.name for path in tmp_path.iterdir()] == [f"whole-{name.value}"]


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(data=st.data())
@pytest.mark.parametrize("name", FormatName)
def test_export_cut_at_any_byte_is_gone_on_with_exactly(tmp_path, name, data):
    expected = whole(tmp_path, name)
    cut = data.draw(st.integers(min_value=0, max_value=len(expected)))
    path = tmp_path / "cut"
    with opened(path, name) as file:
        file.begin(None, force=True)
    (tmp_path / "cut.part").write_bytes(expected[:cut])

    with opened(path, name) as file:
        file.resume()
        reached = file.tally.reached
        write(file, [entry for entry in ENTRIES if reached is None or entry.place > reached])
        file.finish(TOLD)

    assert path.read_bytes() == expected
    path.unlink()


def test_export_goes_on_behind_where_it_began(tmp_path):
    with opened(tmp_path / "f", FormatName.CSV) as file:
        file.begin(Place(1, 3), force=False)
    with opened(tmp_path / "f", FormatName.CSV) as file:
        file.resume()

        assert file.tally.reached == (1, 3)
        write(file, ENTRIES[2:])
        assert file.finish(TOLD) == Statement(TOLD.at, "1.3", "1.4", "2.0", 4, "2.1", "note")


def test_nothing_is_overwritten_unasked(tmp_path):
    (tmp_path / "f").write_text("mine")
    with opened(tmp_path / "f", FormatName.CSV) as file, pytest.raises(InvalidError, match="exists already"):
        file.begin(None, force=False)
    assert (tmp_path / "f").read_text() == "mine"

    (tmp_path / "g.part").write_text("unfinished")
    with opened(tmp_path / "g", FormatName.CSV) as file, pytest.raises(InvalidError, match="--resume"):
        file.begin(None, force=False)


@pytest.mark.parametrize("name", FormatName)
def test_export_that_broke_off_before_its_first_entry_stands_in_nobodys_way(tmp_path, name):
    def fail():
        with opened(tmp_path / "f", name) as file:
            file.begin(None, force=False)
            raise MalformedError("the exchange said no")

    with pytest.raises(MalformedError):
        fail()
    assert list(tmp_path.iterdir()) == []

    # Killed, it could not clean up.
    (tmp_path / "f.part").write_bytes(FORMATS[name].head)
    (tmp_path / "f.asked").write_text("{}")
    with opened(tmp_path / "f", name) as file:
        file.begin(None, force=False)
        write(file, ENTRIES)
        file.finish(TOLD)
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


@pytest.mark.parametrize(("most_bytes", "name"), [(4, "f.asked"), (100, "f.part")])
def test_disk_that_is_full_is_told_with_the_file(tmp_path, most_bytes, name):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, before[1]))
    try:
        with pytest.raises(OSError, match="large") as refused:
            exported(tmp_path / "f")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert refused.value.filename == str(tmp_path / name)


def test_empty_file_of_somebody_else_is_not_overwritten(tmp_path):
    (tmp_path / "f.part").write_bytes(b"")
    with opened(tmp_path / "f", FormatName.CSV) as file, pytest.raises(InvalidError, match="exists already"):
        file.begin(None, force=False)


@pytest.mark.parametrize(("make", "why"), [((), "was never begun"), (("f",), "is complete")])
def test_there_must_be_something_to_go_on_with(tmp_path, make, why):
    for name in make:
        (tmp_path / name).write_text("x")

    with opened(tmp_path / "f", FormatName.CSV) as file, pytest.raises(InvalidError, match=why):
        file.resume()


@pytest.mark.parametrize(
    ("name", "asked"), [(FormatName.NDJSON, {"member": "GBR"}), (FormatName.NDJSON, {}), (FormatName.NDJSON, None)]
)
def test_other_export_is_not_put_behind(tmp_path, name, asked):
    with opened(tmp_path / "f", name) as file:
        file.begin(None, force=False)
    if asked is None:
        (tmp_path / "f.asked").write_text("{")

    with (
        opened(tmp_path / "f", name, asked or {}) as file,
        pytest.raises(InvalidError, match=r"another export|say what"),
    ):
        file.resume()


def test_proofs_of_two_checkpoints_are_not_put_into_one_file(tmp_path):
    asked = {**ASKED, "proofs": "true"}
    with opened(tmp_path / "f", FormatName.NDJSON, asked) as file:
        file.begin(None, force=False)
        write(file, ENTRIES[:2])

    with opened(tmp_path / "f", FormatName.NDJSON, asked) as file, pytest.raises(InvalidError, match="begin anew"):
        file.resume()
    with opened(tmp_path / "f", FormatName.NDJSON, asked) as file:
        file.begin(None, force=True)


@pytest.mark.parametrize("damage", [b"not a line\n", b"\xff\xff\n"])
def test_damaged_file_is_not_gone_on_with(tmp_path, damage):
    with opened(tmp_path / "f", FormatName.CSV) as file:
        file.begin(None, force=False)
        file.add(ENTRIES[0])
    with (tmp_path / "f.part").open("ab") as part:
        part.write(damage)

    with opened(tmp_path / "f", FormatName.CSV) as file, pytest.raises(InvalidError, match="damaged"):
        file.resume()


def test_doubled_line_is_noticed(tmp_path):
    with opened(tmp_path / "f", FormatName.CSV) as file:
        file.begin(None, force=False)
        file.add(ENTRIES[1])
        with pytest.raises(MalformedError, match="came behind"):
            file.add(ENTRIES[1])
        with pytest.raises(MalformedError, match="came behind"):
            file.add(ENTRIES[0])


def test_two_exports_do_not_write_one_file(tmp_path):
    with opened(tmp_path / "f", FormatName.CSV) as first:
        first.begin(None, force=False)
        with opened(tmp_path / "f", FormatName.CSV) as second, pytest.raises(InvalidError, match="another export"):
            second.resume()


def test_file_is_its_owners_alone(tmp_path):
    with opened(tmp_path / "f", FormatName.CSV) as file:
        file.begin(None, force=False)

    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "f.part", tmp_path / "f.asked")} == {0o600}


def test_folder_that_is_not_there_is_said(tmp_path):
    with opened(tmp_path / "no" / "f", FormatName.CSV) as file, pytest.raises(InvalidError, match="cannot be written"):
        file.begin(None, force=False)
