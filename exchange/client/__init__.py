"""Client: the exchange from a member's side, over mutual TLS.

Promises: one class, `ExchangeClient`, with a method per act of the contract; every refusal is a
`ProblemError` with the contract's code, every failed connection says what to mend; nothing is done
twice that may be done once only. Installs and runs without the server's dependencies.
Does not: decide anything, keep anything, or believe a server of another authority.
"""

from exchange.client.errors import AnswerError, ConnectionFailedError, ProblemError, UnsafeKeyError
from exchange.client.transport import Endpoint

__all__ = ["AnswerError", "ConnectionFailedError", "Endpoint", "ProblemError", "UnsafeKeyError"]
