"""National caveats with the command line alone: checked, asked for, seen, confirmed by a second person, withdrawn."""

import pytest

pytestmark = pytest.mark.journey

GUARDS = """\
// Warnings stay at home.
@id("gbr.no-warnings-abroad")
@reason("Threat warnings name sources: nobody else gets them.")
forbid (principal, action, resource)
when { resource.kind == "threat-warning" }
unless { principal.member == "GBR" };
"""
EXAMPLES = """\
examples:
  - {name: a warning, guard: gbr.no-warnings-abroad, forbids: true, report: {kind: threat-warning}}
  - {name: a report, guard: gbr.no-warnings-abroad, forbids: false}
"""


@pytest.fixture(scope="module")
def ruling(house, tmp_path_factory):
    """The house with two releasers of GBR, and their caveats as files."""
    for name in ("gbr-one", "gbr-two"):
        house.enrol(name, "GBR", "--role", "releaser")
    folder = tmp_path_factory.mktemp("caveats")
    (folder / "GBR.cedar").write_text(GUARDS)
    (folder / "GBR.examples.yaml").write_text(EXAMPLES)
    return house, folder / "GBR.cedar"


def confirm(house, act, who="gbr-two"):
    shown = house.as_(who, "act", "show", act, "--json").json
    return house.as_(who, "act", "confirm", act, "--digest", shown["digest"], "--json")


def test_caveats_hold_from_the_second_persons_word_to_their_withdrawal(ruling, tmp_path):
    house, guards = ruling
    warning = house.post("--kind", "threat-warning").json["id"]
    other = house.post().json["id"]
    checked = house.as_("gbr-one", "policy", "check", "--caveats", guards, "--json")
    told = house.as_("gbr-one", "policy", "check", "--caveats", guards)
    proposed = house.as_("gbr-one", "policy", "caveat", "propose", guards, "--json")

    assert (checked.code, checked.json["id"], checked.json["examples"]) == (0, str(guards), 2)
    stopped = [(each["member"], each["kind"]) for each in checked.json["changes"] if each["change"] == "stopped"]
    assert ("NOR", "threat-warning") in stopped
    assert all(kind == "threat-warning" and member != "GBR" for member, kind in stopped)
    assert "stopped" in told.out
    assert house.as_("nor", "report", "pull", warning).code == 0
    assert confirm(house, proposed.json["act"], "gbr-one").code == 1

    seen = house.as_("gbr-two", "policy", "caveat", "show", proposed.json["id"], "--out", tmp_path / "seen", "--json")
    assert (tmp_path / "seen" / "GBR.cedar").read_text() == GUARDS == seen.json["cedar"]
    assert (tmp_path / "seen" / "GBR.examples.yaml").read_text() == EXAMPLES
    again = house.as_("gbr-two", "policy", "caveat", "show", proposed.json["id"], "--out", tmp_path / "seen")
    assert again.code == 1
    assert "exists already: nothing is overwritten" in again.err
    assert confirm(house, proposed.json["act"]).code == 0

    assert house.as_("nor", "report", "pull", warning).code == 1
    assert house.as_("gbr", "report", "pull", warning).code == 0
    assert house.as_("nor", "report", "pull", other).code == 0
    assert [each["state"] for each in house.as_("gbr", "policy", "caveat", "list", "--json").json] == ["in_force"]
    assert house.as_("nor", "policy", "caveat", "list", "--json").json == []
    assert house.as_("nor", "policy", "caveat", "show", proposed.json["id"]).code == 1

    withdrawn = house.as_("gbr-one", "policy", "caveat", "withdraw", "--json")
    assert confirm(house, withdrawn.json["act"]).code == 0
    assert house.as_("nor", "report", "pull", warning).code == 0
    assert "gbr.no-warnings-abroad" in house.as_("gbr", "policy", "caveat", "show", proposed.json["id"]).out


@pytest.mark.parametrize(
    ("guards", "examples", "told"),
    [
        (GUARDS.replace("forbid", "permit"), EXAMPLES, "a guard forbids"),
        (GUARDS.replace("gbr.", "nor."), EXAMPLES, "begin with `gbr.`"),
        (GUARDS, EXAMPLES.replace("forbids: true", "forbids: false"), "should not forbid this"),
        ("", EXAMPLES, "guards"),
        (b"\xff", EXAMPLES, "is not UTF-8"),
        ("x" * 1_100_000, EXAMPLES, "larger than any"),
        (None, EXAMPLES, "cannot be read"),
    ],
)
def test_caveats_that_are_not_fit_end_with_1_and_their_faults(ruling, tmp_path, guards, examples, told):
    house, _ = ruling
    if guards is not None:
        (tmp_path / "GBR.cedar").write_bytes(guards if isinstance(guards, bytes) else guards.encode())
    (tmp_path / "GBR.examples.yaml").write_text(examples)

    for words in (("policy", "check", "--caveats"), ("policy", "caveat", "propose")):
        ran = house.as_("gbr-one", *words, tmp_path / "GBR.cedar")
        assert ran.code == 1
        assert told in ran.err
        assert "Traceback" not in ran.err


def test_guards_without_examples_are_told_where_those_belong(ruling, tmp_path):
    house, _ = ruling
    (tmp_path / "GBR.cedar").write_text(GUARDS)
    ran = house.as_("gbr-one", "policy", "check", "--caveats", tmp_path / "GBR.cedar")

    assert ran.code == 1
    assert "GBR.examples.yaml`, or name them with `--examples`" in ran.err


def test_check_of_files_and_of_caveats_are_not_mixed(ruling):
    house, guards = ruling

    for words in (("--examples", guards), ("--caveats", guards, "--policies", guards.parent)):
        ran = house.as_("gbr-one", "policy", "check", *words)
        assert (ran.code, ran.err.startswith("error: ")) == (2, True)
