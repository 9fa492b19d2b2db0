"""Routes of an aiohttp application that the proxy's engine serves itself.

A function whose signature says what it takes and gives (`focushub_core.http`) needs no parser, no request and no
response of aiohttp's: `focushub_core.direct.lane` serves it without. `focushub_core.direct.server` listens for a
service, and gives those connections to aiohttp on which something else is asked for.
"""
