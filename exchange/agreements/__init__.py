"""Agreements: what was promised, by whom, until when.

Promises: terms are read strictly (every fault at once), and where an agreement stands is computed from its parties
and the moment asked about, never stored.
Does not: decide a release, check who may sign for a member, or keep anything.
"""

from exchange.agreements.differences import differences
from exchange.agreements.durations import LAST_MOMENT, moved_by
from exchange.agreements.editions import (
    Amendment,
    Clause,
    amended,
    amendment_faults,
    clause_of,
    conclude,
    require_amendable,
    signatories_of,
)
from exchange.agreements.lifecycle import (
    AGREEMENT_MOVES,
    PARTY_MOVES,
    Move,
    active_parties,
    in_force,
    next_change,
    propose,
    resume_party,
    sign,
    state_of,
    suspend_party,
    withdraw_party,
)
from exchange.agreements.model import (
    Agreement,
    AgreementId,
    AgreementState,
    Obligation,
    OlderReports,
    OnwardRelease,
    Party,
    PartyState,
    Scope,
    SharedReports,
    Termination,
    Terms,
    Validity,
)
from exchange.agreements.proof import proven
from exchange.agreements.terms import (
    agreement_as_json,
    parse_agreement,
    terms_as_json,
    terms_from_json,
    terms_from_stored,
    text_of,
)
from exchange.agreements.treaty import SignatoryKey, TextSignature, TreatyText, is_signed, sign_text
from exchange.agreements.verifying import SignedText, TextFinding, verify_texts
from exchange.agreements.vocabulary import Vocabulary, covers, load_vocabulary

__all__ = [
    "AGREEMENT_MOVES",
    "LAST_MOMENT",
    "PARTY_MOVES",
    "Agreement",
    "AgreementId",
    "AgreementState",
    "Amendment",
    "Clause",
    "Move",
    "Obligation",
    "OlderReports",
    "OnwardRelease",
    "Party",
    "PartyState",
    "Scope",
    "SharedReports",
    "SignatoryKey",
    "SignedText",
    "Termination",
    "Terms",
    "TextFinding",
    "TextSignature",
    "TreatyText",
    "Validity",
    "Vocabulary",
    "active_parties",
    "agreement_as_json",
    "amended",
    "amendment_faults",
    "clause_of",
    "conclude",
    "covers",
    "differences",
    "in_force",
    "is_signed",
    "load_vocabulary",
    "moved_by",
    "next_change",
    "parse_agreement",
    "propose",
    "proven",
    "require_amendable",
    "resume_party",
    "sign",
    "sign_text",
    "signatories_of",
    "state_of",
    "suspend_party",
    "terms_as_json",
    "terms_from_json",
    "terms_from_stored",
    "text_of",
    "verify_texts",
    "withdraw_party",
]
