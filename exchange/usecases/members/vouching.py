"""Who may say whose a certificate is: an authority that a member enrolled vouches for that member's clients alone.

A certificate is no secret, and who enrols it need not hold its key: enrolled for another member first, it would make
its holder that one's client, who posts to it what was meant for its own (ADR 0058).

The exchange's own authority issues for all members, and writes into each certificate for whom. What it issues is
enrolled in the same act; but rows are lost, with a database that went back in time or by somebody's hand, and what
was enrolled there is anybody's to enrol, and its holder goes on coming with it.
"""

from exchange.crypto import CertificateFacts, organisation_of_der
from exchange.kernel import Fault
from exchange.members import Client
from exchange.usecases.steps.authenticate import kept_to
from exchange.usecases.steps.context import Services


def authority_fault(
    services: Services, operator: Client | None, member: str, certificate: CertificateFacts
) -> Fault | None:
    """Return what is wrong with enrolling `certificate` for a client of `member`; None where nothing is.

    What no enrolled authority issued itself is taken on the word of the exchange's operators, never of a member's own.
    """
    if services.authorities is None:
        return None
    issuers = services.authorities.issuers(certificate.der)
    said = _written_by_own(certificate) if None in issuers else None
    if member in issuers or said == member:
        return None
    # INVARIANT: whom the exchange's own authority issued it for is nobody else's client, whoever enrols it.
    if said is None and issuers <= {None} and kept_to(operator) is None:
        return None
    told = (
        f"no authority of {member} issued it: give a certificate of one that is, or have the exchange's operator "
        f"add it (`exchange ca add {member} FILE`)"
    )
    return Fault("/certificate", "foreign-authority", told)


def _written_by_own(certificate: CertificateFacts) -> str | None:
    """Return the code of the member for which the exchange's own authority issued it; None where it does not say."""
    member, slash, _ = (organisation_of_der(certificate.der) or "").partition("/")
    return member if slash else None
