"""A FastAPI back end whose users sign in with a JWT, and whose handlers cannot reach anybody but the caller.

pip install locule fastapi uvicorn
uvicorn backend:api
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from locule import AuthenticationError, InvalidError, Locule, LoculeError, NotAllowedError, NotFoundError, Space


@asynccontextmanager
async def lifespan(api: FastAPI) -> AsyncIterator[None]:
    # Opened in the process that serves, so that every worker has its own.
    # With JWT_SECRET it takes the tokens of whoever signs with that (HS256), and without it those that it makes itself.
    data, secret = os.environ.get("LOCULE_DATA", "./locule-data"), os.environ.get("JWT_SECRET")
    with Locule(data, jwt_secret=secret) as api.state.locule:
        yield


api = FastAPI(lifespan=lifespan)

STATUS = {AuthenticationError: 401, NotAllowedError: 403, NotFoundError: 404, InvalidError: 422}


@api.exception_handler(LoculeError)
def refused(_: Request, error: LoculeError) -> JSONResponse:
    status = next((status for kind, status in STATUS.items() if isinstance(error, kind)), 503)
    return JSONResponse({"code": error.code, "detail": error.detail}, status)


def caller(request: Request, authorization: Annotated[str, Header()] = "") -> Space:
    """The caller's space: what the token opens, and nothing else."""
    kind, _, token = authorization.partition(" ")
    if kind.lower() != "bearer" or not token:
        raise HTTPException(401, "Sign in: Authorization: Bearer …")
    app: Locule = request.app.state.locule
    return app.as_user(token)


Me = Annotated[Space, Depends(caller)]


class SignIn(BaseModel):
    user_id: str


class NewMemory(BaseModel):
    text: str


@api.post("/token")
def token(sign_in: SignIn, request: Request) -> dict[str, str]:
    """A real back end checks a password here, or has its identity provider make the tokens."""
    app: Locule = request.app.state.locule
    return {"access_token": app.mint_token(sign_in.user_id), "token_type": "bearer"}


# Handlers without `async` run in threads, so that none holds the loop up.
@api.post("/memories", status_code=201)
def add(new: NewMemory, me: Me) -> Any:
    return me.add(new.text)


@api.get("/memories/search")
def search(query: str, me: Me) -> Any:
    return me.search(query)


@api.get("/memories/{memory_id}")
def get(memory_id: str, me: Me) -> Any:
    return me.get(memory_id)


@api.get("/users/{user_id}/memories")
def of_user(user_id: str, me: Me) -> Any:
    """Whoever is named in the path must be the caller."""
    return me.user(user_id).get_all()
