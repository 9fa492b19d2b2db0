-- Projects and tasks. Every row says whose it is; every statement asks for it.

CREATE TABLE projects (
    id         uuid PRIMARY KEY,
    user_id    uuid NOT NULL,
    name       text NOT NULL,
    color      text,
    is_inbox   boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL,
    version    integer NOT NULL DEFAULT 1,
    CONSTRAINT project_and_owner UNIQUE (user_id, id)
);

CREATE UNIQUE INDEX one_inbox ON projects (user_id) WHERE is_inbox;

CREATE TABLE tasks (
    id           uuid PRIMARY KEY,
    user_id      uuid NOT NULL,
    project_id   uuid NOT NULL,
    title        text NOT NULL,
    description  text,
    priority     smallint NOT NULL CHECK (priority BETWEEN 1 AND 4),
    -- A day; with a time a moment on the wall clock, wherever the person is; with a zone, the clock of that place.
    due_date     date,
    due_time     time,
    due_tz       text,
    estimate_s   integer CHECK (estimate_s >= 0),
    created_at   timestamptz NOT NULL,
    completed_at timestamptz,
    version      integer NOT NULL DEFAULT 1,
    CONSTRAINT due_is_whole CHECK (
        (due_time IS NULL OR due_date IS NOT NULL) AND (due_tz IS NULL OR due_time IS NOT NULL)
    ),
    -- A task never gets into another person's project, whatever the service does.
    CONSTRAINT task_in_own_project FOREIGN KEY (user_id, project_id) REFERENCES projects (user_id, id)
);

CREATE INDEX tasks_in_order ON tasks (user_id, id);
CREATE INDEX tasks_of_project ON tasks (user_id, project_id, id);
CREATE INDEX open_tasks_by_due ON tasks (user_id, due_date) WHERE completed_at IS NULL AND due_date IS NOT NULL;
CREATE INDEX tasks_by_completion ON tasks (user_id, completed_at) WHERE completed_at IS NOT NULL;
