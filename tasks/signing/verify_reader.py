"""Signed PDFs as Word, Acrobat and Java signers really write them, opened without losing safety.

pyHanko's strict reader refuses what ISO 32000 allows or other validators put up with: hybrid cross-references,
references to absent objects (null by 7.3.10), numbers of cross-reference streams that are used again, sizes that are
too small, an entry twice in a dictionary. `TolerantReader` takes this from the bytes that were signed, since the
signature covers them whatever they mean. What was appended afterwards is read strictly: there an ambiguity lets one
program show what another doesn't see. `verify_changes` closes what tolerance would open in the comparison.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from asn1crypto import cms, x509
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.misc import PdfReadError
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.pdf_utils.xref import XRefCache, XRefSection, XRefSectionType, parse_xref_table
from pyhanko.sign.ades.report import AdESIndeterminate
from pyhanko.sign.fields import enumerate_sig_fields
from pyhanko.sign.general import CMSExtractionError
from pyhanko.sign.validation.dss import DocumentSecurityStore
from pyhanko.sign.validation.errors import SignatureValidationError
from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature

EVERYTHING = 1 << 62  # no place in a file lies after it
DOT = "\ue02e"  # private use: stands for a full stop in a partial field name, which separates names (12.7.4.2)
SUBFILTERS = {"/adbe.pkcs7.detached", "/ETSI.CAdES.detached", "/ETSI.RFC3161"}
RANGE = re.compile(rb"/ByteRange\s*\[\s*0\s")


@dataclasses.dataclass(frozen=True)
class Broken:
    """A signature that can't even be opened. code: as in verify_words.REASONS."""

    field: str
    code: str


class TolerantReader(PdfFileReader):
    """until: offset up to which the file is read with tolerance, i.e. the end of what was signed."""

    def __init__(self, stream: IO[bytes], until: int = EVERYTHING) -> None:
        self._until = until
        self._later: bool | None = None  # what is being read was appended; None: the stream's place says it
        self._numbers: set[int] | None = None  # of all objects that the file defines; None: not known yet
        super().__init__(stream, strict=False)
        self._later = False
        sections: list[XRefSection] = self.xrefs._xref_sections
        self.touched = [_numbers(section) for section in sections]  # by revision, before anything is put right
        self._require_strict_tables(sections)
        _put_right(sections)
        self.xrefs = _Xrefs(self, sections)
        self.resolved_objects.clear()
        self._numbers = set().union(*self.touched)

    @property
    def strict(self) -> bool:
        """While something appended is being read."""
        return bool(self.stream.tell() >= self._until if self._later is None else self._later)

    @strict.setter
    def strict(self, value: bool) -> None:
        """The base class sets it at the start."""

    def _require_strict_tables(self, sections: list[XRefSection]) -> None:
        """Tables that were appended are read once more, strictly. Raises PdfReadError, ValueError."""
        for section in sections:
            info = section.meta_info
            table = info.xref_section_type in (XRefSectionType.STANDARD, XRefSectionType.HYBRID_MAIN)
            if info.start_location >= self._until:
                place = info.start_location - (len(b"xref ") if table else 0)
                if info.declared_startxref != place or section.xref_data.hybrid is not None:
                    raise PdfReadError("appended cross-references out of place, or hybrid")
                if table:
                    self.stream.seek(info.start_location)
                    list(parse_xref_table(self.stream, strict=True))

    def _older(self, marker: Any) -> bool:
        """Does what an appended cross-reference names lie in the signed bytes, where it is read with tolerance?"""
        if not isinstance(marker, int):
            marker = self.xrefs[generic.Reference(marker.obj_stream_id, 0, self)]
        return isinstance(marker, int) and marker < self._until

    def appended_in_place(self, signed: int) -> bool:
        """All later revisions, and the objects that they bring, lie after the signed bytes.

        An appended table that names something in the signed bytes which had no number then brings what nobody saw.
        """
        for revision in range(signed + 1, self.total_revisions):
            if self.xrefs.get_xref_container_info(revision).start_location < self._until:
                return False
            for ref in self.xrefs.explicit_refs_in_revision(revision):
                marker = self.xrefs.get_historical_ref(ref, revision)
                same = marker == self.xrefs.get_historical_ref(ref, signed)
                if marker is not None and not same and self._older(marker):
                    return False
        return True

    def _read_object(self, ref: Any, marker: Any, *args: Any, **kwargs: Any) -> Any:
        if marker is None:
            absent = generic.NullObject()
            absent.container_ref = ref
            return absent
        with self._reading(marker):
            return self._plain(super()._read_object(ref, marker, *args, **kwargs))

    def _get_object_from_stream(self, idnum: int, stmnum: int, idx: int) -> Any:
        """Objects of a stream are as strict as the stream's place."""
        with self._reading(self.xrefs[generic.Reference(stmnum, 0, self)]):
            return self._plain(super()._get_object_from_stream(idnum, stmnum, idx))  # type: ignore[no-untyped-call]

    def _plain(self, found: Any) -> Any:
        """Without entries that refer to what no revision defines: as if they weren't there (7.3.7, 7.3.10)."""
        if isinstance(found, generic.DictionaryObject):
            for key in list(found):
                value = found.raw_get(key)
                if isinstance(value, generic.IndirectObject) and self._numbers and value.idnum not in self._numbers:
                    del found[key]
                else:
                    self._plain(value)
        return _undotted(found)

    @contextmanager
    def _reading(self, marker: Any) -> Iterator[None]:
        before, self._later = self._later, not self._older(marker)
        try:
            yield
        finally:
            self._later = before


