"""HDF5 without what reaches beyond the file: only datasets whose bytes lie in it."""

from __future__ import annotations

import math
from typing import Any

from blurgen.untrusted.bounds import RefusedError, check_growth

_LONGEST_ATTRIBUTE = 1 << 16  # bytes; HDF5 keeps longer ones elsewhere


def own_dataset(file: Any, name: str, *, virtual: bool = False) -> Any:
    """The dataset of that name of an open h5py file; None where there is none.

    Parameters
    ----------
    file : h5py.File
        Open for reading.
    name : str
        Its place, groups and name between slashes.
    virtual : bool
        Whether it may be put together from other files, which the caller then looks at.

    Raises
    ------
    RefusedError
        If it is reached by a soft or external link, lies in other files, or is larger than its bytes may
        fill.
    """
    import h5py

    item = file
    for part in name.strip("/").split("/"):
        link = item.get(part, getlink=True) if isinstance(item, h5py.Group) else None
        if link is None:
            return None
        if not isinstance(link, h5py.HardLink):
            raise RefusedError(f"'{name}' is a link that leads elsewhere")
        item = item[part]
    if not isinstance(item, h5py.Dataset):
        return None
    if not (virtual and item.is_virtual and item.shape is not None):
        _check_storage(item, f"dataset '{name}'")
    return item


def own_attribute(file: Any, name: str) -> Any:
    """The value of an attribute that is one number or text; None for anything else."""
    if name not in file.attrs:
        return None
    known = file.attrs.get_id(name)
    if known.shape != () or known.dtype.itemsize > _LONGEST_ATTRIBUTE:
        return None
    return file.attrs[name]


def check_filters(dataset: Any) -> None:
    """See that all filters are at hand that an h5py dataset is packed by.

    Raises
    ------
    RefusedError
        If one is not.
    """
    import h5py

    creation = dataset.id.get_create_plist()
    for place in range(creation.get_nfilters()):
        number = creation.get_filter(place)[0]
        if not h5py.h5z.filter_avail(number):
            raise RefusedError(
                f"dataset '{dataset.name}' is packed by HDF5's filter {number}, which is not installed"
            )


def _check_storage(dataset: Any, what: str) -> None:
    if dataset.external:
        raise RefusedError(f"{what} keeps its bytes in other files")
    if dataset.is_virtual:
        raise RefusedError(f"{what} is put together from other files")
    if dataset.shape is None:
        raise RefusedError(f"{what} holds nothing")
    held = min(dataset.id.get_storage_size(), dataset.file.id.get_filesize())
    check_growth(what, math.prod(dataset.shape) * dataset.dtype.itemsize, held)
    if dataset.chunks:
        check_growth(f"a chunk of {what}", math.prod(dataset.chunks) * dataset.dtype.itemsize, held)
