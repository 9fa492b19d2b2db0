"""Runs the load balancer: ``python -m load_balancer``."""

from focushub_core.proxy.loadbalancer import LoadBalancer

if __name__ == "__main__":
    LoadBalancer.run()
