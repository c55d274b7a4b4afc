"""The demo takes any files, each as what it is."""

import json
from pathlib import Path

import pytest

from exchange.cli.demo.inputs import marked, read_inputs
from exchange.cli.posting import STIX
from exchange.kernel import InvalidError
from exchange.reports import name_fault
from exchange.reports.stix_markings import STIX_MARKINGS

MARKING = "NATO SECRET//REL TO GBR, NOR"
BYTES = "application/octet-stream"
RED, GREEN = (
    next(an_id for an_id, name in STIX_MARKINGS.items() if name == f"TLP:{colour}") for colour in ("RED", "GREEN")
)


def bundle(*refs: str) -> bytes:
    objects = [{"type": "indicator", "object_marking_refs": [ref]} for ref in refs]
    return json.dumps({"type": "bundle", "objects": objects}).encode()


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.json", bundle(), STIX),
        ("a.json", b"[1]", "application/json"),
        ("a.json", b'{"type": "bundle", ', BYTES),
        ("a.json", b" " * (16 * 1024 * 1024) + b"[]", BYTES),
        ("a.stix", b"{}", BYTES),
        ("a.pdf", b"no PDF", BYTES),
        ("a.txt", b"a\x00b", BYTES),
        ("a.txt", b"a b", "text/plain"),
        ("a", b"\x00", BYTES),
    ],
    ids=range(9),
)
def test_file_is_posted_as_what_it_is(tmp_path: Path, name: str, content: bytes, kind: str) -> None:
    (tmp_path / name).write_bytes(content)

    (read,) = read_inputs([tmp_path / name]).values()

    assert read.media_type == kind


def test_parts_have_names_that_are_taken_and_their_own(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        for name in (".env", "-x", "con.txt", "a:b", "\u202etxt.exe", "a" * 250, "same"):
            (tmp_path / folder / name).write_bytes(b"x")
    files = sorted(path for path in tmp_path.rglob("*") if path.is_file())

    names = list(read_inputs(files))

    assert len(names) == len(files)
    assert [name for name in names if name_fault(name)] == []


@pytest.mark.parametrize("made", [None, "file", "folder"])
def test_input_without_content_is_refused_by_its_name(tmp_path: Path, made: str | None) -> None:
    path = tmp_path / "none.json"
    if made is not None:
        path.mkdir() if made == "folder" else path.touch()

    with pytest.raises(InvalidError, match=r"none\.json"):
        read_inputs([path])


@pytest.mark.parametrize(
    ("refs", "expected"),
    [
        ((), MARKING),
        ((GREEN,), "NATO SECRET//TLP:GREEN/REL TO GBR, NOR"),
        ((GREEN, RED), "NATO SECRET//TLP:RED/REL TO GBR, NOR"),
    ],
)
def test_marking_says_what_a_bundle_bears(tmp_path: Path, refs: tuple[str, ...], expected: str) -> None:
    (tmp_path / "a.json").write_bytes(bundle(*refs))
    (tmp_path / "b.txt").write_text("no bundle")

    assert marked(MARKING, read_inputs([tmp_path / "a.json", tmp_path / "b.txt"])) == expected
