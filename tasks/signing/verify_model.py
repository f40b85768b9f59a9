"""What a verification says: a verdict on the file, and one on each of its signatures."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel


class SignatureVerdict(BaseModel):
    """One signature. revision: 1-based revision of the file that it signed; modification: what came after it."""

    field: str
    role: str  # by the certificate: OFFICER | SIGNER | AGENCY | MANIFEST | OTHER (none of ours)
    valid: bool
    code: str  # OK, or why not (ETSI sub-indication, or one of verify_words.REASONS)
    sentence: str
    intact: bool  # the signed bytes are as they were
    trusted: bool
    signer: str  # common name
    serial: str  # of the certificate, hexadecimal
    issuer: str
    organisation: str = ""  # identifier of the organisation that the certificate was issued to; "" for a person's
    test: bool  # made by a test authority: no legal value
    level: str  # B-B, B-T, B-LT, B-LTA
    signed_at: datetime | None = None  # proven by the time-stamp
    claimed_at: datetime | None = None  # what the signer's computer said; nobody has proven it
    stamp: str = ""  # why its time-stamp counts as none (verify_words.STAMPS); "" when it counts, or there is none
    certification: bool = False
    revision: int | None = None
    revisions: int | None = None
    revision_sha256: str | None = None
    modification: str = "NONE"  # NONE, LTA_UPDATES, FORM_FILLING, ANNOTATIONS, OTHER
    changes: list[str] = []  # what came after it, for people: "thêm chú thích ở trang 1"


class Verdict(BaseModel):
    """valid: there is at least one signature, and every one is valid.

    code: OK, INCOMPLETE (valid, yet something is missing), INVALID, NOT_SIGNED, ONLY_TIMESTAMP, SIGNATURE_REMOVED,
    PDF_DAMAGED …
    """

    kind: str  # PDF | MANIFEST
    valid: bool
    code: str
    sentence: str
    sha256: str
    size: int
    signatures: list[SignatureVerdict] = []
    missing: list[str] = []  # AGENCY, NOT_AGENCY, ARCHIVE_STAMP, END: what a finished copy has besides what is there
    revisions: list[str] = []  # SHA-256 of the file up to the end of each revision
    renew_before: datetime | None = None  # when the certificate of the newest archive time-stamp ends

    @property
    def whole(self) -> bool:
        """Valid, and nothing is missing: a finished copy."""
        return self.valid and not self.missing

    @property
    def later(self) -> bool:
        """Nothing is wrong with it but that a certificate's revocation couldn't be learnt."""
        wrong = {item.code for item in self.signatures if not item.valid}
        return wrong == {"TRY_LATER"}

    def of(self, role: str) -> SignatureVerdict | None:
        """The signature of a role, or None."""
        return next((item for item in self.signatures if item.role == role), None)
