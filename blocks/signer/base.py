"""What every signer is, and what can be wrong with one."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from asn1crypto import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key
from pydantic import SecretStr
from pyhanko.keys import load_cert_from_pemder
from pyhanko.sign import signers
from pyhanko_certvalidator.registry import SimpleCertificateStore
from pyhanko_certvalidator.util import get_pyca_cryptography_hash

from blocks.errors import Remedy, SohoaError
from blocks.secrets import secret
from blocks.settings import in_production
from blocks.trust import is_test


class SignerUnknown(SohoaError):
    """No key is registered for this officer id."""

    code, rule = "SIGNER_UNKNOWN", "WH01"
    message = "Viên chức chưa được đăng ký khóa ký số; vui lòng liên hệ quản trị viên để đăng ký."


class TestKeyRefused(SohoaError):
    """A soft key or a TEST certificate in production."""

    __test__ = False
    code, rule = "TEST_KEY_REFUSED", "CA01"
    message = (
        "Không được ký bằng khóa thử nghiệm trong môi trường vận hành; vui lòng cấu hình thiết bị hoặc dịch vụ ký số."
    )


class KeyUnreadable(SohoaError):
    """Key or certificate missing, damaged, or readable by other users of the machine."""

    code = "KEY_UNREADABLE"
    message = "Không đọc được khóa ký số hoặc tệp khóa không được bảo vệ; vui lòng báo quản trị viên."


class KeyMismatch(SohoaError):
    """The key does not belong to the certificate."""

    code, rule = "KEY_MISMATCH", "CA01"
    message = "Khóa ký không khớp với chứng thư số; vui lòng báo quản trị viên kiểm tra cấu hình."


class PinRefused(SohoaError):
    """The token or service refused the PIN. It is never sent again: tokens lock themselves after a few tries."""

    code = "PIN_REFUSED"
    message = (
        "Mã PIN của thiết bị hoặc dịch vụ ký số không đúng; hệ thống sẽ không thử lại để tránh khóa thiết bị, "
        "vui lòng báo quản trị viên nhập lại mã PIN."
    )


class PinNeeded(SohoaError):
    """The person must type the PIN: none was typed, or it is used up or too old."""

    code, remedy = "PIN_NEEDED", Remedy.OFFICER
    message = "Cần mã PIN của chữ ký số; vui lòng nhập mã PIN tại trang hồ sơ rồi ký số."


class StoredPinRefused(SohoaError):
    """A person's PIN is stored where signatures count: whoever reads the file could sign (Điều 8.1)."""

    code, rule = "STORED_PIN_REFUSED", "CA01"
    message = (
        "Không được lưu sẵn mã PIN của viên chức trong môi trường vận hành; vui lòng báo quản trị viên bỏ mục pin của "
        "{officer} trong officers.yml để viên chức tự nhập khi ký."
    )


class SoleControlMissing(SohoaError):
    """A signing service that signs whatever it is given, without binding the person's act to the hashes (SCAL 1)."""

    code, rule = "SOLE_CONTROL_MISSING", "CA01"
    message = (
        "Dịch vụ ký số từ xa không yêu cầu người ký xác nhận đúng nội dung được ký (SCAL2); "
        "vui lòng báo quản trị viên đổi dịch vụ hoặc loại chứng thư số."
    )


class PinLocked(SohoaError):
    """The token has locked its PIN."""

    code = "PIN_LOCKED"
    message = "Thiết bị ký số đã bị khóa mã PIN; vui lòng báo quản trị viên liên hệ nhà cung cấp để mở khóa."


class TokenUnavailable(SohoaError):
    """The token is not there, or went away in the middle: nothing was signed."""

    code, remedy = "TOKEN_UNAVAILABLE", Remedy.RETRY
    message = "Không kết nối được thiết bị ký số; vui lòng cắm lại thiết bị, hệ thống sẽ tự thử lại."


class TokenKeyMissing(SohoaError):
    """The token has no key of that label, or more than one."""

    code = "TOKEN_KEY_MISSING"
    message = "Không tìm thấy khóa ký số trên thiết bị; vui lòng báo quản trị viên kiểm tra tên khóa."


class RemoteUnavailable(SohoaError):
    """The remote signing service refuses the connection, hangs, or has a fault of its own."""

    code, remedy = "REMOTE_SIGNING_UNAVAILABLE", Remedy.RETRY
    message = "Dịch vụ ký số từ xa tạm thời không phản hồi; hệ thống sẽ tự thử lại, vui lòng chờ."


class RemoteRefused(SohoaError):
    """The remote signing service answers, but not with signatures."""

    code = "REMOTE_SIGNING_REFUSED"
    message = "Dịch vụ ký số từ xa từ chối yêu cầu ({answer}); vui lòng báo quản trị viên kiểm tra cấu hình."


class SignatureDeclined(SohoaError):
    """The person refused on the phone, or let the request lapse. It is not asked again by itself."""

    code, remedy = "SIGNATURE_DECLINED", Remedy.OFFICER
    message = "Yêu cầu ký số đã bị từ chối hoặc hết hạn trên ứng dụng ký số; vui lòng gửi lại yêu cầu khi sẵn sàng ký."


