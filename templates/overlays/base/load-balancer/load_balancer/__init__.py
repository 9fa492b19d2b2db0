"""In front of the gateways."""
