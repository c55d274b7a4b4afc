"""Who may say whose a certificate is: an authority that a member enrolled vouches for that member's clients alone.

A certificate is no secret, and who enrols it need not hold its key: enrolled for another member first, it would make
its holder that one's client, who posts to it what was meant for its own (ADR 0058).
"""

from exchange.crypto import CertificateFacts
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
    # The exchange's own authority issues for all members, and what it issues is enrolled in the same act.
    if member in issuers or None in issuers:
        return None
    if not issuers and kept_to(operator) is None:
        return None
    told = (
        f"no authority of {member} issued it: give a certificate of one that is, or have the exchange's operator "
        f"add it (`exchange ca add {member} FILE`)"
    )
    return Fault("/certificate", "foreign-authority", told)
