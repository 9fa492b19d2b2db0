-- email_norm is what makes two addresses the same one (addresses.py); email is as it was typed.
CREATE TABLE users (
    id            uuid PRIMARY KEY,
    email         text NOT NULL,
    email_norm    text NOT NULL CONSTRAINT users_email_norm_key UNIQUE,
    password_hash text NOT NULL,
    status        text NOT NULL DEFAULT 'active' CHECK (status IN ('pending', 'active', 'disabled', 'deleting')),
    created_at    timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE profiles (
    user_id           uuid PRIMARY KEY REFERENCES users ON DELETE CASCADE,
    display_name      text,
    timezone          text NOT NULL DEFAULT 'UTC',
    locale            text,
    week_start        smallint NOT NULL DEFAULT 1 CHECK (week_start BETWEEN 1 AND 7),
    day_start_minutes smallint NOT NULL DEFAULT 0 CHECK (day_start_minutes BETWEEN 0 AND 720),
    version           integer NOT NULL DEFAULT 1
);

-- refresh_key_enc is sealed by AUTH_KEY_SECRET. Refresh tokens are made from it and the counter, and never stored.
CREATE TABLE sessions (
    id                uuid PRIMARY KEY,
    user_id           uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    device_name       text,
    refresh_key_enc   bytea NOT NULL,
    refresh_counter   bigint NOT NULL DEFAULT 0,
    created_at        timestamptz NOT NULL,
    last_refreshed_at timestamptz NOT NULL,
    idle_expires_at   timestamptz NOT NULL,
    expires_at        timestamptz NOT NULL,
    revoked_at        timestamptz,
    revoke_reason     text,
    CHECK ((revoked_at IS NULL) = (revoke_reason IS NULL))
);

CREATE INDEX sessions_user_id_idx ON sessions (user_id);

-- Ed25519; private_enc is sealed by AUTH_KEY_SECRET.
CREATE TABLE signing_keys (
    kid         text PRIMARY KEY,
    public_key  bytea NOT NULL,
    private_enc bytea NOT NULL,
    state       text NOT NULL CHECK (state IN ('next', 'active', 'retiring', 'gone')),
    created_at  timestamptz NOT NULL DEFAULT now()
);

-- At any moment one key signs.
CREATE UNIQUE INDEX signing_keys_active_idx ON signing_keys (state) WHERE state = 'active';
