"""Trust anchors, revocation and time-stamps (RFC 3161). Each check fails when it can't be made (hard fail).

pyHanko is asynchronous; Sohoa's verbs are not. One event loop in a thread of its own serves the whole process, so that
connections to OCSP and time-stamp services are kept; `run` hands it a coroutine and waits.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
from asn1crypto import cms, tsp, x509
from pyhanko.keys import load_certs_from_pemder
from pyhanko.sign.diff_analysis import (
    DEFAULT_DIFF_POLICY,
    FormUpdatingRule,
    SigFieldCreationRule,
    SigFieldModificationRule,
    StandardDiffPolicy,
)
from pyhanko.sign.timestamps import HTTPTimeStamper, TimeStamper
from pyhanko.sign.timestamps.common_utils import TimestampRequestError
from pyhanko.sign.validation.policy_decl import (
    PdfSignatureValidationSpec,
    RevocationInfoGatheringSpec,
    SignatureValidationSpec,
)
from pyhanko_certvalidator import CertificateValidator, ValidationContext, errors
from pyhanko_certvalidator.context import CertValidationPolicySpec
from pyhanko_certvalidator.fetchers.api import FetcherBackend, Fetchers
from pyhanko_certvalidator.policy_decl import REQUIRE_REVINFO, CertRevTrustPolicy
from pyhanko_certvalidator.registry import SimpleTrustManager

from blocks import egress, revocation
from blocks.errors import Remedy, SohoaError
from blocks.service import Service
from blocks.settings import in_production, settings
from blocks.signatories import Signatory, signatories
from blocks.testmark import leads_to_test, pinned

T = TypeVar("T")
TOLERANCE = timedelta(seconds=30)  # clocks of this machine and of the services; a slow answer is not a false one
CLOCK_SKEW = timedelta(seconds=60)  # more than this between time-stamp and local clock: one of them is wrong
REVOCATION_CACHE = 30.0  # seconds that an answer about revocation is used again
TRIES = 3
# What may come after a signature: other signatures, time-stamps and their validation data. No form is filled in
# afterwards, though DocMDP (ISO 32000-1, 12.8.2.2) would let it.
ALLOWED_LATER_CHANGES = StandardDiffPolicy(
    global_rules=DEFAULT_DIFF_POLICY.global_rules,
    form_rule=FormUpdatingRule(field_rules=[SigFieldCreationRule(), SigFieldModificationRule()]),  # type: ignore[no-untyped-call]
)


def clock() -> datetime:
    """The time of this machine, UTC."""
    return datetime.now(UTC)


class TrustListUnreadable(SohoaError):
    """A file in the folders anchors/ or intermediates/ holds no certificate, or a folder can't be read."""

    code = "TRUST_LIST_UNREADABLE"
    message = "Không đọc được danh sách chứng thư số tin cậy ({file}); vui lòng báo quản trị viên thay tệp đó."
    remedy = Remedy.ADMINISTRATOR


class CertificateRefused(SohoaError):
    """Base: a certificate that must not sign. Nothing is signed and nothing stored."""

    code, rule = "CERTIFICATE_REFUSED", "CA01"
    message = "Chứng thư số không được chấp nhận; vui lòng liên hệ quản trị viên."


class CertificateExpired(CertificateRefused):
    code = "CERTIFICATE_EXPIRED"
    message = "Chứng thư số đã hết hạn; vui lòng gia hạn chứng thư trước khi ký."


class CertificateNotYetValid(CertificateRefused):
    code = "CERTIFICATE_NOT_YET_VALID"
    message = "Chứng thư số chưa đến ngày có hiệu lực; vui lòng ký bằng chứng thư đang có hiệu lực."


class CertificateRevoked(CertificateRefused):
    code = "CERTIFICATE_REVOKED"
    message = "Chứng thư số đã bị thu hồi; vui lòng liên hệ quản trị viên để được cấp chứng thư mới."


