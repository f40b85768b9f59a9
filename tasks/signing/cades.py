"""Detached CAdES signatures that last (ETSI EN 319 122-1): validation data inside, archive time-stamps over all of it.

A B-T signature gets certificates, OCSP answers and CRLs into its SignedData (B-LT), then archive-time-stamp-v3
attributes (B-LTA), one more at each renewal. What a time-stamp covers is listed by hash (ATSHashIndexV3), so later
additions don't disturb it. The signed bytes themselves are never touched.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import Any

from asn1crypto import algos, cms, core, crl, ocsp, x509
from pyhanko.sign.ades.asn1_util import register_cms_attribute
from pyhanko.sign.general import SignedDataCerts, extract_certificate_info
from pyhanko_certvalidator import CertificateValidator, ValidationContext

from blocks.trust import Believed, Trust
from tasks.signing import ltv

DIGEST = "sha256"
OCSP_INFO = "1.3.6.1.5.5.7.16.2"  # id-ri-ocsp-response, RFC 5940
ARCHIVE, INDEX = "archive_time_stamp_v3", "ats_hash_index_v3"


class _Hashes(core.SequenceOf):  # type: ignore[misc]
    _child_spec = core.OctetString


class ATSHashIndexV3(core.Sequence):  # type: ignore[misc]
    """EN 319 122-1, 5.5.2."""

    _fields = [  # noqa: RUF012  (asn1crypto's way)
        ("algorithm", algos.DigestAlgorithm),
        ("certificates", _Hashes),
        ("crls", _Hashes),
        ("unsigned_attributes", _Hashes),
    ]


register_cms_attribute("0.4.0.1733.2.4", ARCHIVE, cms.ContentInfo)  # id-aa-ets-archiveTimestampV3
register_cms_attribute("0.4.0.19122.1.5", INDEX, ATSHashIndexV3)  # id-aa-ATSHashIndex-v3


# -- making -------------------------------------------------------------------------------------------------------
async def archive(content: cms.ContentInfo, data: bytes, trust: Trust) -> cms.ContentInfo:
    """Add what validates everything inside as of now, then an archive time-stamp over it. Also renews.

    data: the signed bytes, of any length. Returns a new object; the old one stays as it is.
    Raises CertificateRefused, RevocationUnavailable, TimestampUnavailable, TimestampRefused, TimestampClock.
    """
    made = cms.ContentInfo.load(content.dump())
    signed: cms.SignedData = made["content"]
    signer = signed["signer_infos"][0]
    context = trust.context(_certificates(signed))
    await _collect(context, signed, trust)
    _embed(signed, context)
    index = _index(signed, signer)
    token = await trust.timestamper().async_timestamp(_imprint(signed, signer, data, index), DIGEST)
    token = cms.ContentInfo.load(token.dump())
    _append(token["content"]["signer_infos"][0], INDEX, index)
    _append(signer, ARCHIVE, token)
    return cms.ContentInfo({"content_type": "signed_data", "content": signed.copy()})


async def _collect(context: ValidationContext, signed: cms.SignedData, trust: Trust) -> None:
    """Validate who must still be valid, so that the context holds the answers about them.

    At first signer and time-stamp; at a renewal the newest archive time-stamp, which proves all that came before it.
    """
    all_ = list(_signatures(signed))
    stamps = [item for item in all_ if ARCHIVE in item]
    newest = max(stamps, key=lambda item: ltv.stamp_time(item[1]), default=None)
    for kind, inner in [newest] if newest else all_:
        usage, extended = (set(), {"time_stamping"}) if kind else ({"non_repudiation"}, set())
        parts = _parts(inner)
        validator = CertificateValidator(
            parts.signer_cert,
            intermediate_certs=[*parts.other_certs, *trust.intermediates],
            validation_context=context,
        )
        await trust.validated(validator, usage, extended)


def _signatures(signed: cms.SignedData) -> Iterator[tuple[str, cms.SignedData]]:
    """The signature itself (kind ""), its time-stamp, its archive time-stamps."""
    yield "", signed
    for kind in ("signature_time_stamp_token", ARCHIVE):
        for token in _tokens(signed["signer_infos"][0], kind):
            yield kind, token["content"]


def _tokens(signer: cms.SignerInfo, kind: str) -> Iterator[cms.ContentInfo]:
    for attribute in signer["unsigned_attrs"] or ():
        if attribute["type"].native == kind:
            yield from attribute["values"]


def _parts(signed: cms.SignedData) -> SignedDataCerts:
    return extract_certificate_info(signed)


def _embed(signed: cms.SignedData, context: ValidationContext) -> None:
    """Certificates, CRLs and OCSP answers that aren't there yet go into the SignedData."""
    there = {item.chosen.dump() for item in signed["certificates"]}
    for certificate in context.certificate_registry:
        if certificate.dump() not in there:
            signed["certificates"].append(cms.CertificateChoices("certificate", certificate))
    crls, answers = _revocation(signed)
    known = {item.dump() for item in (*crls, *answers)}
    revocation = signed["crls"] if signed["crls"] else cms.RevocationInfoChoices([])
    fresh = [cms.RevocationInfoChoice("crl", item) for item in context.crls if item.dump() not in known]
    for answer in context.ocsps:
        if answer.dump() not in known:
            known.add(answer.dump())
            other = cms.OtherRevocationInfoFormat({"other_rev_info_format": OCSP_INFO, "other_rev_info": answer})
            fresh.append(cms.RevocationInfoChoice("other", other))
    for item in fresh:
        revocation.append(item)
    signed["crls"] = revocation
    signed["version"] = "v5"  # RFC 5652, 5.1: other revocation information is there


