"""Which OCSF class and activity an event is: from the two words of its name, and by itself where they do not tell.

Class numbers and activities are those of OCSF 1.8.0. An event that no row knows (a newer log read by an older tool)
is API Activity, `Other`: it is exported all the same, under its own name.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class OcsfClass(Enum):
    """Class -> its `class_uid`; the category is the first digit."""

    EVENT_LOG_ACTIVITY = 1008
    DETECTION_FINDING = 2004
    AUTHENTICATION = 3002
    AUTHORIZE_SESSION = 3003
    ENTITY_MANAGEMENT = 3004
    APPLICATION_LIFECYCLE = 6002
    API_ACTIVITY = 6003

    @property
    def caption(self) -> str:
        """Return the name as OCSF writes it."""
        return "API Activity" if self is OcsfClass.API_ACTIVITY else self.name.replace("_", " ").title()

    @property
    def category(self) -> int:
        """Return the `category_uid`."""
        return self.value // 1000


OTHER_ID = 99
"""In every enumeration of OCSF: what has no number of its own; its name stands beside it."""


@dataclass(frozen=True, slots=True)
class Activity:
    """What an event is in OCSF: `number` is the `activity_id`, `name` the `activity_name`."""

    kind: OcsfClass
    number: int
    name: str


def activity_of(event: str) -> Activity:
    """Return what the event called `event` is."""
    noun, _, verb = event.partition(".")
    kind = _CLASSES_OF_EVENTS.get(event) or _CLASSES_OF_NOUNS.get(noun, OcsfClass.API_ACTIVITY)
    number = _ACTIVITIES_OF_EVENTS.get(event, _ACTIVITIES[kind].get(verb))
    if number is not None:
        return Activity(kind, number, _NAMES[kind][number])
    return Activity(kind, OTHER_ID, verb.replace("_", " ").title())


_CREATE, _READ, _UPDATE, _DELETE = 1, 2, 3, 4
_ENROLL, _UNENROLL, _ACTIVATE, _DEACTIVATE, _SUSPEND, _RESUME = 6, 7, 10, 11, 12, 13
_LOGON, _ASSIGN_PRIVILEGES = 1, 1
_EXPORT, _ARCHIVE, _LOG_START, _LOG_STOP, _LOG_RESTART = 3, 4, 6, 7, 8
_INSTALL, _START, _STOP, _UPDATED = 1, 3, 4, 8

_CLASSES_OF_NOUNS: Mapping[str, OcsfClass] = {
    "connection": OcsfClass.AUTHENTICATION,
    "trust": OcsfClass.ENTITY_MANAGEMENT,
    "caller": OcsfClass.AUTHENTICATION,
    "member": OcsfClass.ENTITY_MANAGEMENT,
    "client": OcsfClass.ENTITY_MANAGEMENT,
    "certificate": OcsfClass.ENTITY_MANAGEMENT,
    "agreement": OcsfClass.ENTITY_MANAGEMENT,
    "crisis": OcsfClass.ENTITY_MANAGEMENT,
    "amendment": OcsfClass.ENTITY_MANAGEMENT,
    "signatory": OcsfClass.ENTITY_MANAGEMENT,
    "policy": OcsfClass.ENTITY_MANAGEMENT,
    "caveats": OcsfClass.ENTITY_MANAGEMENT,
    "key": OcsfClass.ENTITY_MANAGEMENT,
    "personal": OcsfClass.ENTITY_MANAGEMENT,
    "act": OcsfClass.ENTITY_MANAGEMENT,
    "hold": OcsfClass.ENTITY_MANAGEMENT,
    "restore": OcsfClass.ENTITY_MANAGEMENT,
    "service": OcsfClass.APPLICATION_LIFECYCLE,
    "instance": OcsfClass.APPLICATION_LIFECYCLE,
    "schema": OcsfClass.APPLICATION_LIFECYCLE,
    "row": OcsfClass.EVENT_LOG_ACTIVITY,
    "clock": OcsfClass.APPLICATION_LIFECYCLE,
    "audit": OcsfClass.EVENT_LOG_ACTIVITY,
    "log": OcsfClass.EVENT_LOG_ACTIVITY,
    "tiles": OcsfClass.EVENT_LOG_ACTIVITY,
    "entry": OcsfClass.EVENT_LOG_ACTIVITY,
    "node": OcsfClass.EVENT_LOG_ACTIVITY,
    "witness": OcsfClass.EVENT_LOG_ACTIVITY,
    "cosignature": OcsfClass.EVENT_LOG_ACTIVITY,
    "alert": OcsfClass.DETECTION_FINDING,
    "report": OcsfClass.API_ACTIVITY,
    "upload": OcsfClass.API_ACTIVITY,
    "stream": OcsfClass.API_ACTIVITY,
    "subscription": OcsfClass.API_ACTIVITY,
    "release": OcsfClass.API_ACTIVITY,
    "destruction": OcsfClass.API_ACTIVITY,
    "notice": OcsfClass.API_ACTIVITY,
    "compliance": OcsfClass.API_ACTIVITY,
    "duty": OcsfClass.API_ACTIVITY,
    "breach": OcsfClass.API_ACTIVITY,
    "consultation": OcsfClass.API_ACTIVITY,
    "onward": OcsfClass.API_ACTIVITY,
    "derivation": OcsfClass.API_ACTIVITY,
    "proxy": OcsfClass.API_ACTIVITY,
    "request": OcsfClass.API_ACTIVITY,
    "vocabulary": OcsfClass.API_ACTIVITY,
    "route": OcsfClass.API_ACTIVITY,
}
_CLASSES_OF_EVENTS: Mapping[str, OcsfClass] = {
    # The caller learns which roles and which clearance the exchange takes it to have.
    "caller.described": OcsfClass.AUTHORIZE_SESSION,
    # What is done about alerts is no alert.
    "alert.listed": OcsfClass.API_ACTIVITY,
    "alert.undelivered": OcsfClass.API_ACTIVITY,
    "alert.rules_changed": OcsfClass.ENTITY_MANAGEMENT,
    # Who stands behind the log is administered; what a witness then says of it is about the log.
    "witness.added": OcsfClass.ENTITY_MANAGEMENT,
    "witness.removed": OcsfClass.ENTITY_MANAGEMENT,
    "witness.quorum_set": OcsfClass.ENTITY_MANAGEMENT,
    "witness.listed": OcsfClass.ENTITY_MANAGEMENT,
}
_OF_OBJECTS: Mapping[str, int] = {
    "added": _CREATE,
    "created": _CREATE,
    "posted": _CREATE,
    "put": _CREATE,
    "proposed": _CREATE,
    "read": _READ,
    "listed": _READ,
    "part_read": _READ,
    "explained": _READ,
    "described": _READ,
    "simulated": _READ,
    "searched": _READ,
    "checked": _READ,
    "opened": _READ,
    "escrowed": _READ,
    "changed": _UPDATE,
    "rules_changed": _UPDATE,
    "signed": _UPDATE,
    "rotated": _UPDATE,
    "rotation_begun": _UPDATE,
    "requested": _UPDATE,
    "erasure_requested": _UPDATE,
    "erasure_read": _READ,
    "confirmed": _UPDATE,
    "refused": _UPDATE,
    "recorded": _UPDATE,
    "removed": _DELETE,
    "withdrawn": _DELETE,
    "erased": _DELETE,
    "lifted": _DELETE,
}
_ACTIVITIES: Mapping[OcsfClass, Mapping[str, int]] = {
    OcsfClass.API_ACTIVITY: {
        **{verb: number for verb, number in _OF_OBJECTS.items() if verb != "requested"},
        # Somebody was shown it, or was given it to be shown.
        "distributed": _READ,
        "received": _READ,
        "begun": _CREATE,
        "part_received": _UPDATE,
        "completed": _UPDATE,
        "abandoned": _DELETE,
        "recalled": _UPDATE,
        "ended": _DELETE,
        "amended": _UPDATE,
        "superseded": _UPDATE,
        "downgraded": _UPDATE,
        "declassified": _UPDATE,
        "recall_read": _READ,
        "asked": _CREATE,
        "downgrade_asked": _CREATE,
        "certified": _UPDATE,
        "notified": _READ,
        # Of what members ask of each other, and grant.
        "made": _CREATE,
        "answered": _UPDATE,
        "settled": _UPDATE,
        "closed": _UPDATE,
        "grant_asked": _CREATE,
        "granted": _UPDATE,
        "given": _UPDATE,
        "revoked": _UPDATE,
        "replayed": _UPDATE,
    },
    OcsfClass.ENTITY_MANAGEMENT: {
        **_OF_OBJECTS,
        "enrolled": _ENROLL,
        "amended": _UPDATE,
        "accepted": _UPDATE,
        "quorum_set": _UPDATE,
        "asked": _CREATE,
        "activated": _ACTIVATE,
        "declared": _ACTIVATE,
        "ended": _DEACTIVATE,
        "signature_withdrawn": _UPDATE,
        "key_enrolled": _ENROLL,
        "key_retired": _UNENROLL,
        "taken_up": _UPDATE,
        "key_listed": _READ,
        "exported": _READ,
        "review_due": _READ,
        "revoked": _UNENROLL,
        "suspended": _SUSPEND,
        "resumed": _RESUME,
    },
    OcsfClass.AUTHENTICATION: {"authenticated": _LOGON, "refused": _LOGON},
    OcsfClass.AUTHORIZE_SESSION: {"described": _ASSIGN_PRIVILEGES},
    OcsfClass.EVENT_LOG_ACTIVITY: {
        "exported": _EXPORT,
        "archived": _ARCHIVE,
        "begun": _LOG_START,
        "adopted": _LOG_START,
        "frozen": _LOG_STOP,
        "resumed": _LOG_RESTART,
        "recovered": _LOG_RESTART,
    },
    OcsfClass.APPLICATION_LIFECYCLE: {
        "initialised": _INSTALL,
        "backed_up": _UPDATED,
        "restored": _INSTALL,
        "started": _START,
        "stopped": _STOP,
        "migrated": _UPDATED,
    },
    OcsfClass.DETECTION_FINDING: {"raised": _CREATE},
}
_ACTIVITIES_OF_EVENTS: Mapping[str, int] = {
    # One member asks another; a route that was requested is one that there is not.
    "onward.requested": _CREATE,
    "derivation.requested": _CREATE,
}
_OF_OBJECTS_NAMES: Mapping[int, str] = {_CREATE: "Create", _READ: "Read", _UPDATE: "Update", _DELETE: "Delete"}
_NAMES: Mapping[OcsfClass, Mapping[int, str]] = {
    OcsfClass.API_ACTIVITY: _OF_OBJECTS_NAMES,
    OcsfClass.ENTITY_MANAGEMENT: {
        **_OF_OBJECTS_NAMES,
        _ENROLL: "Enroll",
        _UNENROLL: "Unenroll",
        _ACTIVATE: "Activate",
        _DEACTIVATE: "Deactivate",
        _SUSPEND: "Suspend",
        _RESUME: "Resume",
    },
    OcsfClass.AUTHENTICATION: {_LOGON: "Logon"},
    OcsfClass.AUTHORIZE_SESSION: {_ASSIGN_PRIVILEGES: "Assign Privileges"},
    OcsfClass.EVENT_LOG_ACTIVITY: {
        _EXPORT: "Export",
        _ARCHIVE: "Archive",
        _LOG_START: "Start",
        _LOG_STOP: "Stop",
        _LOG_RESTART: "Restart",
    },
    OcsfClass.APPLICATION_LIFECYCLE: {_INSTALL: "Install", _START: "Start", _STOP: "Stop", _UPDATED: "Update"},
    OcsfClass.DETECTION_FINDING: {_CREATE: "Create"},
}
