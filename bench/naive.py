"""The pipeline people write first: every part as its own manual shows it, one item at a time.

`python -m bench.naive FOLDER` prints one `Run` per video. Nothing here is slow on purpose.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import faiss
import numpy as np
import open_clip
import torch
from facenet_pytorch import MTCNN
from numpy.typing import NDArray
from PIL import Image

from bench.clock import StageClock
from bench.footage import ARCHITECTURE, Footage
from bench.run import DECODE, EMBED_FACES, EMBED_FRAMES, FACES, SEARCH, Run

_NEIGHBOURS = 10
_MARGIN = 0.3


class Naive:
    """OpenCV, PIL, MTCNN with its defaults on full frames, CLIP in batches of one, a flat index."""

    def __init__(self, footage: Footage) -> None:
        self._detector = MTCNN(keep_all=True)
        model, _, self._preprocess = open_clip.create_model_and_transforms(ARCHITECTURE, pretrained=str(footage.weights))
        self._model = model.eval()
        self._index = faiss.IndexFlatIP(model.visual.output_dim)
        self._index.add(np.load(footage.gallery))

    def scan(self, video: str, path: Path) -> Run:
        clock = StageClock()
        with clock.stage(DECODE):
            pictures = _one_per_second(path)
        with clock.stage(FACES):
            boxes = [self._detector.detect(picture)[0] for picture in pictures]
        with clock.stage(EMBED_FRAMES):
            for picture in pictures:
                self._embed(picture)
        with clock.stage(EMBED_FACES):
            faces = [
                self._embed(_crop(picture, box))
                for picture, found in zip(pictures, boxes, strict=True)
                if found is not None
                for box in found
            ]
        with clock.stage(SEARCH):
            for face in faces:
                self._index.search(face, _NEIGHBOURS)
        return Run(video, dict(clock.seconds), len(pictures), len(faces))

    def _embed(self, picture: Image.Image) -> NDArray[np.float32]:
        with torch.no_grad():
            vector: torch.Tensor = self._model.encode_image(self._preprocess(picture).unsqueeze(0))
            vector /= vector.norm(dim=-1, keepdim=True)
        return vector.numpy()


def _one_per_second(path: Path) -> list[Image.Image]:
    capture = cv2.VideoCapture(str(path))
    step = round(capture.get(cv2.CAP_PROP_FPS))
    pictures: list[Image.Image] = []
    number = 0
    while True:
        there, frame = capture.read()
        if not there:
            return pictures
        if number % step == 0:
            pictures.append(Image.fromarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)))
        number += 1


def _crop(picture: Image.Image, box: NDArray[np.float32]) -> Image.Image:
    x0, y0, x1, y1 = box
    wide, high = _MARGIN * (x1 - x0), _MARGIN * (y1 - y0)
    return picture.crop((int(x0 - wide), int(y0 - high), int(x1 + wide), int(y1 + high)))


def main(folder: str) -> None:
    torch.set_num_threads(1)
    footage = Footage(Path(folder))
    naive = Naive(footage)
    naive.scan("warm-up", footage.warm_up)
    for video, path in footage.videos:
        print(naive.scan(video, path).tell(), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
