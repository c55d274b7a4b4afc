"""Agreements: what was promised, by whom, until when."""

from exchange.agreements.model import (
    Agreement,
    AgreementId,
    AgreementState,
    Obligation,
    OnwardRelease,
    Party,
    PartyState,
    Scope,
    SharedReports,
    Termination,
    Terms,
    Validity,
)

__all__ = [
    "Agreement",
    "AgreementId",
    "AgreementState",
    "Obligation",
    "OnwardRelease",
    "Party",
    "PartyState",
    "Scope",
    "SharedReports",
    "Termination",
    "Terms",
    "Validity",
]