class SignaturePending(SohoaError):
    """The person has not confirmed on the phone yet. Asking again with the same hash goes on with the same request."""

    code, remedy = "SIGNATURE_PENDING", Remedy.OFFICER
    message = "Yêu cầu ký số đang chờ xác nhận; vui lòng xác nhận trên ứng dụng ký số rồi tiếp tục."


@runtime_checkable
class Signer(Protocol):
    """A person or the agency who can sign: SoftKeySigner, TokenSigner (PKCS#11), RemoteSigner (CSC).

    `open` runs on the signing loop (blocks.trust.run) and may talk to a token or a service; what it returns is kept for
    all signatures of the process. It raises SohoaErrors; a wrong PIN is never tried again.
    """

    @property
    def certificate(self) -> x509.Certificate: ...

    @property
    def name(self) -> str:
        """Common name of the certificate, NFC."""
        ...

    @property
    def test(self) -> bool:
        """Signatures are marked TEST and never claimed to be legal."""
        ...

    @property
    def is_deferred(self) -> bool:
        """Whether a person confirms elsewhere, perhaps days later: sign in two steps (tasks.signing.deferred)."""
        ...

    @property
    def asks_pin(self) -> bool:
        """Whether the person types the PIN each time (`typed_pin`); nothing is stored."""
        ...

    @property
    def is_open(self) -> bool:
        """Whether this process has been let in with a typed PIN already and can go on, e.g. after an outage."""
        ...

    async def open(self) -> signers.Signer:
        """What pyHanko signs with, certificate chain included."""
        ...

    async def max_batch_size(self) -> int:
        """How many signatures one authorisation may cover; 1 where nobody is asked."""
        ...

    async def sign_digests(self, digests: list[bytes]) -> list[bytes]:
        """Raw signatures of at most `most` SHA-256 digests, in their order, by one authorisation: all or none.

        Raises SignaturePending, SignatureDeclined.
        """
        ...


class HeldCertificate:
    """What all kinds of signers share: their certificate lies in a file, and nobody is asked, unless they say so."""

    if TYPE_CHECKING:  # each block has this field in its own place: the order is part of its schema in Prefect
        certificate_path: Path

    @property
    def certificate(self) -> x509.Certificate:
        return load_certificate(self.certificate_path)

    @property
    def name(self) -> str:
        return common_name(self.certificate)

    @property
    def test(self) -> bool:
        return is_test(self.certificate)

    @property
    def is_deferred(self) -> bool:
        return False

    @property
    def asks_pin(self) -> bool:
        return False

    @property
    def is_open(self) -> bool:
        return False

    async def max_batch_size(self) -> int:
        return 1


ASK = "ask"  # instead of a PIN's reference: the person types it
_typed: dict[str, SecretStr] = {}  # certificate file → PIN, only while its owner's papers are being signed


@contextmanager
def typed_pin(signer: Signer, pin: SecretStr | None) -> Iterator[None]:
    """What the person has typed, for the signer of this certificate, until the block ends."""
    place = str(getattr(signer, "certificate_path", ""))
    if pin is not None:
        _typed[place] = pin
    try:
        yield
    finally:
        _typed.pop(place, None)


def pin_of(certificate_path: Path, reference: str) -> SecretStr:
    """The PIN by its reference, or as the person has typed it just now. Raises PinNeeded, SecretMissing."""
    if reference not in ("", ASK):
        return secret(reference)
    if (pin := _typed.get(str(certificate_path))) is None:
        raise PinNeeded()
    return pin


def common_name(certificate: x509.Certificate) -> str:
    return unicodedata.normalize("NFC", str(certificate.subject.native["common_name"]))


def refuse_test_keys(certificate: x509.Certificate, *, soft: bool) -> None:
    """Raises TestKeyRefused in production for soft keys and for certificates of a test authority."""
    if in_production() and (soft or is_test(certificate)):
        raise TestKeyRefused()


@lru_cache
def load_certificate(path: Path) -> x509.Certificate:
    """One certificate, PEM or DER; read once a process. Raises KeyUnreadable."""
    try:
        return load_cert_from_pemder(str(path))  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise KeyUnreadable() from error


def store(certificates: Iterable[x509.Certificate]) -> SimpleCertificateStore:
    """Intermediate certificates that go into the signature."""
    made = SimpleCertificateStore()  # type: ignore[no-untyped-call]
    made.register_multiple(certificates)
    return made


def require_fits(certificate: x509.Certificate, data: bytes, signature: bytes) -> None:
    """The signature over `data` (SHA-256) was made with the certificate's key. Raises KeyMismatch."""
    public = load_der_public_key(certificate.public_key.dump())
    hashing = get_pyca_cryptography_hash("sha256")
    try:
        if isinstance(public, RSAPublicKey):
            public.verify(signature, data, PKCS1v15(), hashing)
        elif isinstance(public, EllipticCurvePublicKey):
            public.verify(signature, data, ECDSA(hashing))
        else:
            raise KeyMismatch()
    except InvalidSignature as error:
        raise KeyMismatch() from error
