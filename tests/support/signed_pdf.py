"""Signed PDFs written by hand, byte for byte: with whatever is odd about their cross-references and objects."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Mapping
from typing import Any

from asn1crypto import cms
from pyhanko.sign.timestamps import TimeStamper

from blocks.trust import run
from tests.support.own_pki import Holder

ROOM = 16_000  # hexadecimal digits for the signature
RANGE = b"/ByteRange [0 1111111111 2222222222 3333333333]"
CONTENTS = b"/Contents <" + b"0" * ROOM + b">"
TEXT = b"BT /F1 20 Tf 72 700 Td (Tro cap 1.000.000 dong) Tj ET"


def stream(data: bytes, entries: bytes = b"") -> bytes:
    return b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(data), entries, data)


def signature(sub: bytes = b"ETSI.CAdES.detached", kind: bytes = b"Sig") -> bytes:
    return b"<< /Type /%s /Filter /Adobe.PPKLite /SubFilter /%s %s %s >>" % (kind, sub, RANGE, CONTENTS)


def field(number: int, name: bytes = b"Signature1", page: int = 3) -> bytes:
    """A signature field whose value is object `number`."""
    return b"<< /Type /Annot /Subtype /Widget /FT /Sig /T (%s) /V %d 0 R /Rect [0 0 0 0] /F 132 /P %d 0 R >>" % (
        name,
        number,
        page,
    )


def objects(fields: bytes = b"5 0 R", root: bytes = b"", page: bytes = b"") -> dict[int, bytes]:
    """A page of text with a form: 1 to 4, and 7 the font."""
    return {
        1: b"<< /Type /Catalog /Pages 2 0 R /AcroForm << /SigFlags 3 /Fields [%s] >> %s >>" % (fields, root),
        2: b"<< /Type /Pages /Count 1 /Kids [3 0 R] >>",
        3: b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Annots [%s] "
        b"/Resources << /Font << /F1 7 0 R >> >> %s >>" % (fields, page),
        4: stream(TEXT),
        7: b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    }


def signed_objects(name: bytes = b"Signature1", **wanted: bytes) -> dict[int, bytes]:
    """The same with field 5 and signature 6."""
    return objects(**wanted) | {5: field(6, name), 6: signature()}


def revision(
    held: Mapping[int, bytes],
    before: bytes = b"",
    *,
    size: int | None = None,
    generations: Mapping[int, int] | None = None,
    as_stream: int = 0,
    extra: Mapping[int, int] | None = None,
    trailer: bytes = b"",
    root: int = 1,
) -> bytes:
    """`before` with one more revision that has these objects.

    size: what the trailer says (None: what is true); generations: by number; as_stream: number of the cross-reference
    stream that is written instead of a table; extra: offsets of entries without an object here.
    """
    out = bytearray(before or b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
    places: dict[int, int] = dict(extra or {})
    for number, body in held.items():
        places[number] = len(out)
        out += b"%d %d obj\n%s\nendobj\n" % (number, (generations or {}).get(number, 0), body)
    start = len(out)
    highest = max([*places, as_stream, _size(before) - 1])
    entries = b"/Size %d /Root %d 0 R %s" % (size or highest + 1, root, trailer)
    if before:
        entries += b" /Prev %d" % int(re.findall(rb"startxref\s+(\d+)", before)[-1])
    if as_stream:
        places[as_stream] = start
        rows = b"".join(b"\1" + places[n].to_bytes(4, "big") + b"\0" for n in sorted(places))
        index = b" ".join(b"%d 1" % number for number in sorted(places))
        told = b"/Type /XRef /W [1 4 1] /Index [%s] /Filter /FlateDecode %s" % (index, entries)
        out += b"%d 0 obj\n%s\nendobj\n" % (as_stream, stream(zlib.compress(rows), told))
    else:
        out += b"xref\n0 1\n0000000000 65535 f \n"
        for number in sorted(places):
            out += b"%d 1\n%010d %05d n \n" % (number, places[number], (generations or {}).get(number, 0))
        out += b"trailer\n<< %s >>\n" % entries
    return bytes(out + b"startxref\n%d\n%%%%EOF\n" % start)


def _size(data: bytes) -> int:
    return max(map(int, re.findall(rb"/Size (\d+)", data)), default=0)


def hybrid(held: Mapping[int, bytes]) -> bytes:
    """One revision as Word writes it: a table, and a stream for what old programs needn't see (object 9 in 8)."""
    hidden = b"9 0 << /Type /Outlines /Count 0 >>"
    whole = revision({**held, 8: stream(hidden, b"/Type /ObjStm /N 1 /First 4")})
    body = whole[: whole.rindex(b"xref\n0 1\n")]
    place = len(body)
    rows = b"\2" + (8).to_bytes(4, "big") + b"\0" + b"\1" + place.to_bytes(4, "big") + b"\0"
    told = b"/Type /XRef /W [1 4 1] /Index [9 2] /Size 11 /Root 1 0 R /Filter /FlateDecode"
    body += b"10 0 obj\n%s\nendobj\n" % stream(zlib.compress(rows), told)
    table = whole[whole.rindex(b"xref\n0 1\n") : whole.rindex(b"startxref")]
    table = table.replace(
        b"trailer\n<< ", b"9 2\n0000000010 65535 f \n0000000000 65535 f \ntrailer\n<< /XRefStm %d " % place
    )
    table = re.sub(rb"/Size \d+", b"/Size 11", table)
    return body + table + b"startxref\n%d\n%%%%EOF\n" % len(body)


def sealed(data: bytes, who: Holder, stamper: TimeStamper | None = None, **wanted: Any) -> bytes:
    """Fill in the last signature. wanted: change(ContentInfo) → ContentInfo, algorithm (``sha256``)."""
    start = data.rindex(CONTENTS) + len(b"/Contents ")
    end = start + ROOM + 2
    numbers = b"/ByteRange [0 %010d %010d %010d]" % (start, end, len(data) - end)
    place = data.rindex(RANGE)
    data = data[:place] + numbers + data[place + len(RANGE) :]
    algorithm = wanted.get("algorithm", "sha256")
    digest = hashlib.new(algorithm, data[:start] + data[end:]).digest()

    async def made() -> cms.ContentInfo:
        if wanted.get("token"):
            assert stamper is not None
            return await stamper.async_timestamp(digest, algorithm)
        return await who.signer().async_sign(digest, algorithm, timestamper=stamper, use_pades=True)

    content = run(made())
    content = wanted["change"](content) if "change" in wanted else content
    text: bytes = content.dump().hex().encode()
    return data[: start + 1] + text + b"0" * (ROOM - len(text)) + data[end - 1 :]


def second(before: bytes, *, number: int = 20, old: bytes = b"5 0 R", notes: bytes = b"", **wanted: Any) -> bytes:
    """An unfilled second signature, appended: field `number`, value `number` + 1. notes: the page's annotations."""
    both = old + b" %d 0 R" % number
    form = objects(fields=both)
    page = form[3].replace(b"/Annots [%s]" % both, b"/Annots [%s %s]" % (both, notes))
    held = {1: form[1], 3: page}
    return revision({**held, number: field(number + 1, b"Signature2"), number + 1: signature()}, before, **wanted)
