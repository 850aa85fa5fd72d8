"""An index of pictures on disk: each file is embedded once, and again only when it has changed."""

import json
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from tqdm import tqdm

from . import UserError
from .files import replacing

FILES_AT_ONCE = 64  # Between two steps of the progress bar.
SECONDS_BETWEEN_SAVES = 30


class ImageIndex:
    """The embeddings of picture files, kept in one .npz file.

    Args:
        file: Where the index is kept; it need not exist yet.
        probe: The embedding (dimensions,) of some fixed text by the model in use. An index with another probe was
            made by another model, so its embeddings are not taken over.

    Raises:
        UserError: The file is damaged or no index.

    Example:
        >>> index = ImageIndex(Path("holiday.npz"), embed_texts(["a probe"])[0])
        >>> index.update(images.pictures_in("holiday"), partial(reader.embed_files, model, image_processor))
        >>> index.query(embed_texts(["a boat on the lake"])[0], count=5)
    """

    def __init__(self, file: Path, probe: np.ndarray):
        self.file, self.probe = Path(file), np.asarray(probe, np.float32)
        self.keys: list[tuple[str, int, int]] = []  # absolute path, bytes, nanoseconds of the last change
        self.embeddings = np.zeros((0, len(self.probe)), np.float32)
        if not self.file.exists():
            return
        try:
            with np.load(self.file, allow_pickle=False) as content:
                probe, embeddings = content["probe"], content["embeddings"]
                keys = [(path, size, changed) for path, size, changed in json.loads(bytes(content["keys"]))]
            if embeddings.dtype != np.float32 or embeddings.shape != (len(keys), len(probe)):
                raise ValueError("rows and files do not agree")
        except (PermissionError, IsADirectoryError, MemoryError):
            raise
        except Exception as error:  # A damaged zip file raises errors of a dozen kinds.
            raise UserError(f"The index {self.file} is damaged: delete it, nothing is lost, as the next run makes it "
                            "again from the pictures.") from error
        # The same model in another precision or on another device is a little off.
        if probe.shape == self.probe.shape and np.linalg.norm(probe - self.probe) < 0.05 * np.linalg.norm(probe):
            self.keys, self.embeddings = keys, embeddings

    @property
    def paths(self) -> list[Path]:
        """The picture files, one for each row of `embeddings`."""
        return [Path(path) for path, _, _ in self.keys]

    def update(self, paths: Iterable[str | Path],
               embed_files: Callable[[list[str]], tuple[np.ndarray, list[str]]]) -> int:
        """Make the index hold just these files, in this order, and save it; returns how many had to be embedded.

        The file is replaced in one step, every half minute and at the end: whenever the program is killed, the file on
        disk is a whole index.

        Args:
            embed_files: Turns up to 64 paths into embeddings (pictures, dimensions) and the paths of those that it
                could read; what it could not read is left out of the index.

        Raises:
            OSError: A file is missing, or the index cannot be written.
        """
        known = dict(zip(self.keys, self.embeddings))
        wanted = {}
        for path in paths:
            # Asked before the file is read: if it changes meanwhile, the next update sees it.
            status = os.stat(path)
            wanted[os.path.abspath(path), status.st_size, status.st_mtime_ns] = None
        found = {key: known[key] for key in wanted if key in known}
        missing = [key for key in wanted if key not in known]
        embedded, saved = 0, time.monotonic()
        for start in tqdm(range(0, len(missing), FILES_AT_ONCE), "   embedding", unit="batch",
                          disable=len(missing) <= 2 * FILES_AT_ONCE):
            keys = {key[0]: key for key in missing[start:start + FILES_AT_ONCE]}
            embeddings, read = embed_files(list(keys))
            found.update((keys[path], row) for path, row in zip(read, np.asarray(embeddings, np.float32), strict=True))
            embedded += len(read)
            if time.monotonic() - saved > SECONDS_BETWEEN_SAVES:
                self._save(found)
                saved = time.monotonic()
        self._save({key: found[key] for key in wanted if key in found})
        return embedded

    def query(self, embedding: np.ndarray, count: int = 5) -> list[tuple[Path, float]]:
        """The `count` pictures nearest to a text's or picture's embedding (dimensions,), best first, with their
        dot products: the cosines, if all embeddings are normalised."""
        similarity = self.embeddings @ np.asarray(embedding, np.float32)
        best = np.argsort(-similarity, kind="stable")[:count]
        return [(Path(self.keys[row][0]), float(similarity[row])) for row in best]

    def _save(self, rows: dict[tuple[str, int, int], np.ndarray]) -> None:
        self.keys = list(rows)
        self.embeddings = np.array(list(rows.values()), np.float32).reshape(len(rows), len(self.probe))
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self.file) as part, part.open("wb") as stream:
            np.savez(stream, probe=self.probe, embeddings=self.embeddings,
                     keys=np.frombuffer(json.dumps(self.keys).encode(), np.uint8))
