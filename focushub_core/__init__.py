"""FocusHub: services for aiohttp that start as a stack."""
