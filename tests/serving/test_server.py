"""``toolbox serve`` as its clients see it, friendly and not."""

from __future__ import annotations

import io
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.serving.client import Server, followed, form, pixels, png, running, submitted, until
from tests.serving.test_tasks import bomb

ROOT = Path(__file__).parents[2]
TINY = "tiny"
SLOW = {"model": "nlrn-lite"}  # with half a megapixel, for many seconds

HEAD = "POST /api/restore HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\n"


def slow_picture() -> bytes:
    return png(640, 760, channels=1)


def idle(client: httpx.Client) -> bool:
    health = client.get("/api/health").json()
    return health["worker"] == "ready" and health["waiting"] == 0


@pytest.fixture(autouse=True)
def tidy(server: Server, client: httpx.Client) -> Any:
    """Every test finds the server at rest, and leaves it so, without files of pictures that are nobody's."""
    until(lambda: idle(client))
    before = len(server.files())
    yield
    until(lambda: idle(client))
    assert len(server.files()) <= before + 8


# Friendly


def test_a_picture_goes_in_and_a_picture_comes_out(server: Server, client: httpx.Client) -> None:
    before = server.files()
    answer = client.post("/api/restore", files=form(png(24, 32), "Früh.png"), data={"model": TINY, "scale": "2"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["content-disposition"] == "attachment; filename*=utf-8''Fr%C3%BCh.png"
    assert pixels(answer.content).shape == (48, 64, 3)
    until(lambda: server.files() == before)


def test_a_job_is_followed_fetched_and_removed(server: Server, client: httpx.Client) -> None:
    before = server.files()
    job = submitted(client, png(24, 32), model=TINY, scale=2)
    heard = followed(client, job)
    assert heard[-1]["state"] == "done"
    assert [each["progress"] for each in heard] == sorted(each["progress"] for each in heard)
    assert heard[-1] == client.get(f"/api/jobs/{job}").json()
    assert heard[-1]["report"]["output_size"] == [64, 48]
    assert followed(client, job) == heard[-1:]  # as after an interruption
    result = client.get(f"/api/jobs/{job}/result").content
    assert client.post("/api/restore", files=form(png(24, 32)), data={"model": TINY, "scale": 2}).content == result
    assert client.get(f"/api/jobs/{job}/before").content == png(24, 32)
    assert client.get(f"/api/jobs/{job}/after").content == result
    assert client.delete(f"/api/jobs/{job}").status_code == 204
    assert client.get(f"/api/jobs/{job}").status_code == 404
    until(lambda: server.files() == before)


def test_several_results_are_one_archive(client: httpx.Client) -> None:
    jobs = [submitted(client, png(24, 32, seed=seed), name, model=TINY) for seed, name in enumerate(("a.png", "a.png"))]
    for job in jobs:
        followed(client, job)
    answer = client.get("/api/archive", params={"job": jobs})
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["a.png", "a (2).png"]
        assert archive.read("a.png") == client.get(f"/api/jobs/{jobs[0]}/result").content
    for job in jobs:
        client.delete(f"/api/jobs/{job}")


def test_a_picture_is_inspected_and_the_models_listed(client: httpx.Client) -> None:
    seen = client.post("/api/inspect", files=form(png(64, 64, channels=1))).json()
    assert (seen["size"], seen["channels"], seen["bits"]) == ([64, 64], 1, 8)
    assert seen["models"] == ["photo"]
    models = {model["name"]: model for model in client.get("/api/models").json()}
    assert models[TINY]["summary"] == "a tiny network"
    assert models["photo"]["sizes"] == "same"


def test_the_api_is_documented(client: httpx.Client) -> None:
    schema = client.get("/api/openapi.json").json()
    assert {"/api/restore", "/api/inspect", "/api/models", "/api/health", "/api/jobs/{job_id}/events"} <= set(
        schema["paths"]
    )
    for methods in schema["paths"].values():
        assert all(method.get("description") for method in methods.values())
    restore = schema["paths"]["/api/restore"]["post"]
    assert {"200", "202", "413", "422", "429"} <= set(restore["responses"])
    assert "picture" in restore["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]
    for path in ("/docs", "/redoc"):  # which would load scripts from another host
        assert client.get(path).status_code == 404


def test_the_page_is_one_file_with_a_policy(client: httpx.Client) -> None:
    answer = client.get("/")
    assert "http://" not in answer.text.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in answer.text
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


DOCUMENTED = (ROOT / "docs" / "how-to" / "serve.md").read_text(encoding="utf-8")


def test_the_client_of_the_documentation_restores(server: Server, tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(png(24, 32))
    program = DOCUMENTED.split('```python title="client.py"\n')[1].split("```")[0]
    program = program.replace("http://127.0.0.1:8765/", server.url)
    subprocess.run([sys.executable, "-c", program, "photo.png"], cwd=tmp_path, check=True)
    assert pixels((tmp_path / "restored-photo.png").read_bytes()).shape == (48, 64, 3)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_curl_line_of_the_documentation_restores(server: Server, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "photo.png").write_bytes(png(24, 32))
    (line,) = (line for line in DOCUMENTED.splitlines() if line.startswith("curl "))
    line = line.replace("http://127.0.0.1:8765/", server.url).replace("@photo.png", "@in/photo.png")
    subprocess.run(shlex.split(line), cwd=tmp_path, check=True)
    assert pixels((tmp_path / "photo.png").read_bytes()).shape == (48, 64, 3)


def test_the_example_follows_its_jobs(server: Server, tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(png(24, 32))
    (tmp_path / "broken.png").write_bytes(b"no picture")
    command = [sys.executable, str(ROOT / "examples" / "serve_client.py"), "photo.png", "broken.png"]
    environment = os.environ | {"TOOLBOX_URL": server.url}
    done = subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True)
    assert done.stdout.splitlines() == [
        "photo.png: wrote restored/photo.png (photo)",
        "broken.png: not a picture in a supported format",
    ]
    assert "photo.png: done, 100%" in done.stderr


# Wrong, without intent


@pytest.mark.parametrize(
    ("files", "fields", "status", "sentence"),
    [
        (form(b"no picture", "notes.png"), {}, 422, "notes.png: not a picture in a supported format"),
        (form(png(24, 32)[:500]), {}, 422, "photo.png: cannot be read: image file is truncated"),
        (form(b"%PDF-1.4 ...", "a.pdf"), {}, 422, "a.pdf: Toolbox does not read PDF"),
        (form(png(24, 32)), {"model": "phot"}, 422, "unknown model 'phot'; did you mean 'photo'?"),
        (form(png(24, 32)), {"model": "/etc/passwd"}, 422, "unknown model '/etc/passwd'"),
        (form(png(24, 32)), {"model": "photo", "scale": "3"}, 422, "photo.png: "),
        (form(png(24, 32)), {"model": TINY, "scale": "60"}, 413, "photo.png: got a result of 2.8 megapixels"),
        ({"image": ("a.png", b"1", "image/png")}, {}, 400, "expected a whole form with the picture"),
        ({"picture": (None, b"http://example.com/a.png")}, {}, 400, "expected a whole form with the picture"),
    ],
)
def test_a_wrong_form_gets_one_sentence(
    files: Any, fields: dict[str, str], status: int, sentence: str, client: httpx.Client
) -> None:
    answer = client.post("/api/restore", files=files, data=fields)
    assert answer.status_code == status
    assert answer.json()["error"].startswith(sentence)
    assert len(answer.json()) == 1


def test_a_body_that_is_no_form_is_refused(client: httpx.Client) -> None:
    assert client.post("/api/restore", json={"picture": "/etc/passwd"}).status_code == 415
    assert client.get("/api/restore").status_code == 405
    assert client.get("/api/jobs/none").json() == {"error": "no such job; jobs are removed some time after their end"}
    assert client.get("/api/archive").status_code == 422


# With intent


@pytest.mark.parametrize(
    "headers",
    [{"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}],
)
def test_requests_of_other_sites_are_refused_before_their_body(headers: dict[str, str], client: httpx.Client) -> None:
    answer = client.post("/api/restore", files=form(png(24, 32)), headers=headers)
    assert answer.status_code in (403, 421)
    assert (
        client.options("/api/restore", headers=headers | {"Access-Control-Request-Method": "POST"}).status_code >= 400
    )


def test_a_large_upload_is_refused_by_its_header(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), 20) as connection:
        connection.sendall(f"{HEAD}Content-Length: 99999999999\r\n\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 413")


def test_a_client_that_sends_too_much_hears_so(client: httpx.Client) -> None:
    def body() -> Any:
        yield b'--x\r\nContent-Disposition: form-data; name="picture"; filename="a.png"\r\n\r\n'
        for _ in range(64):
            yield bytes(2**16)
            time.sleep(0.002)

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = client.post("/api/restore", content=body(), headers=headers)
    assert (answer.status_code, answer.json()) == (413, {"error": "the upload is too large, expected at most 2 MB"})
    answer = client.post("/api/restore", files=form(bytes(3 * 2**20)))
    assert (answer.status_code, answer.json()) == (413, {"error": "the upload is too large, expected at most 2 MB"})


@pytest.mark.parametrize("size", [(1000, 600), (30_000, 30_000)])
@pytest.mark.parametrize("path", ["/api/restore", "/api/inspect"])
def test_a_bomb_is_refused(size: tuple[int, int], path: str, server: Server, client: httpx.Client) -> None:
    workers = [worker.pid for worker in server.workers()]
    answer = client.post(path, files=form(bomb(*size)))
    assert answer.status_code == 413
    assert "megapixels in all, expected at most 0.5" in answer.json()["error"]
    assert [worker.pid for worker in server.workers()] == workers  # which had no need to die


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--x",
        b'--x\r\nContent-Disposition: form-data; name="picture"; filename="a.png"\r\n\r\nhalf of a pict',
        b"--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n--x--\r\n",
        b"--y\r\n\r\n--y--",
        b"--x\r\n" + b"A" * 70_000,
        b'--x\r\nContent-Disposition: form-data; name="scale"\r\n\r\n' + b"1" * 9000 + b"\r\n--x--\r\n",
        b"".join(b'--x\r\nContent-Disposition: form-data; name="f%d"\r\n\r\n1\r\n' % each for each in range(99))
        + b"--x--",
    ],
)
def test_a_damaged_form_is_refused(body: bytes, client: httpx.Client) -> None:
    for kind in ("multipart/form-data; boundary=x", "multipart/form-data"):
        answer = client.post("/api/restore", content=body, headers={"Content-Type": kind})
        assert answer.status_code == 400
        assert "form" in answer.json()["error"]


def test_a_client_that_goes_away_in_the_midst_of_its_upload_leaves_nothing(
    server: Server, client: httpx.Client
) -> None:
    before = server.files()
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", server.port), 20) as connection:
            connection.sendall(f"{HEAD}Content-Length: 1000000\r\n\r\n--x\r\n".encode() + bytes(1000))
    until(lambda: idle(client))
    until(lambda: server.files() == before)


def test_a_client_that_goes_away_while_it_waits_stops_its_job(server: Server, client: httpx.Client) -> None:
    before = server.files()
    with pytest.raises(httpx.ReadTimeout):
        client.post("/api/restore", files=form(slow_picture()), data=SLOW, timeout=2)
    until(lambda: server.files() == before)
    until(lambda: idle(client))
    answer = client.post("/api/restore", files=form(png(24, 32)), data={"model": TINY})
    assert answer.status_code == 200


def test_a_full_queue_sends_clients_away_until_there_is_room(client: httpx.Client) -> None:
    jobs = [submitted(client, slow_picture(), **SLOW)]
    until(lambda: client.get(f"/api/jobs/{jobs[0]}").json()["state"] == "running")
    jobs += [submitted(client, png(24, 32), model=TINY) for _ in range(3)]
    answer = client.post("/api/restore", files=form(png(24, 32)))
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.json()["error"].startswith("3 pictures are waiting")
    client.delete(f"/api/jobs/{jobs[0]}")  # which stops it at once
    for job in jobs[1:]:
        assert followed(client, job)[-1]["state"] == "done"
        client.delete(f"/api/jobs/{job}")


def test_a_worker_that_is_killed_fails_its_job_alone(server: Server, client: httpx.Client) -> None:
    first, second = submitted(client, slow_picture(), **SLOW), submitted(client, png(24, 32), model=TINY)
    until(lambda: client.get(f"/api/jobs/{first}").json()["state"] == "running")
    (worker,) = server.workers()
    worker.kill()
    last = followed(client, first)[-1]
    assert last["state"] == "failed"
    assert last["error"].startswith("photo.png: the job ended the worker by SIGKILL")
    assert followed(client, second)[-1]["state"] == "done"
    for job in (first, second):
        client.delete(f"/api/jobs/{job}")


def test_many_clients_at_once_all_get_an_answer(client: httpx.Client, server: Server) -> None:
    def ask(seed: int) -> int:
        with server.client() as own:
            for _ in range(200):
                answer = own.post("/api/restore", files=form(png(24, 32, seed=seed)), data={"model": TINY})
                if answer.status_code != 429:
                    return answer.status_code
                time.sleep(0.1)  # the test has no time for Retry-After
        return 429

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(ask, range(16))) == [200] * 16


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_is_stopped_tells_its_clients_and_leaves_nothing(sent: int, tmp_path: Path) -> None:
    few = {"TOOLBOX_PLUGINS": "toolbox_nlrn"}  # whose models are loaded fast
    with running(tmp_path, "--threads", "1", **few) as server, server.client() as client:
        until(lambda: client.get("/api/models").status_code == 200, 300)
        job, waiting = submitted(client, slow_picture(), **SLOW), submitted(client, png(24, 32))
        until(lambda: client.get(f"/api/jobs/{job}").json()["state"] == "running")
        workers = server.workers()
        with ThreadPoolExecutor(3) as pool:
            heard = [pool.submit(followed, client, each) for each in (job, waiting)]
            answer = pool.submit(client.post, "/api/restore", files=form(png(24, 32)))
            until(lambda: client.get("/api/health").json()["waiting"] == 2)
            time.sleep(0.2)
            server.process.send_signal(sent)
            for each in heard:
                last = each.result()[-1]
                assert (last["state"], last["error"]) == (
                    "stopped",
                    "the server is stopping; send the picture again later",
                )
            assert answer.result().status_code == 503
        assert server.process.wait(20) == 0
        assert list(server.folder.iterdir()) == []
        until(lambda: not any(worker.is_running() for worker in workers), 10)
        assert "Traceback" not in server.log.read_text(encoding="utf-8")


def test_a_server_that_is_killed_is_cleaned_up_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from toolbox.serving.folder import private_folder

    with running(tmp_path) as server:
        workers = server.workers()
        assert [path.name for path in server.folder.iterdir() if path.name.startswith("toolbox-serve-")]
        monkeypatch.setattr("tempfile.tempdir", str(server.folder))
        with private_folder() as own:  # beside a server that lives
            assert len(list(server.folder.iterdir())) == 2
            assert own.stat().st_mode & 0o077 == 0
        server.process.kill()
        server.process.wait()
        until(lambda: not any(worker.is_running() for worker in workers))
        with private_folder():
            assert len(list(server.folder.iterdir())) == 1


def test_a_server_for_others_needs_its_token(tmp_path: Path) -> None:
    with running(tmp_path, "--host", "127.0.0.1") as server:
        assert server.token is not None
        with httpx.Client(base_url=server.url) as stranger:
            assert stranger.get("/api/health").status_code == 401
            assert stranger.post("/api/restore", files=form(png(24, 32))).status_code == 401
            assert stranger.get("/").status_code == 200
            assert server.token not in stranger.get("/").text
        with server.client() as client:
            assert client.get("/api/health").status_code == 200


def test_the_server_listens_at_this_machine_alone(server: Server) -> None:
    (listener,) = (each for each in psutil.Process(server.process.pid).net_connections() if each.status == "LISTEN")
    assert listener.laddr.ip == "127.0.0.1"


def test_the_log_has_neither_names_nor_ids(server: Server, client: httpx.Client) -> None:
    job = submitted(client, png(24, 32), "private.png", model=TINY)
    followed(client, job)
    client.delete(f"/api/jobs/{job}")
    log = server.log.read_text(encoding="utf-8")
    assert "restore done in" in log
    assert "private" not in log
    assert job not in log
