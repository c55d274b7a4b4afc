"""Use cases: one file per verb or small family of verbs; each loads, decides, records and writes.

Promises: nothing is answered before its audit entry is durable; every refusal is recorded before it is raised;
absent and invisible are one answer.
Does not: know HTTP, JSON field names beyond the header's, SQL, or the command line.
"""

from exchange.usecases.agreements.agreements import (
    PROPOSING_ROLES,
    AgreementView,
    list_agreements,
    propose_agreement,
    show_agreement,
)
from exchange.usecases.agreements.amending import (
    AmendmentView,
    list_amendments,
    propose_amendment,
    sign_agreement,
    take_back_signature,
)
from exchange.usecases.agreements.crises import CrisisView, CrisisWish, ask_for_crisis, end_crisis, list_crises
from exchange.usecases.agreements.export_agreement import AgreementEvidence, export_agreement
from exchange.usecases.agreements.find_gaps import GapQuestion, search_gaps
from exchange.usecases.agreements.own_part import resume_agreement, suspend_agreement, withdraw_agreement
from exchange.usecases.agreements.signing import GivenSignature
from exchange.usecases.agreements.simulate_agreement import AgreementOutlook, DraftLine, simulate_agreement
from exchange.usecases.auditors.auditing import FoundEntry
from exchange.usecases.auditors.erase_personal import (
    ERASING_ROLES,
    Erasure,
    WantedErasure,
    approve_erasure,
    request_erasure,
    show_erasure,
)
from exchange.usecases.auditors.explain_to_auditor import explain_to_auditor
from exchange.usecases.auditors.export_entries import Export, export_entries, export_log, feed_log
from exchange.usecases.auditors.exporting import ExportQuery
from exchange.usecases.auditors.list_alerts import AlertQuery, list_alerts
from exchange.usecases.auditors.personal import (
    Revealed,
    personal_as_json,
    personal_custody,
    reveal_personal,
    search_tokens,
)
from exchange.usecases.auditors.read_registries import Leaf, client_registry, report_registry
from exchange.usecases.auditors.readers_on import CouldRead, ReadersOn, readers_on
from exchange.usecases.auditors.search_entries import EntryQuery, search_entries, show_entry
from exchange.usecases.consents.derivations import (
    DERIVING_ROLES,
    DerivationView,
    grant_derivation,
    list_derivations,
    refuse_derivation,
    request_derivation,
    revoke_derivation,
    withdraw_derivation,
)
from exchange.usecases.consents.onward_release import (
    OnwardView,
    grant_onward,
    list_onward,
    refuse_onward,
    request_onward,
    revoke_onward,
    withdraw_onward,
)
from exchange.usecases.consents.pending_acts import (
    PendingActView,
    confirm_act,
    list_pending_acts,
    refuse_act,
    show_pending_act,
)
from exchange.usecases.life.amend_report import amend_report
from exchange.usecases.life.destructions import (
    DESTROYING_ROLES,
    AskedDestruction,
    Certificate,
    certify_destruction,
    list_destructions,
)
from exchange.usecases.life.downgrade_report import downgrade_report
from exchange.usecases.life.recall_report import Recall, preview_recall, recall_report, show_recall
from exchange.usecases.log.heartbeat import Recorder, close_record, heartbeats, record_service
from exchange.usecases.members.clients import (
    ClearanceChange,
    ClientView,
    Enrolment,
    add_certificate,
    change_clearance,
    change_standing,
    enrol_client,
    list_clients,
    remove_certificate,
    show_client,
)
from exchange.usecases.members.describe_caller import describe_caller, describe_vocabulary, record_visit
from exchange.usecases.members.members import add_member, list_members, resume_member, suspend_member
from exchange.usecases.members.national_caveats import list_caveats, propose_caveats, show_caveats, withdraw_caveats
from exchange.usecases.members.preview_caveats import CaveatPreview, preview_caveats
from exchange.usecases.members.record_trust import TakenUp, record_trust
from exchange.usecases.members.refused_connections import record_refused_connections
from exchange.usecases.members.signatory_keys import (
    OfferedKey,
    enrol_signatory_key,
    list_signatory_keys,
    retire_signatory_key,
)
from exchange.usecases.members.subscriptions import (
    NewSubscription,
    add_subscription,
    check_subscription,
    list_deliveries,
    list_subscriptions,
    remove_subscription,
    replay_deliveries,
)
from exchange.usecases.posting.begin_upload import begin_upload
from exchange.usecases.posting.complete_upload import complete_upload
from exchange.usecases.posting.life_checks import MadeVersion
from exchange.usecases.posting.own_uploads import OpenUpload, give_up_upload, list_uploads
from exchange.usecases.posting.post_report import post_report
from exchange.usecases.posting.proxies import ProxyView, ask_proxy, list_proxies, revoke_proxy
from exchange.usecases.posting.receive_part import Incoming, receive_part
from exchange.usecases.posting.uploads import UploadView
from exchange.usecases.promises.consultations import (
    NewMatter,
    answer_consultation,
    list_consultations,
    open_consultation,
    settle_consultation,
)
from exchange.usecases.promises.find_breaches import DutyWatch
from exchange.usecases.promises.list_breaches import list_breaches
from exchange.usecases.promises.show_compliance import Compliance, show_compliance
from exchange.usecases.reading.explain_report import explain_report
from exchange.usecases.reading.list_notices import ListedNotice, ListedNotices, list_notices
from exchange.usecases.reading.list_reports import ListQuery, list_reports
from exchange.usecases.reading.pull_report import PulledReport, pull_report
from exchange.usecases.reading.read_part import ReadPart, WantedOctets, read_part
from exchange.usecases.reading.receive_report import receive_report
from exchange.usecases.reading.simulate_release import (
    HostSimulation,
    SimulatedReport,
    simulate_for_host,
    simulate_release,
)
from exchange.usecases.requests.answer_request import answer_request
from exchange.usecases.requests.information_requests import (
    close_request,
    list_requests,
    request_information,
    show_request,
    withdraw_request,
)
from exchange.usecases.requests.judging_requests import RequestView
from exchange.usecases.steps.authenticate import authenticate, authenticated_row
from exchange.usecases.steps.context import Call, Recorded, Services, UploadLimits
from exchange.usecases.steps.recording import record_rejection, record_tampering
from exchange.usecases.steps.watching import Watching, WatchLimits
from exchange.usecases.telling.stream_reports import (
    Begun,
    End,
    Ended,
    ListAnew,
    Notice,
    ReportStream,
    Shown,
    Silence,
    Told,
    Unopened,
    open_stream,
)
from exchange.usecases.upkeep.check_readiness import Check, Readiness, check_readiness
from exchange.usecases.upkeep.inspect_service import Inspection, inspect_service
from exchange.usecases.upkeep.keep_record import put_law_in_force, read_entries

