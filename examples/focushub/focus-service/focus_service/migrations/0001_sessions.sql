-- Focus sessions, and the stretches of time in which their person was really at it. What must never happen is refused
-- here, whatever the code does: two open sessions of a person, or time that counts twice.

-- For the exclusion constraint below: uuid has no GiST operators of its own. A trusted extension, so the database's
-- owner may create it.
CREATE EXTENSION IF NOT EXISTS btree_gist;

CREATE TABLE sessions (
    id         uuid PRIMARY KEY,
    user_id    uuid NOT NULL,
    kind       text NOT NULL CHECK (kind IN ('pomodoro', 'countdown', 'flow')),
    status     text NOT NULL CHECK (status IN ('running', 'paused', 'finished')),
    task_id    uuid,
    tags       text[] NOT NULL,
    planned_s  integer CHECK (planned_s > 0),
    started_at timestamptz NOT NULL,
    ended_at   timestamptz CHECK (ended_at >= started_at),
    CONSTRAINT only_a_finished_session_has_an_end CHECK ((status = 'finished') = (ended_at IS NOT NULL)),
    CONSTRAINT flow_is_without_a_plan CHECK ((kind = 'flow') = (planned_s IS NULL))
);

CREATE UNIQUE INDEX one_open_session ON sessions (user_id) WHERE status IN ('running', 'paused');
CREATE INDEX sessions_by_start ON sessions (user_id, started_at DESC, id DESC);

-- A session without its pauses. The running one's last segment has no end yet.
CREATE TABLE segments (
    session_id uuid NOT NULL REFERENCES sessions ON DELETE CASCADE,
    user_id    uuid NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at   timestamptz CHECK (ended_at > started_at),
    PRIMARY KEY (session_id, started_at),
    CONSTRAINT segments_do_not_overlap
        EXCLUDE USING gist (user_id WITH =, tstzrange(started_at, ended_at, '[)') WITH &&)
);

CREATE UNIQUE INDEX one_open_segment ON segments (user_id) WHERE ended_at IS NULL;
