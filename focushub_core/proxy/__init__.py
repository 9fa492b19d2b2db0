"""The data plane: header rules, forwarding, and the load balancer made of them.

What may be sent again and who gets it is `focushub_core.balancer`'s.
"""
