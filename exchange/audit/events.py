"""The names of everything that can be on the record: a closed list, never reused.

Grammar: `subject.action`, the action in the past tense. Whether it was permitted, refused or failed
is the entry's `decision`, not part of the name.
"""

from enum import Enum


class EventName(Enum):
    """What an entry records."""

    SERVICE_STARTED = "service.started"
    SERVICE_STOPPED = "service.stopped"
    NODE_HEARTBEAT = "node.heartbeat"
    ENTRY_VOIDED = "entry.voided"
    INSTANCE_INITIALISED = "instance.initialised"
    SCHEMA_MIGRATED = "schema.migrated"
    POLICY_CHANGED = "policy.changed"
    CALLER_AUTHENTICATED = "caller.authenticated"
    CALLER_DESCRIBED = "caller.described"
    VOCABULARY_READ = "vocabulary.read"
    ROUTE_REQUESTED = "route.requested"
    MEMBER_ADDED = "member.added"
    MEMBER_LISTED = "member.listed"
    MEMBER_SUSPENDED = "member.suspended"
    MEMBER_RESUMED = "member.resumed"
    CLIENT_ENROLLED = "client.enrolled"
    CLIENT_LISTED = "client.listed"
    CLIENT_CHANGED = "client.changed"
    CLIENT_REVOKED = "client.revoked"
    CERTIFICATE_ADDED = "certificate.added"
    CERTIFICATE_REMOVED = "certificate.removed"
    AGREEMENT_PROPOSED = "agreement.proposed"
    AGREEMENT_SIGNED = "agreement.signed"
    AGREEMENT_READ = "agreement.read"
    AGREEMENT_LISTED = "agreement.listed"
    AGREEMENT_SUSPENDED = "agreement.suspended"
    AGREEMENT_RESUMED = "agreement.resumed"
    AGREEMENT_WITHDRAWN = "agreement.withdrawn"
    REPORT_POSTED = "report.posted"
    REPORT_DISTRIBUTED = "report.distributed"
    REPORT_READ = "report.read"
    REPORT_PART_READ = "report.part_read"
    REPORT_LISTED = "report.listed"
    REPORT_EXPLAINED = "report.explained"
    RELEASE_SIMULATED = "release.simulated"
    KEY_OPENED = "key.opened"
    AUDIT_READ = "audit.read"
    AUDIT_SEARCHED = "audit.searched"
    AUDIT_EXPORTED = "audit.exported"
    LOG_BEGUN = "log.begun"
    LOG_ADOPTED = "log.adopted"
    LOG_FROZEN = "log.frozen"
    LOG_RESUMED = "log.resumed"
    LOG_RECOVERED = "log.recovered"
    ENTRY_LOST = "entry.lost"
    ENTRY_SWEPT = "entry.swept"
    PERSONAL_ERASURE_REQUESTED = "personal.erasure_requested"
    PERSONAL_ERASED = "personal.erased"
    PERSONAL_ERASURE_READ = "personal.erasure_read"


class Outcome(Enum):
    """How what is recorded ended."""

    PERMITTED = "permitted"
    REFUSED = "refused"
    FAILED = "failed"
