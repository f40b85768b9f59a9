"""What is known about the revocation of a certificate, asked for only once its path to an anchor is proven.

pyHanko would ask whomever a certificate names, before it knows who issued it. Here a question is asked only for a
certificate whose chain of signatures up to an anchor has been checked with what is at hand: the trust folder and the
certificates in the file. Issuers are never fetched. Who asks is `Ask`: the process itself (`fetched`), or, in the
sandbox, a list of answers that were fetched outside, and of wishes (`Handed`).
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from asn1crypto import core, crl, ocsp, pem, x509
from pyhanko_certvalidator.errors import CRLFetchError, OCSPFetchError, OCSPValidationError
from pyhanko_certvalidator.fetchers.api import CertificateFetcher, CRLFetcher, Fetchers, OCSPFetcher
from pyhanko_certvalidator.fetchers.common_utils import (
    enumerate_delivery_point_urls,
    format_ocsp_request,
    process_ocsp_response_data,
)
from pyhanko_certvalidator.util import get_ocsp_urls, get_relevant_crl_dps, issuer_serial

from blocks.testmark import issued

DEEPEST = 8  # certificates from a signer to its anchor
MOST_URLS = 4  # of one certificate
MOST_WISHES = 24  # of one file


@dataclass(frozen=True)
class Wish:
    """One request to a revocation service. kind: ocsp (POST of `request`) or crl (GET)."""

    kind: str
    url: str
    request: bytes = b""

    @property
    def key(self) -> str:
        return hashlib.sha256(f"{self.kind} {self.url} ".encode() + self.request).hexdigest()


class Unanswered(Exception):
    """Nobody has an answer to this wish (yet)."""


Ask = Callable[[Wish], Awaitable[bytes]]  # raises Unanswered


@dataclass
class Handed:
    """In the sandbox: answers that were fetched before, by key (None: there was none), and what was wished for."""

    answers: dict[str, bytes | None]
    wishes: dict[str, Wish] = field(default_factory=dict)

    async def __call__(self, wish: Wish) -> bytes:
        data = self.answers.get(wish.key)
        if data is None:
            if wish.key not in self.answers and len(self.wishes) < MOST_WISHES:
                self.wishes[wish.key] = wish
            raise Unanswered()
        return data


class Chains:
    """Which certificates have a proven path to an anchor, by signatures alone: dates and revocation come later."""

    def __init__(self, anchors: Iterable[x509.Certificate], others: Iterable[x509.Certificate]) -> None:
        self._anchors = {item.dump() for item in anchors}
        self._by_name: dict[bytes, list[x509.Certificate]] = {}
        for item in [*map(x509.Certificate.load, self._anchors), *others]:
            self._by_name.setdefault(item.subject.dump(), []).append(item)
        self._known: dict[bytes, bool] = {}

    def reach(self, certificate: x509.Certificate, depth: int = 0) -> bool:
        """Its issuer, its issuer's issuer … up to an anchor are at hand and have signed."""
        raw = certificate.dump()
        if raw in self._anchors:
            return True
        if depth >= DEEPEST:
            return False
        if raw not in self._known:
            self._known[raw] = False  # also while we look: no circles
            issuers = self._by_name.get(certificate.issuer.dump(), [])
            self._known[raw] = any(
                item.ca and issued(item.dump(), raw) and self.reach(item, depth + 1) for item in issuers[:20]
            )
        return self._known[raw]


def fetchers(
    anchors: Iterable[x509.Certificate], others: Iterable[x509.Certificate], ask: Ask, salt: bytes
) -> Fetchers:
    """For pyHanko. others: certificates at hand; salt: secret of this process from which nonces are made."""
    chains = Chains(anchors, others)
    return Fetchers(_Ocsp(chains, ask, salt), _Crls(chains, ask), _NoCertificates())


class _Ocsp(OCSPFetcher):
    def __init__(self, chains: Chains, ask: Ask, salt: bytes) -> None:
        self._chains, self._ask, self._salt = chains, ask, salt
        self._found: dict[bytes, ocsp.OCSPResponse] = {}

    async def fetch(self, cert: Any, authority: Any) -> ocsp.OCSPResponse:
        if not isinstance(cert, x509.Certificate) or not self._chains.reach(cert):
            raise OCSPFetchError("no proven path to an anchor")
        mark = issuer_serial(cert)
        if mark in self._found:
            return self._found[mark]
        request = self._request(cert, authority)
        for url in get_ocsp_urls(cert)[:MOST_URLS]:
            try:
                data = await self._ask(Wish("ocsp", url, request.dump()))
                self._found[mark] = process_ocsp_response_data(data, ocsp_request=request, ocsp_url=url)
                return self._found[mark]
            except (Unanswered, OCSPFetchError, OCSPValidationError, ValueError):
                continue
        raise OCSPFetchError("no answer")

    def _request(self, cert: x509.Certificate, authority: Any) -> ocsp.OCSPRequest:
        """The same for the same certificate, so that an answer fits the question of another round; with a nonce."""
        request = format_ocsp_request(cert, authority, certid_hash_algo="sha1", request_nonces=False)
        nonce = core.OctetString(hashlib.sha256(self._salt + cert.dump()).digest()[:16])
        extension = ocsp.TBSRequestExtension({"extn_id": "nonce", "critical": False, "extn_value": nonce})
        request["tbs_request"]["request_extensions"] = ocsp.TBSRequestExtensions([extension])
        return request

    def fetched_responses(self) -> Iterable[ocsp.OCSPResponse]:
        return list(self._found.values())

    def fetched_responses_for_cert(self, cert: Any) -> Iterable[ocsp.OCSPResponse]:
        found = self._found.get(issuer_serial(cert))
        return [found] if found is not None else []


class _Crls(CRLFetcher):
    def __init__(self, chains: Chains, ask: Ask) -> None:
        self._chains, self._ask = chains, ask
        self._found: dict[bytes, list[crl.CertificateList]] = {}

    async def fetch(self, cert: Any, *, use_deltas: bool | None = True) -> list[crl.CertificateList]:
        if not isinstance(cert, x509.Certificate) or not self._chains.reach(cert):
            raise CRLFetchError("no proven path to an anchor")
        mark = issuer_serial(cert)
        if mark in self._found:
            return self._found[mark]
        wanted = [
            url
            for point in get_relevant_crl_dps(cert, use_deltas=use_deltas)
            for url in enumerate_delivery_point_urls(point)
        ]
        found = []
        for url in wanted[:MOST_URLS]:
            try:
                data = await self._ask(Wish("crl", url))
                if pem.detect(data):
                    _, _, data = pem.unarmor(data)
                found.append(crl.CertificateList.load(data))
            except (Unanswered, ValueError):
                continue
        if wanted and not found:
            raise CRLFetchError("no list")
        self._found[mark] = found
        return found

    def fetched_crls(self) -> Iterable[crl.CertificateList]:
        return [item for found in self._found.values() for item in found]

    def fetched_crls_for_cert(self, cert: Any) -> Iterable[crl.CertificateList]:
        return self._found[issuer_serial(cert)]


class _NoCertificates(CertificateFetcher):
    """Issuers come with the file or from the trust folder, never from an address in the file."""

    async def fetch_cert_issuers(self, cert: Any) -> AsyncGenerator[x509.Certificate, None]:
        for certificate in self.fetched_certs():
            yield certificate

    async def fetch_crl_issuers(self, certificate_list: Any) -> AsyncGenerator[x509.Certificate, None]:
        for certificate in self.fetched_certs():
            yield certificate

    def fetched_certs(self) -> Iterable[x509.Certificate]:
        return []
