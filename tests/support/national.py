"""National caveats to try: guards with the examples that show them."""

from collections.abc import Iterable

from exchange.release import NationalText


def guard(guard_id: str, condition: str = "true", reason: str = "because") -> str:
    """Return one guard that forbids where `condition` holds."""
    return f'@id("{guard_id}") @reason("{reason}") forbid (principal, action, resource) when {{ {condition} }};\n'


def example(guard_id: str, *, forbids: bool, reader: str = "{}", report: str = "{}", use: str | None = None) -> str:
    """Return one example as a line of YAML."""
    answer, asked = "true" if forbids else "false", "" if use is None else f", use: {use}"
    return f"  - {{name: one, guard: {guard_id}, forbids: {answer}, reader: {reader}, report: {report}{asked}}}\n"


def no_court(member: str = "GBR") -> NationalText:
    """Return a caveat of `member`: nothing of its own to courts."""
    return shown([(f"{member.lower()}.no-court", 'context.purpose == "judicial"', "{purpose: judicial}", "{}")])


def not_to(reader: str, member: str = "GBR") -> NationalText:
    """Return a caveat of `member`: nothing of its own to clients of `reader`."""
    name = f"{member.lower()}.not-to-{reader.lower()}"
    return shown([(name, f'principal.member == "{reader}"', f"{{member: {reader}}}", "{member: DEU}")])


def not_on_to(reader: str, member: str = "GBR") -> NationalText:
    """Return a caveat of `member`: nothing of its own goes on to clients of `reader`, which read what they may without."""
    name, who = f"{member.lower()}.not-on-to-{reader.lower()}", f"{{member: {reader}}}"
    examples = example(name, forbids=True, reader=who, use="onward") + example(name, forbids=False, reader=who)
    condition = f'action == Action::"onward" && principal.member == "{reader}"'
    return NationalText(guard(name, condition), f"examples:\n{examples}")


def shown(cases: Iterable[tuple[str, str, str, str]]) -> NationalText:
    """Return guards, each with a reader that it stops and one that it does not."""
    guards, examples = "", "examples:\n"
    for guard_id, condition, stopped, passed in cases:
        guards += guard(guard_id, condition)
        examples += example(guard_id, forbids=True, reader=stopped)
        examples += example(guard_id, forbids=False, reader=passed)
    return NationalText(guards, examples)
