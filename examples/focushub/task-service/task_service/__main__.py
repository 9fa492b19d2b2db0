"""``python -m task_service``: the part, until it is stopped."""

from .service import TaskService

if __name__ == "__main__":
    TaskService.run()
