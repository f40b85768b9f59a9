"""Detached CAdES signatures that last (ETSI EN 319 122-1): validation data inside, archive time-stamps over all of it.

A B-T signature gets certificates, OCSP answers and CRLs into its SignedData (B-LT), then archive-time-stamp-v3
attributes (B-LTA), one more at each renewal. What a time-stamp covers is listed by hash (ATSHashIndexV3), so later
additions don't disturb it. The signed bytes themselves are never touched.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from asn1crypto import algos, cms, core, crl, ocsp, x509
from pyhanko.sign.ades.asn1_util import register_cms_attribute
from pyhanko.sign.ades.report import AdESIndeterminate, AdESPassed
from pyhanko.sign.general import SignedDataCerts, extract_certificate_info
from pyhanko.sign.validation import ades
from pyhanko.sign.validation.generic_cms import extract_tst_data_iter, message_imprint_checker
from pyhanko.sign.validation.policy_decl import (
    LocalKnowledge,
    SignatureValidationSpec,
    bootstrap_validation_data_handlers,
)
from pyhanko_certvalidator import CertificateValidator, ValidationContext
from pyhanko_certvalidator.ltv.poe import POEManager, POEType
from pyhanko_certvalidator.ltv.types import ValidationTimingInfo
from pyhanko_certvalidator.revinfo.archival import CRLContainer, OCSPContainer

from blocks.trust import Trust, clock

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


@dataclass
class Proof:
    """What one archive time-stamp proves: that these bytes existed at `time`."""

    token: cms.SignedData
    time: datetime
    imprint: Callable[[str], bytes]  # by hash algorithm
    covered: set[bytes] = field(default_factory=set)  # DER of certificates, CRLs, OCSP answers; signature values


@dataclass(frozen=True)
class Finding:
    """Outcome of validating a detached signature."""

    indication: Any
    status: Any
    stamped_at: datetime | None  # by the signature's own time-stamp
    level: str  # B-B, B-T, B-LT, B-LTA
    last_stamp: x509.Certificate | None  # certificate of the time-stamp that must be renewed first


# -- making -------------------------------------------------------------------------------------------------------
async def archive(content: cms.ContentInfo, data: bytes, trust: Trust) -> cms.ContentInfo:
    """Add what validates everything inside as of now, then an archive time-stamp over it. Also renews.

    data: the signed bytes, of any length. Returns a new object; the old one stays as it is.
    Raises CertificateRefused, RevocationUnavailable, TimestampUnavailable, TimestampRefused, TimestampClock.
    """
    made = cms.ContentInfo.load(content.dump())
    signed: cms.SignedData = made["content"]
    signer = signed["signer_infos"][0]
    context = trust.context()
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
    newest = max(stamps, key=lambda item: stamp_time(item[1]), default=None)
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
    for kind in ("signature_time_stamp", ARCHIVE):
        for token in _tokens(signed["signer_infos"][0], kind):
            yield kind, token["content"]


def stamp_time(token: cms.SignedData) -> datetime:
    """What a time-stamp token says."""
    moment: datetime = token["encap_content_info"]["content"].parsed["gen_time"].native
    return moment


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


def _proofs(signed: cms.SignedData, data: bytes) -> list[Proof]:
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
        proof = Proof(inner, stamp_time(inner), partial(_imprint, signed, signer, data, index))
        _cover(proof, signed, signer, index, algorithm)
        found.append(proof)
    return sorted(found, key=lambda proof: proof.time)


def _cover(proof: Proof, signed: cms.SignedData, signer: cms.SignerInfo, index: ATSHashIndexV3, algorithm: str) -> None:
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
async def validate(data: bytes, signed: cms.SignedData, trust: Trust, at: datetime | None = None) -> Finding:
    """Validation after EN 319 102-1, 5.6.3: archive time-stamps prove that the material existed in time.

    at: as if it were then (None: now). Raises ValueError for what is not a signature.
    """
    timing = ValidationTimingInfo(at or clock(), at or clock(), point_in_time_validation=at is not None)
    signer = signed["signer_infos"][0]
    specification = with_material(
        trust.specification().signature_validation_spec, *_revocation(signed), list(_certificates(signed))
    )
    proofs = _proofs(signed, data)
    poes, complete = await _validated_proofs(proofs, specification, timing)
    algorithm = signer["digest_algorithm"]["algorithm"].native
    result = await ades.ades_with_time_validation(
        signed,
        specification,
        timing_info=timing,
        validation_data_handlers=bootstrap_validation_data_handlers(
            specification, timing_info=timing, poe_manager_override=copy.copy(poes)
        ),
        raw_digest=hashlib.new(algorithm, data).digest(),
    )
    stamped = await _stamped_at(signer, specification, poes, timing)
    code = result.ades_subindic
    if code is not AdESPassed.OK and isinstance(code, AdESIndeterminate) and complete and proofs and stamped:
        poes.register(signer["signature"].native, poe_type=POEType.VALIDATION, dt=stamped)
        code = await ades.ades_past_signature_validation(
            signed, specification, poes, code, init_control_time=timing.validation_time
        )
    level = _level(signed, stamped is not None, archived=bool(proofs) and complete)
    last = _parts(proofs[-1].token).signer_cert if proofs else None
    return Finding(code, result.api_status, stamped, level, last)


def with_material(
    specification: SignatureValidationSpec,
    crls: list[crl.CertificateList],
    answers: list[ocsp.OCSPResponse],
    certificates: list[x509.Certificate],
) -> SignatureValidationSpec:
    """The same policy, with what lies beside a signature as known facts."""
    known = LocalKnowledge(
        known_ocsps=[item for answer in answers for item in OCSPContainer.load_multi(answer)],
        known_crls=[CRLContainer(item) for item in crls],
        known_certs=certificates,
    )
    return dataclasses.replace(specification, local_knowledge=known)


def _certificates(signed: cms.SignedData) -> Iterator[x509.Certificate]:
    for _, inner in _signatures(signed):
        yield from (item.chosen for item in inner["certificates"] if item.name == "certificate")


async def _validated_proofs(
    proofs: list[Proof], specification: SignatureValidationSpec, timing: ValidationTimingInfo
) -> tuple[POEManager, bool]:
    """Each time-stamp is valid now, or was when the next one was made. Returns (what is proven, whether all are)."""
    proven = POEManager()
    for number, proof in enumerate(proofs):
        assumed = copy.copy(proven)
        if number + 1 < len(proofs):
            _register(assumed, proofs[number + 1])
        result = await ades.ades_timestamp_validation(
            proof.token,
            specification,
            timing_info=timing,
            expected_tst_imprint=proof.imprint,
            validation_data_handlers=bootstrap_validation_data_handlers(
                specification, timing_info=timing, poe_manager_override=assumed
            ),
        )
        code: Any = result.ades_subindic
        if isinstance(code, AdESIndeterminate):
            code = await ades.ades_past_signature_validation(
                proof.token, specification, assumed, code, init_control_time=timing.validation_time
            )
        if code is not AdESPassed.OK:
            return POEManager(), False
        _register(proven, proof)
    return proven, True


def _register(manager: POEManager, proof: Proof) -> None:
    for item in proof.covered:
        manager.register(item, poe_type=POEType.VALIDATION, dt=proof.time)


async def _stamped_at(
    signer: cms.SignerInfo, specification: SignatureValidationSpec, poes: POEManager, timing: ValidationTimingInfo
) -> datetime | None:
    """Time of the signature's own time-stamp, if that is valid now or was in the time that the proofs cover."""
    for token in extract_tst_data_iter(signer, signed=False):
        result = await ades.ades_timestamp_validation(
            token,
            specification,
            timing_info=timing,
            expected_tst_imprint=message_imprint_checker(signer),
            validation_data_handlers=bootstrap_validation_data_handlers(
                specification, timing_info=timing, poe_manager_override=copy.copy(poes)
            ),
        )
        code: Any = result.ades_subindic
        if isinstance(code, AdESIndeterminate):
            code = await ades.ades_past_signature_validation(
                token, specification, copy.copy(poes), code, init_control_time=timing.validation_time
            )
        if code is AdESPassed.OK:
            return stamp_time(token).astimezone(UTC)
    return None


def _level(signed: cms.SignedData, stamped: bool, *, archived: bool) -> str:
    if not stamped:
        return "B-B"
    if archived:
        return "B-LTA"
    crls, answers = _revocation(signed)
    return "B-LT" if crls or answers else "B-T"
