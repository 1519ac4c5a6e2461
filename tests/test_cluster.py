"""Files made by the workers of a Dask cluster: the bytes are those of one process, whoever is lost."""

import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import blurgen
from blurgen import cluster as cluster_module
from blurgen import maker
from blurgen.cli import main
from blurgen.cluster import Cluster, Job, UselessWorkerError, versions
from blurgen.errors import ClusterError, FileError, InputError, SourceError
from blurgen.pairs import kept
from blurgen.pairs.partial import job_path
from blurgen.sources.memory import MemorySource

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")

HOME = Path(blurgen.__file__).parents[1]
BLOCK = 83  # pairs of digits
COUNT = 20 * BLOCK + 7
IMAGES = np.random.default_rng(3).integers(0, 256, (COUNT, 28, 28, 1), dtype=np.uint8)
SOURCE = MemorySource("some", {}, IMAGES)


class Failing(MemorySource):
    """Has an image that cannot be read."""

    def _read(self, start, stop):
        if start <= 900 < stop:
            raise SourceError("image 900 cannot be read")
        return super()._read(start, stop)


@pytest.fixture(scope="module", autouse=True)
def small(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(maker, "_CHUNK_BYTES", 1)  # a block at a time
        patched.setattr(cluster_module, "_TASK_CHUNKS", 1)
        patched.setattr(cluster_module, "_LOOK_SECONDS", 0.1)
        with dask.config.set({"temporary-directory": str(tmp_path_factory.mktemp("dask"))}):
            yield


@pytest.fixture(scope="module")
def scheduler(small):
    """A scheduler and two workers in this process."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0", memory_limit=None
    ) as local:
        yield local


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return make(tmp_path_factory.mktemp("reference") / "a.h5").read_bytes()


def make(out, cluster=None, source=SOURCE, **arguments):
    return blurgen.make(
        source, out, "mnist-motion", **{"seed": 4, "copies": 1, "cluster": cluster, **arguments}
    )


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def stopping_at(pairs, error=KeyboardInterrupt):
    def progress(done, total):
        if done >= pairs:
            raise error

    return progress


# The same bytes


def test_the_bytes_of_one_process(tmp_path, reference, scheduler):
    calls, notes = [], []
    out = make(
        tmp_path / "a.h5",
        scheduler.scheduler_address,
        progress=lambda *call: calls.append(call),
        note=notes.append,
    )
    assert out.read_bytes() == reference
    assert names(tmp_path) == ["a.h5"]
    assert (calls[0], calls[-1]) == ((0, COUNT), (COUNT, COUNT))
    assert calls == sorted(calls)
    assert notes == []


def test_an_open_cluster_serves_several_files(tmp_path, reference, scheduler):
    with Cluster(scheduler.scheduler_address) as used:
        parts = [make(tmp_path / f"{k}.h5", used, shard=(k, 2), part=True) for k in (1, 2)]
        make(tmp_path / "b.h5", used, shard=(2, 3))
        assert str(used) == f"2 workers of {scheduler.scheduler_address}"
    assert blurgen.merge(parts, tmp_path / "a.h5").read_bytes() == reference
    assert make(tmp_path / "b.h5").read_bytes() == reference


@pytest.mark.parametrize("first", ["cluster", "alone"])
def test_interrupted_and_gone_on_with(tmp_path, reference, scheduler, first):
    out = tmp_path / "a.h5"
    ways = [scheduler.scheduler_address, None]
    if first == "alone":
        ways.reverse()
    with pytest.raises(KeyboardInterrupt):
        make(out, ways[0], progress=stopping_at(600))
    assert names(tmp_path) == ["a.h5.journal", "a.h5.partial"]
    done, total = kept(out)
    assert 600 <= done < total == COUNT
    calls = []
    make(out, ways[1], progress=lambda *call: calls.append(call))
    assert calls[0] == (done, COUNT)
    assert out.read_bytes() == reference


def test_what_is_whole_already_needs_no_worker(tmp_path, reference, scheduler):
    out = tmp_path / "a.h5"
    with pytest.raises(KeyboardInterrupt):
        make(out, scheduler.scheduler_address, progress=stopping_at(COUNT))
    assert (
        make(out, scheduler.scheduler_address, source=Failing("some", {}, IMAGES)).read_bytes() == reference
    )


def test_rows_that_do_not_last_are_made_again(tmp_path, reference, scheduler, monkeypatch):
    write, lost = cluster_module.write_blocks, []

    def forgetful(file, header, layout, start, arrays):
        if start == 3 * BLOCK and not lost:
            lost.append(start)
            return
        write(file, header, layout, start, arrays)

    monkeypatch.setattr(cluster_module, "write_blocks", forgetful)
    notes = []
    out = make(tmp_path / "a.h5", scheduler.scheduler_address, note=notes.append)
    assert notes == [f"83 rows of '{out}.partial' are not as they were written: they are made again"]
    assert out.read_bytes() == reference
    monkeypatch.setattr(cluster_module, "write_blocks", lambda *_: None)
    with pytest.raises(FileError, match="what the workers write there does not last"):
        make(tmp_path / "b.h5", scheduler.scheduler_address)
    assert not (tmp_path / "b.h5").exists()


def test_workers_may_come_later(tmp_path, reference):
    with distributed.LocalCluster(
        n_workers=0, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0", memory_limit=None
    ) as local:
        notes = []

        def note(text):
            notes.append(text)
            local.scale(1)

        assert make(tmp_path / "a.h5", local.scheduler_address, note=note).read_bytes() == reference
        assert notes == [f"'{local.scheduler_address}' has no workers: waiting for some"]


# What is refused


def test_no_worker_sees_the_folder(tmp_path, scheduler, monkeypatch):
    read = Path.read_bytes

    def hidden(path):
        if ".cluster-" in path.name:
            raise FileNotFoundError(2, "", path)
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", hidden)
    with pytest.raises(ClusterError) as error:
        make(tmp_path / "a.h5", scheduler.scheduler_address)
    start = (
        f"none of the 2 workers of '{scheduler.scheduler_address}' can be used: '{tmp_path}' is not the same"
    )
    assert str(error.value).startswith(start)
    assert str(error.value).endswith("there is no such file")
    assert names(tmp_path) == ["a.h5.journal", "a.h5.partial"]


def test_another_job_file(tmp_path):
    file = tmp_path / "job"
    file.write_bytes(pickle.dumps("other"))
    with pytest.raises(UselessWorkerError, match="job' is another file there"):
        cluster_module.write_rows_of(Job(str(tmp_path / "a.h5"), str(file), "0" * 64, versions()), 0, 1)


def test_other_versions(tmp_path, scheduler, monkeypatch):
    def other():
        try:
            distributed.get_worker()
        except ValueError:
            return {"python": "3.11", "numba": "0.61", "matplotlib": "3.9"}
        return {"python": "3.11", "numba": "0.62"}

    monkeypatch.setattr(cluster_module, "versions", other)
    with pytest.raises(ClusterError, match=r"none of the 2 workers .* it has numba 0\.62 instead of 0\.61$"):
        make(tmp_path / "a.h5", scheduler.scheduler_address)


def test_workers_that_lack_something(tmp_path, scheduler, monkeypatch):
    def missing(*_):
        raise ModuleNotFoundError("No module named 'numba'")

    monkeypatch.setattr(cluster_module, "write_rows_of", missing)
    with pytest.raises(ClusterError, match="it cannot load what is needed: No module named 'numba'"):
        make(tmp_path / "a.h5", scheduler.scheduler_address)


def test_versions_name_what_makes_bytes():
    found = versions()
    assert found["blurgen"] == blurgen.__version__
    assert found["numpy"] == np.__version__
    assert found["python"] == f"{sys.version_info.major}.{sys.version_info.minor}"


def test_errors_of_the_source_are_told(tmp_path, reference, scheduler):
    out = tmp_path / "a.h5"
    with pytest.raises(SourceError, match=r"^image 900 cannot be read$"):
        make(out, scheduler.scheduler_address, source=Failing("some", {}, IMAGES))
    assert 0 < kept(out)[0] < COUNT
    assert make(out, scheduler.scheduler_address).read_bytes() == reference


def test_a_range_that_fails_again_and_again(tmp_path, scheduler, monkeypatch):
    monkeypatch.setattr(cluster_module, "_ATTEMPTS", 1)
    with pytest.raises(ClusterError, match="pairs 830–912 failed 1 times, at last: image 900 cannot be read"):
        make(tmp_path / "a.h5", scheduler.scheduler_address, source=Failing("some", {}, IMAGES))


@pytest.mark.parametrize("address", ["", "local", "local:", "local:x", "host:8786", "4"])
def test_no_addresses(tmp_path, address):
    with pytest.raises(
        InputError, match="a scheduler's address, such as tcp://host:8786, or a number of local"
    ):
        make(tmp_path / "a.h5", address)
    assert names(tmp_path) == []


def test_arguments_that_do_not_go_with_a_cluster(tmp_path, scheduler):
    with pytest.raises(InputError, match="workers of local"):
        make(tmp_path / "a.h5", "local:0")
    with pytest.raises(InputError, match=r"threads 2: the workers of 'inproc.*' have threads of their own"):
        make(tmp_path / "a.h5", scheduler.scheduler_address, threads=2)
    with pytest.raises(InputError, match="a compressed file cannot be made on a cluster"):
        make(tmp_path / "a.h5", scheduler.scheduler_address, compression="gzip")
    assert names(tmp_path) == []


def test_no_scheduler_answers(tmp_path):
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "0.2s"}),
        pytest.raises(ClusterError, match=r"no scheduler answers at 'tcp://127\.0\.0\.1:1': ") as error,
    ):
        make(tmp_path / "a.h5", "tcp://127.0.0.1:1")
    assert "\n" not in str(error.value)
    assert names(tmp_path) == []


def test_without_dask(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(
        InputError, match=r"a cluster needs the package dask: pip install 'blurgen\[cluster\]'"
    ):
        Cluster("local:2")


def test_what_a_killed_client_left_is_removed(tmp_path, reference, scheduler):
    out = tmp_path / "a.h5"
    job_path(out, "00").write_bytes(b"left")
    make(out, scheduler.scheduler_address)
    assert names(tmp_path) == ["a.h5"]


# Processes

CUT_OFF = """
import io, os
# it is loaded more than once
real_open, real_os_open = getattr(io.open, "real", io.open), getattr(os.open, "real", os.open)

def there(path):
    return not str(path).startswith(os.environ["CUT_OFF"])

def opened(path, *arguments, **options):
    if not there(path):
        raise FileNotFoundError(2, "", path)
    return real_open(path, *arguments, **options)

def os_opened(path, *arguments, **options):
    if not there(path):
        raise FileNotFoundError(2, "", path)
    return real_os_open(path, *arguments, **options)

opened.real, os_opened.real = real_open, real_os_open
io.open, os.open = opened, os_opened
"""


@pytest.fixture
def processes():
    """Start Python's modules; ends what is still running."""
    started = []

    def start(*arguments, **environment):
        path = os.pathsep.join(filter(None, [str(HOME), os.environ.get("PYTHONPATH")]))
        process = subprocess.Popen(
            [sys.executable, "-m", *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": path, **environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
    for process in started:
        process.wait()


def test_a_worker_is_killed_and_another_cut_off(tmp_path, reference, processes):
    shared, file = tmp_path / "shared", tmp_path / "scheduler.json"
    shared.mkdir()
    (tmp_path / "cut_off.py").write_text(CUT_OFF)
    processes("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", 0, "--no-dashboard",
              "--scheduler-file", file, TMPDIR=str(tmp_path))  # fmt: skip
    options = ["--scheduler-file", file, "--no-nanny", "--nthreads", 1, "--no-dashboard",
               "--local-directory", tmp_path]  # fmt: skip
    workers = [
        processes(
            "distributed.cli.dask_worker", *options, "--name", f"worker-{k}", *more, CUT_OFF=str(shared)
        )
        for k, more in enumerate([[], [], ["--preload", tmp_path / "cut_off.py"]])
    ]
    until = time.monotonic() + 60
    while not file.exists() and time.monotonic() < until:
        time.sleep(0.05)
    with distributed.Client(scheduler_file=str(file), set_as_default=False) as client:
        client.wait_for_workers(3, timeout=60)
        address = client.scheduler.address

    def kill_one(done, total):
        if done:
            workers[0].send_signal(signal.SIGKILL)

    notes = []
    out = make(shared / "a.h5", address, progress=kill_one, note=notes.append)
    assert out.read_bytes() == reference
    assert names(shared) == ["a.h5"]
    assert workers[0].wait() == -signal.SIGKILL
    left_out, lost = sorted(notes, key=lambda text: "lost" in text)
    assert f"is left out: '{shared}' is not the same folder there" in left_out
    assert lost.endswith("is lost: others make its pairs")


def test_the_command_with_local_workers(tmp_path):
    path = os.pathsep.join(filter(None, [str(HOME), os.environ.get("PYTHONPATH")]))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    out = tmp_path / "a.h5"
    words = ["make", "-d", "digits", "-n", "1000", "-o"]
    done = subprocess.run(
        [sys.executable, "-m", "blurgen", *words, str(out), "--cluster", "local:2"],
        env={**os.environ, "PYTHONPATH": path, "TMPDIR": str(scratch)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{out}: 1,000 pairs of 28×28×1")
    assert "1,000 of 1,000 pairs (100 %)" in done.stderr
    assert "2 workers of local:2" in done.stderr
    assert main([*words, str(tmp_path / "b.h5"), "-q"]) == 0
    assert out.read_bytes() == (tmp_path / "b.h5").read_bytes()
    assert names(tmp_path) == ["a.h5", "b.h5", "scratch"]
    assert [name for name in names(scratch) if "blurgen" in name or "dask" in name] == []
