"""Acts that no one person can do: one asks, another one of a right role confirms, within a time.

Steps of a confirmation: (1) it waits still; (2) its time has not run out; (3) it is confirmed by another client, who is
(4) another person with a key of its own, (5) active and of a right role, (6) of another member where the kind demands
it; (7) who asked might still ask; (8) what is confirmed is what was asked for. What was altered since cannot even be
read.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from exchange.kernel import Canonical, ConflictError, ForbiddenError, MalformedError, canonical_bytes, rfc3339
from exchange.members.act_kinds import ACT_KINDS, ActKind
from exchange.members.checks import is_member_code
from exchange.members.model import EXCHANGE_MEMBER, Client, ClientId, Role
from exchange.members.text import identity_key

_SEAL = "seal"


@dataclass(frozen=True, slots=True)
class PendingAct:
    """An act that was asked for. `payload` is its canonical JSON, `digest` the SHA-256 of that in hex.

    A seal in the payload proves to the exchange that this client asked for exactly this: see `statement`.

    `refuser` is who ended it without its being done: a second person who refused, or who asked and took it back;
    `refusal` is why, where that one said so.
    """

    id: str
    kind: str
    payload: str
    digest: str
    requester: ClientId
    requested_at: datetime
    expires_at: datetime
    approver: ClientId | None = None
    refuser: ClientId | None = None
    refusal: str | None = None

    @property
    def asked(self) -> Mapping[str, str]:
        """Return what was asked for, by name; ConflictError where it is not what the digest names."""
        content = self._content()
        asked: Mapping[str, str] = content["asked"] if "members" in content else content
        return asked

    def said(self, name: str) -> str:
        """Return what was asked for under a name; ConflictError where nothing was, and as `asked`."""
        asked = self.asked
        if name not in asked:
            raise altered_request()
        return asked[name]

    @property
    def members(self) -> frozenset[str]:
        """Return the members whose people may see and confirm it; ConflictError as `asked`."""
        return frozenset(self._content().get("members", ()))

    @property
    def statement(self) -> bytes:
        """Return what the exchange holds of an act while it waits: what was asked for, by whom, and for how long.

        The SHA-256 of its canonical form, 32 bytes; ConflictError as `asked`.
        """
        content = {name: value for name, value in self._content().items() if name != _SEAL}
        stated: Canonical = {
            "id": self.id,
            "kind": self.kind,
            "content": content,
            "requester": str(self.requester),
            "requested_at": rfc3339(self.requested_at),
            "expires_at": rfc3339(self.expires_at),
        }
        return hashlib.sha256(canonical_bytes(stated)).digest()

    @property
    def seal(self) -> str | None:
        """Return what was put on it when it was asked for, None where nothing was; ConflictError as `asked`."""
        seal = self._content().get(_SEAL)
        return seal if isinstance(seal, str) else None

    def sealed(self, seal: str) -> "PendingAct":
        """Return the act with a seal on it, under which its statement is as it was."""
        payload = canonical_bytes({**self._content(), _SEAL: seal}).decode()
        return replace(self, payload=payload, digest=_digest_hex(payload))

    def require_readable(self) -> None:
        """Raise MalformedError where its digest names what no act says: that was written beside the payload."""
        if _digest_hex(self.payload) != self.digest:
            return  # whoever asks what it says is told
        try:
            content = json.loads(self.payload)
            # What no text can hold is in no payload either, but escaped.
            canonical_bytes(content)
        except (ValueError, RecursionError) as exc:
            raise MalformedError("an act is no JSON") from exc
        if not isinstance(content, dict) or not _is_readable(content):
            raise MalformedError("an act says something else than what is asked for")

    def _content(self) -> dict[str, Any]:
        # The digest stands in the log since the act was asked for.
        if _digest_hex(self.payload) != self.digest:
            raise altered_request()
        content: dict[str, Any] = json.loads(self.payload)
        return content


def ask_for_act(  # noqa: PLR0913  what an act consists of
    act_id: str,
    kind: ActKind,
    asked: Mapping[str, str],
    *,
    members: Collection[str],
    requester: Client,
    now: datetime,
) -> PendingAct:
    """Return the act that `requester` asks for; it waits for another person of `members` as long as its kind says.

    Raises ForbiddenError for a client that is not active or may not ask for such an act.
    """
    _require_role(requester, kind.asked_by, "asking for this")
    content: Canonical = {"asked": dict(asked), "members": sorted(set(members))}
    payload = canonical_bytes(content).decode()
    until = now + kind.waits
    return PendingAct(
        act_id, kind.name, payload, _digest_hex(payload), requester.id, requested_at=now, expires_at=until
    )


def may_see_act(act: PendingAct, client: Client) -> bool:
    """Return whether `client` has to do with `act`: by its role, and by its member; ConflictError as `members`."""
    kind = ACT_KINDS.get(act.kind)
    if kind is None:
        return False  # asked for at a node of a later version
    members = act.members
    is_of_exchange = kind.of_exchange and client.member == EXCHANGE_MEMBER
    return not client.roles.isdisjoint(kind.roles) and (is_of_exchange or client.member in members)


def require_second_person(  # noqa: PLR0913  who confirms what that who asked for, and what is known of both
    act: PendingAct,
    second: Client,
    *,
    first: Client,
    now: datetime,
    shares_key: bool,
    digest: str | None = None,
) -> None:
    """Check that `second` may confirm at `now` the `act` that `first` asked for.

    `shares_key` says whether certificates of both hold, or held, one key pair: whoever has it can be either.
    `digest` is what `second` says it confirms, None where it named nothing but the act. Raises ConflictError where the
    state of the act forbids it; ForbiddenError for a client that is not active or holds no right role.
    """
    kind = ACT_KINDS[act.kind]
    # (1) once only
    if act.approver is not None:
        raise ConflictError("this was approved already", code="approved-already")
    if act.refuser is not None:
        raise ConflictError("this was refused or taken back: ask again", code="request-ended")
    # (2) the first moment that is too late is `expires_at` itself
    if now >= act.expires_at:
        raise ConflictError("this was asked for too long ago: ask again", code="request-expired")
    # (3), (4) INVARIANT: no one person, under however many certificates
    if second.id == act.requester or shares_key or _is_same_person(first, second):
        raise ConflictError("who asks cannot approve: a second person must", code="second-person-needed")
    # (5) as of now, whoever it was
    _require_role(second, kind.confirmed_by, "approving")
    # (6) where one state alone must not
    if kind.across_members and first.member == second.member:
        raise ConflictError("a second person of another member is needed", code="other-member-needed")
    # (7) a request does not outlive the right to make it
    if not first.is_active or first.roles.isdisjoint(kind.asked_by):
        raise ConflictError("who asked may no longer ask: ask again", code="requester-gone")
    # (8) whoever names a digest means that act and no other
    if digest is not None and digest != act.digest:
        raise ConflictError("the digest is another one: look at the request again", code="digest-differs")


def require_may_refuse(act: PendingAct, client: Client, *, now: datetime) -> None:
    """Check that `client` may end `act` at `now` without its being done: who asked, or who might confirm it.

    Raises ConflictError where it waits no longer, ForbiddenError for one that is not active or holds no right role.
    """
    if act.approver is not None:
        raise ConflictError("this was approved already", code="approved-already")
    if act.refuser is not None or now >= act.expires_at:
        raise ConflictError("this waits no longer", code="request-ended")
    if client.id != act.requester:
        _require_role(client, ACT_KINDS[act.kind].confirmed_by, "refusing")


def _is_same_person(first: Client, second: Client) -> bool:
    # One person may hold several clients of its member, enrolled under its one name.
    return first.member == second.member and identity_key(first.name) == identity_key(second.name)


def _require_role(client: Client, roles: frozenset[Role], doing: str) -> None:
    if not client.is_active or client.roles.isdisjoint(roles):
        raise ForbiddenError(f"{doing} needs the role {' or '.join(sorted(f'`{role.value}`' for role in roles))}")


def _is_readable(content: Mapping[str, Any]) -> bool:
    """Return whether what an act asks for is text by name, and its members are codes: it can be shown."""
    asked, members = (content.get("asked"), content["members"]) if "members" in content else (content, [])
    if not isinstance(asked, dict) or not isinstance(members, list):
        return False
    is_text = all(isinstance(each, str) for each in asked.values())
    return is_text and all(isinstance(each, str) and is_member_code(each) for each in members)


def altered_request() -> ConflictError:
    """Return the error for an act whose row says something else than was asked for."""
    return ConflictError("what is kept is not what was asked for: ask again", code="request-altered")


def _digest_hex(payload: str) -> str:
    return hashlib.sha256(payload.encode()).hexdigest()
