"""A data set of Hugging Face's: Parquet files and a card, which ``datasets.load_dataset`` reads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from blurgen.exporting import png
from blurgen.exporting.base import Sharded
from blurgen.exporting.records import most_json_bytes, records
from blurgen.reporting.card import card, split_of
from blurgen.reporting.findings import findings

_IMAGES = ("sharp", "blurred")
_FOOTER = 1 << 16  # of a file: schema, and the list of row groups
_ROW_BYTES = 256  # of a row: lengths, the share of a page's header and of a row group's entry


class HuggingFace(Sharded):
    """``data/train-00000-of-00001.parquet`` …, ``README.md`` (the card) and ``recipe.yaml``.

    Columns are sharp and blurred (PNG, decoded by `datasets`), source_index, label, and each parameter under
    its name; null where a stage took no part. A source opened with ``split="test"`` gives a split ``test``.
    """

    extra, package = "hf", "pyarrow"
    ending = ".parquet"

    @property
    def split(self) -> str:
        """What the one split is called."""
        return split_of(self.pairs.header)

    @property
    def files(self) -> list[str]:
        """A folder, the card and the recipe."""
        return ["data", "README.md", "recipe.yaml"]

    def shard(self, number: int) -> str:
        """The name of a shard, as the Hub expects it."""
        return f"data/{self.split}-{number:05d}-of-{self.shards:05d}{self.ending}"

    def frame_bytes(self) -> int:
        """The footer."""
        return _FOOTER

    def pair_bytes(self) -> int:
        """Two images and some numbers."""
        return 2 * png.most_bytes(self.pairs.header.shape) + most_json_bytes(self.pairs) + _ROW_BYTES

    def write(self, folder: Path, start: int, stop: int) -> Iterator[int]:
        """Write a shard to the disk."""
        (folder / "data").mkdir(exist_ok=True)
        yield from super().write(folder, start, stop)

    def _schema(self) -> Any:
        """Arrow's schema, with the features that `datasets` looks for in it."""
        import pyarrow as pa

        image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        fields = dict.fromkeys(_IMAGES, image)
        for name in records(self.pairs, 0, 0):
            column = self.pairs.params.get(name)
            fields[name] = pa.float64() if column is not None and column.dtype.kind == "f" else pa.int64()
        features: dict[str, Any] = {
            name: {"_type": "Image"}
            if name in _IMAGES
            else {"dtype": kind.to_pandas_dtype().__name__, "_type": "Value"}
            for name, kind in fields.items()
        }
        told = json.dumps({"info": {"features": features}})
        return pa.schema(list(fields.items()), metadata={"huggingface": told})

    def fill(self, file: BinaryIO, start: int, stop: int) -> Iterator[int]:
        """Write a shard, a row group for each block."""
        import pyarrow as pa
        from pyarrow import parquet

        schema = self._schema()
        numbers = [name for name in schema.names if name not in _IMAGES]
        # PNGs are as small as they get, and no two are alike
        options = {"use_dictionary": numbers, "write_statistics": numbers, "compression": "none"}
        with parquet.ParquetWriter(file, schema, **options) as writer:
            for first, last in self.blocks(start, stop):
                columns: dict[str, list[Any]] = {
                    name: [{"bytes": data, "path": None} for data in png.encode_all(images, self.threads)]
                    for name, images in zip(_IMAGES, self.images(first, last), strict=True)
                }
                columns |= records(self.pairs, first, last)
                writer.write_table(pa.table(columns, schema), row_group_size=last - first)
                yield last

    def finish(self, folder: Path) -> None:
        """Write the card and the recipe."""
        (folder / "README.md").write_bytes(card(findings(self.pairs)).encode(errors="backslashreplace"))
        recipe = self.pairs.recipe.to_yaml()
        (folder / "recipe.yaml").write_text(recipe, encoding="utf-8", errors="backslashreplace")
