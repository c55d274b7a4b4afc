"""What is done in a walk: each deed does it in the real world, and tells the plain one once it is done."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from exchange import usecases
from exchange.agreements import amended
from exchange.kernel import InvalidError, NotFoundError
from exchange.markings import Label
from exchange.members import Standing
from exchange.reports import Downgrade, PostedPart
from exchange.store import OnwardWish, ProxyWish
from exchange.usecases import ClearanceChange, CrisisWish
from exchange.usecases.upkeep.rounds_of_time import RoundsOfTime
from tests.support.national import not_on_to, not_to
from tests.support.placing import place_entries
from tests.support.plain_world import LEVELS, Consent, Crisis, Marking, Report, Text, written
from tests.support.treaty import signed, signing_key
from tests.support.walked_world import FIRST, READERS, Deed, Walk
from tests.support.world import AGREEMENT, World, thumbprint_of

EVERYBODY = frozenset({"GBR", "NOR", "DNK", "ESP"})
LEFT_OUT: tuple[tuple[str, ...], ...] = ((), ("DNK",), ("ESP",), ("DNK", "ESP"))
CONTRIBUTORS = (("GBR", "NOR"), ("DNK", "GBR", "NOR"), ("DNK", "ESP", "GBR", "NOR"))
RELEASABLE = (("GBR", "NOR"), ("DNK", "GBR", "NOR"), ("DNK", "ESP", "GBR", "NOR"), ("GBR",), ("ESP", "NOR"))
FOR_ALL = Label("NATO", "RESTRICTED", releasable_to=("DNK", "ESP", "GBR", "NOR"))
WAITS = (timedelta(hours=1), timedelta(hours=30), timedelta(days=8), timedelta(days=33))
NOTICE = timedelta(days=90)

ACCUSING = "row.contradicted"
_MOST_ROUNDS = 20


async def peopled(world: World) -> None:
    """Make the world that walks begin in."""
    high: dict[str, Any] = {"level": "TOP SECRET", "compartments": ("ATOMAL",)}
    for name in ("GBR releaser", "GBR second releaser", "NOR releaser", "NOR second releaser"):
        await world.enrol(name, name[:3], "releaser", **high)
    for name in ("GBR contributor", "NOR contributor"):
        change = ClearanceChange("TOP SECRET", ("ATOMAL",))
        await usecases.change_clearance(world.services, world.call(None), world.clients[name].id, change)
    await world.enrol("NOR second reader", "NOR", "reader", purposes=READERS["NOR second reader"].purposes, **high)
    await world.agree(written(AGREEMENT, FIRST))


async def post(walk: Walk, a: int, b: int, c: int) -> str:
    """Post a report, for another member too, that stands alone, supersedes another or refers to it."""
    plain, by, label = walk.plain, ("GBR", "NOR")[a % 2], label_of(b, c)
    originator = "NOR" if by == "GBR" and b % 5 == 4 else by
    before = some(walk, c) if plain.reports else None
    links: dict[str, Any] = {}
    if before is not None and plain.reports[before].originator == by == originator:
        links = ({}, {"supersedes": before}, {"references": (before,)})[b % 3]
    others = {
        "label": label,
        "topic": ("cyber.apt", "cyber.malware")[b % 2],
        "valid_until": walk.now + timedelta(days=20) if a % 3 == 0 else None,
        "parts": parts_under(label, a),
        "on_behalf_of": None if originator == by else originator,
        **links,
    }
    report = await posted(walk, by, originator, **others)
    return f"{report} {others}"


async def posted(walk: Walk, by: str, originator: str, *, client: str = "contributor", **others: Any) -> str:
    """Post a report by a client of a member, and tell the plain world of it; returns its id."""
    plain, body = walk.plain, walk.world.posted(**others)
    call, marking = walk.call(f"{by} {client}"), marking_of(body.label)
    parts = tuple(marking_of(part.label or body.label) for part in body.parts)
    sources = body.references or _sources_of(walk, body.supersedes)
    forbid = walk.deriving.in_the_way(originator, marking, parts, sources, walk.now)
    try:
        report = (await usecases.post_report(walk.services, call, body)).value.report_id
    except InvalidError as exc:
        is_lower = {fault.code for fault in exc.faults} == {"below-source"} and body.supersedes is None
        # Others may have lowered a source, or raised one, while this was refused.
        forbid = forbid or walk.deriving.in_the_way(originator, marking, parts, sources, walk.now)
        walk.require(not is_lower or bool(forbid), f"{originator} may mark {marking} {parts} what builds on {sources}")
        raise
    walk.require_leave(originator, marking, parts, sources)
    plain.reports[report] = Report(
        originator,
        edition=len(plain.texts),
        topic=body.topic,
        marking=marking,
        parts=parts,
        until=body.valid_until,
        crises=frozenset(plain.open_crises(walk.now)),
        supersedes=body.supersedes,
        references=sources,
    )
    plain.come_anew(report)
    return report


async def amend(walk: Walk, a: int, b: int, _: int) -> str:
    """Put a new version in the place of a report, under the same markings, with another end."""
    report = some(walk, a)
    plain = walk.plain.reports[report]
    until = walk.now + timedelta(days=10 + b % 30) if b % 2 else None
    labels = enumerate(map(label_under, plain.parts))
    parts = tuple(PostedPart(each, "text/plain", f"{n}.txt", b"another") for n, each in labels)
    others: dict[str, Any] = {
        "topic": plain.topic,
        "references": plain.references,
        "valid_until": until,
        "parts": parts,
    }
    posted = walk.world.posted(label=label_under(plain.marking), **others)
    await usecases.amend_report(walk.services, walk.call(f"{plain.originator} contributor"), report, posted)
    walk.require_leave(plain.originator, plain.marking, plain.parts, plain.references)
    plain.until = until
    walk.tell(report, "amended")
    walk.plain.come_as_another(report)
    return f"{report} until {until}"


async def lower(walk: Walk, a: int, b: int, c: int) -> str:
    """Lower a report and all its parts to one label, for more members too."""
    report = some(walk, a)
    plain = walk.plain.reports[report]
    level = LEVELS[max(0, LEVELS.index(plain.marking.level) - 1 - b % 2)]
    named = plain.marking.releasable_to.union(RELEASABLE[c % 5])
    label = label_under(replace(plain.marking, level=level, compartments=frozenset(), releasable_to=named))
    wanted = Downgrade(label, (None,) * len(plain.parts))
    call = walk.call(f"{plain.originator} releaser")
    made = (await usecases.downgrade_report(walk.services, call, report, wanted)).value
    if made.act is not None:
        await walk.confirm(made.act, plain.originator)
    plain.marking, plain.parts = marking_of(label), (marking_of(label),) * len(plain.parts)
    walk.require_leave(plain.originator, plain.marking, plain.parts, plain.references)
    walk.tell(report, "downgraded")
    walk.plain.come_as_another(report)
    return f"{report} to {label}"


async def recall(walk: Walk, a: int, b: int, _: int) -> str:
    """Recall a report, now and then."""
    report = some(walk, a)
    if b % 3:
        return "not now"
    plain = walk.plain.reports[report]
    await usecases.recall_report(walk.services, walk.call(f"{plain.originator} releaser"), report, "the source")
    plain.is_recalled = True
    walk.tell(report, "recalled")
    return report


async def clear(walk: Walk, a: int, b: int, c: int) -> str:
    """Give a reader another clearance."""
    name = sorted(READERS)[a % len(READERS)]
    reader = walk.plain.readers[name]
    until = walk.now + timedelta(days=9) if c % 3 == 0 else None
    change = ClearanceChange(LEVELS[1 + b % 4], ("ATOMAL",) if c % 2 else (), until)
    await usecases.change_clearance(walk.services, walk.call(None), walk.world.clients[name].id, change)
    reader.level, reader.compartments, reader.until = change.level, frozenset(change.compartments), until
    return f"{name}: {change}"


async def stop_client(walk: Walk, a: int, b: int, _: int) -> str:
    """Suspend a reader, or resume it: rather that, where one is suspended."""
    stopped = [name for name, reader in walk.plain.readers.items() if not reader.is_active]
    name = stopped[0] if stopped and b % 8 else sorted(READERS)[a % len(READERS)]
    reader = walk.plain.readers[name]
    standing = Standing.SUSPENDED if reader.is_active else Standing.ACTIVE
    await usecases.change_standing(walk.services, walk.call(None), walk.world.clients[name].id, standing)
    reader.is_active = not reader.is_active
    return f"{name}: {standing}"


async def stop_member(walk: Walk, a: int, _: int, __: int) -> str:
    """Suspend a member; where one is, resume it."""
    stopped = walk.plain.stopped_members
    if stopped:
        (member,) = stopped
        await usecases.resume_member(walk.services, walk.call(None), member)
        stopped.clear()
        return f"{member} goes on"
    member = sorted(EVERYBODY)[a % len(EVERYBODY)]
    await usecases.suspend_member(walk.services, walk.call(None), member)
    stopped.add(member)
    return f"{member} is stopped"


async def amend_text(walk: Walk, a: int, b: int, c: int) -> str:
    """Conclude another text: whom it concerns signs it, each on a node of its own."""
    plain, text = walk.plain, _text(a, b, c)
    if plain.stopped_members or len(plain.texts) > 1 + len(walk.said) // 9:
        return "nobody signs now"
    agreement_id, by = walk.world.agreement_id, walk.call("GBR signatory")
    document = written(AGREEMENT, text)
    view = (await usecases.propose_amendment(walk.services, by, agreement_id, document)).value
    new = amended(view.agreement, view.amendment.terms, walk.now)
    back = (plain.text.parties & text.parties) - plain.remaining(walk.now)
    for party in new.parties:
        name = f"{party.member} signatory"
        walk.node += 1
        given = signed(new, walk.world.clients[name], signing_key(thumbprint_of(name)))
        await usecases.sign_agreement(walk.services, walk.call(name), agreement_id, given)
    plain.texts.append(text)
    plain.came_back |= {(member, len(plain.texts)) for member in back}
    for member in (plain.texts[-2].parties - text.parties) | back:
        plain.suspended.discard(member)
        plain.leaves.pop(member, None)
    return f"text {len(plain.texts)}: {text}"


async def move_party(walk: Walk, a: int, b: int, c: int) -> str:
    """Have a party suspend its part, resume it, or give notice."""
    plain, agreement_id = walk.plain, walk.world.agreement_id
    member = min(plain.suspended) if plain.suspended and c % 8 else sorted(EVERYBODY)[a % len(EVERYBODY)]
    call = walk.call(f"{member} signatory")
    if b % 12 == 5:
        await usecases.withdraw_agreement(walk.services, call, agreement_id)
        plain.leaves[member] = walk.now + NOTICE
        return f"{member} gives notice"
    if member in plain.suspended:
        await usecases.resume_agreement(walk.services, call, agreement_id)
        plain.suspended.remove(member)
        return f"{member} takes part again"
    await usecases.suspend_agreement(walk.services, call, agreement_id)
    plain.suspended.add(member)
    return f"{member} takes no part"


async def open_crisis(walk: Walk, a: int, _: int, __: int) -> str:
    """Open a crisis for some hours."""
    hours, agreement_id = 24 + a % 40, walk.world.agreement_id
    wish = CrisisWish("storm-watch", "a cable was cut", hours)
    act = (await usecases.ask_for_crisis(walk.services, walk.call("GBR signatory"), agreement_id, wish)).value
    walk.node += 1
    await usecases.confirm_act(walk.services, walk.call("NOR signatory"), act.id, act.digest)
    walk.plain.crises.append(Crisis(len(walk.plain.texts), walk.now, walk.now + timedelta(hours=hours)))
    return f"for {hours} h"


async def end_crisis(walk: Walk, a: int, _: int, __: int) -> str:
    """End one of the crises."""
    agreement_id = walk.world.agreement_id
    known = (await usecases.list_crises(walk.services, walk.call("GBR signatory"), agreement_id)).value.uses
    # Of one moment there may be two; then no more than the last of them is open.
    uses = {each.crisis.opened_at: each.crisis.id for each in known if each.is_open or each.crisis.ended_at is None}
    if not uses:
        return "there is none"
    opened_at = sorted(uses)[a % len(uses)]
    await usecases.end_crisis(walk.services, walk.call("NOR signatory"), agreement_id, uses[opened_at])
    for each in walk.plain.crises:
        each.is_over |= each.since == opened_at
    return f"that of {opened_at}"


async def grant(walk: Walk, a: int, b: int, c: int) -> str:
    """Ask for onward release of a report to somebody, and grant it."""
    asked = await asked_to_grant(walk, some(walk, a), b, walk.now + timedelta(days=12) if c % 2 else None)
    if asked.act is not None:
        await walk.confirm(asked.act, walk.plain.reports[asked.report].originator)
    passed_on(walk, asked)
    return f"{asked.report}: {asked.consent}"


@dataclass(frozen=True)
class Asked:
    """A request for onward release, what it asks consent to, and the act if its grant waits for a second person."""

    request: str
    report: str
    consent: Consent
    act: str | None


async def asked_to_grant(walk: Walk, report: str, b: int, until: datetime | None) -> Asked:
    """Ask for onward release of a report, and one releaser for its grant."""
    plain = walk.plain.reports[report]
    asking = "NOR reader" if plain.originator == "GBR" else "GBR reader"
    wish = OnwardWish(("ESP", "DNK")[b % 2], (), (), until, "theirs is the operation")
    request = (await usecases.request_onward(walk.services, walk.call(asking), report, wish)).value.row.id
    seen = frozenset(walk.plain.parts_for(asking, report, walk.now))
    if walk.plain.knows(asking, report, walk.now):
        # It asks for the report itself, and not for what it sees of it.
        seen |= {plain.marking}
    call = walk.call(f"{plain.originator} releaser")
    given = (await usecases.grant_onward(walk.services, call, request, "not to be quoted")).value
    return Asked(request, report, Consent(wish.recipient, seen, until), given.act)


def passed_on(walk: Walk, asked: Asked) -> None:
    """Do in the plain world what a grant does, once all who must have agreed."""
    plain, consent = walk.plain.reports[asked.report], asked.consent
    forbid = walk.deriving.in_the_way_of_passing_on(asked.report, consent.markings, consent.member, walk.now)
    walk.require(
        not forbid, f"{plain.originator} passes on {asked.report} to {consent.member}, which builds on {forbid}"
    )
    plain.consents.append(consent)
    walk.requests.append((asked.request, asked.report, consent))
    walk.plain.come_anew(asked.report)


async def revoke(walk: Walk, a: int, _: int, __: int) -> str:
    """Take back a consent to onward release."""
    if not walk.requests:
        return "there is none"
    # One that is over may be taken back while another gives the same: that one goes on.
    request, report, consent = walk.requests[a % len(walk.requests)]
    originator = walk.plain.reports[report].originator
    await usecases.revoke_onward(walk.services, walk.call(f"{originator} releaser"), request)
    consent.is_over = True
    walk.plain.come_anew(report)
    return f"that to {consent.member} of {report}"


async def bar(walk: Walk, a: int, b: int, c: int) -> str:
    """Put a member's national caveats in force, in the place of those before, or withdraw them."""
    member, plain = ("GBR", "NOR")[a % 2], walk.plain
    call, others = walk.call(f"{member} releaser"), sorted(EVERYBODY - {member})
    after, is_onward = frozenset[str](), c % 3 == 0
    if (plain.barred.get(member) or plain.not_on_to.get(member)) and b % 2:
        act = (await usecases.withdraw_caveats(walk.services, call)).value.act
    else:
        other = others[b % len(others)]
        after, text = frozenset({other}), (not_on_to if is_onward else not_to)(other, member)
        act = (await usecases.propose_caveats(walk.services, call, text)).value.act
    await walk.confirm(str(act), member)
    plain.bar(member, after, is_onward=is_onward)
    return f"{member} keeps its own from {'going on to ' if is_onward else ''}{sorted(after)}"


