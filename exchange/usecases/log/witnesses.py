"""The log's witnesses: enrolled by the operator, shown to auditors with what each of them stands behind.

Promises: every change of the policy is an entry before it holds. `set_quorum` asks for k of all enrolled witnesses;
finer rules are written into the policy's file itself (C2SP tlog-policy), and these verbs leave them alone.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from exchange.audit import (
    NO_QUORUM,
    Detail,
    EventName,
    KnownWitness,
    LogPolicy,
    Outcome,
    Subject,
    WitnessGroup,
    parse_verifier_key,
    render_log_policy,
)
from exchange.audit.witness_views import WitnessesView, WitnessView
from exchange.kernel import (
    ConflictError,
    Fault,
    InvalidError,
    MalformedError,
    NotFoundError,
    UnavailableError,
    from_micros,
)
from exchange.kernel.addresses import is_loopback
from exchange.members import EXCHANGE_MEMBER, Role
from exchange.store.log.witness_files import WitnessPolicyFile
from exchange.store.rows.log_rows import LogState
from exchange.usecases.log.quorum import attestation_of, enrolled, newest_witnessed, policy_of
from exchange.usecases.steps.authenticate import admit_or_host, require_own_member
from exchange.usecases.steps.context import Call, Recorded, Services
from exchange.usecases.steps.recording import draft, on_record

ENROLLED: Final = "enrolled"
"""The group of all enrolled witnesses, as `set_quorum` writes it."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

Change = Callable[[LogPolicy], LogPolicy]


async def show_witnesses(services: Services, call: Call) -> Recorded[WitnessesView]:
    """Return who stands behind the newest kept checkpoint, to auditors, operators and the host."""
    event = EventName.WITNESS_LISTED
    client = await admit_or_host(services, call, Role.AUDITOR, Role.OPERATOR, event=event)
    attempt = draft(call, client, event, Outcome.REFUSED)
    async with on_record(services, attempt):
        view = await _view(services)
        receipt = await services.store.append(draft(call, client, event, Outcome.PERMITTED))
    return Recorded(view, receipt)


async def add_witness(
    services: Services, call: Call, name: str, key: str, url: str | None = None
) -> Recorded[KnownWitness]:
    """Enrol a witness; where `set_quorum` made the quorum, the new one counts for it.

    Raises InvalidError for a name, key or address that is none, ConflictError for a name that is taken.
    """

    def add(policy: LogPolicy) -> LogPolicy:
        witness = _checked(name, key, url)
        if name in {each.name for each in policy.witnesses} | {each.name for each in policy.groups}:
            raise ConflictError(f"`{name}` is enrolled already: remove it first, or give another name")
        groups = tuple(_joined(group, name) if _is_managed(policy) else group for group in policy.groups)
        return replace(policy, witnesses=(*policy.witnesses, witness), groups=groups)

    changed = await _changed(services, call, EventName.WITNESS_ADDED, name=name, change=add)
    return Recorded(changed.value.witnesses[-1], changed.receipt)


async def remove_witness(services: Services, call: Call, name: str) -> Recorded[LogPolicy]:
    """End a witness's enrolment; ConflictError where the quorum could not be met without it."""

    def remove(policy: LogPolicy) -> LogPolicy:
        if all(each.name != name for each in policy.witnesses):
            raise NotFoundError(f"no witness `{name[:64]}`: see `exchange audit witnesses`")
        if policy.quorum == name or any(_needs(group, name) for group in policy.groups):
            raise ConflictError(f"the quorum needs `{name}`: lower it first with `exchange audit witness quorum`")
        groups = tuple(_without(group, name) for group in policy.groups)
        kept = tuple(each for each in policy.witnesses if each.name != name)
        return replace(policy, witnesses=kept, groups=groups)

    return await _changed(services, call, EventName.WITNESS_REMOVED, name=name, change=remove)


async def set_quorum(services: Services, call: Call, threshold: int) -> Recorded[LogPolicy]:
    """Ask for so many of the enrolled witnesses, 0 for none; InvalidError where there are fewer."""

    def ask(policy: LogPolicy) -> LogPolicy:
        if policy.groups and not _is_managed(policy):
            raise ConflictError("the policy's file has rules of its own: change them there")
        if threshold == 0:
            return replace(policy, groups=(), quorum=NO_QUORUM)
        names = tuple(each.name for each in policy.witnesses)
        if not 0 < threshold <= len(names):
            told = f"{len(names)} witnesses are enrolled: ask for 0 to {len(names)} of them"
            raise InvalidError(told, (Fault("/threshold", "invalid-value", told),))
        return replace(policy, groups=(WitnessGroup(ENROLLED, threshold, names),), quorum=ENROLLED)

    return await _changed(services, call, EventName.WITNESS_QUORUM_SET, name=ENROLLED, change=ask)


