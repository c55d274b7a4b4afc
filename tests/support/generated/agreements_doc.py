"""docs/agreements.md: how agreements and their parties move, made from the tables that the code obeys."""

from exchange.agreements import (
    AGREEMENT_MOVES,
    AMENDABLE,
    AMENDMENT_MOVES,
    PARTY_MOVES,
    AgreementState,
    AmendmentState,
    Move,
    PartyState,
)

PATH = "docs/agreements.md"

_PAGE = """\
# How an agreement moves

Made from `exchange/agreements/lifecycle.py` and `editions.py` by `make docs`; do not edit.

A treaty's whole life, worked through with what was really printed: [treaties](treaties.md).

An agreement comes into force by itself once every party has signed and its first day (00:00 UTC) has come, and expires by
itself when its last day has passed. Nobody sets its state: it is computed from the parties and the moment. A party moves
only itself.

## The agreement

{agreement}

`expired` and `withdrawn` are final. A party that suspends leaves the others in force; with fewer than two active parties
the agreement is suspended. A withdrawal before all have signed ends the draft, because the others consented to an
agreement with that party: propose a new one. A withdrawal afterwards is a notice: the party stays bound, and keeps its
rights, until the notice that the text says has passed (`leaves_at`); it then leaves by itself, and the rest stays bound
while two remain. A notice is not taken back.

`amend` leaves the agreement where it is, under another text: it binds once every party of the old text and of the new one
has signed it.

## An amendment

{amendment}

Several may lie before the parties at once; the first one that is concluded overtakes the others, which stay to be read. Where all
have signed but one, and that one leaves by its notice before it has, the text binds with the next word of anybody: who has signed signs again.
Until then a party takes its signature back by a signed statement (`exchange agreement take-back`); that text it does not sign again, and nobody is bound by it:
the log is asked before the last one binds, whatever became of the row.

Whoever is to sign is told in words what differs (`exchange agreement amendments`), and for each member how many current reports become readable, are
lost, or are cut to some of their parts. Counted are the reports that the caller's member may read or has originated, as far as the caller is cleared
for them; asked is for a reader of the member that lacks nothing, with whichever purpose gives most. It is what then happens: a party that has
suspended its part is promised nothing. Where there are very many release classes it takes more than one request: a sentence in the place of the
figures says that they are not counted yet, and who asks again within ten minutes goes on where it stopped
([ADR 0070](adr/0070-a-count-is-kept-while-somebody-goes-on-with-it.md)). What is widened reaches reports from before only where the text says `older_reports: included`; what is
narrowed reaches all.

## One party

{party}

## Who knows which text

A party knows the texts that name it, and nothing of those from before it acceded, its amendments and crises included; who left and accedes anew reads
nothing of its absence either, unless the new text says `older_reports: included`. `exchange agreement export` gives
it these texts with their signatures; where they are not all there were, `exchange agreement verify` tells which text is left out, by the digest that
was signed. Who has left keeps them for ever, and the text that it signed to leave; after a notice it also sees the agreement as it stood when it left,
and nothing that the others do afterwards. It may open, answer and settle consultations and disputes with those who were bound with it, as they may with it.

## What becomes of shared reports

`termination.shared_reports` says it, and the sweep does it:

| it says | once the agreement has ended | once a party has left, by notice or with an amended text |
|---|---|---|
| `recalled` | every report shared under it is recalled: keys destroyed, a signed tombstone, destruction asked of whoever had read it | so is every report of its own; also where it is back before the sweep came to them, unless a text since says `kept` or includes older reports |
| `kept` | nothing is destroyed, and who was given a report keeps it | the same |

- Of a party that has left, the last text says it that bound it: the one in force when its notice had passed, or the one that it signed to leave. What the others conclude since
  changes nothing.
- Either way the exchange gives these reports to nobody any more. A party that accedes anew reads its own older ones; nobody else does, unless the new text says
  `older_reports: included`.
- What a leaver holds of others' reports is asked for by their releasers, report by report.

A report is kept for the `retention` of its scope, counted from its post, by the text under which it was posted; another retention is for what is posted
after it. Then its keys are destroyed, and a signed tombstone says that it ended (`report.ended`).

## Reviews

`validity.review_every`, a day at least, counts from the first day. `exchange agreement show` and `list` tell the last review that fell due
(`review_due`) and the next one (`next_review`); each that falls due is noted once in the log (`agreement.review_due`), where
the auditors of the parties find it.

## Who may do what, when

| the agreement is | a party may |
|---|---|
{acts}
"""


def render() -> str:
    """Write the page."""
    return _PAGE.format(
        agreement=_agreement_diagram(), amendment=_amendment_diagram(), party=_party_diagram(), acts=_acts()
    )


def _agreement_diagram() -> str:
    arrows: dict[tuple[str, str], list[str]] = {}
    for (before, move), afters in AGREEMENT_MOVES.items():
        for after in sorted(afters, key=list(AgreementState).index):
            arrows.setdefault((before.value, after.value), []).append(move.value)
    for state in sorted(AMENDABLE, key=list(AgreementState).index):
        arrows[state.value, state.value] = ["amend"]
    return _diagram(AgreementState.DRAFT.value, arrows, (AgreementState.EXPIRED.value, AgreementState.WITHDRAWN.value))


def _amendment_diagram() -> str:
    arrows = {(before.value, after.value): [cause] for (before, cause), after in AMENDMENT_MOVES.items()}
    return _diagram(AmendmentState.PROPOSED.value, arrows, (AmendmentState.OVERTAKEN.value,))


def _party_diagram() -> str:
    arrows: dict[tuple[str, str], list[str]] = {}
    for (before, move), after in PARTY_MOVES.items():
        arrows.setdefault((before.value, after.value), []).append(move.value)
    return _diagram(PartyState.PENDING.value, arrows, (PartyState.WITHDRAWN.value,))


def _diagram(start: str, arrows: dict[tuple[str, str], list[str]], ends: tuple[str, ...]) -> str:
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {start}"]
    lines += [f"    {before} --> {after}: {', '.join(moves)}" for (before, after), moves in arrows.items()]
    return "\n".join([*lines, *(f"    {end} --> [*]" for end in ends), "```"])


def _acts() -> str:
    acts = (Move.SIGN, Move.SUSPEND, Move.RESUME, Move.WITHDRAW)
    rows = []
    for state in AgreementState:
        possible = ", ".join(act.value for act in acts if (state, act) in AGREEMENT_MOVES)
        possible += ", amend" if state in AMENDABLE else ""
        rows.append(f"| {state.value} | {possible or 'nothing'} |")
    return "\n".join(rows)