class _Xrefs(XRefCache):
    """What was never introduced isn't new."""

    def get_introducing_revision(self, ref: generic.Reference) -> int:
        try:
            return int(super().get_introducing_revision(ref))
        except KeyError:
            return -1


def _undotted(found: Any) -> Any:
    name = found.get("/T") if isinstance(found, generic.DictionaryObject) else None
    if isinstance(name, generic.TextStringObject) and "." in name:
        found[generic.pdf_name("/T")] = generic.TextStringObject(name.replace(".", DOT))
    return found


def field_name(name: str) -> str:
    """As it stands in the file."""
    return name.replace(DOT, ".")


def _numbers(section: XRefSection) -> set[int]:
    """Numbers of all objects that a section defines, frees or is."""
    data, info = section.xref_data, section.meta_info
    found = {number for number, _ in data.explicit_refs_in_revision} | set(data.freed)
    if info.stream_ref is not None:
        found.add(info.stream_ref.idnum)
    if data.hybrid is not None:
        found |= _numbers(data.hybrid)
    return found


def _put_right(sections: list[XRefSection]) -> None:
    """Sizes cover every number that was used so far; a cross-reference stream is no object of the document.

    Its own entry stays where an object of that number existed before: then it overwrites one, which is a change.
    """
    size, taken = 0, set[int]()
    for place, section in enumerate(sections):
        size = max(size, section.meta_info.size, *(number + 1 for number in _numbers(section)), 1)
        sections[place] = dataclasses.replace(section, meta_info=dataclasses.replace(section.meta_info, size=size))
        parts = [section, section.xref_data.hybrid] if section.xref_data.hybrid else [section]
        for part in parts:
            own = part.meta_info.stream_ref
            if own is not None and own.idnum not in taken:
                for data in (item.xref_data for item in parts):
                    if abs(data.standard_xrefs.get(own.idnum, (0, -9))[1] - _offset(part)) <= 2:  # white space
                        del data.standard_xrefs[own.idnum]
                        data.explicit_refs_in_revision.discard((own.idnum, own.generation))
        for part in parts:
            taken |= {*part.xref_data.standard_xrefs, *part.xref_data.xrefs_in_objstm}


def _offset(section: XRefSection) -> int:
    hybrid = section.xref_data.hybrid
    return int((hybrid or section).meta_info.start_location)


