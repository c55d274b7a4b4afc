"""The tables of subscriptions: where clients are told of new reports, and what each is still to be told.

None of it is evidence: what was told is an entry each time. The queue grows out of the numbers of reports, which become
durable with the reports themselves: a post writes nothing here.
"""

from typing import ClassVar

from sqlalchemy import BigInteger, Index, text
from sqlmodel import Field, SQLModel


class SubscriptionTable(SQLModel, table=True):
    """Where one client is told. Reports up to the number `seq` were looked at."""

    __tablename__: ClassVar[str] = "subscription"
    __table_args__ = (Index("subscription_client", "client_id"),)

    id: str = Field(primary_key=True)
    client_id: str
    purpose: str | None = None
    url: str
    key_id: str
    key_version: int
    wrap_suite: str
    wrapped_secret: bytes
    seq: int = Field(sa_type=BigInteger)
    added_at: int = Field(sa_type=BigInteger)
    ended_at: int | None = Field(default=None, sa_type=BigInteger)


class SubscriptionDeliveryTable(SQLModel, table=True):
    """One thing to tell: a report, a breach, or where both are null a test. `state` is that of `DeliveryState`.

    A request for information stands in the place of a report, by its id: a version that knows no such message finds no
    report there, and withholds it.
    """

    __tablename__: ClassVar[str] = "subscription_delivery"
    __table_args__ = (
        Index(
            "subscription_delivery_due",
            "next_at",
            sqlite_where=text("state = 'waiting'"),
            postgresql_where=text("state = 'waiting'"),
        ),
        Index("subscription_delivery_of", "subscription_id", "id"),
    )

    id: str = Field(primary_key=True)
    subscription_id: str = Field(foreign_key="subscription.id")
    report_id: str | None = None
    breach_id: str | None = None
    queued_at: int = Field(sa_type=BigInteger)
    state: str
    tries: int
    next_at: int = Field(sa_type=BigInteger)
    ended_at: int | None = Field(default=None, sa_type=BigInteger)
    told: str | None = None
