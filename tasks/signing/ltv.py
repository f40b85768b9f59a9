"""Validation in the long term (ETSI EN 319 102-1, 5.6.3), the same for PDF and CMS.

Each archive time-stamp proves that what it covers existed at its time. It is valid now, or was when the next one was
made; the signature is valid now, or was when the first one was made. What is judged in the past is judged by the
material that the next time-stamp covers: lists of revoked certificates of later years say nothing about certificates
that had expired by then.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
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
from pyhanko_certvalidator.ltv.poe import POEManager, POEType
from pyhanko_certvalidator.ltv.types import ValidationTimingInfo
from pyhanko_certvalidator.revinfo.archival import CRLContainer, OCSPContainer

from blocks.trust import Believed, clock


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
    it is as long as its certificate is, at the time of validation (EN 319 102-1, 5.3).
    """
    timing = ValidationTimingInfo(at or clock(), at or clock(), point_in_time_validation=at is not None)
    specification = trust.specification(_at_hand(signed, proofs, material)).signature_validation_spec
    poes, complete = await _proven(proofs, material, specification, timing)
    everything = material.applied(specification, None)
    result = await ades.ades_with_time_validation(
        signed,
        everything,
        timing_info=timing,
        validation_data_handlers=_handlers(everything, timing, poes),
        raw_digest=digest,
        status_cls=status_cls,
        extra_status_kwargs=status_kwargs or {},
    )
    past = material.applied(specification, proofs[0] if proofs and complete else None)
    signer = signed["signer_infos"][0]
    stamped_at = await _stamped_at(signer, past, poes, timing)
    code: Any = result.ades_subindic
    if code is AdESIndeterminate.SIG_CONSTRAINTS_FAILURE and not stamped:  # pyHanko's word for a missing time-stamp
        basic = await ades.ades_basic_validation(
            signed,
            everything,
            timing_info=timing,
            validation_data_handlers=_handlers(everything, timing, poes),
            raw_digest=digest,
        )
        code = basic.ades_subindic
    code = _out_of_bounds(code, signed, timing)
    if isinstance(code, AdESIndeterminate) and proofs and complete and stamped_at:
        poes.register(signer["signature"].native, poe_type=POEType.VALIDATION, dt=stamped_at)
        code = await ades.ades_past_signature_validation(signed, past, poes, code, timing.validation_time)
    certificate = extract_certificate_info(signed).signer_cert
    last = extract_certificate_info(proofs[-1].token).signer_cert.not_valid_after if proofs else None
    if stamped_at is None:
        level = "B-B"
    elif not material.about(certificate):
        level = "B-T"
    else:
        level = "B-LTA" if proofs and complete else "B-LT"
    return Finding(code, result.api_status, stamped_at, level, last)


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
    """The time-stamp is valid at the time of validation, or was when `poes` prove that it existed."""
    result = await ades.ades_timestamp_validation(
        token,
        specification,
        timing_info=timing,
        expected_tst_imprint=imprint,
        validation_data_handlers=_handlers(specification, timing, poes),
    )
    code = _out_of_bounds(result.ades_subindic, token, timing)
    if isinstance(code, AdESIndeterminate):
        code = await ades.ades_past_signature_validation(
            token, specification, copy.copy(poes), code, timing.validation_time
        )
    return code is AdESPassed.OK


async def _stamped_at(
    signer: cms.SignerInfo, specification: SignatureValidationSpec, poes: POEManager, timing: ValidationTimingInfo
) -> datetime | None:
    """Time of the signature's own time-stamp, if that is or was valid."""
    for token in extract_tst_data_iter(signer, signed=False):
        if await _was_valid(token, message_imprint_checker(signer), specification, poes, timing):
            return stamp_time(token)
    return None
