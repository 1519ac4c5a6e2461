"""The card of a data set of Hugging Face's: what it is, whose images they are, how to make it again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import yaml

from blurgen.pairs import Header, PairFile
from blurgen.provenance import licence, origin, remake_command, remake_note
from blurgen.recipe import Recipe
from blurgen.reporting import summary
from blurgen.reporting.findings import Findings

_SIZES = {"n<1K": 10**3, "1K<n<10K": 10**4, "10K<n<100K": 10**5, "100K<n<1M": 10**6, "1M<n<10M": 10**7}
_MORE = "n>10M"


def split_of(header: Header) -> str:
    """What the one split of the data set is called: as the source's, ``train`` or ``test``."""
    return "test" if header.dataset_options.get("split") == "test" else "train"


def card(found: Findings) -> str:
    """The text of ``README.md``: a header in YAML, then Markdown."""
    header = found.pairs.header
    split = split_of(header)
    fields: dict[str, Any] = {
        "pretty_name": _title(header),
        "task_categories": ["image-to-image"],
        "tags": ["deblurring", "image-restoration", "synthetic-blur", "blurgen"],
        "size_categories": [next((name for name, most in _SIZES.items() if header.count < most), _MORE)],
        "configs": [
            {"config_name": "default", "data_files": [{"split": split, "path": f"data/{split}-*.parquet"}]}
        ],
    }
    known = licence(header)
    if known:
        fields["license"] = known.identifier
    top = yaml.safe_dump(fields, sort_keys=False, allow_unicode=True)
    return f"---\n{top}---\n\n{_about(found.pairs, split)}\n{_measured(found)}\n{_made(header)}"


def _about(pairs: PairFile, split: str) -> str:
    header = pairs.header
    height, width, channels = header.shape
    columns = ["sharp", "blurred", "source_index", *(["label"] if header.has_labels else []), *pairs.params]
    colours = "gray" if channels == 1 else "RGB"
    return f"""\
# {_title(header)}

{header.count:,} pairs of a sharp and a blurred image, {height}×{width}, {colours}, made by blurgen
{header.version} from `{header.dataset}` with the recipe `{header.recipe.name}` and the seed {header.seed}.

{header.recipe.description}

```python
from datasets import load_dataset

pairs = load_dataset("PATH", split="{split}")
pairs[0]["sharp"], pairs[0]["blurred"]  # Pillow images
```

Columns: {", ".join(f"`{name}`" for name in columns)}.
`source_index` is the image of the source that a pair was made from: hold out by it, so that two blurs of one
image never stand on both sides. Names of the kind `place.stage.parameter` are what was drawn for a pair, null
where a stage took no part.
"""


def _measured(found: Findings) -> str:
    """What was found in the pairs."""
    looked = ", ".join(f"{name}: {which}" for name, which in summary.sampled(found).items())
    parts = [f"## In numbers\n\nLooked at, {looked}.\n"]
    parts.append(
        _table(
            ["blurred against sharp", "mean", "least", "median", "greatest", "equal"], summary.scores(found)
        )
    )
    clipped = ["channel", "black, sharp", "black, blurred", "white, sharp", "white, blurred"]
    parts.append(_table(clipped, summary.clipped(found)))
    if found.psfs is not None:
        parts.append(_table(["PSF", ""], summary.psf_numbers(found).items()))
    if found.parameters:
        heads = ["promised", "took part", "range", "mean", "greatest gap"]
        rows = []
        for parameter in found.parameters:
            told = summary.numbers_of(parameter)
            told.setdefault("range", told.get("value", told.get("values", "")))
            rows.append(
                (
                    f"`{parameter.name}`",
                    *(told.get(head, "all" if head == "took part" else "") for head in heads),
                )
            )
        parts.append(_table(["drawn", *heads], rows))
    parts.append(f"### Near-duplicates\n\n{summary.duplicates(found)}\n")
    return "\n".join(parts)


def _made(header: Header) -> str:
    """How to make the pairs again, whose the images are, and the recipe."""
    return f"""\
## Make it again

```
{remake_command(header, "recipe.yaml")}
```

{remake_note(header)}

## Source and licence

{origin(header)}

## Recipe

`recipe.yaml`, every default included.{_source(header.recipe)}

```yaml
{header.recipe.to_yaml().rstrip()}
```
"""


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines) + "\n"


def _title(header: Header) -> str:
    return f"{header.recipe.name}, {header.dataset.partition(':')[0]}"


def _source(recipe: Recipe) -> str:
    return f" Its source: {recipe.source}." if recipe.source else ""
