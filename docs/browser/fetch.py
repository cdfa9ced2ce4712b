"""Fetch ONNX Runtime for browsers from the npm registry, and export the networks that the page offers.

    python docs/browser/fetch.py

Node is not needed: an npm package is a tar file at a fixed address. Its bytes must have the digest below. What is here
already is left alone, so that the site builds without a network the next time.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
import urllib.request
from pathlib import Path

import toolbox
from toolbox.exporting.export import export
from toolbox.exporting.request import ExportRequest

HERE = Path(__file__).parent
VERSION = "1.30.0"
PACKAGE = f"https://registry.npmjs.org/onnxruntime-web/-/onnxruntime-web-{VERSION}.tgz"
SHA512 = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
RUNTIME = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
# The networks of the page, with what the visitor reads.
NETWORKS = {
    "photo": "Denoise a photograph",
    "nlrn-lite-blind": "Denoise by non-local attention",
    "diinn-lite": "Enlarge",
    "nlrn-diinn-lite": "Enlarge a noisy photograph",
}


def fetch_runtime(folder: Path) -> None:
    """Write the files of RUNTIME to the folder, unless they are there."""
    mark = folder / "version.txt"
    if mark.exists() and mark.read_text(encoding="utf-8") == VERSION:
        return
    with urllib.request.urlopen(PACKAGE, timeout=300) as answer:  # a fixed https address
        data = answer.read()
    if base64.b64encode(hashlib.sha512(data).digest()).decode() != SHA512:
        raise SystemExit(f"{PACKAGE}: its digest is not that of version {VERSION}")
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for name in RUNTIME:
            member = archive.extractfile(f"package/dist/{name}")
            if member is None:
                raise SystemExit(f"{PACKAGE}: has no {name}")
            (folder / name).write_bytes(member.read())
    mark.write_text(VERSION, encoding="utf-8")


def export_networks(folder: Path) -> None:
    """Write each network as ``NAME.onnx``, and ``networks.json`` with what the page must know about them."""
    folder.mkdir(parents=True, exist_ok=True)
    facts = []
    for name, title in NETWORKS.items():
        network = toolbox.load(name)
        enlarges = network.sizes == "any"
        request = ExportRequest(any_size=enlarges)
        path = folder / f"{name}.onnx"
        header = request.header(network)
        if not path.exists():
            export(network, path, request)
        facts.append(
            {
                "name": name,
                "title": title,
                "summary": network.spec.summary,
                "channels": network.channels,
                "scales": [2, 3, 4] if enlarges else [1],
                "halo": header.halo,
                "alignment": header.alignment,
                "bytes": path.stat().st_size,
            }
        )
        print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB")
    (folder / "networks.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")


def main() -> None:
    """Write everything beside this script."""
    fetch_runtime(HERE / "runtime")
    export_networks(HERE / "networks")


if __name__ == "__main__":
    main()
