"""A note is kept as it was written, at the clock's moment, and is its writer's alone."""

from notes import Notes


async def test_a_note_is_its_writers(serve, clock):
    client = await serve(Notes, clock=clock)
    ann, bob = client.person(), client.person()
    note = (await ann.post("/v1/notes", json={"text": "Buy milk"})).body
    assert (note["text"], note["at"]) == ("Buy milk", "2026-05-04T12:00:00Z")
    assert (await ann.get(f"/v1/notes/{note['id']}")).body == note
    assert (await bob.get(f"/v1/notes/{note['id']}")).status == 404
    assert (await ann.post("/v1/notes", json={"text": ""})).status == 422
