"""How a witness fails at its own work; how it refuses a log is no error (see `exchange.audit.witness`)."""

from exchange.kernel import ExchangeError


class WitnessError(ExchangeError):
    """The witness's folder, key or configuration does not let it work; the message says what to mend."""

    code = "witness"
