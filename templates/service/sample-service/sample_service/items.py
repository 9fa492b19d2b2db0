"""Items: a text that a person keeps and nobody else sees. A beginning, to make of it what you need."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from uuid_utils.compat import uuid7

from focushub_core import Body, Clock, Database, Meta, NotFound, Page, Paging, Routes, User


class NewItem(Body, frozen=True):
    """The body that creates an item."""

    text: Annotated[str, Meta(min_length=1, max_length=1000, pattern=r"\S", examples=["Buy milk"])]


class Item(msgspec.Struct, frozen=True):
    """An item as it is answered: ids are in the order of their making."""

    id: UUID
    text: str
    created_at: datetime


routes = Routes("/v1/sample")


@routes.post(status=201)
async def create_item(body: NewItem, user: User, database: Database, clock: Clock) -> Item:
    """A new item."""
    item = Item(uuid7(), body.text, clock())
    await database.execute(
        "INSERT INTO items (id, user_id, text, created_at) VALUES ($1, $2, $3, $4)",
        *(item.id, user.id, item.text, item.created_at),
    )
    return item


@routes.get()
async def list_items(user: User, page: Paging, database: Database) -> Page[Item]:
    """The person's items, the oldest first."""
    found = await database.all(
        Item,
        "SELECT id, text, created_at FROM items"
        " WHERE user_id = $1 AND ($2::uuid IS NULL OR id > $2) ORDER BY id LIMIT $3",
        *(user.id, page.after(UUID), page.fetch),
    )
    return page.of(found, lambda item: item.id)


@routes.get("/{item_id}", raises=[NotFound(code="item_not_found")])
async def get_item(item_id: UUID, user: User, database: Database) -> Item:
    """One item."""
    item = await database.one(
        Item, "SELECT id, text, created_at FROM items WHERE user_id = $1 AND id = $2", user.id, item_id
    )
    if item is None:
        raise NotFound("There is no such item.", code="item_not_found")
    return item
