"""A TEST PKI whose services answer as of another year, with a time-stamp service for each decade."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
import yaml
from certomancer.integrations.animator import Animator, AnimatorArchStore
from certomancer.registry import ArchLabel
from werkzeug.serving import make_server

from blocks import trust as trust_module
from blocks.trust import Trust
from infra.local import pki
from infra.local.process import free_port

DECADES = {"tsa2": ("now+3000d", "now+7250d"), "tsa3": ("now+6500d", "now+9100d")}


def specification(path: Path) -> Path:
    """pki.yml with a time-stamp service more for each decade."""
    told = yaml.safe_load(pki.SPECIFICATION.read_text())
    made = told["pki-architectures"]["test"]
    for label, (start, end) in DECADES.items():
        told["sohoa"]["keys"]["p256"].append(label)
        made["entities"][label] = {"common-name": f"TEST {label.upper()}"}
        made["certs"][label] = {
            **made["certs"]["tsa"], "subject": label, "subject-key": label,
            "validity": {"valid-from": start, "valid-to": end},
        }  # fmt: skip
        made["services"]["time-stamping"][label] = {"signing-key": label, "signing-cert": label}
    path.write_text(yaml.safe_dump(told, allow_unicode=True, sort_keys=False))
    return path


class Years:
    """The PKI, and the year in which this process and the PKI's services (in a thread of it) live."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url
        self._journey: time_machine.travel | None = None

    def travel(self, when: datetime) -> None:
        """From now on it is `when`, and time goes on from there."""
        self.back()
        self._journey = time_machine.travel(when, tick=True)
        self._journey.start()

    def back(self) -> None:
        if self._journey is not None:
            self._journey.stop()
            self._journey = None
        trust_module._answers.cache_clear()
        trust_module._timestamper.cache_clear()

    def trust(self, service: str = "tsa") -> Trust:
        return Trust(folder=self.folder, tsa_url=f"{self.url}/test/tsa/{service}")


@contextmanager
def living(tmp: Path) -> Iterator[Years]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pki, "SPECIFICATION", specification(tmp / "spec.yml"))
        patch.setattr(pki.token, "module", lambda: None)  # a process knows one software token only
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        pki.ensure_pki(tmp / "pki", url)
        store = AnimatorArchStore({ArchLabel("test"): pki._architecture(tmp / "pki")})
        animator = Animator(store, with_web_ui=False, allow_time_override=False)
        server = make_server("127.0.0.1", port, animator, threaded=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        years = Years(tmp / "pki", url)
        try:
            yield years
        finally:
            years.back()
            server.shutdown()


_TODAY = datetime.now(UTC)


def years_from_now(years: float) -> datetime:
    return _TODAY + timedelta(days=365.25 * years)
