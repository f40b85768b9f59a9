"""`sohoa doctor` needs an installation: without one each check would fail for the same reason."""

from __future__ import annotations

import os

from blocks.errors import SohoaError
from blocks.settings import home


class NotSetUp(SohoaError):
    """No stack was ever started with this SOHOA_HOME: no part of it needs to be looked at."""

    code = "NOT_SET_UP"
    message = (
        "Hệ thống chưa được cài đặt tại {home}; vui lòng chạy `make up` (cài từ gói: `python -m infra.local up`), "
        "hoặc đặt biến SOHOA_HOME là thư mục của hệ thống đã có."
    )


def need_set_up() -> None:
    """Raises NotSetUp."""
    if not os.environ.get("SOHOA_ENVIRONMENT"):
        raise NotSetUp(home=home())
