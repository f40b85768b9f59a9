"""Result documents on the officers' pages: what the resolving officer writes, leader and clerk sign, all read (B4e)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from blocks.catalog import Catalog
from blocks.catalog.staff import Role
from blocks.ids import DossierId
from blocks.objects import ObjectStore
from blocks.records import RecordsDatabase
from blocks.records.queries import get_dossier
from blocks.records.states import SignatureRole
from blocks.signer import SignerUnknown, signer_for
from deployments.desk.auth.sessions import Officer
from deployments.desk.decisions import Waiting
from deployments.desk.forms import articles
from deployments.desk.images import A4_HEIGHT, WIDTH, Images
from tasks.decisions.proofs import drafted, keyholder
from tasks.results.document import ResultNotDrawable
from tasks.results.views import drafts, read_results
from tasks.scope.decide import case_date
from tasks.verification.review import ComponentView, Review

BEFORE_ISSUE = {"verification", "signoff", "seal"}


@dataclass(frozen=True)
class ResultFile:
    """name: without personal data."""

    name: str
    data: bytes


class Results:
    """What the pages show of results. `review.look` or `read_results` has let in who asks."""

    def __init__(self, records: RecordsDatabase, objects: ObjectStore, catalog: Catalog, images: Images) -> None:
        self.records, self.objects, self.catalog, self.images = records, objects, catalog, images

    def of_page(
        self, officer: Officer, review: Review, waiting: Waiting | None, typed: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """Names of the results to be issued, their drafts, and the number of each issued one by its ordinal.

        The resolving officer sees the draft of what was typed so far; leader and clerk the one that will be signed.
        """
        issued = [component.ordinal for component in review.components if component.issued]
        shown: dict[str, Any] = {
            "results": [],
            "written": "",
            "drafts": [],
            "issued": {ordinal: number for number, ordinal in enumerate(issued, 1)},
        }
        stage = waiting.pause.name if waiting else ""
        if waiting is None or stage not in BEFORE_ISSUE:
            return shown
        dossier, writing = waiting.dossier, stage == "verification"
        named = self.catalog.issued_results(dossier.procedure_code, case_date(dossier))
        shown["results"] = [result.name for result, _ in named]
        if writing and named:  # what was written before the dossier was sent back
            with self.records.session() as database:
                shown["written"] = "\n".join(drafted(database, get_dossier(database, dossier.id)))
        written = articles(typed or {})
        if not named or (writing and not written):
            return shown
        signer = self._signer(waiting, officer)
        try:
            found = drafts(
                self.records, self.catalog, dossier.id, typed=written if writing else None, signer=signer
            )  # fmt: skip
        except ResultNotDrawable:  # the check of the decision says so, too
            return shown
        shown["drafts"] = [
            {"draft": draft, "pages": self.images.of_draft(officer.id, draft.pdf, dossier.unit_id)} for draft in found
        ]
        return shown

    def _signer(self, waiting: Waiting, officer: Officer) -> str | None:
        """Whose name stands under the draft: the leader's who looks at it, then the one's who has allowed it."""
        leads = officer.holds(Role.LEAD.value, waiting.dossier.unit_id)
        name = officer.id if waiting.pause.name == "signoff" and leads else ""
        if waiting.pause.name == "seal":
            with self.records.session() as database:
                name = keyholder(database, waiting.dossier, SignatureRole.SIGNER)
        try:
            return name if name and signer_for(name) else None
        except SignerUnknown:
            return None

    def pictures(self, officer: Officer, component: ComponentView) -> list[dict[str, Any]]:
        """Page images of an issued result: it was never scanned, and has no boxes of fields."""
        return [
            {
                "url": self.images.address(officer.id, component.id, number),
                "number": number,
                "width": WIDTH,
                "height": A4_HEIGHT,
                "boxes": [],
            }
            for number in range(1, component.images + 1)
        ]

    def file(self, officer: Officer, dossier_id: DossierId, number: int) -> ResultFile | None:
        """A result as it is: draft, or issued with its signatures. number: 1-based. Raises NotAssignedToUnit."""
        with self.records.session() as session:
            dossier = get_dossier(session, dossier_id)
            code = dossier.code or dossier.submission
        found = read_results(self.records, self.objects, self.catalog, code, officer.id, grants=officer.grants)
        return ResultFile(f"ket-qua-{code}-{number}.pdf", found[number - 1]) if 1 <= number <= len(found) else None
