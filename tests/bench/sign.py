"""`make bench-sign`: signatures a second, ours and plain pyHanko's in the same run, and the memory of a large file.

One page of PDF/A is signed again and again (PAdES, in memory). Plain pyHanko is what its documentation shows: a
SimpleSigner loaded once, `async_sign_pdf`, an HTTPTimeStamper. Ours are the product's signers and time-stamp client.
The last table signs a file of 200 pages and over 300 MB with both signatures in a process of its own.
"""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pikepdf
import yaml
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import signers
from pyhanko.sign.fields import SigSeedSubFilter
from pyhanko.sign.timestamps import HTTPTimeStamper
from rich.console import Console
from rich.table import Table

from blocks.settings import ROOT, settings
from blocks.signer import agency_signer, signer_for
from blocks.trust import Trust, run
from infra.local import pki
from infra.local.process import free_port, spawn, stop, wait_ready
from tasks.signing.pdf import sign_as_agency, sign_as_officer
from tests.support.csc_server import PIN
from tests.tasks.signing.helpers import blank_pdf

KEYS = {"RSA-2048": "tnhs.01", "RSA-3072": "bench.3072", "P-256": "bench.256"}
PAGES, PAGE_BYTES = 200, 1_600_000
GOAL, MEMORY_GOAL = 2.0, 150  # times plain pyHanko for RSA with soft keys; MiB
Sign = Callable[[], Awaitable[None]]


def specification(folder: Path) -> Path:
    """The test PKI with two officers more: RSA-3072 and P-256."""
    text = yaml.safe_load(pki.SPECIFICATION.read_text())
    text["sohoa"]["keys"]["rsa3072"] = ["bench.3072"]
    text["sohoa"]["keys"]["p256"].append("bench.256")
    text["sohoa"]["officers"] += ["bench.3072", "bench.256"]
    architecture = text["pki-architectures"][pki.ARCHITECTURE]
    for label in ("bench.3072", "bench.256"):
        architecture["entities"][label] = {"common-name": f"Đo tốc độ {label} (TEST)"}
        architecture["certs"][label] = {"template": "tnhs.01", "subject": label, "subject-key": label}
    path = folder / "bench.yml"
    path.write_text(yaml.safe_dump(text, allow_unicode=True, sort_keys=False))
    return path


@contextmanager
def services(folder: Path) -> Iterator[str]:
    """PKI server and CSC service on loopback; settings point to them. Yields the CSC service's address."""
    home, port, csc_port = folder / "pki", free_port(), free_port()
    pki.SPECIFICATION = specification(folder)
    pki.ensure_pki(home, f"http://127.0.0.1:{port}")
    wanted = {
        "SOHOA_HOME": folder, "SOHOA_PKI_DIR": home, "SOHOA_PKI_URL": f"http://127.0.0.1:{port}",
        "SOHOA_TSA_URL": pki.tsa_url(f"http://127.0.0.1:{port}"), "SOHOA_INBOX_DIR": folder,
        "SOHOA_ENVIRONMENT": "test",
        "CSC_TOKEN": "any", "CSC_PIN": PIN,
    }  # fmt: skip
    os.environ |= {name: str(value) for name, value in wanted.items()}
    settings.cache_clear()
    log = folder / "log"
    server = spawn([sys.executable, "-m", "infra.local.pki", "serve", "--dir", home, "--port", str(port)],
                   log=log, cwd=ROOT, env=os.environ)  # fmt: skip
    csc = spawn(
        [sys.executable, "-m", "tests.support.csc_server", home, str(csc_port)], log=log, cwd=ROOT, env=os.environ
    )
    try:
        for name, url, process in (
            ("PKI", f"http://127.0.0.1:{port}", server),
            ("CSC", f"http://127.0.0.1:{csc_port}", csc),
        ):
            wait_ready(name, lambda url=url: httpx.get(url, timeout=2) and None, process, log, 60)  # type: ignore[misc]
        yield f"http://127.0.0.1:{csc_port}"
    finally:
        stop(server)
        stop(csc)


def metadata() -> signers.PdfSignatureMetadata:
    return signers.PdfSignatureMetadata(field_name="S", md_algorithm="sha256", subfilter=SigSeedSubFilter.PADES)


def plain(label: str, data: bytes, stamped: bool) -> Sign:
    """pyHanko as its documentation shows it."""
    folder = settings().pki_dir
    signer = signers.SimpleSigner.load(str(folder / f"keys/{label}.pem"), str(folder / f"certs/{label}.pem"))
    assert signer is not None

    async def sign() -> None:
        tool = HTTPTimeStamper(settings().tsa_url) if stamped else None
        writer = IncrementalPdfFileWriter(io.BytesIO(data))
        await signers.async_sign_pdf(writer, metadata(), signer=signer, timestamper=tool, output=io.BytesIO())

    return sign


