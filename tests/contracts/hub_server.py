"""A stand-in for the Hugging Face Hub and for Stanza's resource host, on this machine alone.

It answers the part of the Hub's protocol that `datasets`, `huggingface_hub` and `stanza` use to
fetch public files, from files held in memory, and can be told to fail as a network does. The client
libraries are the real ones; only the host is not.
"""

import hashlib
import json
import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

COMMIT = "1" * 40
RESOLVE = re.compile(r"/(?:(datasets)/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)")
API = re.compile(
    r"/api/(models|datasets)/([^/]+/[^/]+)(?:/(revision|tree|paths-info)/([^/]+))?(/.*)?"
)


@dataclass
class StandIn:
    """What the server has, and how it misbehaves.

    Attributes:
        models: Files by path, by repository.
        datasets: The same of data sets.
        plain: Files by path outside any repository, for Stanza's resources.
        revisions: Revisions by repository that exist beside `COMMIT` and `main`.
        truncated: Names of files of which half is sent.
        swapped: Other content that is sent for a file than the one whose digest is announced.
        requests: Methods and paths that were asked for.
    """

    models: dict[str, dict[str, bytes]] = field(default_factory=dict)
    datasets: dict[str, dict[str, bytes]] = field(default_factory=dict)
    plain: dict[str, bytes] = field(default_factory=dict)
    revisions: set[str] = field(default_factory=set)
    truncated: set[str] = field(default_factory=set)
    swapped: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    url: str = ""


@contextmanager
def running(stand_in: StandIn):
    """Serve on a free port of 127.0.0.1 while the block runs; gives the same `StandIn`."""
    handler = type("Handler", (_Handler,), {"stand_in": stand_in})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    stand_in.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield stand_in
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    stand_in: StandIn
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self._answer(body=False)

    def do_GET(self):
        self._answer(body=True)

    def do_POST(self):
        self.posted = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer(body=True)

    def _answer(self, body):
        path = unquote(urlsplit(self.path).path)
        self.stand_in.requests.append(f"{self.command} {self.path}")
        if path == "/":
            return self._send(b"", body)
        if path.lstrip("/") in self.stand_in.plain:
            return self._file(self.stand_in.plain[path.lstrip("/")], path, body)
        if found := RESOLVE.fullmatch(path):
            kind, repository, revision, name = found.groups()
            files = (self.stand_in.datasets if kind else self.stand_in.models).get(repository)
            return self._resolve(files, revision, name, body)
        if found := API.fullmatch(path):
            return self._api(*found.groups(), body)
        return self._missing("EntryNotFound", body)

    def _known(self, revision):
        return revision in ("main", COMMIT) or revision in self.stand_in.revisions

    def _resolve(self, files, revision, name, body):
        if files is None:
            return self._missing("RepoNotFound", body, 401)
        if not self._known(revision):
            return self._missing("RevisionNotFound", body)
        if name not in files:
            return self._missing("EntryNotFound", body)
        headers = {"ETag": f'"{_digest(files[name])}"', "X-Repo-Commit": _commit(revision)}
        return self._file(files[name], name, body, headers)

    def _api(self, kind, repository, question, revision, folder, body):
        files = getattr(self.stand_in, kind).get(repository)
        if files is None:
            return self._missing("RepoNotFound", body, 401)
        if revision and not self._known(revision):
            return self._missing("RevisionNotFound", body)
        entries = [_entry(name, content) for name, content in files.items()]
        if question == "tree":
            answer = _listing(
                entries, (folder or "").strip("/"), "recursive=true" in self.path.lower()
            )
        elif question == "paths-info":
            posted = self.posted.decode()
            wanted = json.loads(posted)["paths"] if posted.startswith("{") else _form(posted)
            answer = [entry for entry in entries if entry["path"] in wanted]
        else:
            answer = {
                "id": repository,
                "sha": _commit(revision or "main"),
                "private": False,
                "tags": [],
                "siblings": [{"rfilename": name} for name in files],
            }
        return self._send(json.dumps(answer).encode(), body, {"Content-Type": "application/json"})

    def _file(self, content, name, body, headers=None):
        name = name.lstrip("/").rsplit("/", 1)[-1]
        sent = self.stand_in.swapped.get(name, content)
        return self._send(sent, body, headers, cut=name in self.stand_in.truncated)

    def _missing(self, code, body, status=404):
        headers = {"X-Error-Code": code, "X-Error-Message": f"{code} in the stand-in"}
        return self._send(b"{}", body, headers, status=status)

    def _send(self, content, body, headers=None, status=200, cut=False):
        start = 0
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if asked and status == 200:
            start, status = int(asked[1]), 206
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        if cut:
            self.send_header("Connection", "close")
        self.end_headers()
        if body:
            self.wfile.write(content[start : len(content) // 2] if cut else content[start:])
        if cut:
            self.close_connection = True


def _commit(revision):
    return COMMIT if revision == "main" else revision


def _digest(content):
    """Return what the Hub lists a file under: sha256 of large files, Git's sha1 of small ones."""
    if len(content) > 10_000:
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _entry(name, content):
    entry = {"type": "file", "path": name, "size": len(content), "oid": _digest(content)}
    if len(content) > 10_000:
        entry["lfs"] = {"oid": _digest(content), "size": len(content), "pointerSize": 130}
    return entry


def _listing(entries, folder, recursive):
    """Return what lies in a folder: everything below it, or files and folders directly in it."""
    below = [e for e in entries if not folder or e["path"].startswith(f"{folder}/")]
    names = {e["path"].removeprefix(f"{folder}/").split("/")[0] for e in below if folder} or {
        e["path"].split("/")[0] for e in below
    }
    paths = {f"{folder}/{name}" if folder else name for name in names}
    folders = sorted(paths - {entry["path"] for entry in below})
    directories = [{"type": "directory", "path": path, "oid": "0" * 40} for path in folders]
    return directories + [e for e in below if recursive or e["path"] in paths]


def _form(posted):
    return [
        unquote(part.split("=", 1)[1]) for part in posted.split("&") if part.startswith("paths=")
    ]
