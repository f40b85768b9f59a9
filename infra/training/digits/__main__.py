"""`python -m infra.training.digits fetch | train --minutes N | export | measure`: typefaces lie in a work folder."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from infra.training.digits.faces import UNSEEN, fetch, shapes


def main(arguments: list[str]) -> int:
    """See module."""
    parser = argparse.ArgumentParser(prog="python -m infra.training.digits", description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("var/train-digits"), help="typefaces, the state of training")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("fetch", help="typefaces and the digits of real writers, by name, licences checked")
    training = commands.add_parser("train", help="train, export, measure on what training never saw")
    training.add_argument("--minutes", type=float, default=60, help="of the processor")
    training.add_argument("--seed", type=int, default=1)
    training.add_argument("--resume", type=Path, help="a state to go on from")
    commands.add_parser("export", help="write the last state as ONNX, with its card")
    commands.add_parser("measure", help="the model that is there, on what training never saw")
    asked = parser.parse_args(arguments)
    asked.work.mkdir(parents=True, exist_ok=True)
    packages = fetch(asked.work)
    if asked.command == "fetch":
        print(f"{len(packages)} typefaces")
        return 0
    import torch

    from infra.training.digits import card
    from infra.training.digits.net import Net
    from infra.training.digits.train import BATCH, export, measure, report, train

    seen, unseen = shapes(asked.work)
    state = asked.work / "state.pt"
    if asked.command == "train":
        steps = train(seen, asked.minutes, state, asked.seed, asked.resume)
        history = asked.work / "history.json"
        before = json.loads(history.read_text("utf-8")) if asked.resume and history.exists() else []
        told = f"{steps * BATCH:,} slots of seed {asked.seed} ({asked.minutes:g} minutes of one thread)"
        history.write_text(json.dumps([*before, told]), "utf-8")
    if asked.command in ("train", "export"):
        net = Net()
        net.load_state_dict(torch.load(state))
        export(net)
    figures = measure(unseen)
    print(report(figures))
    if asked.command in ("train", "export"):
        card.write(packages, UNSEEN, figures, sum(p.numel() for p in net.parameters()), asked.work)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
