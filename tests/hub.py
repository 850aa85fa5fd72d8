"""A hub on loopback: what a download speaks of the Hugging Face Hub's protocol, small repositories, and misfortunes.

Like the real one it lists a repository under /api/models, serves small files itself and sends those that git-lfs holds
to another host (here another port) with a redirect. A `Fault` makes it fail for one file, or for "api".
"""

import hashlib
import json
import threading
import time
from collections import Counter
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

LARGE = (".safetensors", ".bin", ".h5", ".msgpack")  # what git-lfs holds


# Repositories


def safetensors(size: int = 16) -> bytes:
    """A file of weights with one tensor of `size` bytes."""
    return _packed({"weight": {"dtype": "U8", "shape": [size]}}, {"weight": b"\1" * size})


def _packed(entries: dict, contents: dict[str, bytes]) -> bytes:
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for name, entry in entries.items():
        header[name] = entry | {"data_offsets": [end, end + len(contents[name])]}
        end += len(contents[name])
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + b"".join(contents[name] for name in entries)


def sharded(weights: bytes) -> dict[str, bytes]:
    """A file of safetensors cut in two with an index, as the hub has large models."""
    length = int.from_bytes(weights[:8], "little")
    entries = json.loads(weights[8:8 + length])
    entries.pop("__metadata__", None)
    contents = {name: weights[8 + length + start:8 + length + end]
                for name, entry in entries.items() for start, end in [entry["data_offsets"]]}
    names = list(entries)
    files, weight_map = {}, {}
    for number, part in enumerate((names[:len(names) // 2], names[len(names) // 2:]), start=1):
        shard = f"model-{number:05}-of-00002.safetensors"
        files[shard] = _packed({name: entries[name] for name in part}, contents)
        weight_map |= dict.fromkeys(part, shard)
    index = {"metadata": {"total_size": sum(map(len, contents.values()))}, "weight_map": weight_map}
    return files | {"model.safetensors.index.json": json.dumps(index).encode()}


def embedded(folder: Path) -> dict[str, bytes]:
    """The files of an embedded checkpoint, with what else lies about in a repository of the hub."""
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".json", ".safetensors")}
    preprocessor = json.loads(files["processor_config.json"])["image_processor"]
    return files | {"preprocessor_config.json": json.dumps(preprocessor).encode(), "README.md": b"no",
                    ".gitattributes": b"no", "tf_model.h5": b"no", "flax_model.msgpack": b"no",
                    "onnx/model.onnx": b"no", "onnx/config.json": b"no"}


CLIP_FILES = {"config.json": b"{}", "preprocessor_config.json": b"{}", "tokenizer_config.json": b"{}",
              "vocab.json": b"{}", "merges.txt": b"#", "model.safetensors": safetensors()}
SBERT_FILES = {"modules.json": b'[{"idx": 0, "name": "0", "path": "0_CLIPModel", "type": "CLIPModel"}]',
               **{f"0_CLIPModel/{name}": content for name, content in CLIP_FILES.items()}}
BLIP2_FILES = {"config.json": b"{}", "processor_config.json": b"{}", "tokenizer.json": b"{}",
               **sharded(_packed({"a": {"dtype": "U8", "shape": [8]}, "b": {"dtype": "U8", "shape": [9]}},
                                 {"a": b"\1" * 8, "b": b"\1" * 9}))}
# A text tower with a projection after it, as sentence-transformers has them.
TEXT_FILES = {"modules.json": json.dumps([{"path": path, "type": f"sentence_transformers.models.{kind}"} for path, kind
                                          in (("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Dense", "Dense"))
                                          ]).encode(),
              "config.json": b'{"model_type": "distilbert"}', "tokenizer.json": b"{}",
              "model.safetensors": safetensors(), "1_Pooling/config.json": b"{}", "2_Dense/config.json": b"{}",
              "2_Dense/model.safetensors": safetensors(4)}


# The server


@dataclass
class Fault:
    """What goes wrong with an answer.

    Args:
        kind: "status" (an error `value`), "cut" (the connection, after `at` bytes), "stall" (nothing more after `at`
            bytes, until `Hub.release`), "drip" (`at` bytes every `seconds`), "wrong hash", "wrong size", "endless" (no
            length, more bytes than listed), "dead host" (a redirect there), "no ranges", "text" (`value` instead).
        times: How often; afterwards all is well.
    """

    kind: str
    at: int = 0
    seconds: float = 0
    value: object = None
    times: int = 10**6


class Hub:
    """The server: repositories by hub id, faults by file name, and what it was asked and what it sent."""

    def __init__(self):
        self.repositories: dict[str, tuple[str, dict[str, bytes | int]]] = {}  # commit, files (or only their sizes)
        self.faults: dict[str, Fault] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []  # path, headers
        self.sent = Counter()  # bytes of each file, by its name
        self.released, self.closing = threading.Event(), threading.Event()
        self.servers = []
        for _ in range(2):
            server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
            server.daemon_threads, server.block_on_close, server.hub = True, False, self
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
            self.servers.append(server)
        self.address, self.other_host = (f"http://127.0.0.1:{server.server_port}" for server in self.servers)

    def __enter__(self) -> "Hub":
        return self

    def __exit__(self, *_):
        self.closing.set()
        self.released.set()
        for server in self.servers:
            server.shutdown()
            server.server_close()

    def add(self, model, files: dict[str, bytes | int]) -> None:
        """Serve the files as the repository of a catalogue's model, at the commit that it pins."""
        self.repositories[model.hub_id] = (model.revision, files)

    def release(self) -> None:
        """Let stalled answers go on."""
        self.released.set()

    def fault(self, name: str) -> Fault | None:
        """The fault that strikes now."""
        fault = self.faults.get(name)
        if not fault or not fault.times:
            return None
        fault.times -= 1
        return fault


def digest(name: str, content: bytes) -> str:
    """What the hub calls the content: SHA-256 of large files, git's name of small ones."""
    if name.endswith(LARGE):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """One request. As a proxy's, its path may be a whole address."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        hub: Hub = self.server.hub
        path = unquote(urlsplit(self.path).path)
        hub.asked.append((path, dict(self.headers)))
        if path.startswith("/api/models/"):
            return self.list_files(hub, path.removeprefix("/api/models/"))
        if path.startswith("/large/"):
            hub_id, _, name = path.removeprefix("/large/").partition("//")
            return self.send_file(hub, hub_id, name)
        hub_id, _, rest = path[1:].partition("/resolve/")
        commit, files = hub.repositories.get(hub_id, ("", {}))
        revision, _, name = rest.partition("/")
        if revision not in (commit, "main") or name not in files:
            return self.answer(404, b"Entry not found")
        self.about = {"X-Repo-Commit": commit, "ETag": f'"{digest(name, files[name])}"'}
        if not name.endswith(LARGE):
            return self.send_file(hub, hub_id, name)
        host = hub.other_host
        if (fault := hub.faults.get(name)) and fault.kind == "dead host":
            host = "http://127.0.0.1:9"
        return self.answer(302, b"", {
            "Location": f"{host}/large/{hub_id}//{name}", "X-Repo-Commit": commit,
            "X-Linked-Etag": self.about["ETag"], "X-Linked-Size": str(len(files[name]))})

    do_HEAD = do_GET

    def list_files(self, hub: Hub, path: str):
        hub_id, _, rest = path.partition("/revision/")
        if "/tree/" in path:
            hub_id, _, rest = path.partition("/tree/")
        commit, files = hub.repositories.get(hub_id, ("", {}))
        fault = hub.fault("api")
        if fault and fault.kind == "status":
            return self.answer(fault.value, b"", {"Retry-After": f"{fault.seconds:g}"} if fault.seconds else {})
        if fault and fault.kind == "text":
            return self.answer(200, fault.value)
        if rest not in ("", "main", commit) or not commit:
            return self.answer(404, b'{"error": "Repository not found"}')
        siblings, tree = [], []
        for name, content in files.items():
            size = content if isinstance(content, int) else len(content)
            name_in_git = digest("", content if isinstance(content, bytes) else b"")
            large = {"sha256": digest(name, content if isinstance(content, bytes) else b""), "size": size}
            lfs = {"lfs": large} if name.endswith(LARGE) else {}
            siblings.append({"rfilename": name, "size": size, "blobId": name_in_git} | lfs)
            tree.append({"type": "file", "path": name, "size": size, "oid": name_in_git}
                        | ({"lfs": {"oid": large["sha256"], "size": size, "pointerSize": 134}} if lfs else {}))
        body = tree if "/tree/" in path else {"id": hub_id, "sha": commit, "siblings": siblings}
        return self.answer(200, json.dumps(body).encode(), fault=fault)

    def send_file(self, hub: Hub, hub_id: str, name: str):
        content = hub.repositories[hub_id][1][name]
        fault = hub.fault(name) if self.command == "GET" else None
        kind = fault.kind if fault else ""
        if kind == "status":
            return self.answer(fault.value, b"", {"Retry-After": f"{fault.seconds:g}"} if fault.seconds else {})
        if kind == "wrong hash":
            content = content[:-1] + bytes([content[-1] ^ 1])
        if kind in ("wrong size", "endless"):
            content += b"and more"
        headers = {"Accept-Ranges": "bytes"} | getattr(self, "about", {})
        wanted = self.headers.get("Range")
        if wanted and kind != "no ranges":
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                return self.answer(416, b"", {"Content-Range": f"bytes */{len(content)}"})
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            return self.answer(206, content[start:], headers, fault, name)
        return self.answer(200, content, headers, fault, name)

    def answer(self, status: int, body: bytes, headers: dict | None = None, fault: Fault | None = None, name: str = ""):
        hub: Hub = self.server.hub
        kind = fault.kind if fault else ""
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        if kind == "endless":
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", str(len(body)))
        if kind == "stall" and not fault.at:
            hub.released.wait()  # not even the headers
        self.end_headers()
        if self.command == "HEAD":
            return
        step = fault.at if kind == "drip" else 2**16
        try:
            for start in range(0, len(body), step):
                piece = body[start:start + step]
                if kind in ("cut", "stall") and start + len(piece) > fault.at:
                    self.send(piece[:max(0, fault.at - start)], name)
                    piece = piece[max(0, fault.at - start):]
                    if kind == "cut":
                        self.close_connection = True
                        return
                    hub.released.wait()
                if hub.closing.is_set():
                    self.close_connection = True
                    return
                if kind == "drip":
                    time.sleep(fault.seconds)
                self.send(piece, name)
        except OSError:  # the other side has left
            self.close_connection = True

    def send(self, piece: bytes, name: str) -> None:
        self.wfile.write(piece)
        if name:
            self.server.hub.sent[name] += len(piece)

    def log_message(self, *arguments):
        pass
