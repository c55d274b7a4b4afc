"""Wire: JSON at the border, in and out; shared by the entrypoints and the client SDK.

Promises: unknown fields, conversions and repeated names are refused; every fault has its JSON pointer; what is written
here can be read here.
Does not: know HTTP, the store or the law (whether a level or a topic exists is not its question).
"""

from exchange.wire.agreements import (
    AgreementBody,
    AgreementListBody,
    Consent,
    ObligationBody,
    PartyBody,
    ScopeBody,
    TerminationBody,
    TermsBody,
    ValidityBody,
)
from exchange.wire.answers import (
    AgencyReachBody,
    DecisionName,
    ExplanationBody,
    LevelBody,
    MemberReachBody,
    PolicyBody,
    RuleBody,
    SimulationBody,
    SimulationRequest,
    TitledCode,
    VocabularyBody,
)
from exchange.wire.audit import EntryListBody, ExtentName, ShownEntryBody
from exchange.wire.base import AnswerModel, WireModel, faults_of, parse_body, pointer_to, read_json
from exchange.wire.erasures import ErasureApproval, ErasureBody, ErasureRequest
from exchange.wire.log import ConsistencyBody
from exchange.wire.parties import (
    ClearanceBody,
    ClearanceGrant,
    ClientBody,
    ClientChange,
    ClientEnrolment,
    ClientListBody,
    MemberAddition,
    MemberBody,
    MemberListBody,
    WhoamiBody,
)
from exchange.wire.problem import PROBLEM_MEDIA_TYPE, FaultBody, ProblemBody
from exchange.wire.reports import (
    HeaderBody,
    PartBody,
    PartHeaderBody,
    PulledPartBody,
    PulledReportBody,
    ReportBody,
    ReportListBody,
)
from exchange.wire.witnesses import CosignaturesBody, CosignedCheckpoint, WitnessBody, WitnessListBody
from exchange.wire.words import LabelBody

__all__ = [
    "PROBLEM_MEDIA_TYPE",
    "AgencyReachBody",
    "AgreementBody",
    "AgreementListBody",
    "AnswerModel",
    "ClearanceBody",
    "ClearanceGrant",
    "ClientBody",
    "ClientChange",
    "ClientEnrolment",
    "ClientListBody",
    "Consent",
    "ConsistencyBody",
    "CosignaturesBody",
    "CosignedCheckpoint",
    "DecisionName",
    "EntryListBody",
    "ErasureApproval",
    "ErasureBody",
    "ErasureRequest",
    "ExplanationBody",
    "ExtentName",
    "FaultBody",
    "HeaderBody",
    "LabelBody",
    "LevelBody",
    "MemberAddition",
    "MemberBody",
    "MemberListBody",
    "MemberReachBody",
    "ObligationBody",
    "PartBody",
    "PartHeaderBody",
    "PartyBody",
    "PolicyBody",
    "ProblemBody",
    "PulledPartBody",
    "PulledReportBody",
    "ReportBody",
    "ReportListBody",
    "RuleBody",
    "ScopeBody",
    "ShownEntryBody",
    "SimulationBody",
    "SimulationRequest",
    "TerminationBody",
    "TermsBody",
    "TitledCode",
    "ValidityBody",
    "VocabularyBody",
    "WhoamiBody",
    "WireModel",
    "WitnessBody",
    "WitnessListBody",
    "faults_of",
    "parse_body",
    "pointer_to",
    "read_json",
]
