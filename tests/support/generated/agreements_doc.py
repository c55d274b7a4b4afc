"""docs/agreements.md: how agreements and their parties move, made from the tables that the code obeys."""

from exchange.agreements import AGREEMENT_MOVES, PARTY_MOVES, AgreementState, Move, PartyState

PATH = "docs/agreements.md"

_PAGE = """\
# How an agreement moves

Made from `exchange/agreements/lifecycle.py` by `make docs`; do not edit.

An agreement comes into force by itself once every party has signed and its first day (00:00 UTC) has come, and expires by
itself when its last day has passed. Nobody sets its state: it is computed from the parties and the moment. A party moves
only itself.

## The agreement

{agreement}

`expired` and `withdrawn` are final. A party that suspends leaves the others in force; with fewer than two active parties
the agreement is suspended. A withdrawal before all have signed ends the draft, because the others consented to an
agreement with that party: propose a new one. A withdrawal afterwards leaves the rest bound while two remain.

## One party

{party}

## Who may do what, when

| the agreement is | a party may |
|---|---|
{acts}
"""


def render() -> str:
    """Write the page."""
    return _PAGE.format(agreement=_agreement_diagram(), party=_party_diagram(), acts=_acts())


def _agreement_diagram() -> str:
    arrows: dict[tuple[str, str], list[str]] = {}
    for (before, move), afters in AGREEMENT_MOVES.items():
        for after in sorted(afters, key=list(AgreementState).index):
            arrows.setdefault((before.value, after.value), []).append(move.value)
    return _diagram(AgreementState.DRAFT.value, arrows, (AgreementState.EXPIRED.value, AgreementState.WITHDRAWN.value))


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
        rows.append(f"| {state.value} | {possible or 'nothing'} |")
    return "\n".join(rows)
