"""The two signatures on a PDF file (PAdES): a person's certification first, the agency's approval second.

On a copy the person is the officer who captured it, on an issued result the one who may sign it. Both fields exist
before the first signature; the first is B-LT, so that it can still be verified when only the agency's archive
time-stamp (B-LTA) proves its existence. Files are changed in place: give a copy, verify, then use it.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.misc import PdfError
from pyhanko.sign import signers
from pyhanko.sign.fields import MDPPerm, SigFieldSpec, SigSeedSubFilter, append_signature_field, enumerate_sig_fields
from pyhanko.sign.general import SigningError
from pyhanko.sign.signers.pdf_signer import PdfSignatureMetadata
from pyhanko_certvalidator import CertificateValidator
from pyhanko_certvalidator.errors import InsufficientRevinfoError

from blocks.signer import Signer
from blocks.trust import RevocationUnavailable, Trust, revocation_answers
from tasks.signing.appearance import (
    AGENCY_SIZE,
    Lines,
    LinesStyle,
    agency_text,
    fit,
    issuer_text,
    officer_text,
    place,
    signer_text,
    with_picture,
)
from tasks.signing.errors import AlreadySigned, AppearanceDoesNotFit, FieldMissing, SignatureInvalid, Unsignable
from tasks.signing.geometry import Rect, first_page
from tasks.signing.ink import InkMap

OFFICER_FIELD = "NguoiSaoChup"
AGENCY_FIELD = "CoQuanSaoY"
SIGNER_FIELD = "NguoiKyBanHanh"
ISSUER_FIELD = "CoQuanBanHanh"


@dataclass(frozen=True)
class Signed:
    """visible: whether the signature has an appearance (False on pages too small for 10 pt text).

    moved, overlapping: which boxes (officer, agency) left their usual place for print, and which lie on print.
    """

    visible: bool
    moved: tuple[str, ...] = ()
    overlapping: tuple[str, ...] = ()


@dataclass(frozen=True)
class Prepared:
    """A signature that is to be made in a field of the file. drawn: a picture behind the lines."""

    metadata: PdfSignatureMetadata
    lines: Lines | None
    rotation: int
    border: float
    signed: Signed
    drawn: dict[str, Any] = field(default_factory=dict)


Fill = Callable[[Path, IncrementalPdfFileWriter], Prepared]


async def sign_as_officer(
    path: Path,
    signer: Signer,
    agency: Signer,
    captured_at: datetime,
    trust: Trust,
    *,
    known: str = "",
    long_term: bool = True,
) -> Signed:
    """Certify the file in place, top left of page 1, and prepare the agency's field top right (CA01–CA03).

    agency: whose name the second field must hold. known: how the time of capture is known. long_term: B-LT, else B-T.
    Raises CertificateRefused, KeyMismatch, CharacterMissing, AlreadySigned, Unsignable before the file is changed;
    TimestampUnavailable, TimestampRefused, RevocationUnavailable.
    """
    await trust.check(signer.certificate)
    with opened(path) as writer:
        prepared = officer_fields(path, writer, signer, agency, captured_at, trust, known)
        metadata = replace(prepared.metadata, embed_validation_info=long_term)
        await _sign(writer, replace(prepared, metadata=metadata), signer, trust)
        return prepared.signed


def officer_fields(
    path: Path,
    writer: IncrementalPdfFileWriter,
    signer: Signer,
    agency: Signer,
    captured_at: datetime,
    trust: Trust,
    known: str = "",
) -> Prepared:
    """Add both fields; how the officer's is to be signed and where it stands. Raises AlreadySigned."""
    officer = officer_text(signer.name, captured_at, test=signer.test, known=known)
    # the time of the second signature isn't known yet; digits have all the same width
    seal = agency_text(agency.name, captured_at, test=agency.test)
    if any(True for _ in enumerate_sig_fields(writer)):
        raise AlreadySigned()
    page = first_page(writer)
    placement = place(page, officer, seal, InkMap.of(path, page.width))
    for name, label, box in (
        (OFFICER_FIELD, "Người sao chụp", placement.officer),
        (AGENCY_FIELD, "Cơ quan sao y", placement.agency),
    ):
        append_signature_field(writer, SigFieldSpec(name, box=box, readable_field_name=label))  # type: ignore[arg-type]
    metadata = PdfSignatureMetadata(
        field_name=OFFICER_FIELD,
        md_algorithm="sha256",
        subfilter=SigSeedSubFilter.PADES,
        certify=True,
        docmdp_permissions=MDPPerm.FILL_FORMS,
        name=signer.name,
        reason="Sao chụp từ bản giấy",
        validation_context=trust.context(),
        embed_validation_info=True,
    )
    signed = Signed(placement.officer is not None, placement.moved, placement.overlapping)
    return Prepared(metadata, placement.officer_lines, placement.page.rotation, 0.5, signed)


