"""``python -m deployments.desk``: the officers' desk, on loopback."""

from __future__ import annotations

import logging
import shutil
import sys
import tempfile
from pathlib import Path

import uvicorn

from blocks.settings import load_stack_env
from blocks.settings.sections import GatewaySettings
from deployments.desk.app import create_app
from deployments.desk.desk import Desk
from deployments.desk.server import config
from deployments.partners.access import Access
from deployments.partners.app import Front, create_partners


def main() -> None:
    load_stack_env()
    settings = GatewaySettings()  # from the environment
    lines = logging.getLogger("sohoa.gateway")  # JSON, one line a request; Prefect's format would go round it
    lines.setLevel(logging.INFO)
    lines.propagate = False
    lines.addHandler(logging.StreamHandler(sys.stdout))
    spool = Path(tempfile.gettempdir()) / "spool"  # uploads on their way; the folder is the gateway's own
    shutil.rmtree(spool, ignore_errors=True)
    spool.mkdir(mode=0o700, parents=True)
    tempfile.tempdir = str(spool)
    desk = Desk(settings)
    desk.signins.end_all()
    partners = create_partners(desk.records, desk.objects, desk.catalog, desk.prefect, Access(desk.records))
    uvicorn.Server(config(Front(partners, create_app(settings, desk)), settings)).run()


if __name__ == "__main__":
    main()
