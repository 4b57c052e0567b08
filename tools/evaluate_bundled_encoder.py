"""Measures the bundled encoder on fictional people it was not trained on.

    python -m tools.evaluate_bundled_encoder

Protocol: 500 people and a look-alike of each. A reference is one clean shot; a probe is another shot, once clean and once
damaged as a copy is. Impostors are either any two of the 500 people, or a person and their own look-alike.
"""

from __future__ import annotations

import argparse
import json

import numpy as np
import torch
from numpy.typing import NDArray

from monitor.vision.encoder import load_encoder
from tools.cast_shots import clean, damaged, identity, render

Vectors = NDArray[np.float32]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", default="bundled")
    parser.add_argument("--people", type=int, default=500)
    parser.add_argument("--base", type=int, default=20_000_000, help="seed of the first person; training used 100000 to 102399")
    arguments = parser.parse_args()
    encoder = load_encoder(arguments.encoder, threads=torch.get_num_threads())
    people = [identity(i, base=arguments.base) for i in range(2 * arguments.people)]
    rng = np.random.default_rng(arguments.base)
    shots = [[render(who, rng) for _ in range(3)] for who in people]
    references = encoder.encode([clean(row[0], rng) for row in shots])
    probes = {
        "clean": encoder.encode([clean(row[1], rng) for row in shots]),
        "damaged": encoder.encode([damaged(row[2], rng) for row in shots]),
    }
    print(json.dumps({name: figures(references, found) for name, found in probes.items()}, indent=2))


def figures(references: Vectors, probes: Vectors) -> dict[str, float]:
    """Rows 2i are people, rows 2i + 1 their look-alikes, in both arrays (2n, dim)."""
    cosine = references[::2] @ probes[::2].T
    genuine = np.diag(cosine)
    impostors = cosine[~np.eye(len(cosine), dtype=bool)]
    siblings = (references[::2] * probes[1::2]).sum(axis=1)
    mixed = references @ probes.T
    return {
        "people": len(cosine),
        "genuine_median": _r(np.median(genuine)),
        "genuine_5th_percentile": _r(np.quantile(genuine, 0.05)),
        "impostor_median": _r(np.median(impostors)),
        "auc": _r(auc(genuine, impostors)),
        "threshold_at_fmr_1e-3": _r(np.quantile(impostors, 1 - 1e-3)),
        "threshold_at_fmr_1e-4": _r(np.quantile(impostors, 1 - 1e-4)),
        "tpr_at_fmr_1e-3": _r(np.mean(genuine > np.quantile(impostors, 1 - 1e-3))),
        "tpr_at_fmr_1e-4": _r(np.mean(genuine > np.quantile(impostors, 1 - 1e-4))),
        "rank_1": _r(np.mean(cosine.argmax(axis=0) == np.arange(len(cosine)))),
        "rank_1_with_look_alikes_in_gallery": _r(np.mean(mixed.argmax(axis=0) == np.arange(len(mixed)))),
        "look_alike_median": _r(np.median(siblings)),
        "look_alike_auc": _r(auc(genuine, siblings)),
        "look_alike_below_threshold_at_fmr_1e-4": _r(np.mean(siblings <= np.quantile(impostors, 1 - 1e-4))),
        "genuine_nearer_than_look_alike": _r(np.mean(genuine > siblings)),
    }


def auc(genuine: Vectors, impostors: Vectors) -> float:
    """The share of (genuine, impostor) pairs in which the genuine one scores higher."""
    places = np.searchsorted(np.sort(impostors), genuine)
    return float(places.mean() / len(impostors))


def _r(value: np.floating | float) -> float:
    return round(float(value), 4)


if __name__ == "__main__":
    main()
