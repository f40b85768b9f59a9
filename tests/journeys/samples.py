"""Which samples the journeys play: all in `make test-all`, a few of each kind in `make test`."""

from __future__ import annotations

import os

DEFECTS = [
    "d01-cat-mep", "d02-trang-dao", "d03-thieu-anh-ghi-chu", "d04-pdf-mat-khau", "d05-dpi-thap", "d06-thieu-thanh-phan",
    "d07-dem-sai-ban-giay", "d08-cat-ngan", "d09-trang-trang", "d10-nghieng", "d11-mo-nhoe", "d12-thieu-trang",
    "d13-thua-trang", "d14-trung-tep", "d15-trung-trang", "d16-ghi-chu-khac-trang", "d17-anh-xam", "d18-pdf-1-3",
    "d19-sai-dpi", "d20-dung-chung-tep", "d21-tep-rong", "d22-tep-cut", "d23-sai-loai-tep", "d24-anh-bom",
    "d25-pdf-da-ky", "d26-pdf-ma-lenh", "d27-pdf-dinh-kem", "d28-pdf-khong-trang", "d29-pdf-hong", "d30-thieu-tep",
    "d31-ten-nfd", "d32-thu-tuc-la", "d33-loai-giay-la", "d34-to-khai-sai", "d35-ban-dien-tu-sai",
]  # fmt: skip
GOOD = ["01-om-dau", "10-bhxh-tu-nguyen", "12-tu-tuat-so-de-hong", "18-van-ban-mat"]
MORE_GOOD = ["02-om-dau-ghi-chu", "13-chuyen-noi-huong-viet-tay"]
REFUSED = ["16-om-dau-tra-lai", "17-thai-san-khong-ky"]
# One defect of each family: of a page, of pages together, of a component, of a file, of the declaration.
FAMILIES = [
    "d05-dpi-thap", "d06-thieu-thanh-phan", "d09-trang-trang", "d12-thieu-trang", "d22-tep-cut", "d31-ten-nfd",
    "d34-to-khai-sai",
]  # fmt: skip
# A developer's short round: JOURNEY_SAMPLES="01- 18- d05-" plays these only (choose the tests with -k).
ONLY = tuple(os.environ.get("JOURNEY_SAMPLES", "").split())
ALL = bool(os.environ.get("JOURNEY_ALL"))


def played() -> list[str]:
    """Names of the samples of this round."""
    if ONLY:
        return [name for name in GOOD + MORE_GOOD + REFUSED + DEFECTS if name.startswith(ONLY)]
    return GOOD + MORE_GOOD + REFUSED + DEFECTS if ALL else GOOD + REFUSED + FAMILIES