@dataclass(frozen=True)
class Filling:
    """A signature in a field that waits for it. text: lines of its appearance; first: nothing but fields may follow."""

    field: str
    reason: str
    text: Callable[..., list[str]]
    first: bool = False


COPY = Filling(AGENCY_FIELD, "Sao y từ văn bản giấy sang văn bản điện tử", agency_text)  # EX17; NĐ 30/2020, Điều 25
SIGNED_BY = Filling(SIGNER_FIELD, "Ký ban hành văn bản điện tử", signer_text, first=True)  # B4e
ISSUED_BY = Filling(ISSUER_FIELD, "Ký số của cơ quan ban hành văn bản điện tử", issuer_text)


def add_issuing_fields(data: bytes, page: int, signer: Rect, agency: Rect) -> bytes:
    """An unsigned result document with the empty fields of both signatures on a page (0-based)."""
    out = io.BytesIO(data)
    writer = IncrementalPdfFileWriter(out)
    for name, label, box in (
        (SIGNER_FIELD, "Người ký ban hành", signer), (ISSUER_FIELD, "Cơ quan ban hành", agency)
    ):  # fmt: skip
        whole = tuple(round(value, 3) for value in box)
        append_signature_field(
            writer,
            SigFieldSpec(name, on_page=page, box=whole, readable_field_name=label),  # type: ignore[arg-type]
        )
    writer.write_in_place()  # type: ignore[no-untyped-call]
    return out.getvalue()


async def sign_as_agency(
    path: Path,
    signer: Signer,
    signed_at: datetime,
    trust: Trust,
    *,
    filling: Filling = COPY,
    picture: Path | None = None,
    long_term: bool = True,
) -> Signed:
    """Fill a waiting field in place: of a copy "SAO Y", name and time (EX17; Decree 30/2020).

    long_term: B-LTA, else B-T; the person's who signs a result first: B-LT. picture: stands in place of the text.
    Raises like sign_as_officer, and FieldMissing, AppearanceDoesNotFit.
    """
    await trust.check(signer.certificate)
    with opened(path) as writer:
        prepared = waiting_field(writer, signer, signed_at, trust, filling=filling, picture=picture)
        metadata = replace(
            prepared.metadata, embed_validation_info=long_term, use_pades_lta=long_term and not filling.first
        )
        await _sign(writer, replace(prepared, metadata=metadata), signer, trust)
        return prepared.signed


