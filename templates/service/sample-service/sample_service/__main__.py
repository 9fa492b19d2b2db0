"""Runs the service: ``python -m sample_service``."""

from .service import SampleService

if __name__ == "__main__":
    SampleService.run()
