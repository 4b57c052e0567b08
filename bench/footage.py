"""What both pipelines are given: videos of the fictional cast, a gallery of vectors, weights of a real size.

The weights are random: they cost what trained ones cost, and are for timing alone. So are the gallery's vectors.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from itertools import chain, cycle, islice
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from monitor.cast.credentials import GENERATED, Studio
from monitor.cast.film import film, frames
from monitor.cast.roster import LIVING, MOURNED

ARCHITECTURE = "ViT-B-32"
SIZE = (720, 1280)
FPS = 25
SECONDS = 30
GALLERY = 100_000
COHORT = 100

_DIM = 512
_TAKE_S = 3.4  # one scene of the cast's films, no cut in it


@dataclass(frozen=True, slots=True)
class Footage:
    """The folder everything lies in, and what is where."""

    folder: Path

    @property
    def videos(self) -> tuple[tuple[str, Path], ...]:
        """What each shows, and its file."""
        return (
            ("two people, a cut every 2.4 s, signed with C2PA", self.folder / "cuts.mp4"),
            ("one talking head, no cut, key frames 10 s apart", self.folder / "talk.mp4"),
        )

    @property
    def warm_up(self) -> Path:
        return self.folder / "warm-up.mp4"

    @property
    def weights(self) -> Path:
        return self.folder / "random.safetensors"

    @property
    def gallery(self) -> Path:
        return self.folder / "gallery.npy"

    @property
    def cohort(self) -> Path:
        return self.folder / "cohort.npy"

    @property
    def anchors(self) -> Path:
        return self.folder / "anchors.pem"

    def make(self) -> None:
        """Render, draw and write everything; a minute or so."""
        unsigned = self.folder / "unsigned.mp4"
        cast = [MOURNED[0].person, LIVING.person]
        film(self.warm_up, cast, seconds=2, seed=1, size=SIZE, fps=FPS)
        film(unsigned, cast, seconds=SECONDS, seed=2, size=SIZE, fps=FPS)
        studio = Studio()
        studio.sign(unsigned, self.folder / "cuts.mp4", digital_source_type=GENERATED, generator="Sosie bench")
        self.anchors.write_bytes(studio.anchor_pem)
        _talk(self.folder / "talk.mp4")
        rng = np.random.default_rng(3)
        np.save(self.gallery, _unit(rng, GALLERY))
        np.save(self.cohort, _unit(rng, COHORT))
        _random_weights(self.weights)


def _talk(path: Path) -> None:
    """One take, forwards and backwards again and again: motion in every frame, and never a cut."""
    take = list(frames([MOURNED[1].person], seconds=_TAKE_S, seed=4, size=SIZE, fps=FPS))
    pictures = islice(cycle(chain(take, take[-2:0:-1])), SECONDS * FPS)
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.height, stream.width, stream.pix_fmt = *SIZE, "yuv420p"
        stream.options = {"crf": "23", "preset": "medium", "threads": "1"}
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")))
        container.mux(stream.encode(None))


def _unit(rng: np.random.Generator, count: int) -> NDArray[np.float32]:
    rows = rng.standard_normal((count, _DIM), np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def _random_weights(path: Path) -> None:
    import open_clip
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(5)
    logging.disable(logging.WARNING)  # of "no pretrained weights": that is the intent
    network = open_clip.create_model(ARCHITECTURE)
    logging.disable(logging.NOTSET)
    save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, path)
