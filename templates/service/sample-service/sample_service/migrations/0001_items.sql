-- Every row says whose it is; every statement asks for it.
CREATE TABLE items (
    id         uuid PRIMARY KEY,
    user_id    uuid NOT NULL,
    text       text NOT NULL,
    created_at timestamptz NOT NULL
);

CREATE INDEX items_in_order ON items (user_id, id);
