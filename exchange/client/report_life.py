"""The life of reports over the interface: amend, downgrade, recall, destroy."""

from collections.abc import Mapping
from typing import TypeVar

from exchange.client.answers import parsed, path_of, post, stating
from exchange.client.transport import Body, Transport
from exchange.wire import (
    AmendmentBody,
    AskedDestructionBody,
    AskedDestructionListBody,
    CertificateBody,
    DowngradeBody,
    MadeVersionBody,
    NoticeListBody,
    RecallBody,
    RecallOutlookBody,
    RecallRequest,
    WireModel,
)

Answer = TypeVar("Answer", bound=WireModel)


class ReportLife:
    """What is done to reports after they were posted."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def amend(
        self,
        report_id: str,
        amendment: AmendmentBody,
        *,
        if_version: int | None = None,
        purpose: str | None = None,
    ) -> MadeVersionBody:
        """Put a new version in the place of a report (originator's contributor).

        `purpose` is why what it refers to is read.
        """
        headers = {**_meant_for(if_version), **stating(purpose)}
        return self._post(MadeVersionBody, report_id, "amendments", amendment, headers)

    def downgrade(self, report_id: str, downgrade: DowngradeBody, *, if_version: int | None = None) -> MadeVersionBody:
        """Lower the labels of a report (originator's releaser); above CONFIDENTIAL `act` waits for a second one."""
        return self._post(MadeVersionBody, report_id, "downgrade", downgrade, _meant_for(if_version))

    def recall(self, report_id: str, reason: str) -> RecallBody:
        """Recall a report for good (originator's releaser); the answer says who had it."""
        return self._post(RecallBody, report_id, "recall", RecallRequest(reason=reason))

    def recalled(self, report_id: str) -> RecallBody:
        """Return who had a recalled report and who has certified its destruction (originator's releaser)."""
        answer = self._transport.request("GET", path_of("/v1/reports", report_id, "recall"), may_repeat=True, body={})
        return parsed(RecallBody, answer.content)

    def recall_outlook(self, report_id: str) -> RecallOutlookBody:
        """Return what a recall would do, and to how many clients of which members (originator's releaser)."""
        path = path_of("/v1/reports", report_id, "recall", "outlook")
        return parsed(RecallOutlookBody, self._transport.request("GET", path, may_repeat=True, body={}).content)

    def destructions(self) -> list[AskedDestructionBody]:
        """Return what this client, or for a releaser its member, is still to destroy."""
        answer = self._transport.request("GET", "/v1/destructions", may_repeat=True, body={})
        return parsed(AskedDestructionListBody, answer.content).items

    def notices(self, after: str | None = None) -> NoticeListBody:
        """Return what happened to reports that this client was given, behind the cursor of an earlier page (reader)."""
        query: Body = {} if after is None else {"params": {"after": after}}
        answer = self._transport.request("GET", "/v1/notices", may_repeat=True, body=query)
        return parsed(NoticeListBody, answer.content)

    def certify_destruction(self, report_id: str, certificate: CertificateBody) -> AskedDestructionBody:
        """Certify that a recalled report was destroyed, and return the signed certificate."""
        return self._post(AskedDestructionBody, report_id, "destruction", certificate)

    def _post(
        self,
        model: type[Answer],
        report_id: str,
        act: str,
        said: WireModel,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        return post(self._transport, model, path_of("/v1/reports", report_id, act), said, headers)


def _meant_for(version: int | None) -> dict[str, str]:
    return {} if version is None else {"If-Match": f'"{version}"'}
