"""Serving the page: a socket on the loopback interface, the pictures, and nothing from elsewhere."""

from __future__ import annotations

import contextlib
import socket
import webbrowser
from collections.abc import Callable
from importlib import resources
from ipaddress import ip_address
from threading import Timer

import uvicorn
from fastapi import FastAPI, Response
from nicegui import ui
from starlette.middleware.trustedhost import TrustedHostMiddleware

from blurgen.errors import BlurgenError
from blurgen.play.page import Page
from blurgen.play.session import Session
from blurgen.play.studio import Studio

_OPEN_AFTER = 0.5  # seconds, in which the server has begun to listen
_FOREVER = {"Cache-Control": "private, max-age=31536000, immutable"}


def serve(session: Session, host: str, port: int, *, browser: bool, said: Callable[[str], None]) -> None:
    """Serve the page until the process is interrupted.

    Parameters
    ----------
    session : Session
        What the page begins with.
    host : str
        The address to listen on.
    port : int
        0 takes one that is free.
    browser : bool
        Whether to open the page in the browser.
    said : callable
        Gets the page's address once it is known.

    Raises
    ------
    BlurgenError
        If the address cannot be listened on.
    """
    with _listening(host, port) as listener:
        address = _address(host, listener.getsockname()[1])
        said(address)
        app = _application(Studio(session), host)
        config = uvicorn.Config(app, log_level="warning", ws_max_size=1 << 22)
        if browser:
            Timer(_OPEN_AFTER, webbrowser.open, (address,)).start()
        with contextlib.suppress(KeyboardInterrupt):  # how people end it
            uvicorn.Server(config).run(sockets=[listener])


def _listening(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.listen()  # who comes before the server is ready waits
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise BlurgenError(f"{host}, port {port}: cannot be listened on: {reason}") from None
    return listener


def _address(host: str, port: int) -> str:
    try:
        every = ip_address(host).is_unspecified
        name = f"[{host}]" if ":" in host else host
    except ValueError:
        every, name = False, host
    return f"http://{socket.gethostname() if every else name}:{port}/"


def _application(studio: Studio, host: str) -> FastAPI:
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    if host in ("127.0.0.1", "::1", "localhost"):
        # a page from elsewhere that gives its own name this address is turned away
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "[::1]", "localhost"])

    def picture(serial: int, what: str, number: int) -> Response:
        png = studio.picture(serial, what, number) if what in ("sharp", "blurred", "psf") else None
        if png is None:
            return Response(status_code=404)
        return Response(png, media_type="image/png", headers=_FOREVER)

    app.add_api_route("/pictures/{serial}/{what}/{number}.png", picture, response_model=None)
    style = (resources.files("blurgen") / "play" / "page.css").read_text(encoding="utf-8")

    def window() -> None:
        ui.add_css(style)
        Page(studio).build()

    ui.run_with(
        app,
        root=window,
        title="blurgen play",
        favicon="◐",
        dark=None,
        language="en-US",
        tailwind=False,
        show_welcome_message=False,
    )
    return app