async def trust(walk: Walk, a: int, b: int, _: int) -> str:
    """Let GBR post on behalf of NOR, or no more."""
    call = walk.call("NOR releaser")
    if walk.proxies and b % 2:
        proxy = walk.proxies.pop(a % len(walk.proxies))
        await usecases.revoke_proxy(walk.services, call, proxy)
        return f"no more by {proxy}"
    wish = ProxyWish("GBR", walk.world.agreement_id, "cyber-threats", None, "they are at sea")
    view = (await usecases.ask_proxy(walk.services, call, wish)).value
    await walk.confirm(str(view.act), "NOR")
    walk.proxies.append(view.row.id)
    return f"by {view.row.id}"


async def wait(walk: Walk, a: int, _: int, __: int) -> str:
    """Let time pass."""
    walk.world.clock.advance(WAITS[a % len(WAITS)])
    return str(WAITS[a % len(WAITS)])


async def work(walk: Walk, _: int, __: int, ___: int) -> str:
    """Let the jobs do their rounds: they do what time does, and accuse nobody of what everybody had a right to do."""
    await place_entries(walk.world, is_searchable=True)
    rounds = RoundsOfTime(walk.services)

    async def done() -> None:
        for each in (rounds.reports, rounds.rows, rounds.walk, rounds.duties):
            for _ in range(_MOST_ROUNDS):
                if not await each():
                    break

    made = await walk.world.attempt(done())
    assert made.error is None, made.error
    accused = [each for each in made.entries if each["type"] == ACCUSING]
    walk.require(not accused, f"the jobs say {accused}")
    walk.plain.sweep(walk.now)
    return str(sorted(each["type"] for each in made.entries))


