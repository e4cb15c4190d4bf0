"""`python -m tests.planted`: break one rule at a time and see which tests notice.

Law: the clean tree passes every command first, since a suite that fails anyway notices nothing;
a campaign that fails is played on the clean tree, too, before it counts.
Ends with 0 when every patch was caught by some layer, 1 when one was caught by none, 2 when the
clean tree fails or a patch does not apply.
"""

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from tests.planted.layers import Answer, Layer, Verdict, ask, stop
from tests.planted.report import Figures, as_json, as_table
from tests.planted.scratch import ScratchError, Workshop, described, workshop
from tests.planted.table import PLANTED, Planted, together

_ENOUGH = frozenset({Verdict.SILENT, Verdict.NOT_THERE})


def main() -> int:
    """Run what was asked for, show the table."""
    args = _arguments()
    chosen = [one for one in PLANTED if not args.only or one.number in args.only.split(",")]
    layers = [Layer(name) for name in args.layer.split(",")] if args.layer else list(Layer)
    if args.list:
        for one in chosen:
            print(f"{one.name:36} {one.meaning}")
        return 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the copies go in either case
    told = Console(stderr=True)
    began = time.monotonic()
    try:
        with workshop(args.commit) as shop:
            if not args.skip_control and not _control(shop, chosen, layers, args.seed, told):
                return 2
            found = _plant(shop, chosen, layers, args, told)
    except ScratchError as error:
        told.print(f"{error}", style="red", markup=False)
        return 2
    took = round(time.monotonic() - began)
    tree = described(args.commit)
    figures = Figures(seconds=took, seed=args.seed, tree=tree, found=found)
    if args.json:
        text = as_json(figures)
        print(text) if args.json == "-" else Path(args.json).write_text(text + "\n")
    if args.json != "-":
        print(as_table(figures))
    return 1 if figures.escaped else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.planted", description=__doc__)
    parser.add_argument("--only", default="", help="numbers of patches: 01,07")
    parser.add_argument("--layer", default="", help="layers to ask: property,simulation,...")
    parser.add_argument("--all-layers", action="store_true", help="ask on after a layer caught it")
    parser.add_argument("--jobs", type=int, default=1, help="patches side by side")
    parser.add_argument("--seed", type=int, default=0, help="of hypothesis and of campaigns")
    parser.add_argument("--json", default="", help="write the figures to a file; - to print them")
    parser.add_argument("--commit", default="", help="of a commit, not of what is on the disk")
    parser.add_argument("--list", action="store_true", help="only list the patches")
    parser.add_argument("--skip-control", action="store_true", help="the clean tree is known good")
    return parser.parse_args()


def _control(
    shop: Workshop, chosen: Sequence[Planted], layers: Sequence[Layer], seed: int, told: Console
) -> bool:
    """Whether the clean tree passes everything that the patches are shown to."""
    watch = together([one.watch for one in chosen])
    for layer in watch.layers():
        if layer not in layers or layer is Layer.CHAOS:
            continue  # campaigns are long: a clean one is played when one has failed
        answer = ask(layer, watch, shop.clean, seed=seed)
        if answer.verdict in _ENOUGH:
            _tell(told, "clean tree", answer, "passes")
        else:
            _tell(told, "clean tree", answer, "fails")
            print(answer.tail, file=sys.stderr)
            print("the clean tree fails, so nothing that it notices counts", file=sys.stderr)
            return False
    return True


def _plant(
    shop: Workshop,
    chosen: Sequence[Planted],
    layers: Sequence[Layer],
    args: argparse.Namespace,
    told: Console,
) -> list[tuple[Planted, list[Answer]]]:
    def one(planted: Planted) -> tuple[Planted, list[Answer]]:
        answers: list[Answer] = []
        with shop.patched(planted.patch) as tree:
            for layer in planted.watch.layers():
                if layer not in layers:
                    continue
                answers.append(ask(layer, planted.watch, tree, seed=args.seed))
                if layer is Layer.CHAOS and answers[-1].verdict is Verdict.CAUGHT:
                    answers[-1] = _compared(shop, planted, answers[-1], args.seed)
                _tell(told, planted.name, answers[-1])
                if answers[-1].verdict is Verdict.CAUGHT and not args.all_layers:
                    break
        return planted, answers

    with ThreadPoolExecutor(max(args.jobs, 1)) as pool:
        try:
            return list(pool.map(one, chosen))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            stop()
            raise


def _compared(shop: Workshop, planted: Planted, answer: Answer, seed: int) -> Answer:
    """The answer of a campaign, if the clean tree passes the same one."""
    clean = ask(Layer.CHAOS, planted.watch, shop.clean, seed=seed)
    if clean.verdict is Verdict.SILENT:
        return answer
    why = f"the clean tree fails it too: {clean.by or clean.verdict}"
    return replace(answer, verdict=Verdict.NO_VERDICT, by=why)


def _tell(told: Console, name: str, answer: Answer, word: str = "") -> None:
    said = f"{word or answer.verdict:14} {answer.seconds:6.1f} s  {answer.by}"
    line = f"{name:36} {answer.layer:12} {said}"
    told.print(line, markup=False, highlight=False, soft_wrap=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
