-- Habits, how often each is due, and what was entered for which day. Streaks are stored nowhere: they follow from these.

CREATE TABLE habits (
    id          uuid PRIMARY KEY,
    user_id     uuid NOT NULL,
    name        text NOT NULL,
    description text NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('boolean', 'quantity')),
    unit        text,
    target      numeric CHECK (target > 0),
    start_date  date NOT NULL,
    CONSTRAINT a_quantity_has_a_target CHECK ((kind = 'quantity') = (target IS NOT NULL)),
    CONSTRAINT only_a_quantity_has_a_unit CHECK (kind = 'quantity' OR unit IS NULL)
);

CREATE INDEX habits_of_user ON habits (user_id, id);

-- A version holds from its day until the next one's, so that a change judges no day of the past anew.
CREATE TABLE schedules (
    habit_id       uuid NOT NULL REFERENCES habits ON DELETE CASCADE,
    effective_from date NOT NULL,
    rule           jsonb NOT NULL,
    PRIMARY KEY (habit_id, effective_from)
);

-- A day is the person's calendar day when it was entered: no later change of zone moves it.
CREATE TABLE entries (
    habit_id   uuid NOT NULL REFERENCES habits ON DELETE CASCADE,
    local_date date NOT NULL,
    state      text CHECK (state IN ('done', 'skip', 'fail')),
    amount     numeric CHECK (amount BETWEEN 0 AND 1000000000),
    note       text NOT NULL DEFAULT '',
    PRIMARY KEY (habit_id, local_date),
    CONSTRAINT an_entry_says_something CHECK (state IS NOT NULL OR amount IS NOT NULL)
);

-- What each entry comes to: what it says, or done where a quantity has reached its target.
CREATE VIEW marked_entries AS
    SELECT e.habit_id, e.local_date, e.amount, e.note,
           CASE WHEN e.state IS NOT NULL THEN e.state WHEN e.amount >= h.target THEN 'done' END AS mark
    FROM entries e JOIN habits h ON h.id = e.habit_id;