def _append(signer: cms.SignerInfo, kind: str, value: Any) -> None:
    attributes = list(signer["unsigned_attrs"]) if signer["unsigned_attrs"] else []
    attributes.append(cms.CMSAttribute({"type": kind, "values": [value]}))
    signer["unsigned_attrs"] = cms.CMSAttributes(attributes)


# -- what a time-stamp covers -------------------------------------------------------------------------------------
def _hash(data: bytes, algorithm: str = DIGEST) -> bytes:
    return hashlib.new(algorithm, data).digest()


def _attribute_bytes(signer: cms.SignerInfo) -> list[tuple[bytes, Any]]:
    """(type ‖ value, value) of each unsigned attribute's values."""
    return [
        (attribute["type"].dump() + value.dump(), value)
        for attribute in signer["unsigned_attrs"] or ()
        for value in attribute["values"]
    ]


def _index(signed: cms.SignedData, signer: cms.SignerInfo) -> ATSHashIndexV3:
    return ATSHashIndexV3(
        {
            "algorithm": {"algorithm": DIGEST},
            "certificates": [_hash(item.dump()) for item in signed["certificates"]],
            "crls": [_hash(item.dump()) for item in signed["crls"] or ()],
            "unsigned_attributes": [_hash(data) for data, _ in _attribute_bytes(signer)],
        }
    )


def _imprint(
    signed: cms.SignedData, signer: cms.SignerInfo, data: bytes, index: ATSHashIndexV3, algorithm: str = DIGEST
) -> bytes:
    """EN 319 122-1, 5.5.3: content type, hash of the signed bytes, the signer's fields, the index."""
    parts = ("version", "sid", "digest_algorithm", "signed_attrs", "signature_algorithm", "signature")
    message = signed["encap_content_info"]["content_type"].dump() + _hash(data, algorithm)
    return _hash(message + b"".join(signer[name].dump() for name in parts) + index.dump(), algorithm)


def _proofs(signed: cms.SignedData, data: bytes) -> list[ltv.Proof]:
    """The archive time-stamps in the order of their times. A damaged index covers nothing. Raises ValueError."""
    signer = signed["signer_infos"][0]
    found = []
    for token in _tokens(signer, ARCHIVE):
        inner: cms.SignedData = token["content"]
        (index,) = [
            value
            for attribute in inner["signer_infos"][0]["unsigned_attrs"] or ()
            if attribute["type"].native == INDEX
            for value in attribute["values"]
        ]
        algorithm = str(index["algorithm"]["algorithm"].native)
        if algorithm not in {"sha256", "sha384", "sha512"}:
            raise ValueError("weak hash in an archive time-stamp")
        proof = ltv.Proof(inner, ltv.stamp_time(inner), partial(_imprint, signed, signer, data, index))
        _cover(proof, signed, signer, index, algorithm)
        found.append(proof)
    return sorted(found, key=lambda proof: proof.time)


def _cover(
    proof: ltv.Proof, signed: cms.SignedData, signer: cms.SignerInfo, index: ATSHashIndexV3, algorithm: str
) -> None:
    listed = {name: {item.native for item in index[name]} for name in ("certificates", "crls", "unsigned_attributes")}
    proof.covered.add(signer["signature"].native)
    for item in signed["certificates"]:
        if _hash(item.dump(), algorithm) in listed["certificates"]:
            proof.covered.add(item.chosen.dump())
    for item in signed["crls"] or ():
        if _hash(item.dump(), algorithm) in listed["crls"]:
            proof.covered.add(_plain_revocation(item).dump())
    for raw, value in _attribute_bytes(signer):
        if _hash(raw, algorithm) in listed["unsigned_attributes"] and isinstance(value, cms.ContentInfo):
            inner = value["content"]
            proof.covered.add(inner["signer_infos"][0]["signature"].native)
            proof.covered |= {item.chosen.dump() for item in inner["certificates"]}


def _plain_revocation(item: cms.RevocationInfoChoice) -> Any:
    if item.name != "other":
        return item.chosen
    return (
        item.chosen["other_rev_info"].parsed
        if hasattr(item.chosen["other_rev_info"], "parsed")
        else (item.chosen["other_rev_info"])
    )


def _revocation(signed: cms.SignedData) -> tuple[list[crl.CertificateList], list[ocsp.OCSPResponse]]:
    crls, answers = [], []
    for item in signed["crls"] or ():
        plain = _plain_revocation(item)
        if item.name == "other":
            if item.chosen["other_rev_info_format"].dotted == OCSP_INFO:
                answers.append(ocsp.OCSPResponse.load(plain.dump()))
        else:
            crls.append(crl.CertificateList.load(plain.dump()))
    return crls, answers


# -- validating ---------------------------------------------------------------------------------------------------
async def validate(data: bytes, signed: cms.SignedData, trust: Believed, at: datetime | None = None) -> ltv.Finding:
    """Validation of a detached signature over `data`. at: as if it were then (None: now).

    Raises ValueError for what is not a signature.
    """
    algorithm = signed["signer_infos"][0]["digest_algorithm"]["algorithm"].native
    material = ltv.Material(*_revocation(signed), list(_certificates(signed)))
    digest = hashlib.new(algorithm, data).digest()
    return await ltv.validate(signed, digest, _proofs(signed, data), material, trust, at)


def _certificates(signed: cms.SignedData) -> Iterator[x509.Certificate]:
    for _, inner in _signatures(signed):
        yield from (item.chosen for item in inner["certificates"] if item.name == "certificate")