class CertificateUsage(CertificateRefused):
    code = "CERTIFICATE_USAGE"
    message = "Chứng thư số không được cấp để ký văn bản; vui lòng dùng chứng thư ký số."


class CertificateIssuer(CertificateRefused):
    code = "CERTIFICATE_ISSUER"
    message = "Chứng thư số không do tổ chức chứng thực được tin cậy cấp; vui lòng liên hệ quản trị viên."


class RevocationUnavailable(SohoaError):
    """OCSP and CRL don't answer: hard-fail, later again."""

    code, rule, remedy = "REVOCATION_UNAVAILABLE", "CA01", Remedy.RETRY
    message = "Chưa kiểm tra được tình trạng thu hồi của chứng thư số; hệ thống sẽ tự thử lại, vui lòng chờ."


class TimestampUnavailable(SohoaError):
    """The time-stamp service refuses the connection or hangs: heals by itself."""

    code, rule, remedy = "TIMESTAMP_UNAVAILABLE", "CA02", Remedy.RETRY
    message = "Dịch vụ cấp dấu thời gian tạm thời không phản hồi; hệ thống sẽ tự thử lại, vui lòng chờ."


class TimestampRefused(SohoaError):
    """The address answers, but not as a time-stamp service (404, HTML, a wrong token): asking again can't help."""

    code, rule = "TIMESTAMP_REFUSED", "CA02"
    message = "Dịch vụ cấp dấu thời gian trả lời không hợp lệ; vui lòng báo quản trị viên kiểm tra địa chỉ dịch vụ."


class TimestampClock(SohoaError):
    """Time-stamp and local clock differ by more than a minute."""

    code, rule = "TIMESTAMP_CLOCK", "CA02"
    message = "Đồng hồ máy chủ lệch so với dấu thời gian; vui lòng báo quản trị viên chỉnh lại giờ hệ thống."


# -- one event loop a process -------------------------------------------------------------------------------------


