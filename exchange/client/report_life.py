"""The life of reports over the interface: amend, downgrade, recall, destroy."""

from typing import Final

from exchange.client.answers import Asking, meant_for, path_of, stating
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
)

_PATH: Final = "/v1/reports"


class ReportLife(Asking):
    """What is done to reports after they were posted."""

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
        headers = {**meant_for(if_version), **stating(purpose)}
        return self._post(MadeVersionBody, path_of(_PATH, report_id, "amendments"), amendment, headers)

    def downgrade(self, report_id: str, downgrade: DowngradeBody, *, if_version: int | None = None) -> MadeVersionBody:
        """Lower the labels of a report (originator's releaser); above CONFIDENTIAL `act` waits for a second one."""
        return self._post(MadeVersionBody, path_of(_PATH, report_id, "downgrade"), downgrade, meant_for(if_version))

    def recall(self, report_id: str, reason: str) -> RecallBody:
        """Recall a report for good (originator's releaser); the answer says who had it."""
        return self._post(RecallBody, path_of(_PATH, report_id, "recall"), RecallRequest(reason=reason))

    def recalled(self, report_id: str) -> RecallBody:
        """Return who had a recalled report and who has certified its destruction (originator's releaser)."""
        return self._get(RecallBody, path_of(_PATH, report_id, "recall"))

    def recall_outlook(self, report_id: str) -> RecallOutlookBody:
        """Return what a recall would do, and to how many clients of which members (originator's releaser)."""
        return self._get(RecallOutlookBody, path_of(_PATH, report_id, "recall", "outlook"))

    def destructions(self) -> list[AskedDestructionBody]:
        """Return what this client, or for a releaser its member, is still to destroy."""
        return self._get(AskedDestructionListBody, "/v1/destructions").items

    def notices(self, after: str | None = None) -> NoticeListBody:
        """Return what happened to reports that this client was given, behind the cursor of an earlier page (reader)."""
        return self._get(NoticeListBody, "/v1/notices", {"after": after})

    def certify_destruction(self, report_id: str, certificate: CertificateBody) -> AskedDestructionBody:
        """Certify that a recalled report was destroyed, and return the signed certificate."""
        return self._post(AskedDestructionBody, path_of(_PATH, report_id, "destruction"), certificate)
