"""Pair files as a dataset, in this process and in workers of every kind."""

import multiprocessing
import pickle

import numpy as np
import pytest
from strategies import texture

import blurgen
from blurgen.errors import FileError
from blurgen.sources.memory import MemorySource

torch = pytest.importorskip("torch")

from torch.utils.data import DataLoader, Subset  # noqa: E402

from blurgen.torch import PairDataset  # noqa: E402


@pytest.fixture(scope="module", params=[None, "lzf"])
def path(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("pairs") / "pairs.h5"
    source = MemorySource("texture", {}, texture(20, 12, 16, 3))
    blurgen.make(source, path, "anime-motion", seed=4, threads=1, compression=request.param)
    return path


def swapped(blurred, sharp):
    return sharp, blurred


def as_dict(blurred, sharp):
    return {"difference": blurred.int() - sharp.int()}


def test_items(path):
    pairs, dataset = blurgen.open_pairs(path), PairDataset(path)
    assert len(dataset) == len(pairs) > 19
    for index in (0, 7, -1, np.int64(3)):
        blurred, sharp = dataset[index]
        for tensor, images in ((blurred, pairs.blurred), (sharp, pairs.sharp)):
            assert tensor.dtype == torch.uint8
            assert tensor.shape == (3, 12, 16)
            assert tensor.is_contiguous()
            np.testing.assert_array_equal(tensor.numpy(), np.moveaxis(images[index], -1, 0))
    for index in (len(pairs), -len(pairs) - 1):
        with pytest.raises(IndexError, match=rf"pair {index} of {len(pairs)}"):
            dataset[index]
        with pytest.raises(IndexError, match=rf"pair {index} of {len(pairs)}"):
            dataset.__getitems__([0, index])
    assert sum(1 for _ in dataset) == len(pairs)


def test_items_of_a_batch_are_single_items(path):
    dataset = PairDataset(path, params=True)
    wanted = [5, 1, 1, len(dataset) - 1, -2]
    for index, (blurred, sharp, params) in zip(wanted, dataset.__getitems__(wanted), strict=True):
        one = dataset[index]
        assert torch.equal(blurred, one[0])
        assert torch.equal(sharp, one[1])
        assert params == one[2]


def test_params(path):
    pairs = blurgen.open_pairs(path)
    _, _, params = PairDataset(path, params=True)[4]
    assert params == {name: column[4] for name, column in pairs.params.items()}
    batch = next(iter(DataLoader(PairDataset(path, params=True), batch_size=5)))
    for name, column in pairs.params.items():
        np.testing.assert_array_equal(batch[2][name].numpy(), column[:5])


def test_transforms(path):
    blurred, sharp = PairDataset(path)[2]
    first, second = PairDataset(path, swapped)[2]
    assert torch.equal(first, sharp)
    assert torch.equal(second, blurred)
    item, params = PairDataset(path, as_dict, params=True)[2]
    assert torch.equal(item["difference"], blurred.int() - sharp.int())
    assert sorted(params) == sorted(blurgen.open_pairs(path).params)


def test_items_belong_to_their_owner(path):
    dataset = PairDataset(path)
    dataset[0][0].zero_()
    for blurred, _ in dataset.__getitems__([0, 0]):
        assert blurred.any()
        blurred.zero_()
        assert dataset[0][0].any()


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_workers_of_every_kind(path, method):
    dataset = PairDataset(path, swapped, params=True)
    dataset[0]  # opened before the workers begin
    loader = DataLoader(dataset, batch_size=6, num_workers=2, multiprocessing_context=method)
    rows = [row for batch in loader for row in batch[0]]
    assert len(rows) == len(dataset)
    for index, sharp in enumerate(rows):
        assert torch.equal(sharp, dataset[index][0])


def test_shuffled_subsets(path):
    subset = Subset(PairDataset(path), [9, 2, 4])
    loader = DataLoader(subset, batch_size=2, shuffle=True, generator=torch.Generator().manual_seed(1))
    seen = torch.cat([blurred for blurred, _ in loader])
    wanted = torch.stack([blurred for blurred, _ in subset])
    assert sorted(image.sum().item() for image in seen) == sorted(image.sum().item() for image in wanted)


def test_it_pickles(path):
    dataset = pickle.loads(pickle.dumps(PairDataset(path, swapped)))
    assert torch.equal(dataset[3][0], PairDataset(path)[3][1])
    assert "PairFile" in repr(dataset)


def test_missing_files(tmp_path):
    with pytest.raises(FileError, match=r"nothing\.h5"):
        PairDataset(tmp_path / "nothing.h5")