async def _changed(
    services: Services, call: Call, event: EventName, *, name: str, change: Change
) -> Recorded[LogPolicy]:
    client = await admit_or_host(services, call, Role.OPERATOR, event=event)
    # Whom the log of all members asks is no single member's to say.
    await require_own_member(services, call, client, EXCHANGE_MEMBER, event=event)
    subject = Subject("witness", name if _NAME.fullmatch(name) else "malformed")
    attempt = draft(call, client, event, Outcome.REFUSED, subject=subject)
    async with on_record(services, attempt):
        file = _file(services)
        # Held to the end: of two that read the same policy the second one would write the first one's change away.
        with file.held():
            changed = change(file.read())
            _require_readable(changed)
            detail: Detail = {
                "quorum": told_quorum(changed),
                "witnesses": [each.name for each in changed.witnesses],
                "key_ids": [each.key.key_id.hex() for each in changed.witnesses],
            }
            # First the entry: a crash in between leaves a change that was announced and not made, never the other way.
            permitted = draft(call, client, event, Outcome.PERMITTED, subject=subject, detail=detail)
            receipt = await services.store.append(permitted)
            file.write(changed)
    return Recorded(changed, receipt)


def told_quorum(policy: LogPolicy) -> str:
    """Return the quorum in words: `2 of 3`, the name of the one witness it asks for, or `none`."""
    for group in policy.groups:
        if group.name == policy.quorum:
            return f"{group.threshold} of {len(group.members)}"
    return policy.quorum


async def _view(services: Services) -> WitnessesView:
    state = await services.store.log.state()
    policy = enrolled(services)
    if state is None:
        return WitnessesView.before_the_log(policy.witnesses, told_quorum(policy))
    kept = await services.store.log.kept_checkpoint(state.log)
    size = 0 if kept is None else kept.size
    found = await newest_witnessed(services, state, policy)
    return WitnessesView(
        origin=state.origin,
        size=size,
        witnesses=tuple([await _one(services, state, policy, each, size) for each in policy.witnesses]),
        quorum=told_quorum(policy),
        has_quorum=found.since is None,
        witnessed_size=found.size,
        since=None if found.since is None else from_micros(found.since),
    )


async def _one(
    services: Services, state: LogState, policy: LogPolicy, witness: KnownWitness, newest: int
) -> WitnessView:
    row = await services.store.witnesses.latest_of(state.log, witness.key.name, upto=newest)
    attested = None if row is None else await attestation_of(services, policy_of(policy, state), witness, row)
    if row is None or attested is None:
        return WitnessView.of(witness, newest)
    return WitnessView.of(witness, newest, size=row.size, at_seconds=attested.at_seconds)


def _file(services: Services) -> WitnessPolicyFile:
    if services.witnessing.policy is None:
        raise UnavailableError("this host keeps no policy of witnesses")
    return services.witnessing.policy


def _checked(name: str, key: str, url: str | None) -> KnownWitness:
    faults = []
    if _NAME.fullmatch(name) is None or name in {NO_QUORUM, ENROLLED}:
        faults.append(Fault("/name", "invalid-value", "a name has letters, digits, `.`, `_` and `-`"))
    if url is not None and not _is_safe(url):
        faults.append(Fault("/url", "invalid-value", "an address is HTTPS, or on loopback"))
    try:
        parsed = parse_verifier_key(key)
        if not parsed.type.is_cosignature:
            faults.append(Fault("/key", "invalid-value", "a witness's key is of type 0x04 or 0x06"))
    except MalformedError as exc:
        # Both of a witness's keys stand in what it prints when it is made.
        count = len(key.splitlines())
        why = (
            f"{count} keys stand there: give one, the last unless your tools are too old for it" if count > 1 else None
        )
        faults.append(Fault("/key", "invalid-value", why or exc.message))
        parsed = None
    if faults or parsed is None:
        raise InvalidError("the witness cannot be enrolled so", tuple(faults))
    return KnownWitness(name, parsed, url)


def _is_safe(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        # No port has a greater number than 65535, and no text half a letter: both are a ValueError.
        _ = parts.port, url.encode()
        if any(letter.isspace() for letter in url) or not host or parts.query or parts.fragment or parts.username:
            return False
    except ValueError:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))


def _require_readable(policy: LogPolicy) -> None:
    try:
        render_log_policy(policy)
    except MalformedError as exc:
        raise InvalidError(
            "the policy would not be one any more", (Fault("/key", "invalid-value", exc.message),)
        ) from exc


def _is_managed(policy: LogPolicy) -> bool:
    return [group.name for group in policy.groups] == [ENROLLED]


def _joined(group: WitnessGroup, name: str) -> WitnessGroup:
    return replace(group, members=(*group.members, name))


def _needs(group: WitnessGroup, name: str) -> bool:
    return name in group.members and len(group.members) <= group.threshold


def _without(group: WitnessGroup, name: str) -> WitnessGroup:
    return replace(group, members=tuple(member for member in group.members if member != name))
