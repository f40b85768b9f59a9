"""The verifier as it runs in the sandbox (`blocks.sandbox`): files, trust and answers are handed in.

It can't ask anybody. What it would like to know about revocation goes out as wishes; `tasks.signing.sandbox` has the
allowed ones answered and calls again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, BinaryIO

from asn1crypto import cms, x509
from pyhanko.sign.general import extract_certificate_info
from pyhanko.sign.validation.generic_cms import extract_tst_data_iter
from pyhanko_certvalidator.authority import AuthorityWithCert
from pyhanko_certvalidator.errors import CRLFetchError, OCSPFetchError

from blocks.revocation import Handed as Answers
from blocks.sandbox.keeper import Sink
from blocks.trust import Believed, Handed, run
from tasks.signing.report import etsi_reports
from tasks.signing.verify import verify_manifest, verify_pdf, verify_record
from tasks.signing.verify_reader import TolerantReader, collected

DEEPEST = 8


def verify(
    out: Sink,
    trust: BinaryIO,
    answers: BinaryIO,
    index: dict[str, list[int] | None],
    last: bool,
    stamped: bool,
    etsi: bool,
    path: BinaryIO,
    signature: BinaryIO | None = None,
    pdf: BinaryIO | None = None,
) -> dict[str, Any]:
    """{"verdict": …} or {"wishes": …}. index: key of a wish → place of its answer in `answers`, None: there was none.

    last: a verdict now, whatever is still unknown; etsi: the reports of a PDF come out as files.
    """
    held = answers.read()
    ask = Answers({key: held[at[0] : at[0] + at[1]] if at else None for key, at in index.items()})
    believed = Handed(json.loads(trust.read()), ask)
    if not last:
        with suppress(Exception):  # a file that can't be read has no certificates; the verdict says so
            run(_wish(_signers(path, signature, pdf), believed))
        if ask.wishes:
            return {"wishes": _told(ask)}
    made = _verdict(path, signature, pdf, believed, stamped)
    if ask.wishes and not last:
        return {"wishes": _told(ask)}
    if etsi and not signature and made["signatures"]:
        for name, text in etsi_reports(path, believed).items():
            out.put(re.sub(r"[^0-9A-Za-z_-]", "_", name)[:40] + ".xml", text.encode())
    return {"verdict": made}


def _verdict(
    path: BinaryIO, signature: BinaryIO | None, pdf: BinaryIO | None, trust: Believed, stamped: bool
) -> dict[str, Any]:
    path.seek(0)
    if signature is None:
        return verify_pdf(path, trust, stamped=stamped).model_dump(mode="json")
    signature.seek(0)
    data, token = path.read(), signature.read()
    if pdf is None:
        return verify_manifest(data, token, trust).model_dump(mode="json")
    return verify_record(data, token, pdf, trust).model_dump(mode="json")


def _told(ask: Answers) -> list[list[str]]:
    return [[wish.kind, wish.url, wish.request.hex()] for wish in ask.wishes.values()]


def _signers(
    path: BinaryIO, signature: BinaryIO | None, pdf: BinaryIO | None
) -> tuple[list[x509.Certificate], list[x509.Certificate]]:
    """Who signed or stamped, and every certificate at hand."""
    found: list[cms.SignedData] = []
    if signature is not None:
        found.append(cms.ContentInfo.load(signature.read(), strict=True)["content"])
    document = pdf if signature is not None else path
    if document is not None:
        found += [item.signed_data for item in collected(TolerantReader(document))[0]]
    for signed in list(found):
        for signer in signed["signer_infos"]:
            found += extract_tst_data_iter(signer, signed=False)
    who = [extract_certificate_info(signed).signer_cert for signed in found]
    known = [item.chosen for signed in found for item in signed["certificates"] if item.name == "certificate"]
    return who, known


async def _wish(certificates: tuple[list[x509.Certificate], list[x509.Certificate]], trust: Believed) -> None:
    """Ask about each signer and each issuer above it, as the validation will: all wishes at once, not one a round."""
    who, known = certificates
    at_hand = [*trust.anchors, *trust.intermediates, *known]
    fetchers = trust.fetchers(known)
    for certificate in who:
        for one, issuer in _path(certificate, at_hand, trust.anchors):
            try:
                await fetchers.ocsp_fetcher.fetch(one, AuthorityWithCert(issuer))
            except OCSPFetchError:
                with suppress(CRLFetchError):
                    if not one.ocsp_urls:
                        await fetchers.crl_fetcher.fetch(one)


def _path(
    certificate: x509.Certificate, at_hand: Iterable[x509.Certificate], anchors: Iterable[x509.Certificate]
) -> Iterator[tuple[x509.Certificate, x509.Certificate]]:
    """(certificate, issuer) by name, up to an anchor; whether they signed is proven before anything is wished."""
    ends, by_name = {item.dump() for item in anchors}, {item.subject.dump(): item for item in at_hand}
    for _ in range(DEEPEST):
        issuer = by_name.get(certificate.issuer.dump())
        if issuer is None or certificate.dump() in ends:
            return
        yield certificate, issuer
        certificate = issuer
