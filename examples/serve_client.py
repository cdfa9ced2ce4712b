"""Restore pictures with a running ``toolbox serve``, and show the progress of each.

    toolbox serve                                        # in another terminal
    python examples/serve_client.py photo.png scan.tif   # the results go into the folder restored/

With a server of another machine, set TOOLBOX_URL to the address that it printed, with its token.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import httpx


def main() -> None:
    """Restore the pictures that the command line names."""
    url, _, token = os.environ.get("TOOLBOX_URL", "http://127.0.0.1:8765").partition("#")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
        for name in sys.argv[1:]:
            print(restore(client, Path(name), Path("restored")))


def restore(client: httpx.Client, picture: Path, folder: Path) -> str:
    """Restore one picture into a folder, and say what came of it."""
    job = client.get(send(client, picture)).json()
    with client.stream("GET", f"/api/jobs/{job['id']}/events") as events:
        for line in events.iter_lines():
            if line.startswith("data: "):
                job = json.loads(line.removeprefix("data: "))
                print(f"{picture}: {job['state']}, {job['progress']:.0%}", file=sys.stderr)
    if job["state"] != "done":
        return str(job["error"])
    folder.mkdir(exist_ok=True)
    result = folder / job["report"]["output"]
    result.write_bytes(client.get(f"/api/jobs/{job['id']}/result").raise_for_status().content)
    client.delete(f"/api/jobs/{job['id']}")
    return f"{picture}: wrote {result} ({job['report']['model']})"


def send(client: httpx.Client, picture: Path) -> str:
    """Send a picture, later if the server has too many; return the path of its job."""
    while True:
        with picture.open("rb") as file:
            answer = client.post(
                "/api/restore", files={"picture": (picture.name, file)}, headers={"Prefer": "respond-async"}
            )
        if answer.status_code != httpx.codes.TOO_MANY_REQUESTS:
            answer.raise_for_status()
            return answer.headers["Location"]
        time.sleep(int(answer.headers["Retry-After"]))


if __name__ == "__main__":
    main()
