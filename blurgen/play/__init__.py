"""A local page to tune a recipe by eye.

What is pure stands apart from what needs NiceGUI: `document`, `outline`, `checks`, `catalogue`, `knobs`,
`pictures` and `session` import no page; `studio`, `form`, `wall`, `page` and `server` are the page.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from blurgen.errors import BlurgenError, InputError


def play(
    recipe: str | None = None,
    *,
    images: Path | None = None,
    patch: int | None = None,
    seed: int = 0,
    host: str = "127.0.0.1",
    port: int = 8080,
    browser: bool = True,
    said: Callable[[str], None] = print,
) -> None:
    """Serve the page until the process is interrupted.

    Parameters
    ----------
    recipe : str, optional
        A built-in recipe or a file; by default one that suits the images.
    images : Path, optional
        A folder of one's own images; by default drawn ones.
    patch : int, optional
        The side of the patches that the folder's images are cut into; by default they are cut where they are
        large or differ in size.
    seed : int
        The first seed.
    host : str
        The address to listen on.
    port : int
        0 takes one that is free.
    browser : bool
        Whether to open the page in the browser.
    said : callable
        Gets the page's address.

    Raises
    ------
    BlurgenError
        If NiceGUI is not installed, an argument is not as above, or the address is taken.
    """
    try:
        import nicegui  # noqa: F401
        import ruamel.yaml  # noqa: F401
    except ImportError:
        raise BlurgenError(
            "'blurgen play' needs NiceGUI and ruamel.yaml: pip install 'blurgen[play]'"
        ) from None
    from blurgen.play.pictures import Choice, choice_of_folder
    from blurgen.play.server import serve
    from blurgen.play.session import begin

    if images is None and patch is not None:
        raise InputError(f"patch {patch} goes with a folder of images (--images)")
    own = None
    if images is not None:
        own = choice_of_folder(images) if patch is None else Choice(f"folder:{images}", patch)
        own.open(seed)  # what is wrong with it is said before the page opens
    serve(begin(recipe, own, Path(), seed), host, port, browser=browser, said=said)
