"""How cryptography refuses: few words, for what failed tells an attacker what to try next."""

from exchange.kernel import ExchangeError


class CryptoError(ExchangeError):
    """What was asked of a cipher makes no sense: an unknown suite, a key of the wrong size."""

    code = "crypto"


class OpeningError(CryptoError):
    """Ciphertext, key, label or place do not belong together; which of them is never said."""

    code = "cannot-open"


class SignatureError(CryptoError):
    """The signature is not of this key over this message; nothing that it covers may be believed."""

    code = "bad-signature"