@cache
def _loop(pid: int) -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="sohoa-signing", daemon=True).start()
    return loop


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` on the process's signing loop and wait for it. From synchronous code only."""
    return asyncio.run_coroutine_threadsafe(work, _loop(os.getpid())).result()


def session() -> aiohttp.ClientSession:
    """The process's HTTP session, for outside services of signing. On the loop."""
    return _session(os.getpid())


@cache
def _session(pid: int) -> aiohttp.ClientSession:
    """Created on the loop, at first use there; lives as long as the process."""
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=16))
    atexit.register(_close, session, pid)
    return session


def _close(session: aiohttp.ClientSession, pid: int) -> None:
    """At the end of the process that opened it (not of a fork)."""
    if pid == os.getpid():
        with suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(session.close(), _loop(pid)).result(timeout=2)


def certificates(folder: Path) -> tuple[x509.Certificate, ...]:
    """All certificates (PEM or DER) in a folder, in the order of their names; read again when a file changed.

    Raises TrustListUnreadable naming the file: a list that is read in part is another list.
    """
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix in {".pem", ".crt", ".cer", ".der"})
        stamp = tuple((str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in files)
    except OSError as error:
        raise TrustListUnreadable(file=folder.name) from error
    return _certificates(stamp)


@lru_cache(maxsize=16)
def _certificates(stamp: tuple[tuple[str, int, int], ...]) -> tuple[x509.Certificate, ...]:
    found: list[x509.Certificate] = []
    for name, _, _ in stamp:
        try:
            here = list(load_certs_from_pemder([name]))  # type: ignore[no-untyped-call]
            assert here and all(certificate.not_valid_after for certificate in here)  # parsed to the end
        except (OSError, ValueError, TypeError, AssertionError) as error:
            raise TrustListUnreadable(file=Path(name).name) from error
        found += here
    return tuple(found)


def is_test(certificate: x509.Certificate) -> bool:
    """Whether it was made under a TEST root (blocks/testmark.py). Such a signature is never claimed to be legal."""
    return Trust.get().is_test(certificate)


@contextmanager
def revocation_answers() -> Iterator[None]:
    """A service that hangs or hangs up in the middle of a validation is RevocationUnavailable."""
    try:
        yield
    except (TimeoutError, aiohttp.ClientError) as error:
        raise RevocationUnavailable() from error


class Believed(ABC):
    """What certificates are judged by: anchors, intermediates, and answers about revocation."""

    @property
    @abstractmethod
    def anchors(self) -> tuple[x509.Certificate, ...]:
        """Where every path must end."""

    @property
    @abstractmethod
    def intermediates(self) -> tuple[x509.Certificate, ...]:
        """What paths are built with."""

    @abstractmethod
    def fetchers(self, known: Iterable[x509.Certificate]) -> Fetchers:
        """Who asks about revocation. known: certificates at hand besides the trust folder's, from a file."""

    @property
    @abstractmethod
    def pins(self) -> frozenset[str]:
        """Fingerprints of TEST roots (SHA-256, hex)."""

    @property
    @abstractmethod
    def authorities(self) -> tuple[x509.Certificate, ...]:
        """All certificates of the trust folder's authorities, those of TEST authorities too."""

    def is_test(self, certificate: x509.Certificate, others: Iterable[x509.Certificate] = ()) -> bool:
        """Whether it was made under a TEST root. others: certificates besides our lists that its path may go through,
        e.g. those of the path that was validated."""
        return leads_to_test(certificate, (*others, *self.authorities), self.pins)

    @property
    @abstractmethod
    def signatories(self) -> tuple[Signatory, ...]:
        """The certificates of the agency and of its officers."""

    def context(self, known: Iterable[x509.Certificate] = ()) -> ValidationContext:
        """A context for certificates as of now: every certificate needs an answer about revocation. On the loop."""
        return ValidationContext(
            trust_roots=list(self.anchors),
            other_certs=list(self.intermediates),
            moment=clock(),
            allow_fetching=True,
            fetchers=self.fetchers(known),
            revinfo_policy=CertRevTrustPolicy(REQUIRE_REVINFO),
            time_tolerance=TOLERANCE,
        )

    def specification(self, known: Iterable[x509.Certificate] = ()) -> PdfSignatureValidationSpec:
        """The same policy for validation after ETSI EN 319 102-1 with the material inside the file. On the loop."""
        policy = CertValidationPolicySpec(
            trust_manager=SimpleTrustManager.build(trust_roots=list(self.anchors)),
            revinfo_policy=CertRevTrustPolicy(REQUIRE_REVINFO),
            time_tolerance=TOLERANCE,
        )
        gathering = RevocationInfoGatheringSpec(fetcher_backend=_SharedFetchers(self.fetchers(known)))
        return PdfSignatureValidationSpec(SignatureValidationSpec(policy, gathering), ALLOWED_LATER_CHANGES)


class Handed(Believed):
    """In the sandbox: a trust folder and answers that were handed in, nothing is read or fetched."""

    def __init__(self, told: Mapping[str, Any], ask: revocation.Handed) -> None:
        """told: what `Trust.handed` gave."""
        self._anchors = tuple(x509.Certificate.load(bytes.fromhex(item)) for item in told["anchors"])
        self._intermediates = tuple(x509.Certificate.load(bytes.fromhex(item)) for item in told["intermediates"])
        self._authorities = tuple(x509.Certificate.load(bytes.fromhex(item)) for item in told["authorities"])
        self._pins = frozenset(map(str, told["pins"]))
        self._signatories = tuple(map(Signatory.model_validate, told["signatories"]))
        self.ask, self._salt = ask, bytes.fromhex(told["salt"])

    @property
    def anchors(self) -> tuple[x509.Certificate, ...]:
        return self._anchors

    @property
    def intermediates(self) -> tuple[x509.Certificate, ...]:
        return self._intermediates

    @property
    def pins(self) -> frozenset[str]:
        return self._pins

    @property
    def authorities(self) -> tuple[x509.Certificate, ...]:
        return self._authorities

    @property
    def signatories(self) -> tuple[Signatory, ...]:
        return self._signatories

    def fetchers(self, known: Iterable[x509.Certificate]) -> Fetchers:
        return revocation.fetchers(self.anchors, (*self.intermediates, *known), self.ask, self._salt)


class Trust(Service, Believed):
    """Anchors, intermediates and the time-stamp service. Folders by path, nothing secret.

    Without `folder` and `tsa_url` those of the settings are used (SOHOA_PKI_DIR, SOHOA_TSA_URL).
    """

    _block_type_name = "Sohoa trust"
    _block_type_slug = "sohoa-trust"

    folder: Path | None = None  # with anchors/ and intermediates/
    tsa_url: str | None = None
    timeout: float = 5.0  # seconds, each request

    @property
    def anchors(self) -> tuple[x509.Certificate, ...]:
        """Whom we believe. In production never a TEST root, whoever put it into the folder."""
        found, pins = self._anchors, pinned(self._place)
        return tuple(item for item in found if not leads_to_test(item, found, pins)) if in_production() else found

    @property
    def intermediates(self) -> tuple[x509.Certificate, ...]:
        return certificates(self._place / "intermediates")

    @property
    def _place(self) -> Path:
        return self.folder or settings().pki_dir

    @property
    def _anchors(self) -> tuple[x509.Certificate, ...]:
        return certificates(self._place / "anchors")

    @property
    def pins(self) -> frozenset[str]:
        return pinned(self._place)

    @property
    def authorities(self) -> tuple[x509.Certificate, ...]:
        return (*self.intermediates, *self._anchors)

    @property
    def signatories(self) -> tuple[Signatory, ...]:
        return signatories(self._place)

    def handed(self) -> dict[str, Any]:
        """All of it as data, for `Handed` in the sandbox."""
        return {
            "anchors": [item.dump().hex() for item in self.anchors],
            "intermediates": [item.dump().hex() for item in self.intermediates],
            "authorities": [item.dump().hex() for item in self.authorities],
            "pins": sorted(self.pins),
            "signatories": [item.model_dump(mode="json") for item in self.signatories],
            "salt": answers().salt.hex(),
        }

    def way(self) -> egress.Way:
        """Where revocation may be asked."""
        return egress.way((*self.anchors, *self.intermediates))

    def fetchers(self, known: Iterable[x509.Certificate]) -> Fetchers:
        return revocation.fetchers(self.anchors, (*self.intermediates, *known), self.answer, answers().salt)

    async def answer(self, wish: revocation.Wish) -> bytes:
        """From the service that the wish names, if it is one that may be asked. On the loop.

        Raises revocation.Unanswered, TimeoutError.
        """
        try:
            return await answers().get(wish, self.way(), self.timeout)
        except egress.Failed as error:
            if isinstance(error.__cause__, TimeoutError):
                raise TimeoutError() from error
            raise revocation.Unanswered() from error
        except egress.Refused as error:
            raise revocation.Unanswered() from error

    def timestamper(self) -> TimeStamper:
        """The RFC 3161 client, one a process: it knows the size of the service's answers. On the loop."""
        return _timestamper(os.getpid(), self.tsa_url or settings().tsa_url, self.timeout)

    async def check(self, certificate: x509.Certificate) -> None:
        """Refuse a certificate that must not sign now: CertificateRefused (which one says why), RevocationUnavailable.

        Checked: path to an anchor, dates, revocation (hard-fail), key usage `non_repudiation` as for signatures of
        persons and agencies.
        """
        validator = CertificateValidator(
            certificate, intermediate_certs=list(self.intermediates), validation_context=self.context()
        )
        await self.validated(validator, {"non_repudiation"})

    async def validated(
        self, validator: CertificateValidator, usage: set[str], extended: set[str] | None = None
    ) -> None:
        """Let pyHanko validate; its errors as ours. usage, extended: key usages that the certificate must have."""
        try:
            with revocation_answers():
                await validator.async_validate_usage(usage, extended)  # type: ignore[no-untyped-call]
        except errors.RevokedError as error:
            raise CertificateRevoked() from error
        except errors.ExpiredError as error:
            await self._require_clock()
            raise CertificateExpired() from error
        except errors.NotYetValidError as error:
            await self._require_clock()
            raise CertificateNotYetValid() from error
        except errors.InsufficientRevinfoError as error:
            if isinstance(error, errors.StaleRevinfoError) or "too recent" in str(error):
                await self._require_clock()
            raise RevocationUnavailable() from error
        except errors.InvalidCertificateError as error:
            raise CertificateUsage() from error
        except errors.PathBuildingError as error:
            raise CertificateIssuer() from error
        except errors.PathValidationError as error:
            raise CertificateRefused() from error

    async def _require_clock(self) -> None:
        """What looks too old or too young may be judged by a wrong clock: TimestampClock, if the time-stamps say so."""
        with suppress(TimestampUnavailable, TimestampRefused):
            await self.timestamper().async_timestamp(os.urandom(32), "sha256")


class Answers:
    """Answers about revocation, used again for a short while. salt: for the nonces of that while."""

    def __init__(self) -> None:
        self.salt = os.urandom(16)
        self._held: dict[str, bytes] = {}

    async def get(self, wish: revocation.Wish, way: egress.Way, timeout: float) -> bytes:
        """Raises egress.Refused, egress.Failed."""
        way.admit(wish.url)
        if wish.key not in self._held:
            self._held[wish.key] = await egress.fetch(way, wish.kind, wish.url, wish.request, timeout)
        return self._held[wish.key]


def answers() -> Answers:
    """Those of this process and this moment."""
    return _answers(os.getpid(), int(time.monotonic() / REVOCATION_CACHE))


@lru_cache(maxsize=1)
def _answers(pid: int, _period: int) -> Answers:
    return Answers()


class _SharedFetchers(FetcherBackend):
    """Hands out fetchers that others use too."""

    def __init__(self, fetchers: Fetchers) -> None:
        self._shared = fetchers

    def get_fetchers(self) -> Fetchers:
        return self._shared

    async def close(self) -> None:
        """Nothing: the session lives as long as the process."""


@cache
def _timestamper(pid: int, url: str, timeout: float) -> TimeStamper:
    return RetryingTimeStamper(url, timeout=timeout, session=_session(pid))


class RetryingTimeStamper(HTTPTimeStamper):
    """Asks again when the service refuses the connection or hangs, never when it answers nonsense."""

    async def async_request_tsa_response(self, req: tsp.TimeStampReq) -> tsp.TimeStampResp:
        for attempt in range(1, TRIES + 1):
            try:
                return await super().async_request_tsa_response(req)
            except TimestampRequestError as error:
                cause = error.__cause__
                if isinstance(cause, aiohttp.ClientResponseError) and cause.status not in {502, 503, 504}:
                    raise TimestampRefused() from error
                if isinstance(cause, aiohttp.InvalidURL):
                    raise TimestampRefused() from error
                if attempt == TRIES:
                    raise TimestampUnavailable() from error
                await asyncio.sleep(0.25 * 2**attempt)
        raise AssertionError("unreachable")

    async def async_timestamp(self, message_digest: bytes, md_algorithm: str) -> cms.ContentInfo:
        try:
            token = await super().async_timestamp(message_digest, md_algorithm)
            told: datetime = token["content"]["encap_content_info"]["content"].parsed["gen_time"].native
        except (TimestampRequestError, ValueError, TypeError, KeyError) as error:
            raise TimestampRefused() from error
        if abs(told - clock()) > CLOCK_SKEW:
            raise TimestampClock()
        return token
