"""Validation in the long term (ETSI EN 319 102-1, 5.6.3), the same for PDF and CMS.

Each archive time-stamp proves that what it covers existed at its time. It is valid now, or was when the next one was
made; the signature is valid now, or was when the first one was made. What is judged in the past is judged by the
material that the next time-stamp covers: lists of revoked certificates of later years say nothing about certificates
that had expired by then.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from asn1crypto import cms, crl, ocsp, x509
from pyhanko.sign.ades.report import AdESIndeterminate, AdESPassed
from pyhanko.sign.general import extract_certificate_info
from pyhanko.sign.validation import ades
from pyhanko.sign.validation.generic_cms import extract_tst_data_iter, message_imprint_checker
from pyhanko.sign.validation.policy_decl import (
    LocalKnowledge,
    SignatureValidationSpec,
    bootstrap_validation_data_handlers,
)
from pyhanko.sign.validation.status import SignatureStatus, StandardCMSSignatureStatus
from pyhanko_certvalidator import CertificateValidator, ValidationContext, errors
from pyhanko_certvalidator.ltv.poe import POEManager, POEType
from pyhanko_certvalidator.ltv.types import ValidationTimingInfo
from pyhanko_certvalidator.policy_decl import REQUIRE_REVINFO, CertRevTrustPolicy
from pyhanko_certvalidator.revinfo.archival import CRLContainer, OCSPContainer

from blocks.revocation import DEEPEST
from blocks.trust import CLOCK_SKEW, TOLERANCE, Believed, clock

STAMP = "signature_time_stamp_token"


@dataclass
class Proof:
    """One archive time-stamp. imprint: by hash algorithm, what it must have stamped."""

    token: cms.SignedData
    time: datetime
    imprint: Callable[[str], bytes]
    covered: set[bytes] = field(default_factory=set)  # DER of certificates, CRLs, OCSP answers; signature values


@dataclass(frozen=True)
class Material:
    """What lies beside the signatures to validate them with."""

    crls: list[crl.CertificateList] = field(default_factory=list)
    answers: list[ocsp.OCSPResponse] = field(default_factory=list)
    certificates: list[x509.Certificate] = field(default_factory=list)

    def about(self, certificate: x509.Certificate) -> bool:
        """Is there an answer about the revocation of this certificate?"""
        return any(item.issuer == certificate.issuer for item in self.crls) or any(
            entry["cert_id"]["serial_number"].native == certificate.serial_number
            for answer in self.answers
            for entry in answer.response_data["responses"]
        )

    def applied(self, specification: SignatureValidationSpec, proof: Proof | None) -> SignatureValidationSpec:
        """The policy with this material as known facts; with a proof, only what that covers."""
        crls = [item for item in self.crls if proof is None or item.dump() in proof.covered]
        answers = [item for item in self.answers if proof is None or item.dump() in proof.covered]
        known = LocalKnowledge(
            known_ocsps=[item for answer in answers for item in OCSPContainer.load_multi(answer)],
            known_crls=[CRLContainer(item) for item in crls],
            known_certs=self.certificates,
        )
        return dataclasses.replace(specification, local_knowledge=known)


@dataclass(frozen=True)
class Finding:
    """Outcome of validating one signature."""

    indication: Any  # AdESSubIndic
    status: Any  # pyHanko's, or None
    stamped_at: datetime | None  # by the signature's own time-stamp
    level: str  # B-B, B-T, B-LT, B-LTA
    renew_before: datetime | None  # end of the certificate of the newest archive time-stamp
    stamp: str = ""  # why its time-stamp counts as none: UNTRUSTED, TRY_LATER, FUTURE, BEFORE_CERTIFICATE, NOT_VALID


def stamp_time(token: cms.SignedData) -> datetime:
    """What a time-stamp token says, UTC."""
    moment: datetime = token["encap_content_info"]["content"].parsed["gen_time"].native
    return moment.astimezone(UTC)


async def validate(
    signed: cms.SignedData,
    digest: bytes,
    proofs: list[Proof],
    material: Material,
    trust: Believed,
    at: datetime | None = None,
    *,
    stamped: bool = True,
    status_cls: type[SignatureStatus] = StandardCMSSignatureStatus,
    status_kwargs: dict[str, Any] | None = None,
) -> Finding:
    """Validate the signature over `digest`. proofs: the archive time-stamps after it, in order of time.

    at: as if it were then (None: now). stamped: a signature without time-stamp is not valid (our own have one); False:
    it is as long as its certificate is, at the time of validation (EN 319 102-1, 5.3). A time-stamp that isn't valid or
    contradicts itself counts as none (5.6.3): `Finding.stamp` says why.
    """
    timing = ValidationTimingInfo(at or clock(), at or clock(), point_in_time_validation=at is not None)
    known = _at_hand(signed, proofs, material)
    specification = trust.specification(known).signature_validation_spec
    poes, complete = await _proven(proofs, material, specification, timing)
    lasting = bool(proofs and complete)
    everything = material.applied(specification, None)
    past = material.applied(specification, proofs[0] if lasting else None)
    stamps = await _stamps(signed, past, poes, timing)
    signed = stamps.kept
    common: dict[str, Any] = {"timing_info": timing, "raw_digest": digest}
    result = await ades.ades_with_time_validation(
        signed,
        everything,
        validation_data_handlers=_handlers(everything, timing, poes),
        status_cls=status_cls,
        extra_status_kwargs=status_kwargs or {},
        **common,
    )
    code: Any = result.ades_subindic
    if code is AdESIndeterminate.SIG_CONSTRAINTS_FAILURE and stamps.at is None:  # pyHanko's word for a missing stamp
        basic = await ades.ades_basic_validation(
            signed, everything, validation_data_handlers=_handlers(everything, timing, poes), **common
        )
        code = code if stamped and basic.ades_subindic is AdESPassed.OK else basic.ades_subindic
    code = _out_of_bounds(code, signed, timing)
    if isinstance(code, AdESIndeterminate) and lasting and stamps.at:
        value = signed["signer_infos"][0]["signature"].native
        poes.register(value, poe_type=POEType.VALIDATION, dt=stamps.at)
        code = await ades.ades_past_signature_validation(signed, past, poes, code, timing.validation_time)
    if code in UNKNOWN:
        certificate = extract_certificate_info(signed).signer_cert
        code = await revocation_unknown(certificate, known, material, trust, timing) or code
    if stamps.why == "TRY_LATER" and code in _STAMP_WOULD_HELP:
        code = AdESIndeterminate.TRY_LATER
    last = extract_certificate_info(proofs[-1].token).signer_cert.not_valid_after if proofs else None
    level = _level(signed, material, stamps.at, lasting=lasting)
    return Finding(code, result.api_status, stamps.at, level, last, stamps.why)


UNKNOWN = (AdESIndeterminate.CERTIFICATE_CHAIN_GENERAL_FAILURE, AdESIndeterminate.TRY_LATER)
_STAMP_WOULD_HELP = {
    AdESIndeterminate.SIG_CONSTRAINTS_FAILURE,
    AdESIndeterminate.OUT_OF_BOUNDS_NO_POE,
    AdESIndeterminate.REVOKED_NO_POE,
}


def _level(signed: cms.SignedData, material: Material, stamped_at: datetime | None, *, lasting: bool) -> str:
    if stamped_at is None:
        return "B-B"
    if not material.about(extract_certificate_info(signed).signer_cert):
        return "B-T"
    return "B-LTA" if lasting else "B-LT"


async def revocation_unknown(
    certificate: x509.Certificate,
    known: list[x509.Certificate],
    material: Material,
    trust: Believed,
    timing: ValidationTimingInfo,
) -> Any:
    """TRY_LATER, or "NO_REVOCATION_ADDRESS", where only the revocation of a certificate of the path is unknown.

    pyHanko calls this a general failure of the chain. None: something else is wrong with the path.
    """
    context = ValidationContext(
        trust_roots=list(trust.anchors),
        other_certs=[*trust.intermediates, *known],
        moment=timing.validation_time,
        best_signature_time=timing.best_signature_time,
        allow_fetching=True,
        fetchers=trust.fetchers(known),
        crls=material.crls,
        ocsps=material.answers,
        revinfo_policy=CertRevTrustPolicy(REQUIRE_REVINFO),
        time_tolerance=TOLERANCE,
    )
    validator = CertificateValidator(certificate, intermediate_certs=known, validation_context=context)
    try:
        await validator.async_validate_path()
    except errors.InsufficientRevinfoError:
        path = [*certificates_up(certificate, [*trust.intermediates, *known], trust.anchors)]
        asked = all(item.ocsp_urls or item.crl_distribution_points or material.about(item) for item in path)
        return AdESIndeterminate.TRY_LATER if asked else "NO_REVOCATION_ADDRESS"
    except errors.ValidationError:
        return None
    return None


def certificates_up(
    certificate: x509.Certificate, others: Iterable[x509.Certificate], anchors: Iterable[x509.Certificate]
) -> Iterator[x509.Certificate]:
    """The certificate and those above it by name, without the anchor."""
    ends = {item.dump() for item in anchors}
    by_name = {item.subject.dump(): item for item in others}
    for _ in range(DEEPEST):
        if certificate.dump() in ends:
            return
        yield certificate
        above = by_name.get(certificate.issuer.dump())
        if above is None:
            return
        certificate = above


def _at_hand(signed: cms.SignedData, proofs: list[Proof], material: Material) -> list[x509.Certificate]:
    """Certificates that came with the signature, its time-stamps and the file."""
    tokens = [token for signer in signed["signer_infos"] for token in extract_tst_data_iter(signer, signed=False)]
    found = [
        item.chosen
        for holder in (signed, *tokens, *(proof.token for proof in proofs))
        for item in holder["certificates"]
        if item.name == "certificate"
    ]
    return [*found, *material.certificates]


def _out_of_bounds(code: Any, signed: cms.SignedData, timing: ValidationTimingInfo) -> Any:
    """EN 319 102-1, 5.2.6.4: an expired signer comes first. pyHanko names an expired issuer above it instead."""
    expired = extract_certificate_info(signed).signer_cert.not_valid_after < timing.validation_time
    if code is AdESIndeterminate.CERTIFICATE_CHAIN_GENERAL_FAILURE and expired:
        return AdESIndeterminate.OUT_OF_BOUNDS_NO_POE
    return code


def _handlers(specification: SignatureValidationSpec, timing: ValidationTimingInfo, poes: POEManager) -> Any:
    return bootstrap_validation_data_handlers(specification, timing_info=timing, poe_manager_override=copy.copy(poes))


async def _proven(
    proofs: list[Proof], material: Material, specification: SignatureValidationSpec, timing: ValidationTimingInfo
) -> tuple[POEManager, bool]:
    """(what is proven to have existed when, whether every time-stamp of the chain is valid)."""
    proven = POEManager()
    if any(proof.time > timing.validation_time + CLOCK_SKEW for proof in proofs):
        return POEManager(), False
    for number, proof in enumerate(proofs, 1):
        following = proofs[number] if number < len(proofs) else None
        assumed = copy.copy(proven)
        if following is not None:
            _register(assumed, following)
        policy = material.applied(specification, following)
        if not await _was_valid(proof.token, proof.imprint, policy, assumed, timing):
            return POEManager(), False
        _register(proven, proof)
    return proven, True


def _register(manager: POEManager, proof: Proof) -> None:
    for item in proof.covered:
        manager.register(item, poe_type=POEType.VALIDATION, dt=proof.time)


async def _was_valid(
    token: cms.SignedData,
    imprint: Callable[[str], bytes],
    specification: SignatureValidationSpec,
    poes: POEManager,
    timing: ValidationTimingInfo,
) -> bool:
    return (await _judged(token, imprint, specification, poes, timing))[1] is AdESPassed.OK


async def _judged(
    token: cms.SignedData,
    imprint: Callable[[str], bytes],
    specification: SignatureValidationSpec,
    poes: POEManager,
    timing: ValidationTimingInfo,
) -> tuple[Any, Any]:
    """(the time-stamp at the time of validation, the same or as it was when `poes` prove that it existed)."""
    result = await ades.ades_timestamp_validation(
        token,
        specification,
        timing_info=timing,
        expected_tst_imprint=imprint,
        validation_data_handlers=_handlers(specification, timing, poes),
    )
    code = now = _out_of_bounds(result.ades_subindic, token, timing)
    if isinstance(code, AdESIndeterminate):
        code = await ades.ades_past_signature_validation(
            token, specification, copy.copy(poes), code, timing.validation_time
        )
    return now, code


@dataclass(frozen=True)
class _Stamps:
    """The signature's own time-stamps. kept: the signature with only those that count."""

    kept: cms.SignedData
    at: datetime | None
    why: str  # why the first of the others doesn't; "" where one counts, or none is there