async def restart(walk: Walk, _: int, __: int, ___: int) -> str:
    """Begin the second node anew: what it had kept is gone."""
    walk.nodes[1] = await walk.begin_node()
    return "the second node"


DEEDS: tuple[Deed, ...] = (
    *(post, post, post, post, post, amend, lower, recall, grant, grant, revoke, revoke, trust),
    *(clear, stop_client, stop_client, stop_member, stop_member, bar),
    *(amend_text, amend_text, move_party, open_crisis, end_crisis),
    *(wait, wait, work, restart),
)


def _sources_of(walk: Walk, superseded: str | None) -> tuple[str, ...]:
    """Return what a report refers to besides: what the one before it built on stays with what takes its place."""
    return () if superseded is None else walk.plain.reports[superseded].references


def some(walk: Walk, number: int) -> str:
    """Return one of the reports; raises NotFoundError where there is none."""
    reports = list(walk.plain.reports)
    if not reports:
        raise NotFoundError("there is no report yet")
    return reports[number % len(reports)]


def _text(a: int, b: int, c: int) -> Text:
    parties = EVERYBODY.difference(LEFT_OUT[a % 4])
    return Text(
        parties,
        readers=parties.difference(LEFT_OUT[b % 4]),
        contributors=parties.intersection(CONTRIBUTORS[(a + c) % 3]),
        tells_asked=(b + c) % 3 == 0,
        ceiling=("SECRET", "SECRET", "CONFIDENTIAL", "TOP SECRET")[c % 4],
        compartments=frozenset({"ATOMAL"} if b % 5 else ()),
        topic="cyber" if a % 5 else "cyber.apt",
        purposes=frozenset({"defence", "law-enforcement"} if c % 3 else {"defence"}),
        reaches_older=b % 3 == 0,
        crisis_reaches_older=a % 3 == 0,
    )


