"""docs/handling.md: what each handling caveat means, and which rule holds it."""

import re

from exchange.markings.families import FAMILIES
from exchange.release import CAVEATS
from exchange.release.rules import LABEL_RULES
from exchange.reports.stix_markings import STIX_MARKINGS
from tests.support.release_world import law_files

PATH = "docs/handling.md"

_HEAD = """\
# Handling caveats

Made from `exchange/release/caveats.py` and `policies/classification/NATO.yaml` by `make docs`; do not edit.

A caveat stands in a label's `handling`, and in its marking text behind the level: `NATO SECRET//ORCON/REL TO GBR, NOR`. One that is not in this table is refused
when it is posted; one that no rule reads is refused when it is read. Where caveats are joined, the strictest of a family stands, and every other one.

| caveat | says | what the exchange does | rules |
|---|---|---|---|
"""
_FOOT = """
## What is consent

An originator's releaser consents for a named member, named parts, purposes and a time (`exchange report onward`). Consent answers rules 5, 6 and 20, and
rule 23 where it names the purpose; level, compartments, validity, nationality and guards hold as for anybody. `onward_release: never` is stronger than consent;
`parties` takes it too, as `originator-consent` does: nothing goes on by the text alone.
Above CONFIDENTIAL a second releaser confirms all that the grant says, and the first one must still be cleared for the report then. A grant may end earlier than
was asked for (`grant --until`), and goes no further. Who reads by it is told its terms with the report, conditions included (`released_under`);
who reads a part by itself, where they stand (`Link: </v1/reports/ID>; rel="license"`).

## Families

{families}

## STIX

The marking definitions of TLP in a STIX bundle are fixed: of TLP 2.0, of TLP 1, and one of OpenCTI's. A part whose bundle is marked with one is posted, and amended,
under a label at least as strict; whoever lowers that label later takes it upon itself:

{stix}
"""


def render() -> str:
    """Give the page."""
    names = {rule.number: rule.name for rule in LABEL_RULES}
    meanings = _meanings()
    rows = [
        f"| `{name}` | {meanings[name]} | {meaning.enforced} | {', '.join(f'{each} {names[each]}' for each in meaning.rules)} |\n"
        for name, meaning in CAVEATS.items()
    ]
    families = "\n".join(
        f"- {family}, from the least: {', '.join(f'`{name}`' for name in each)}. One at most."
        for family, each in FAMILIES.items()
    )
    stix = "\n".join(f"- `{name}`: `{an_id}`" for an_id, name in STIX_MARKINGS.items())
    return _HEAD + "".join(rows) + _FOOT.format(families=families, stix=stix)


def _meanings() -> dict[str, str]:
    rows = re.findall(
        r"- \{name: \"?([^,\"]+)\"?, kind: real, meaning: \"([^\"]+)\"", law_files()["classification/NATO.yaml"]
    )
    return dict(rows)
