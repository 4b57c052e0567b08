"""What `scan` does with a video until it knows who is in it: `Fingerprinter.take`, then `match`, with a clock on the stages.

`python -m bench.ours FOLDER PRECISION` prints one `Run` per video. The decoding worker's time counts where it was spent.
Left out: hashing the file, the decision, stills of what is flagged, the database.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.clock import StageClock
from bench.footage import ARCHITECTURE, Footage
from bench.run import EMBED_FACES, EMBED_FRAMES, SEARCH, Run
from indexes.background import Background
from indexes.likeness import LikenessIndex
from monitor.base import settings
from monitor.base.metrics import Metrics
from monitor.decision.policy import default_policy
from monitor.intake.fetch import Fetched
from monitor.intake.sandbox import Sandbox
from monitor.provenance.trust import TrustLists
from monitor.registry.cohort import CLIP_PRIOR
from monitor.scan.fingerprinter import Decoding, Fingerprinter
from monitor.scan.matching import Voice, match
from monitor.vision.detectors import load_detector
from monitor.vision.encoder import Precision, load_encoder
from monitor.vision.faces import Face
from monitor.vision.frames import SampleOptions
from monitor.vision.networks import Models


class Ours:
    """The shipped defaults, but ViT-B/32 as the encoder, one thread, and the precision asked for."""

    def __init__(self, footage: Footage, sandbox: Sandbox, precision: Precision) -> None:
        defaults = settings.load({})
        self._sandbox = sandbox
        self._trust = TrustLists.load((footage.anchors,), None)
        self._sampling = SampleOptions(gap_s=defaults.sample_gap_s)
        self._models = _WatchedModels(load_detector("mtcnn"), load_encoder(f"{ARCHITECTURE}@{footage.weights}", 1, precision))
        space = self._models.crop_space
        index = LikenessIndex(space, Background(np.load(footage.cohort), CLIP_PRIOR))
        gallery = np.load(footage.gallery)
        names = [f"{i:06}" for i in range(len(gallery))]
        index = index.with_references(names, names, gallery)
        self._voices = (Voice(index, 1.0),)
        self._rule = default_policy().matching

    def scan(self, video: str, path: Path) -> Run:
        clock = StageClock()
        decoding = Decoding(self._sandbox, self._sampling, _ClockedMetrics(clock))
        fetched = Fetched(str(path), path, "0" * 64, path.stat().st_size)
        taken = Fingerprinter(decoding, replace(self._models, clock=clock)).take(fetched, self._trust)
        with clock.stage(SEARCH):
            match(taken, self._voices, self._rule)
        seconds = dict(clock.seconds)
        seconds[EMBED_FRAMES] = seconds.pop("embed") - seconds.get(EMBED_FACES, 0.0)
        return Run(video, seconds, len(taken.times_s), len(taken.faces))


class _ClockedMetrics(Metrics):
    """Stages timed by the bench's clock in place of the wall's."""

    def __init__(self, clock: StageClock) -> None:
        super().__init__()
        self._clock = clock

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        with self._clock.stage(name):
            yield


@dataclass(frozen=True)
class _WatchedModels(Models):
    """Tells the faces' share of the stage `embed` from the frames'."""

    clock: StageClock = field(default_factory=StageClock)

    def embed_faces(self, images: Sequence[NDArray[np.uint8]], faces: Sequence[Face]) -> tuple[NDArray[np.float32], ...]:
        with self.clock.stage(EMBED_FACES):
            return super().embed_faces(images, faces)


def main(folder: str, precision: Precision) -> None:
    footage = Footage(Path(folder))
    defaults = settings.load({})
    with Sandbox(1, defaults.decode_memory_bytes, defaults.decode_timeout_s) as sandbox:
        ours = Ours(footage, sandbox, precision)
        ours.scan("warm-up", footage.warm_up)
        for video, path in footage.videos:
            print(ours.scan(video, path).tell(), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], "bf16" if sys.argv[2] == "bf16" else "fp32")