def label_of(b: int, c: int) -> Label:
    compartments = ("ATOMAL",) if b % 7 == 6 else ()
    level = LEVELS[b % 5 if b % 4 else 1] if not compartments else "SECRET"
    handling = ("ORCON",) if c % 4 == 3 and level != "UNCLASSIFIED" else ()
    return Label("NATO", level, compartments, RELEASABLE[c % 5], handling)


def label_under(marking: Marking) -> Label:
    handling = ("ORCON",) if marking.is_controlled else ()
    releasable_to = tuple(sorted(marking.releasable_to))
    return Label("NATO", marking.level, tuple(marking.compartments), releasable_to, handling)


def marking_of(label: Label) -> Marking:
    named = frozenset(label.releasable_to)
    return Marking(label.classification, frozenset(label.compartments), named, "ORCON" in label.handling)


def parts_under(label: Label, number: int) -> tuple[PostedPart, ...]:
    """Return parts under the report's own label, under a lower one, or some of each."""
    labels = ([None], [None], [None, FOR_ALL], [FOR_ALL], [FOR_ALL, None])[number % 5]
    if label.classification == "UNCLASSIFIED":
        labels = [None]
    return tuple(PostedPart(each, "text/plain", f"{n}.txt", b"some words") for n, each in enumerate(labels))
