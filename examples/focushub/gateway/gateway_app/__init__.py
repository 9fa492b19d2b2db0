"""The stack's gateway: the kit's, with a dashboard and the person's day settings."""
