from __future__ import annotations

import hashlib
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.patience import PATIENCE_SECONDS
from vidbench.storage.hashes import FileIdentity, HashMemory, sha256_of

NUM_FILES = 5
NUM_DATABASES = 30


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[HashMemory]:
    memory = HashMemory(tmp_path / "cache" / "files.sqlite")
    yield memory
    memory.close()


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "video.mp4"
    path.write_bytes(b"content")
    return path


def learn(memory: HashMemory, path: Path) -> str:
    identity = FileIdentity.of(path)
    sha256 = sha256_of(path)
    memory.remember(path, identity, sha256)
    return sha256


def learn_all(databases: list[Path], paths: list[Path], start: Barrier) -> None:
    for database in databases:
        memory = HashMemory(database)
        start.wait()
        for path in paths:
            learn(memory, path)
        memory.close()


def grow(path: Path) -> None:
    times = path.stat().st_mtime_ns
    path.write_bytes(b"content and more")
    os.utime(path, ns=(times, times))


def touch(path: Path) -> None:
    later = path.stat().st_mtime_ns + 1_000_000
    os.utime(path, ns=(later, later))


def exchange(path: Path) -> None:
    status = path.stat()
    other = path.with_name("other")
    other.write_bytes(b"CONTENT")
    os.utime(other, ns=(status.st_mtime_ns, status.st_mtime_ns))
    other.replace(path)
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (status.st_size, status.st_mtime_ns)


@given(content=st.binary())
def test_the_hash_of_a_file_is_that_of_its_content(
    content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "hashed"
    path.write_bytes(content)
    assert sha256_of(path) == hashlib.sha256(content).hexdigest()


def test_the_hash_of_a_large_file_is_that_of_all_its_pieces(tmp_path: Path) -> None:
    path = tmp_path / "zeros"
    path.write_bytes(bytes(3_000_000))
    assert sha256_of(path) == hashlib.sha256(bytes(3_000_000)).hexdigest()


def test_a_hash_is_recalled_by_any_name_of_the_file(
    memory: HashMemory, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert memory.recall(video) is None
    sha256 = learn(memory, video)
    monkeypatch.chdir(video.parent)
    assert memory.recall(video) == memory.recall(Path(video.name)) == sha256


@pytest.mark.parametrize("change", [grow, touch, exchange])
def test_a_file_that_changed_is_not_recalled_until_it_is_learned_anew(
    change: Callable[[Path], None], memory: HashMemory, video: Path
) -> None:
    learn(memory, video)
    change(video)
    assert memory.recall(video) is None
    assert learn(memory, video) == sha256_of(video)
    assert memory.recall(video) == sha256_of(video)


def test_a_file_that_changed_while_it_was_read_is_not_recalled(
    memory: HashMemory, video: Path
) -> None:
    identity = FileIdentity.of(video)
    sha256 = sha256_of(video)
    grow(video)
    memory.remember(video, identity, sha256)
    assert memory.recall(video) is None


def test_a_file_that_is_gone_is_an_error(memory: HashMemory, video: Path) -> None:
    learn(memory, video)
    video.unlink()
    with pytest.raises(FileNotFoundError):
        memory.recall(video)


def test_hashes_outlive_the_memory_that_learned_them(video: Path, tmp_path: Path) -> None:
    database = tmp_path / "files.sqlite"
    first, second = HashMemory(database), HashMemory(database)
    sha256 = learn(first, video)
    first.close()
    assert second.recall(video) == sha256
    second.close()


def test_making_a_memory_touches_no_disk(tmp_path: Path) -> None:
    HashMemory(tmp_path / "cache" / "files.sqlite").close()
    assert list(tmp_path.iterdir()) == []


def test_a_closed_memory_opens_again(memory: HashMemory, video: Path) -> None:
    sha256 = learn(memory, video)
    memory.close()
    assert memory.recall(video) == sha256


def test_processes_that_learn_at_once_lose_nothing(tmp_path: Path) -> None:
    databases = [tmp_path / f"{number}.sqlite" for number in range(NUM_DATABASES)]
    paths = [tmp_path / str(number) for number in range(2 * NUM_FILES)]
    for path in paths:
        path.write_text(path.name)
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(2, timeout=PATIENCE_SECONDS)
    processes = [
        context.Process(target=learn_all, args=(databases, half, start))
        for half in (paths[:NUM_FILES], paths[NUM_FILES:])
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    for database in databases:
        memory = HashMemory(database)
        assert [memory.recall(path) for path in paths] == [sha256_of(path) for path in paths]
        memory.close()


def test_threads_share_one_memory(memory: HashMemory, tmp_path: Path) -> None:
    paths = [tmp_path / str(number) for number in range(NUM_FILES)]
    for path in paths:
        path.write_text(path.name)
    threads = [threading.Thread(target=learn, args=(memory, path)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [memory.recall(path) for path in paths] == [sha256_of(path) for path in paths]
