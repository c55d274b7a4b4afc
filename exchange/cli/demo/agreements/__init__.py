"""The tour of agreements: two states negotiate, sign, amend and fall out, a third asks, and the log tells all of it.

Promises: as the demo, whose stage, server and script it uses: real connections with their own certificates, every step
checked.
"""

from exchange.cli.demo.agreements.story import perform_agreements

__all__ = ["perform_agreements"]