__all__ = [
    "DERIVING_ROLES",
    "DESTROYING_ROLES",
    "ERASING_ROLES",
    "PROPOSING_ROLES",
    "AgreementEvidence",
    "AgreementOutlook",
    "AgreementView",
    "AlertQuery",
    "AmendmentView",
    "AskedDestruction",
    "Begun",
    "Call",
    "CaveatPreview",
    "Certificate",
    "Check",
    "ClearanceChange",
    "ClientView",
    "Compliance",
    "CouldRead",
    "CrisisView",
    "CrisisWish",
    "DerivationView",
    "DraftLine",
    "DutyWatch",
    "End",
    "Ended",
    "Enrolment",
    "EntryQuery",
    "Erasure",
    "Export",
    "ExportQuery",
    "FoundEntry",
    "GapQuestion",
    "GivenSignature",
    "HostSimulation",
    "Incoming",
    "Inspection",
    "Leaf",
    "ListAnew",
    "ListQuery",
    "ListedNotice",
    "ListedNotices",
    "MadeVersion",
    "NewMatter",
    "NewSubscription",
    "Notice",
    "OfferedKey",
    "OnwardView",
    "OpenUpload",
    "PendingActView",
    "ProxyView",
    "PulledReport",
    "ReadPart",
    "ReadersOn",
    "Readiness",
    "Recall",
    "Recorded",
    "Recorder",
    "ReportStream",
    "RequestView",
    "Revealed",
    "Services",
    "Shown",
    "Silence",
    "SimulatedReport",
    "TakenUp",
    "Told",
    "Unopened",
    "UploadLimits",
    "UploadView",
    "WantedErasure",
    "WantedOctets",
    "WatchLimits",
    "Watching",
    "add_certificate",
    "add_member",
    "add_subscription",
    "amend_report",
    "answer_consultation",
    "answer_request",
    "approve_erasure",
    "ask_for_crisis",
    "ask_proxy",
    "authenticate",
    "authenticated_row",
    "begin_upload",
    "certify_destruction",
    "change_clearance",
    "change_standing",
    "check_readiness",
    "check_subscription",
    "client_registry",
    "close_record",
    "close_request",
    "complete_upload",
    "confirm_act",
    "describe_caller",
    "describe_vocabulary",
    "downgrade_report",
    "end_crisis",
    "enrol_client",
    "enrol_signatory_key",
    "explain_report",
    "explain_to_auditor",
    "export_agreement",
    "export_entries",
    "export_log",
    "feed_log",
    "give_up_upload",
    "grant_derivation",
    "grant_onward",
    "heartbeats",
    "inspect_service",
    "list_agreements",
    "list_alerts",
    "list_amendments",
    "list_breaches",
    "list_caveats",
    "list_clients",
    "list_consultations",
    "list_crises",
    "list_deliveries",
    "list_derivations",
    "list_destructions",
    "list_members",
    "list_notices",
    "list_onward",
    "list_pending_acts",
    "list_proxies",
    "list_reports",
    "list_requests",
    "list_signatory_keys",
    "list_subscriptions",
    "list_uploads",
    "open_consultation",
    "open_stream",
    "personal_as_json",
    "personal_custody",
    "post_report",
    "preview_caveats",
    "preview_recall",
    "propose_agreement",
    "propose_amendment",
    "propose_caveats",
    "pull_report",
    "put_law_in_force",
    "read_entries",
    "read_part",
    "readers_on",
    "recall_report",
    "receive_part",
    "receive_report",
    "record_refused_connections",
    "record_rejection",
    "record_service",
    "record_tampering",
    "record_trust",
    "record_visit",
    "refuse_act",
    "refuse_derivation",
    "refuse_onward",
    "remove_certificate",
    "remove_subscription",
    "replay_deliveries",
    "report_registry",
    "request_derivation",
    "request_erasure",
    "request_information",
    "request_onward",
    "resume_agreement",
    "resume_member",
    "retire_signatory_key",
    "reveal_personal",
    "revoke_derivation",
    "revoke_onward",
    "revoke_proxy",
    "search_entries",
    "search_gaps",
    "search_tokens",
    "settle_consultation",
    "show_agreement",
    "show_caveats",
    "show_client",
    "show_compliance",
    "show_entry",
    "show_erasure",
    "show_pending_act",
    "show_recall",
    "show_request",
    "sign_agreement",
    "simulate_agreement",
    "simulate_for_host",
    "simulate_release",
    "suspend_agreement",
    "suspend_member",
    "take_back_signature",
    "withdraw_agreement",
    "withdraw_caveats",
    "withdraw_derivation",
    "withdraw_onward",
    "withdraw_request",
]