def ours(signer: Any, data: bytes, stamped: bool) -> Sign:
    trust = Trust()

    async def sign() -> None:
        tool = trust.timestamper() if stamped else None
        writer = IncrementalPdfFileWriter(io.BytesIO(data))
        made = signers.PdfSigner(metadata(), signer=await signer.open(), timestamper=tool)
        await made.async_sign_pdf(writer, output=io.BytesIO())

    return sign


def pace(sign: Sign, seconds: float) -> float:
    """Signatures a second, after one that is not counted."""

    async def several() -> float:
        await sign()
        count, began = 0, time.perf_counter()
        while time.perf_counter() - began < seconds:
            await sign()
            count += 1
        return count / (time.perf_counter() - began)

    return run(several())


def rates(csc: str, seconds: float) -> tuple[Table, bool]:
    table = Table(title="Signatures a second, one process", caption=f"goal: soft RSA keys at least {GOAL:g} × plain")
    for column in ("key", "time-stamp", "plain pyHanko", "soft", "×", "PKCS#11", "×", "CSC", "×"):
        table.add_column(column, justify="left" if column == "key" else "right")
    data, met = blank_pdf(), True
    listing = settings().pki_dir / "officers.yml"
    known = yaml.safe_load(listing.read_text())
    for label in KEYS.values():
        remote = {
            "kind": "csc",
            "url": csc,
            "credential": f"test/{label}",
            "token": "env:CSC_TOKEN",
            "pin": "env:CSC_PIN",
        }
        known["officers"][f"csc.{label}"] = {**known["officers"][label], **remote}
    listing.write_text(yaml.safe_dump(known, allow_unicode=True))
    on_token = known["agency"].get("kind") == "pkcs11"
    for name, label in KEYS.items():
        for stamped in (False, True):
            peer = pace(plain(label, data, stamped), seconds)
            soft = pace(ours(signer_for(label), data, stamped), seconds)
            row = [name, "yes" if stamped else "no", f"{peer:.1f}", f"{soft:.1f}", f"{soft / peer:.1f}"]
            if name == "RSA-2048" and on_token:
                token = pace(ours(agency_signer(), data, stamped), seconds)
                row += [f"{token:.1f}", f"{token / peer:.1f}"]
            else:
                row += ["", ""]
            remote_pace = pace(ours(signer_for(f"csc.{label}"), data, stamped), seconds)
            table.add_row(*row, f"{remote_pace:.1f}", f"{remote_pace / peer:.1f}")
            met &= not name.startswith("RSA") or soft >= GOAL * peer
    return table, met


def large_file(path: Path) -> None:
    """200 pages with an image of noise each: nothing in it can be compressed."""
    side = int((PAGE_BYTES / 3) ** 0.5)
    with pikepdf.new() as pdf:
        for _ in range(PAGES):
            page = pdf.add_blank_page(page_size=(595.28, 841.89))
            image = pdf.make_stream(os.urandom(side * side * 3))
            image.Type, image.Subtype, image.ColorSpace = (
                pikepdf.Name.XObject,
                pikepdf.Name.Image,
                pikepdf.Name.DeviceRGB,
            )
            image.Width, image.Height, image.BitsPerComponent = side, side, 8
            page.obj.Resources = pikepdf.Dictionary(XObject=pikepdf.Dictionary(I=image))
            page.obj.Contents = pdf.make_stream(b"q 500 0 0 700 40 60 cm /I Do Q")
        pdf.save(path, compress_streams=False)


def resident(field: str) -> float:
    """VmRSS or VmHWM (its peak) of this process, MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) / 1024


def sign_large(path: Path) -> None:
    """Both signatures; prints MiB before, at the peak, and seconds."""
    officer, agency, trust = signer_for("tnhs.01"), agency_signer(), Trust()
    small = path.with_name("small.pdf")
    small.write_bytes(blank_pdf())
    run(sign_as_officer(small, officer, agency, datetime.now(UTC), trust))  # whatever is loaded once is loaded
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here
    before, began = resident("VmRSS"), time.perf_counter()
    run(sign_as_officer(path, officer, agency, datetime.now(UTC), trust))
    run(sign_as_agency(path, agency, datetime.now(UTC), trust))
    print(before, resident("VmHWM"), time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    parser.add_argument("--large", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.large:
        sign_large(arguments.large)
        return
    console = Console(width=130)
    with tempfile.TemporaryDirectory(prefix="sohoa-bench-sign-") as name:
        folder = Path(name)
        with services(folder) as csc:
            table, met = rates(csc, arguments.seconds)
            console.print(table)
            path = folder / "large.pdf"
            large_file(path)
            command = [sys.executable, "-m", "tests.bench.sign", "--large", str(path)]
            told = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
            before, peak, seconds = map(float, told)
            console.print(
                f"{path.stat().st_size / 1e6:.0f} MB, {PAGES} pages, both signatures: {seconds:.1f} s; memory before "
                f"{before:.0f} MiB, at most {peak:.0f} MiB, {peak - before:.0f} MiB more (goal {MEMORY_GOAL})"
            )
    if not met or peak - before > MEMORY_GOAL:
        console.print("[red]a goal is not met[/]")
        sys.exit(1)


if __name__ == "__main__":
    main()