def waiting_field(
    writer: IncrementalPdfFileWriter,
    signer: Signer,
    signed_at: datetime | None,
    trust: Trust,
    *,
    filling: Filling,
    picture: Path | None,
) -> Prepared:
    """How a field that waits is to be signed. Raises FieldMissing, AppearanceDoesNotFit, CharacterMissing.

    signed_at: None where nobody knows yet when the person will confirm: then only the signature itself tells.
    """
    text = filling.text(signer.name, signed_at, test=signer.test)
    empty = {name: reference for name, value, reference in enumerate_sig_fields(writer) if value is None}
    if filling.field not in empty:
        raise FieldMissing()
    page = first_page(writer)
    box = [float(value) for value in empty[filling.field].get_object().get("/Rect", [0, 0, 0, 0])]
    width, height = page.seen_size((box[0], box[1], box[2], box[3]))
    drawn: dict[str, Any] = {}
    if picture is not None:
        text, image, rule = with_picture(picture, signer.test)
        drawn = {"background": image, "background_layout": rule, "background_opacity": 1.0}
    lines = _lines_for(text, width, height) if width and height else None
    metadata = PdfSignatureMetadata(
        field_name=filling.field,
        md_algorithm="sha256",
        subfilter=SigSeedSubFilter.PADES,
        certify=filling.first,
        docmdp_permissions=MDPPerm.FILL_FORMS,
        name=signer.name,
        reason=filling.reason,
        validation_context=trust.context(),
        embed_validation_info=True,
        timestamp_field_name="DauThoiGianLuuTru",
    )
    return Prepared(metadata, lines, page.rotation, 0, Signed(visible=lines is not None), drawn)


async def renew(path: Path, trust: Trust) -> None:
    """One more archive time-stamp in place, with what validates the last one (ETSI EN 319 142-1, 5.5).

    Raises CertificateRefused when the last one's certificate is not valid any more, TimestampUnavailable,
    TimestampRefused, RevocationUnavailable, Unsignable.
    """
    tool = signers.PdfTimeStamper(trust.timestamper(), field_name=None)
    with opened(path) as writer:
        for last in writer.prev.embedded_timestamp_signatures[-1:]:
            chain = [*last.other_embedded_certs, *trust.intermediates]
            validator = CertificateValidator(last.signer_cert, chain, validation_context=trust.context(chain))
            await trust.validated(validator, set(), {"time_stamping"})
        await tool.async_update_archival_timestamp_chain(writer.prev, trust.context(), in_place=True)


def _lines_for(text: list[str], width: float, height: float) -> Lines:
    """Text in a box that exists. Slack: rounding to 1/1000 of the field's rectangle."""
    if not text:
        return Lines((), AGENCY_SIZE, width, height)
    lines = fit(text, AGENCY_SIZE, width + 0.01)
    if lines is None or lines.height > height + 0.01:
        raise AppearanceDoesNotFit()
    return Lines(lines.lines, lines.size, width, height)


@contextmanager
def opened(path: Path) -> Iterator[IncrementalPdfFileWriter]:
    """A file to be extended in place; what pyHanko raises comes out as ours."""
    with path.open("r+b") as stream, signing_errors():
        yield IncrementalPdfFileWriter(stream)


@contextmanager
def signing_errors() -> Iterator[None]:
    """pyHanko's errors as ours: RevocationUnavailable, SignatureInvalid, Unsignable."""
    try:
        with revocation_answers():
            yield
    except InsufficientRevinfoError as error:
        raise RevocationUnavailable() from error
    except SigningError as error:
        if isinstance(error.__cause__, InsufficientRevinfoError):
            raise RevocationUnavailable() from error
        raise SignatureInvalid() from error
    except (PdfError, ValueError, KeyError, RecursionError) as error:
        raise Unsignable() from error


async def _sign(writer: IncrementalPdfFileWriter, prepared: Prepared, signer: Signer, trust: Trust) -> None:
    tool = signing_tool(prepared, await signer.open(), trust)
    await tool.async_sign_pdf(writer, in_place=True)


def signing_tool(prepared: Prepared, signer: signers.Signer, trust: Trust) -> signers.PdfSigner:
    """pyHanko's signer with our appearance and time-stamp service. On the loop."""
    style = LinesStyle(
        border_width=prepared.border,  # type: ignore[arg-type]
        text=prepared.lines,
        rotation=prepared.rotation,
        **prepared.drawn,
    )
    return signers.PdfSigner(
        prepared.metadata, signer=signer, timestamper=trust.timestamper(), stamp_style=style if prepared.lines else None
    )
