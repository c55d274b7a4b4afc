"""Members: who someone is and what they are cleared for.

Promises: an identity has one accepted spelling, a client never both handles reports and watches over them, and
every change is a next version.
Does not: authenticate, decide, or store.
"""

from exchange.members.act_kinds import (
    ACT_KINDS,
    ACTING_ROLES,
    DERIVED_MARKING,
    DOWNGRADE,
    ERASE_PERSONAL,
    NATIONAL_CAVEATS,
    ONWARD_RELEASE,
    OPEN_CRISIS,
    PENDING_DAYS,
    PROXY_POSTING,
    ActKind,
)
from exchange.members.checks import (
    ClearanceWords,
    check_agency,
    check_member_code,
    check_name,
    check_nationality,
    check_purposes,
    check_roles,
    grant_clearance,
    is_member_code,
)
from exchange.members.codes import ASSIGNED_ALPHA3, ORGANISATIONS
from exchange.members.model import (
    EXCHANGE_MEMBER,
    REPORT_ROLES,
    WATCHING_ROLES,
    Clearance,
    Client,
    ClientId,
    Member,
    MemberCode,
    Role,
    Standing,
)
from exchange.members.second_person import (
    PendingAct,
    ask_for_act,
    may_see_act,
    require_may_refuse,
    require_second_person,
)
from exchange.members.standing import (
    STANDING_MOVES,
    StandingMove,
    resumed,
    revoked,
    still_suspended,
    suspended,
    why_inactive,
    with_clearance,
)
from exchange.members.text import identity_key, name_problem, text_problem

__all__ = [
    "ACTING_ROLES",
    "ACT_KINDS",
    "ASSIGNED_ALPHA3",
    "DERIVED_MARKING",
    "DOWNGRADE",
    "ERASE_PERSONAL",
    "EXCHANGE_MEMBER",
    "NATIONAL_CAVEATS",
    "ONWARD_RELEASE",
    "OPEN_CRISIS",
    "ORGANISATIONS",
    "PENDING_DAYS",
    "PROXY_POSTING",
    "REPORT_ROLES",
    "STANDING_MOVES",
    "WATCHING_ROLES",
    "ActKind",
    "Clearance",
    "ClearanceWords",
    "Client",
    "ClientId",
    "Member",
    "MemberCode",
    "PendingAct",
    "Role",
    "Standing",
    "StandingMove",
    "ask_for_act",
    "check_agency",
    "check_member_code",
    "check_name",
    "check_nationality",
    "check_purposes",
    "check_roles",
    "grant_clearance",
    "identity_key",
    "is_member_code",
    "may_see_act",
    "name_problem",
    "require_may_refuse",
    "require_second_person",
    "resumed",
    "revoked",
    "still_suspended",
    "suspended",
    "text_problem",
    "why_inactive",
    "with_clearance",
]
