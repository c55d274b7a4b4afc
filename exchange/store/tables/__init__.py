"""Tables, and nothing else. Their rows never leave the store; times are microseconds since 1970, ids and JSON text.

Whoever imports one of them has all of them in the metadata: no statement depends on what was imported before it.
"""

from exchange.store.tables import (  # noqa: F401  they fill the metadata
    alert_tables,
    blob_tables,
    caveat_tables,
    consent_tables,
    consultation_tables,
    crisis_tables,
    duty_tables,
    life_tables,
    log_tables,
    main_tables,
    personal_tables,
    proxy_tables,
    request_tables,
    restore_tables,
    schema_tables,
    shared_tables,
    stream_tables,
    subscription_tables,
    time_tables,
    treaty_tables,
    upload_tables,
    walk_tables,
)
