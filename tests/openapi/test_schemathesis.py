"""Schemathesis reads each generated service's document, tries to break its word, and finds nothing."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.fuzz

HERE = Path(__file__).parent
EXAMPLES = os.environ.get("FUZZ_EXAMPLES", "60")
ACCOUNT = {"email": "ann@example.com", "password": "correct horse battery staple"}


async def token_of(client) -> str:
    """That of somebody whom the service knows."""
    if client.service.name != "auth-service":
        return client.mint.token(client.person().id)
    await client.post("/v1/auth/register", json=ACCOUNT)
    return (await client.post("/v1/auth/login", json=ACCOUNT)).body["access_token"]


@pytest.mark.timeout(900)
async def test_a_service_keeps_its_documents_word(serve, generated, tmp_path):
    client = await serve(generated, AUTH_KEY_SECRET="a" * 40)
    url = f"{client.url}/openapi.json"
    arguments = ["--config-file", str(HERE / "schemathesis.toml"), "run", url]
    arguments += ["--max-examples", EXAMPLES, "--seed", "1", "--phases", "examples,coverage,fuzzing"]
    arguments += ["-H", f"Authorization: Bearer {await token_of(client)}", "--continue-on-failure"]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", *arguments),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