def collected(reader: PdfFileReader) -> tuple[list[EmbeddedPdfSignature], list[Broken]]:
    """All signatures and document time-stamps, oldest first, and those that can't be opened."""
    found, broken = [], []
    known = _certificates(reader)
    for name, value, field in enumerate_sig_fields(reader, filled_status=True):
        if str(value.get_object().get("/SubFilter", "")) not in SUBFILTERS:
            broken.append(Broken(field_name(name), "SUBFILTER"))
            continue
        try:
            item = EmbeddedPdfSignature(reader, field, name)
            _complete(item.signed_data, known)
            item.signer_cert  # noqa: B018  (raises where there is none)
        except CMSExtractionError:
            broken.append(Broken(field_name(name), "MULTIPLE_SIGNERS"))
        except SignatureValidationError as error:  # also where signing-certificate names another one
            told = error.ades_subindication or AdESIndeterminate.NO_SIGNING_CERTIFICATE_FOUND
            broken.append(Broken(field_name(name), told.standard_name))
        except (PdfReadError, ValueError, TypeError, KeyError, AttributeError, AssertionError):
            broken.append(Broken(field_name(name), "FORMAT_FAILURE"))
        else:
            found.append(item)
    return sorted(found, key=lambda item: item.signed_revision), broken


def _certificates(reader: PdfFileReader) -> list[x509.Certificate]:
    """Those of the validation data in the file (DSS)."""
    try:
        return list(DocumentSecurityStore.read_dss(reader).load_certs())
    except Exception:  # none there, or damaged: the validation says so where it matters
        return []


def _complete(signed: cms.SignedData, known: list[x509.Certificate]) -> None:
    """Put the signer's certificate into the CMS where only the file has it. Where nobody has it, it stays as it is.

    `certificates` isn't signed; the signature and its attribute signing-certificate say whether it is the right one.
    """
    held = [item.chosen for item in signed["certificates"] if item.name == "certificate"] if _held(signed) else []
    (signer,) = signed["signer_infos"]
    if any(_meant(signer["sid"], item) for item in held):
        return
    fitting = [item for item in known if _meant(signer["sid"], item)]
    if fitting or not held:
        choices = [cms.CertificateChoices("certificate", item) for item in [*held, *fitting]]
        signed["certificates"] = cms.CertificateSet(choices)


def _held(signed: cms.SignedData) -> bool:
    return bool(signed["certificates"].native is not None)


def _meant(sid: cms.SignerIdentifier, certificate: x509.Certificate) -> bool:
    if sid.name == "issuer_and_serial_number":
        wanted = sid.chosen
        same = wanted["serial_number"].native == certificate.serial_number
        return bool(same and wanted["issuer"] == certificate.issuer)
    return bool(sid.chosen.native == certificate.key_identifier)


def signed_end(item: EmbeddedPdfSignature) -> int:
    """Offset after the last byte that the signature's range covers."""
    return int(item.byte_range[2]) + int(item.byte_range[3])


def encrypted(reader: PdfFileReader) -> bool:
    return "/Encrypt" in reader.trailer


def loose_ranges(reader: PdfFileReader, stream: IO[bytes]) -> bool:
    """Does the range of a signature stand in the file that neither a field nor usage rights (/Perms /UR3) have?

    Usage rights of forms that Adobe Reader may fill are signed by Adobe (12.8.2.3): nobody signed the document.
    """
    known = len(list(enumerate_sig_fields(reader, filled_status=True)))
    with_rights = reader.root.get("/Perms")
    if isinstance(with_rights, generic.DictionaryObject):
        known += sum(key in with_rights for key in ("/UR3", "/UR"))
    stream.seek(0)
    found, seen = 0, b""
    while piece := stream.read(1 << 20):
        seen += piece
        matches = list(RANGE.finditer(seen))
        found += len(matches)
        seen = seen[max(matches[-1].end() if matches else 0, len(seen) - 32) :]
    return found > known
