"""The stack's load balancer: the kit's, as it is."""
