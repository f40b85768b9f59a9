"""docs/settings.md: every setting of an installation, with its default and bounds."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from blocks.settings.sections import SECTIONS
from tests.reference.source import ROOT

PAGE = ROOT / "docs/settings.md"
HEAD = """# Settings

Made by `make docs-data` from `blocks/settings`; don't edit it.

`make up` writes `stack.env` into the folder of the installation (`SOHOA_HOME`, default `var/`); an administrator
changes a line there and runs `make down && make up`. Secrets stand beside it in `secrets/<part>.env` (0600), each in
the file of its part. A setting without default must be there: what needs it says so and does nothing.
"""
# Read where there are no settings yet, or addresses and secrets of one part: `make up` writes them.
ELSEWHERE = {
    "SOHOA_HOME": "Folder with the state of the installation; default: `var/` of the checkout.",
    "SOHOA_ROOT": "The checkout, for `prefect.yaml`; set by `make up`.",
    "SOHOA_PART": "Which part a process is; `make up` sets it. A command typed by hand acts as the worker.",
    "SOHOA_DATABASE_URL": "PostgreSQL of the records, as the worker enters it; name another server to use it.",
    "SOHOA_DATABASE_OWNER_URL": "The same as owner: migrations only.",
    "SOHOA_DATABASE_GATEWAY_URL": "The same as the desk enters it.",
    "SOHOA_DATABASE_READER_URL": "The same for reading: metrics and the watch.",
    "SOHOA_RESTORED_DATABASE_URL": "Set by `sohoa restore` for the restored database.",
    "SOHOA_PREFECT_DATABASE_URL": "PostgreSQL of Prefect's server.",
    "SOHOA_S3_ENDPOINT": "The object store (S3); name another one to use it.",
    "SOHOA_S3_ACCESS_KEY": "The part's own identity there.",
    "SOHOA_S3_SECRET_KEY": "Its secret.",
    "SOHOA_S3_ADMIN_ACCESS_KEY": "Of a store that isn't ours: who may make buckets.",
    "SOHOA_S3_ADMIN_SECRET_KEY": "Its secret.",
    "SOHOA_S3_GATEWAY_ACCESS_KEY": "Of a store that isn't ours: the desk's identity.",
    "SOHOA_S3_GATEWAY_SECRET_KEY": "Its secret.",
    "SOHOA_COPY_S3_ENDPOINT": "The store that `sohoa restore` fills; set by it.",
    "SOHOA_COPY_S3_ACCESS_KEY": "Identity there.",
    "SOHOA_COPY_S3_SECRET_KEY": "Its secret.",
    "SOHOA_CSC_TOKEN": "Access token of a remote signing service (CSC), named in officers.yml as env:SOHOA_CSC_TOKEN.",
    "SOHOA_GATEWAY_PUBLIC_KEY_FILE": "Public key that decisions are proven by; `make up` makes it.",
    "SOHOA_PIN_KEYS": "Folder with the pair that seals PINs; default: `SOHOA_HOME`.",
    "SOHOA_CALLBACK_KEY": "Key that signs call-backs to partners; `make up` makes it.",
    "SOHOA_CALLBACK_PUBLIC_KEY": "What partners check them by.",
    "SOHOA_OS_USERS": "`parts`: each part runs as an OS user of its own; found out by `make up`.",
    "SOHOA_POSTGRES_OS_USER": "OS user of PostgreSQL where `make up` is run by root.",
    "SOHOA_CA_BUNDLE": "Certificates (PEM) that servers of the office's own network are checked by.",
    "SOHOA_WORKER_TYPE": "Prefect work pool type: `warm-process` (the default) or `process`.",
    "SOHOA_PORT_BASE": "First of the ports that `make up` takes; default: 24200.",
    "SOHOA_PORT_POSTGRES": "Port of PostgreSQL on loopback.",
    "SOHOA_PORT_PREFECT": "Port of Prefect's server on loopback.",
    "SOHOA_PORT_PKI": "Port of the TEST PKI on loopback.",
    "SOHOA_PORT_OIDC": "Port of the TEST identity provider on loopback.",
    "SOHOA_FLOWS_DIR": "Folder of the flows that the worker lets run; default: that of the checkout. For tests.",
    "SOHOA_SETUP_MODULE": "What registers deployments at the start; default: deployments.setup. For tests.",
    "SOHOA_PRELOAD": "Modules that the warm worker imports beforehand, instead of its own list.",
    "SOHOA_STACK_OF": "Marks the processes of a stack with its folder; set by `make up`.",
}


def variable(section: type[BaseSettings], name: str, field: FieldInfo) -> str:
    """Name of the environment variable of a field."""
    alias = field.validation_alias
    return alias if isinstance(alias, str) else f"{section.model_config.get('env_prefix', '')}{name}".upper()


def default(field: FieldInfo) -> str:
    """As it stands in the page."""
    value: Any = field.default
    if field.default_factory is not None:
        return "in the installation's folder"
    if value is PydanticUndefined:
        return "**required**"
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if value is None or value in ("", []):
        return "–"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def bounds(field: FieldInfo) -> str:
    """Least and most, where there are any."""
    words = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
    found = [f"{words[key]} {getattr(item, key)}" for item in field.metadata for key in words if hasattr(item, key)]
    return f" ({', '.join(found)})" if found else ""


def page() -> str:
    """The whole page (Markdown)."""
    parts = [HEAD]
    for section in SECTIONS:
        first, _, rest = (section.__doc__ or "").strip().partition(":")
        title = first.rstrip(".") if len(first) < 60 else first[:57]
        parts.append(f"\n## {title}\n")
        if rest:
            parts.append(rest.strip()[:1].upper() + rest.strip()[1:] + "\n")
        parts += ["| Variable | Default | What it says |", "|---|---|---|"]
        parts += [
            f"| `{variable(section, name, field)}` | {default(field)} | {field.description}{bounds(field)} |"
            for name, field in section.model_fields.items()
        ]
    parts += ["\n## Addresses, secrets and what `make up` sets\n", "| Variable | What it says |", "|---|---|"]
    parts += [f"| `{name}` | {text} |" for name, text in ELSEWHERE.items()]
    return "\n".join(parts) + "\n"


def known() -> set[str]:
    """All variables on the page."""
    return {variable(s, name, field) for s in SECTIONS for name, field in s.model_fields.items()} | set(ELSEWHERE)


def named(paths: list[Path]) -> set[str]:
    """Variables that pages for people name."""
    return {name for path in paths for name in re.findall(r"\bSOHOA_[A-Z0-9_]*[A-Z0-9]\b", path.read_text("utf-8"))}
