"""A software token (SoftHSM 2) with the TEST agency key, where SoftHSM is installed: signing goes through PKCS#11 then.

token/softhsm2.conf   for SOFTHSM2_CONF; token/store/ the token itself; agency.pin its PIN (0600)
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from pathlib import Path

MODULES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
           "/usr/lib64/softhsm/libsofthsm2.so", "/usr/lib64/libsofthsm2.so")  # fmt: skip
LABEL = "sohoa-test"


def module() -> Path | None:
    """SoftHSM's library, or None where it (or its tool) isn't installed."""
    if shutil.which("softhsm2-util") is None:
        return None
    return next((Path(place) for place in MODULES if Path(place).exists()), None)


def make_token(folder: Path, pin_file: Path, keys: dict[str, Path], label: str = LABEL) -> None:
    """Make the token with these keys (label → PKCS#8 file), or leave it as it is. Raises CalledProcessError."""
    made = folder / "made"
    if made.exists() and made.read_text().split() == sorted(keys):
        return
    shutil.rmtree(folder, ignore_errors=True)
    store = folder / "store"
    store.mkdir(parents=True, mode=0o700)
    configuration = folder / "softhsm2.conf"
    configuration.write_text(f"directories.tokendir = {store}\nobjectstore.backend = file\nlog.level = ERROR\n")
    if not pin_file.exists():
        with os.fdopen(os.open(pin_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
            stream.write(str(secrets.randbelow(10**8)).zfill(8))
    pin = pin_file.read_text().strip()
    environment = {**os.environ, "SOFTHSM2_CONF": str(configuration)}

    def tool(*arguments: str) -> None:
        subprocess.run(["softhsm2-util", *arguments], env=environment, check=True, capture_output=True)

    tool("--init-token", "--free", "--label", label, "--so-pin", secrets.token_hex(8), "--pin", pin)
    for number, (name, path) in enumerate(sorted(keys.items()), 1):
        tool("--import", str(path), "--token", label, "--label", name, "--id", f"{number:02x}", "--pin", pin)
    made.write_text(" ".join(sorted(keys)))
