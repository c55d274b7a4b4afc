"""Tables around the signatures of agreements: the keys of signatories, and what they signed."""

from typing import ClassVar

from sqlalchemy import BigInteger, Index, LargeBinary
from sqlmodel import Field, SQLModel


class SignatoryKeyTable(SQLModel, table=True):
    """The public keys of a signatory. The row outlives their use; `entry` is the log's entry of the enrolment."""

    __tablename__: ClassVar[str] = "signatory_key"
    __table_args__ = (Index("signatory_key_client", "client_id"),)

    key_id: str = Field(primary_key=True)
    client_id: str
    member: str
    ed25519: bytes = Field(sa_type=LargeBinary)
    ml_dsa_65: bytes = Field(sa_type=LargeBinary)
    enrolled_at: int = Field(sa_type=BigInteger)
    enrolled_by: str | None = None
    entry: str
    retired_at: int | None = Field(default=None, sa_type=BigInteger)


class SignatureColumns(SQLModel):
    """What a party signed about a text, which `text` names by its digest."""

    text: str = Field(primary_key=True)
    member: str = Field(primary_key=True)
    agreement_id: str
    signatory: str
    key_id: str
    ed25519: bytes = Field(sa_type=LargeBinary)
    ml_dsa_65: bytes = Field(sa_type=LargeBinary)


class AgreementSignatureTable(SignatureColumns, table=True):
    """A party's signature under a text."""

    __tablename__: ClassVar[str] = "agreement_signature"

    signed_at: int = Field(sa_type=BigInteger)


class TakenBackTable(SignatureColumns, table=True):
    """A party's signed statement that its signature under a proposed text holds no more."""

    __tablename__: ClassVar[str] = "agreement_signature_end"

    taken_back_at: int = Field(sa_type=BigInteger)


class AmendmentTable(SQLModel, table=True):
    """An amendment that was proposed: the digest of its text, and of the text that it amends."""

    __tablename__: ClassVar[str] = "agreement_amendment"
    __table_args__ = (Index("agreement_amendment_text", "agreement_id", "text", unique=True),)

    agreement_id: str = Field(primary_key=True)
    number: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    previous: str
    text: str
    terms: str
    proposed_by: str
    proposed_at: int = Field(sa_type=BigInteger)


class AgreementReviewTable(SQLModel, table=True):
    """A review of an agreement that fell due, and the log's entry that notes it."""

    __tablename__: ClassVar[str] = "agreement_review"

    agreement_id: str = Field(primary_key=True)
    due_on: str = Field(primary_key=True)
    entry_id: str
