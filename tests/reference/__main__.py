"""`make docs-data`: writes docs/rules.md, docs/errors.md and docs/settings.md anew."""

from __future__ import annotations

from tests.reference import errors, rules, settings
from tests.reference.source import ROOT


def main() -> None:
    for part in (rules, errors, settings):
        part.PAGE.write_text(part.page(), encoding="utf-8")
        print(part.PAGE.relative_to(ROOT))


if __name__ == "__main__":
    main()
