"""Client: the exchange from a member's side, over mutual TLS.

Promises: one class, `ExchangeClient`, with a method per act of the contract; every refusal is a
`ProblemError` with the contract's code, every failed connection says what to mend; nothing is done
twice that may be done once only; bytes whose digest is not the header's are not taken. Installs and
runs without the server's dependencies.
Does not: decide anything, keep anything, or believe a server of another authority.
"""

from exchange.client.errors import AnswerError, ConnectionFailedError, ProblemError, UnsafeKeyError
from exchange.client.exchange_client import ExchangeClient
from exchange.client.tls import client_context
from exchange.client.transport import Endpoint

__all__ = [
    "AnswerError",
    "ConnectionFailedError",
    "Endpoint",
    "ExchangeClient",
    "ProblemError",
    "UnsafeKeyError",
    "client_context",
]
