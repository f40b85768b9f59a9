"""What came into a PDF after a signature: is it allowed, and if not, what is it, as an officer can tell the sender.

By rule only further signatures, time-stamps and their validation data may come (ISO 32000-2, 12.8.2.2; PAdES,
EN 319 142-1): what was added is not covered by the earlier signature, and an annotation can hide what was signed. So
the number and date that a clerk stamps between the signatures of leader and agency are not accepted either [R]; the
officer is told what was added after whose signature, and what to ask of the sender.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.reader import HistoricalResolver, PdfFileReader
from pyhanko.sign.diff_analysis import ModificationLevel, SuspiciousModification
from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature
from pyhanko.sign.validation.status import SignatureCoverageLevel

from tasks.signing.verify_reader import TolerantReader

MOST_TOLD = 5


def compare(item: EmbeddedPdfSignature, policy: Any) -> None:
    """pyHanko's comparison into the signature's integrity information, and what it doesn't look at itself."""
    item.compute_integrity_info(diff_policy=policy)  # type: ignore[no-untyped-call]
    covers = item.coverage == SignatureCoverageLevel.ENTIRE_REVISION
    if covers and (why := _defined_later(item.reader, item)):
        item.diff_result = SuspiciousModification(why)  # type: ignore[assignment]


def _defined_later(reader: PdfFileReader, item: EmbeddedPdfSignature) -> str:
    """An appended revision may give a meaning to nothing that the signed one has left open.

    A reference to an absent object is null when it is signed; an object of that number that comes later looks like
    one that nobody uses. So does one that has another generation than what it replaces.
    """
    count, signed = reader.xrefs.total_revisions, item.signed_revision
    then = reader.get_historical_resolver(signed)
    defined = {ref for revision in range(signed + 1) for ref in _explicit(reader, revision)}
    there = {ref for ref in defined if reader.xrefs.get_historical_ref(ref, signed) is not None}
    numbers = {ref.idnum for ref in there}
    later = {ref for revision in range(signed + 1, count) for ref in _explicit(reader, revision)}
    if any(ref.idnum in numbers and ref not in there for ref in later):
        return "another generation of an object that was signed"
    fresh = {ref.idnum for ref in later} - numbers
    if isinstance(reader, TolerantReader):
        if not reader.appended_in_place(signed):
            return "appended cross-references into what was signed"
        fresh |= set().union(*reader.touched[signed + 1 :]) - numbers
    if fresh and fresh & _referred(then, there):
        return "an object that was absent when it was signed"
    return ""


def _explicit(reader: PdfFileReader, revision: int) -> set[generic.Reference]:
    found: set[generic.Reference] = reader.xrefs.explicit_refs_in_revision(revision)
    return found


def _referred(then: HistoricalResolver, there: set[generic.Reference]) -> set[int]:
    """Numbers that any object of the revision refers to, reachable or not."""
    found: set[int] = set()
    waiting: list[Any] = [then.trailer_view, *(then.get_object(ref) for ref in there)]
    while waiting:
        value = waiting.pop()
        if isinstance(value, generic.IndirectObject):
            found.add(value.idnum)
        elif isinstance(value, generic.DictionaryObject):
            waiting += [value.raw_get(key) for key in value]
        elif isinstance(value, generic.ArrayObject):
            waiting += [value.raw_get(index) for index in range(len(value))]
    return found


def level(item: EmbeddedPdfSignature) -> ModificationLevel:
    """How far the file was changed after the signature."""
    found = item.diff_result
    if found is None or isinstance(found, SuspiciousModification):
        return ModificationLevel.OTHER
    result: ModificationLevel = found.modification_level
    return result


def told(item: EmbeddedPdfSignature) -> list[str]:
    """What came after the signature, in Vietnamese: which pages, and what on them. At most `MOST_TOLD` phrases."""
    try:
        numbers = range(item.signed_revision, item.reader.xrefs.total_revisions)
        states = [item.reader.get_historical_resolver(number) for number in numbers]
        found = list(dict.fromkeys(one for pair in pairwise(states) for one in _told(*pair)))
    except Exception:  # a comparison for people; that something came is known already
        return []
    return found if len(found) <= MOST_TOLD else [*found[:MOST_TOLD], "và các thay đổi khác"]


def _told(then: HistoricalResolver, after: HistoricalResolver) -> Iterator[str]:
    before, now = list(_pages(then.root["/Pages"])), list(_pages(after.root["/Pages"]))
    if len(now) != len(before):
        yield f"số trang đổi từ {len(before)} thành {len(now)}"
    for number, (old, new) in enumerate(zip(before, now, strict=False), 1):
        yield from _on_page(old, new, number)
    if _values(then) != _values(after):
        yield "điền hoặc sửa ô biểu mẫu"


def _on_page(old: Any, new: Any, number: int) -> Iterator[str]:
    was, is_ = _annotations(old), _annotations(new)
    if any(one not in was for one in is_):
        yield f"thêm chú thích, con dấu hoặc chữ ở trang {number}"
    if any(one not in is_ for one in was):
        yield f"xóa hoặc sửa chú thích ở trang {number}"
    keys = ("/Contents", "/Resources", "/MediaBox", "/CropBox", "/Rotate")
    if any(_plain(old.get(key)) != _plain(new.get(key)) for key in keys):
        yield f"sửa nội dung trang {number}"


def _pages(node: Any, depth: int = 0) -> Iterator[Any]:
    for kid in node["/Kids"] if depth < 20 else ():
        kid = kid.get_object()
        if "/Kids" in kid:
            yield from _pages(kid, depth + 1)
        else:
            yield kid


def _annotations(page: Any) -> list[Any]:
    """Those that aren't fields, as plain values."""
    found: list[Any] = [item.get_object() for item in page.get("/Annots", ())]
    return [_plain(item) for item in found if item.get("/Subtype") != "/Widget"]


def _values(handler: Any) -> list[Any]:
    """Values of the fields that aren't signatures."""
    form = handler.root.get("/AcroForm", {})
    fields = [item.get_object() for item in form.get("/Fields", ())]
    return [(str(item.get("/T")), _plain(item.get("/V"))) for item in fields if item.get("/FT") != "/Sig"]


def _plain(value: Any, depth: int = 0) -> Any:
    """Comparable between revisions; references are followed a few steps, but never to pages."""
    if isinstance(value, generic.IndirectObject):
        value = value.get_object()  # type: ignore[no-untyped-call]
    if depth > 6:
        return None
    if isinstance(value, generic.DictionaryObject):
        left_out = {"/P", "/Parent", "/Popup", "/IRT"}
        plain = {str(k): _plain(value.raw_get(k), depth + 1) for k in value if k not in left_out}
        return (plain, value.encoded_data) if isinstance(value, generic.StreamObject) else plain
    if isinstance(value, generic.ArrayObject):
        return [_plain(value.raw_get(index), depth + 1) for index in range(len(value))]
    return str(value)
