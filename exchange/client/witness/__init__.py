"""Witness: a member's system that cosigns the log's checkpoints, as a small service or one round at a time.

Promises: cosigns only what it was shown to have grown from what it cosigned last; remembers that on its disk before
it says so; refuses everything else, keeps what contradicts it, and shouts. Runs with the client's dependencies alone.
Does not: read an entry, trust the exchange, or take anybody's word for which key is the log's.
"""

from exchange.client.witness.alarm import Alarm, Shout
from exchange.client.witness.errors import WitnessError
from exchange.client.witness.keys import WitnessKeys
from exchange.client.witness.logs import keys_in
from exchange.client.witness.rounds import RoundResult
from exchange.client.witness.running import (
    Listening,
    address_of,
    log_to_stderr,
    new_witness,
    open_desk,
    run_once,
    serve_witness,
)

__all__ = [
    "Alarm",
    "Listening",
    "RoundResult",
    "Shout",
    "WitnessError",
    "WitnessKeys",
    "address_of",
    "keys_in",
    "log_to_stderr",
    "new_witness",
    "open_desk",
    "run_once",
    "serve_witness",
]
