"""Client: the exchange from a member's side, over mutual TLS.

Promises: one class, `ExchangeClient`, with a method per act of the contract; every refusal is a
`ProblemError` with the contract's code, every failed connection says what to mend; nothing is done
twice that may be done once only; bytes whose digest is not the header's are not taken; where a file for them
is named, the receipt of every answer is kept there. Installs and runs without the server's dependencies.
Does not: decide anything, keep anything else, or believe a server of another authority.
"""

from exchange.client.errors import AnswerError, ConnectionFailedError, ProblemError, ReceiptFileError, UnsafeKeyError
from exchange.client.exchange_client import ExchangeClient
from exchange.client.listing import ListedReports
from exchange.client.receipts import KeptReceipt, read_receipts
from exchange.client.streaming import StreamEvent, ToldEvent, UnopenedEvent, WatchedEvent
from exchange.client.tls import client_context
from exchange.client.transport import Endpoint
from exchange.client.webhooks import Webhooks, check_webhook

__all__ = [
    "AnswerError",
    "ConnectionFailedError",
    "Endpoint",
    "ExchangeClient",
    "KeptReceipt",
    "ListedReports",
    "ProblemError",
    "ReceiptFileError",
    "StreamEvent",
    "ToldEvent",
    "UnopenedEvent",
    "UnsafeKeyError",
    "WatchedEvent",
    "Webhooks",
    "check_webhook",
    "client_context",
    "read_receipts",
]
