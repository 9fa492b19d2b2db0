"""`focushub verify`: load from several clients, a gateway and a service killed under it, and whether the promises held.

The pure half: `survey` (what an API document lets one read and write), `bodies`, `pace`, `ledger` (what was sent and
what came of it), `promises` (the verdict) and `report`. The other half sends (`wire`, `client`, `load`), kills
(`kills`), starts a stack where none runs (`stack`) and says how far it is (`progress`); `run` puts them together.
"""
