"""The card of a data set of Hugging Face's: what it is, whose images they are, how to make it again."""

from __future__ import annotations

import shlex
from typing import Any, NamedTuple

import yaml

from blurgen.pairs import Header, PairFile
from blurgen.recipe import Recipe

_SIZES = {"n<1K": 10**3, "1K<n<10K": 10**4, "10K<n<100K": 10**5, "100K<n<1M": 10**6, "1M<n<10M": 10**7}
_MORE = "n>10M"


class _Licence(NamedTuple):
    identifier: str  # the Hub's
    note: str


# what those who publish the images say
_LICENCES = {
    "mnist": _Licence("cc-by-sa-3.0", "MNIST, by Yann LeCun, Corinna Cortes and Christopher Burges"),
    "fashion-mnist": _Licence("mit", "Fashion-MNIST, copyright Zalando SE"),
    "kmnist": _Licence("cc-by-sa-4.0", "KMNIST, by ROIS-DS Center for Open Data in the Humanities (CODH)"),
}
_DRAWN = ("digits", "plates", "text", "shapes")


def card(pairs: PairFile, split: str) -> str:
    """The text of ``README.md``: a header in YAML, then Markdown.

    Parameters
    ----------
    pairs : PairFile
        What is exported.
    split : str
        The name of its one split.
    """
    header = pairs.header
    fields: dict[str, Any] = {
        "pretty_name": _title(header),
        "task_categories": ["image-to-image"],
        "tags": ["deblurring", "image-restoration", "synthetic-blur", "blurgen"],
        "size_categories": [next((name for name, most in _SIZES.items() if header.count < most), _MORE)],
        "configs": [
            {"config_name": "default", "data_files": [{"split": split, "path": f"data/{split}-*.parquet"}]}
        ],
    }
    licence = _LICENCES.get(header.dataset)
    if licence:
        fields["license"] = licence.identifier
    top = yaml.safe_dump(fields, sort_keys=False, allow_unicode=True)
    return f"---\n{top}---\n\n{_body(pairs, split)}"


def _body(pairs: PairFile, split: str) -> str:
    header = pairs.header
    height, width, channels = header.shape
    recipe = header.recipe
    columns = ["sharp", "blurred", "source_index", *(["label"] if header.has_labels else []), *pairs.params]
    colours = "gray" if channels == 1 else "RGB"
    return f"""\
# {_title(header)}

{header.count:,} pairs of a sharp and a blurred image, {height}×{width}, {colours}, made by blurgen
{header.version} from `{header.dataset}` with the recipe `{recipe.name}` and the seed {header.seed}.

{recipe.description}

```python
from datasets import load_dataset

pairs = load_dataset("PATH", split="{split}")
pairs[0]["sharp"], pairs[0]["blurred"]  # Pillow images
```

Columns: {", ".join(f"`{name}`" for name in columns)}.
`source_index` is the image of the source that a pair was made from: hold out by it, so that two blurs of one
image never stand on both sides. Names of the kind `place.stage.parameter` are what was drawn for a pair, null
where a stage took no part.

## Make it again

```
{remake_command(header, "recipe.yaml")}
```

makes the same pairs, to the byte, given the same images (their hash is
`{header.dataset_sha256}`).{_part(header)}

## Source and licence

{_origin(header)}

## Recipe

`recipe.yaml`, every default included.{_source(recipe)}

```yaml
{recipe.to_yaml().rstrip()}
```
"""


def _title(header: Header) -> str:
    return f"{header.recipe.name}, {header.dataset.partition(':')[0]}"


def _part(header: Header) -> str:
    if header.count == header.whole_count:
        return ""
    last = header.first + header.count - 1
    return f" Of its pairs, these are {header.first} to {last}, counted from 0."


def _source(recipe: Recipe) -> str:
    return f" Its source: {recipe.source}." if recipe.source else ""


def _origin(header: Header) -> str:
    kind = header.dataset
    if kind in _LICENCES:
        licence = _LICENCES[kind]
        return (
            f"The sharp images are those of {licence.note}, under {licence.identifier}. The pairs are made "
            "from them: the same licence holds."
        )
    if kind in _DRAWN:
        return (
            "The sharp images are drawn by a program; nobody else has rights in them. Choose a licence "
            "before you publish."
        )
    return (
        f"The sharp images come from `{kind}`, whose licence is not known here. The pairs are made from "
        "them: state that licence before you publish."
    )


def remake_command(header: Header, recipe: str) -> str:
    """The command that makes the pair file again; of a part, the whole.

    Parameters
    ----------
    header : Header
        Of the pair file.
    recipe : str
        The file of its recipe.
    """
    words = ["blurgen", "make", "--dataset", header.dataset, "--recipe", recipe]
    words += ["--count", str(header.whole_count), "--seed", str(header.seed)]
    for name, value in header.dataset_options.items():
        if name == "seed" or value is None:  # the seed of all
            continue
        option = f"--{name.replace('_', '-')}"
        if value is True:
            words.append(option)
        else:
            between = "-" if name == "window" else "x"
            words += [option, between.join(map(str, value)) if isinstance(value, list) else str(value)]
    if header.psf_size:
        words.append("--psf")
    if header.compression:
        words += ["--compression", header.compression]
    return shlex.join([*words, "--out", "pairs.h5"])