async def _stamps(
    signed: cms.SignedData, specification: SignatureValidationSpec, poes: POEManager, timing: ValidationTimingInfo
) -> _Stamps:
    signer = signed["signer_infos"][0]
    tokens = list(extract_tst_data_iter(signer, signed=False))
    for token in tokens:
        why = await _wrong(token, signed, specification, poes, timing)
        if not why:
            kept = signed if len(tokens) == 1 else _with_stamps(signed, token)
            return _Stamps(kept, stamp_time(token), "")
    if not tokens:
        return _Stamps(signed, None, "")
    return _Stamps(_with_stamps(signed, None), None, await _wrong(tokens[0], signed, specification, poes, timing))


async def _wrong(
    token: cms.SignedData,
    signed: cms.SignedData,
    specification: SignatureValidationSpec,
    poes: POEManager,
    timing: ValidationTimingInfo,
) -> str:
    """Why a time-stamp counts as none; "" when it counts."""
    try:
        time = stamp_time(token)
        imprint = message_imprint_checker(signed["signer_infos"][0])
        now, code = await _judged(token, imprint, specification, poes, timing)
    except (ValueError, TypeError, KeyError, AttributeError):
        return "NOT_VALID"
    if time > timing.validation_time + CLOCK_SKEW:
        return "FUTURE"
    if code is AdESPassed.OK:
        begins = extract_certificate_info(signed).signer_cert.not_valid_before
        return "BEFORE_CERTIFICATE" if time < begins else ""
    if now is AdESIndeterminate.NO_CERTIFICATE_CHAIN_FOUND:
        return "UNTRUSTED"
    return "TRY_LATER" if now in UNKNOWN else "NOT_VALID"


def _with_stamps(signed: cms.SignedData, only: cms.SignedData | None) -> cms.SignedData:
    """A copy with this time-stamp, or none. Unsigned attributes can be left out without touching the signature."""
    made = signed.copy()
    signer = made["signer_infos"][0]
    others = [item for item in signer["unsigned_attrs"] if item["type"].native != STAMP]
    if only is not None:
        for item in signer["unsigned_attrs"]:
            fitting = [one for one in item["values"] if item["type"].native == STAMP and _same(one, only)]
            others += [cms.CMSAttribute({"type": STAMP, "values": fitting})] if fitting else []
    signer["unsigned_attrs"] = cms.CMSAttributes(others)
    return made


def _same(one: cms.ContentInfo, token: cms.SignedData) -> bool:
    return bool(one["content"].dump() == token.dump())
