import hashlib
import multiprocessing
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import blurgen
from blurgen.recipe import Recipe
from blurgen.sources.memory import MemorySource

SECONDS = 120  # a worker that hangs is ended after them

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
METHODS = multiprocessing.get_all_start_methods()
RECIPE = Recipe.from_yaml(
    """
name: workers
copies: 2
stages:
  - motion: {length: {uniform: [3, 9]}, angle: {uniform: [0, 180]}}
  - maybe: {probability: 0.5, stages: [gaussian: {sigma: {uniform: [1, 2]}}]}
  - gaussian_noise: {sigma: 2}
"""
)
IMAGES = np.random.default_rng(4).integers(0, 256, (60, 24, 20, 3), dtype=np.uint8)


def digest(*arrays):
    total = hashlib.sha256()
    for array in arrays:
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()


def columns(pairs):
    return digest(pairs.sharp, pairs.blurred, *(pairs.params[name] for name in sorted(pairs.params)))


def degraded(threads):
    return columns(blurgen.degrade(IMAGES, RECIPE, seed=8, start=6, threads=threads))


def convolved(threads):
    return digest(blurgen.convolve(IMAGES, blurgen.psf.motion(7, 30), threads=threads))


def rows(pairs, start, stop):
    return [digest(pairs[i].sharp, pairs[i].blurred) for i in range(start, stop)]


def made(out):
    source = MemorySource("sixty", {}, IMAGES)
    return digest(np.fromfile(blurgen.make(source, out, RECIPE, seed=8, threads=3), np.uint8))


def _answer(queue, function, arguments):
    try:
        queue.put((None, function(*arguments)))
    except BaseException as error:
        queue.put((repr(error), None))
        raise


def in_worker(method, function, *arguments):
    """What the function gives in a process of that kind."""
    context = multiprocessing.get_context(method)
    queue = context.SimpleQueue()
    process = context.Process(target=_answer, args=(queue, function, arguments))
    process.start()
    process.join(SECONDS)
    if process.is_alive():
        process.kill()
        process.join()
        pytest.fail(f"the worker ({method}) hangs")
    assert process.exitcode == 0
    error, answer = queue.get()
    assert error is None
    return answer


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    out = tmp_path_factory.mktemp("workers") / "a.h5"
    return blurgen.make(MemorySource("sixty", {}, IMAGES), out, RECIPE, seed=8)


@pytest.fixture
def busy_parent():
    """This process has used several threads, and keeps them."""
    degraded(3)
    convolved(3)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.usefixtures("busy_parent")
def test_degrade(method, threads):
    assert in_worker(method, degraded, threads) == degraded(1)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.usefixtures("busy_parent")
def test_convolve(method):
    assert in_worker(method, convolved, 3) == convolved(1)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.usefixtures("busy_parent")
def test_make(method, path, tmp_path):
    assert in_worker(method, made, tmp_path / "b.h5") == digest(np.fromfile(path, np.uint8))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("used", [False, True], ids=["fresh", "used"])
def test_pair_file(method, path, used):
    pairs = blurgen.open_pairs(path)
    expected = rows(blurgen.open_pairs(path), 0, 120)
    if used:
        rows(pairs, 0, 120)
    assert in_worker(method, rows, pairs, 0, 120) == expected
    assert rows(pairs, 0, 120) == expected  # undisturbed by the child's end


@pytest.mark.parametrize("method", METHODS)
def test_several_workers_share_a_pair_file(method, path):
    pairs = blurgen.open_pairs(path)
    expected = rows(pairs, 0, 120)
    context = multiprocessing.get_context(method)
    with context.Pool(3) as pool:
        parts = [pool.apply_async(rows, (pairs, start, start + 30)) for start in range(0, 120, 30)]
        assert [row for part in parts for row in part.get(SECONDS)] == expected


def test_a_child_of_a_child(path):
    if "fork" not in METHODS:
        pytest.skip("there is no fork here")
    assert in_worker("fork", in_worker, "fork", degraded, 3) == degraded(3)


def test_pickles_go_elsewhere(path, monkeypatch, tmp_path):
    """A file opened by a relative path is found by a process that works in another folder."""
    monkeypatch.chdir(path.parent)
    pairs = blurgen.open_pairs(path.name)
    pickled = pickle.dumps(pairs)
    monkeypatch.chdir(tmp_path)
    assert rows(pickle.loads(pickled), 0, 3) == rows(blurgen.open_pairs(path), 0, 3)


def test_forking_while_threads_work():
    """Children that are born while the parent's threads are at work do not hang."""
    if "fork" not in METHODS:
        pytest.skip("there is no fork here")
    expected = degraded(1)
    with ThreadPoolExecutor(2) as threads:
        work = [threads.submit(degraded, 2) for _ in range(20)]
        answers = [in_worker("fork", degraded, 2) for _ in range(4)]
        assert {part.result(SECONDS) for part in work} == {expected}
    assert set(answers) == {expected}


class Rows:
    """A data set of PyTorch's."""

    def __init__(self, pairs):
        self.pairs = pairs

    def __len__(self):
        return len(self.pairs)

    def __getitem__(self, key):
        pair = self.pairs[key]
        return np.array(pair.sharp), np.array(pair.blurred), pair.params["0.motion.length"]


@pytest.mark.parametrize("method", [None, *METHODS])
def test_data_loader(method, path):
    data = pytest.importorskip("torch.utils.data")
    pairs = blurgen.open_pairs(path)
    loader = data.DataLoader(
        Rows(pairs),
        batch_size=16,
        num_workers=2 if method else 0,
        multiprocessing_context=method,
        timeout=SECONDS if method else 0,
    )
    batches = list(loader)
    assert np.array_equal(np.concatenate([batch[0].numpy() for batch in batches]), pairs.sharp)
    assert np.array_equal(np.concatenate([batch[1].numpy() for batch in batches]), pairs.blurred)
    lengths = np.concatenate([batch[2].numpy() for batch in batches])
    assert np.array_equal(lengths, pairs.params["0.motion.length"])


def test_pair_file_is_a_data_set(path):
    """The collation that PyTorch's DataLoader does by default takes pairs as they are."""
    data = pytest.importorskip("torch.utils.data")
    pairs = blurgen.open_pairs(path)
    batches = list(data.DataLoader(pairs, batch_size=16))
    assert np.array_equal(np.concatenate([batch.blurred.numpy() for batch in batches]), pairs.blurred)
    assert set(batches[0].params) == set(pairs.params)
