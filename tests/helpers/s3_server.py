"""An S3 server on this machine: moto's, in a process of its own."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

# Threads of the test's process would share its environment, its warnings and its log with moto.
_SERVE = """
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(*server.get_host_and_port(), flush=True)
import sys
sys.stdin.read()
"""


@dataclass(frozen=True)
class S3Server:
    """A server with one bucket.

    Attributes:
        bucket: ``s3://<name>``.
        environment: By which s3fs finds the server.
    """

    bucket: str
    environment: Mapping[str, str]

    def prefix(self) -> str:
        """The URL of a folder that nobody has used before."""
        return f"{self.bucket}/{uuid.uuid4().hex[:12]}"


@contextmanager
def serve_s3() -> Iterator[S3Server]:
    """The server; ends with the block, or with the process that started it."""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", _SERVE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        host, port = re.split(r"\s+", process.stdout.readline().strip())
        environment = {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        _make_bucket(environment, "vidbench-test")
        yield S3Server("s3://vidbench-test", environment)
    finally:
        process.stdin.close()
        process.wait(30)
        process.stdout.close()


def require_moto() -> None:
    """Skips the test where moto or s3fs is not installed, but not in CI."""
    lacking = [name for name in ("moto", "s3fs") if importlib.util.find_spec(name) is None]
    if lacking and os.environ.get("CI") != "true":
        pytest.skip(f"not installed: {', '.join(lacking)}")


def _make_bucket(environment: Mapping[str, str], name: str) -> None:
    import botocore.session

    session = botocore.session.get_session()
    client = session.create_client(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        region_name=environment["AWS_DEFAULT_REGION"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    )
    client.create_bucket(Bucket=name)
    client.close()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """A server for all tests of this process."""
    require_moto()
    with serve_s3() as server:
        yield server


@pytest.fixture
def s3(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """The server, which this process reaches meanwhile."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    return s3_server
