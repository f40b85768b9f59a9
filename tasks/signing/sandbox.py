"""Verification of files from outside in a process of its own, with limits of memory and time.

A hostile file can make any parser slow or greedy; what it can't do is take more than this process has.
"""

from __future__ import annotations

import argparse
import math
import resource
import subprocess
import sys
import time
from pathlib import Path

from blocks.settings import ROOT
from blocks.trust import RevocationUnavailable, Trust
from tasks.signing.report import etsi_reports
from tasks.signing.verify import Verdict, verify_manifest, verify_pdf, verify_record

MEMORY = 450 << 20  # bytes of data
SECONDS = 10  # of the processor
# Times that, by the clock: only against hanging, processor time is what a file could take. On a busy machine the start
# alone took longer than three times, and a good file was called too complex.
PATIENCE = 12
BYTES_A_SECOND = 20 << 20  # large files may take longer: they are read several times
UNAVAILABLE = 3  # exit status


def verify_untrusted(
    path: Path,
    *,
    signature: Path | None = None,
    pdf: Path | None = None,
    etsi: Path | None = None,
    stamped: bool = True,
) -> Verdict:
    """`verify_pdf` (with a signature `verify_manifest`, with a PDF besides `verify_record`) within limits.

    A verdict in any case. etsi: folder for the ETSI report (XML) of each signature of a PDF; stamped: as in
    `verify_pdf`.
    Raises RevocationUnavailable, and OSError for a file that can't be opened.
    """
    size = path.stat().st_size + (pdf.stat().st_size if pdf else 0)
    seconds = SECONDS + size // BYTES_A_SECOND
    command = [sys.executable, "-m", "tasks.signing.sandbox", str(seconds), str(path.resolve())]
    command += ["--signature", str(signature.resolve())] if signature else []
    command += ["--pdf", str(pdf.resolve())] if pdf else []
    command += ["--etsi", str(etsi.resolve())] if etsi and not signature else []
    command += [] if stamped else ["--unstamped"]
    kind = "MANIFEST" if signature else "PDF"
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=PATIENCE * seconds)
    except subprocess.TimeoutExpired:
        return _too_much(kind, path)
    if done.returncode == UNAVAILABLE:
        raise RevocationUnavailable()
    if done.returncode != 0:
        return _too_much(kind, path)
    return Verdict.model_validate_json(done.stdout)


def _too_much(kind: str, path: Path) -> Verdict:
    import hashlib

    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    text = "Tệp quá phức tạp hoặc bị hỏng nên không kiểm tra được chữ ký; vui lòng đề nghị nộp tệp khác."
    return Verdict(kind=kind, valid=False, code="TOO_COMPLEX", sentence=text, sha256=digest, size=path.stat().st_size)


def main(arguments: list[str]) -> int:
    """Limits first, then the verdict as JSON on standard output."""
    parser = argparse.ArgumentParser()
    parser.add_argument("seconds", type=int)
    parser.add_argument("path", type=Path)
    parser.add_argument("--signature", type=Path)
    parser.add_argument("--pdf", type=Path)
    parser.add_argument("--etsi", type=Path)
    parser.add_argument("--unstamped", action="store_true")
    asked = parser.parse_args(arguments)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    # Besides what the start has taken: on a busy machine that alone was half of it.
    limit = asked.seconds + math.ceil(time.process_time())
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    trust = Trust()
    try:
        if asked.signature and asked.pdf:
            verdict = verify_record(asked.path, asked.signature, asked.pdf, trust)
        elif asked.signature:
            verdict = verify_manifest(asked.path, asked.signature, trust)
        else:
            verdict = verify_pdf(asked.path, trust, stamped=not asked.unstamped)
            if asked.etsi and verdict.signatures:
                asked.etsi.mkdir(parents=True, exist_ok=True)
                for name, text in etsi_reports(asked.path, trust).items():
                    (asked.etsi / f"{name}.xml").write_text(text, encoding="utf-8")
    except RevocationUnavailable:
        return UNAVAILABLE
    sys.stdout.write(verdict.model_dump_json())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
