"""Verification of files from outside: in the sandbox, without network; what must be asked is asked from here.

Round by round: the verifier says what it would like to know about revocation, the allowed of these questions are sent
(`blocks.egress`), and it is called again with the answers. A question is only put for a certificate whose signatures
lead to an anchor, see `blocks.revocation`.
"""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from blocks import egress, sandbox
from blocks.objects import digest
from blocks.revocation import MOST_WISHES, Wish
from blocks.trust import RevocationUnavailable, Trust, answers, run
from tasks.signing.verify import Verdict

MEMORY = 450 << 20  # bytes of data
SECONDS = 10  # of the processor
BYTES_A_SECOND = 20 << 20  # large files may take longer: they are read several times
ROUNDS = 4
logger = logging.getLogger(__name__)


def verify_untrusted(
    path: Path,
    *,
    signature: Path | None = None,
    pdf: Path | None = None,
    etsi: Path | None = None,
    stamped: bool = True,
    trust: Trust | None = None,
) -> Verdict:
    """`verify_pdf` (with a signature `verify_manifest`, with a PDF besides `verify_record`) in the sandbox.

    A verdict in any case. etsi: folder for the ETSI report (XML) of each signature of a PDF; stamped: as in
    `verify_pdf`; trust: None: that of the settings.
    Raises RevocationUnavailable (an allowed service was away), NoWalls, TrustListUnreadable, and OSError for a file
    that can't be opened.
    """
    trust = trust or Trust()
    files = {name: place for name, place in (("path", path), ("signature", signature), ("pdf", pdf)) if place}
    if etsi:
        etsi.mkdir(parents=True, exist_ok=True)
    known: dict[str, bytes | None] = {}
    asked = False
    try:
        for number in range(1, ROUNDS + 1):
            told = _round(files, trust, known, last=number == ROUNDS, stamped=stamped, etsi=etsi)
            if "verdict" in told:
                return _judged(Verdict.model_validate(told["verdict"]), path, asked=asked)
            asked = run(_answer(_wishes(told["wishes"]), trust, known)) or asked
    except (sandbox.LimitBroken, sandbox.SandboxFault, ValidationError, ValueError, TypeError, KeyError) as error:
        logger.warning("a file could not be verified: %s", type(error).__name__)
    return _too_much("MANIFEST" if signature else "PDF", path)


def _round(
    files: dict[str, Path],
    trust: Trust,
    known: dict[str, bytes | None],
    *,
    last: bool,
    stamped: bool,
    etsi: Path | None,
) -> dict[str, Any]:
    size = sum(place.stat().st_size for place in files.values())
    index: dict[str, list[int] | None] = {}
    held = bytearray()
    for key, data in known.items():
        index[key] = None if data is None else [len(held), len(data)]
        held += data or b""
    found: dict[str, Any] = sandbox.run(
        "tasks.signing.inside:verify",
        {"index": index, "last": last, "stamped": stamped, "etsi": etsi is not None},
        {**files, "trust": json.dumps(trust.handed()).encode(), "answers": bytes(held)},
        sandbox.Limits(memory=MEMORY, seconds=SECONDS + size // BYTES_A_SECOND, output=64 << 20, files=100),
        out=etsi,
        raises=(RevocationUnavailable,),
    )
    return found


def _wishes(told: list[list[str]]) -> list[Wish]:
    """What the verifier wants to know; it may have been taken over, so the list is short and says nothing but that."""
    return [Wish(str(kind), str(url), bytes.fromhex(request)) for kind, url, request in told[:MOST_WISHES]]


async def _answer(wishes: list[Wish], trust: Trust, known: dict[str, bytes | None]) -> bool:
    """Put the answers into `known`. True: a service that may be asked was asked, whatever it said."""
    way, held = trust.way(), answers()

    async def one(wish: Wish) -> bool:
        try:
            known[wish.key] = await held.get(wish, way, trust.timeout)
        except egress.Refused:
            known[wish.key] = None
            return False
        except egress.Failed:
            known[wish.key] = None
        return True

    return any(await asyncio.gather(*(one(wish) for wish in wishes if wish.key not in known)))


def _judged(verdict: Verdict, path: Path, *, asked: bool) -> Verdict:
    """Hash and size are ours. Unknown only because a service had no (useful) answer: RevocationUnavailable.

    Nobody who may be asked: the verdict says that it is unknown; no waiting helps.
    """
    if asked and verdict.later:
        raise RevocationUnavailable()
    sha256, size = digest(path)
    return verdict.model_copy(update={"sha256": sha256, "size": size})


def _too_much(kind: str, path: Path) -> Verdict:
    text = "Tệp quá lớn hoặc quá phức tạp nên không kiểm tra được chữ ký; vui lòng đề nghị nộp tệp khác."
    sha256, size = digest(path)
    return Verdict(kind=kind, valid=False, code="TOO_COMPLEX", sentence=text, sha256=sha256, size=size)
