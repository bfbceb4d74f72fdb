"""Every fault as OpenAI's error object with the right status; nobody's text and no traceback reaches the log."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from emollm.errors import EmollmError

log = logging.getLogger("emollm.serving")

STATUS: Mapping[str, int] = {  # of error codes; all others are the client's to mend: 400
    "model_not_found": 404,
    "image_too_large": 413,
    "media_too_long": 413,
    "media_too_large": 413,
    "unsupported_media": 415,
    "decoder_failed": 500,
    "decode_timeout": 504,
    "server_busy": 429,
    "deadline_exceeded": 504,
    "backend_failed": 500,
    "data_invalid": 500,
    "recipe_invalid": 500,
    "needs_extra": 500,
    "weights_unavailable": 503,
    "replica_lost": 503,
}
TYPES: Mapping[int, str] = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


RETRY_AFTER_S = 2


class ApiError(EmollmError):
    """A request that is refused, with its HTTP status and the parameter at fault."""

    def __init__(self, status: int, message: str, *, code: str, param: str | None = None, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message, code=code)
        self.status = status
        self.param = param
        self.headers = dict(headers or {})


def as_api_error(error: BaseException) -> ApiError:
    """Any exception as what the client is told; of our own faults only that there was one."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, EmollmError):
        status = STATUS.get(error.code, 400)
        headers = {"retry-after": str(RETRY_AFTER_S)} if status in (429, 503) else None
        return ApiError(status, str(error), code=error.code, headers=headers)
    if isinstance(error.__cause__, ApiError):  # raised while the body was read, and wrapped on the way
        return error.__cause__
    if isinstance(error, RequestValidationError):
        return _invalid(error.errors())
    if isinstance(error, HTTPException):
        code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "invalid_request")
        message = {
            404: "there is no such address here; see /openapi.json.",
            405: "this address does not take that method; see /openapi.json.",
        }
        said = message.get(error.status_code, f"the request cannot be read: {error.detail}.")
        return ApiError(error.status_code, said, code=code, headers=error.headers)
    return ApiError(500, "the server failed on this request; its log has the place under the request id.", code="internal_error")


def error_object(error: ApiError) -> dict[str, Any]:
    """OpenAI's error object."""
    kind = TYPES.get(error.status, "server_error" if error.status >= 500 else "invalid_request_error")
    message = str(error).encode(errors="replace").decode()  # it may quote half a character
    return {"error": {"message": message, "type": kind, "param": error.param, "code": error.code}}


def error_response(error: BaseException) -> JSONResponse:
    """The error object as a response."""
    told = as_api_error(error)
    return JSONResponse(error_object(told), told.status, told.headers)


def log_fault(request_id: str, error: BaseException) -> None:
    """Log where a fault of ours arose; messages of exceptions may quote the user, so they are left out."""
    place = "; ".join(f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)[-4:])
    log.error("%s failed: %s at %s", request_id, type(error).__name__, place or "?")


def install_handlers(app: FastAPI) -> None:
    """Answer every expected exception of a route with the error object."""

    async def answer(request: Request, error: Exception) -> JSONResponse:
        return error_response(error)

    for kind in (EmollmError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, answer)


def _invalid(faults: Sequence[Mapping[str, Any]]) -> ApiError:
    """The first fault in words, and how many more there are."""
    first = faults[0]
    if first["type"] == "json_invalid":
        return ApiError(400, f"the body is not JSON ({first['ctx']['error']} at position {first['loc'][-1]}).", code="invalid_json")
    param = _param(first["loc"])
    more = f" ({len(faults) - 1} more faults in this request.)" if len(faults) > 1 else ""
    what = f"{param}: {first['msg']}" if param else f"the body: {first['msg']}"
    return ApiError(
        400, f"{what}.{more}", code="invalid_value" if first["type"] != "missing" else "missing_required_parameter", param=param
    )


def _param(loc: Sequence[int | str]) -> str | None:
    """`("body", "messages", 0, "content", "parts", 1, "image_url", "image_url", "url")` to `messages[0].content[1].image_url.url`."""
    path, after_parts = "", 0
    for step in loc[1:]:
        if path == "response_format" and step in ("text", "json_object", "json_schema"):  # the kind of the form, told by pydantic
            path += "."
        elif step in ("text-only", "parts"):
            after_parts = 2 if step == "parts" else 0
        elif isinstance(step, int):
            path += f"[{step}]"
            after_parts -= 1
        elif after_parts == 1:  # the kind of the part, repeated by pydantic
            after_parts = 0
        else:
            path += f".{step}" if path and not path.endswith(".") else step
    return path.rstrip(".") or None
