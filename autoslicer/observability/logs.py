"""Logs on stderr, as text or as one JSON object a line."""

from __future__ import annotations

import logging
import sys
from typing import Literal

import structlog

from autoslicer.core.plain_text import plain

Format = Literal["text", "json"]


def configure(form: Format) -> None:
    """Send the logs of this process, those of libraries too, to stderr in one format."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso"),
        structlog.processors.format_exc_info,
    ]
    rendering: list[structlog.typing.Processor] = (
        [structlog.processors.JSONRenderer()]
        if form == "json"
        else [_shown, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    for noisy in ("kopf", "aiohttp.access", "kubernetes"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _shown(logger: object, name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """What comes from the cluster, such as an error's text, steers no terminal; tracebacks keep lines."""
    return {
        key: plain(value) if isinstance(value, str) and key != "exception" else value
        for key, value in event.items()
    }
