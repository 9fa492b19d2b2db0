-- What was answered to a request that carried an Idempotency-Key, written with what the request did (http/idempotency.py).
CREATE TABLE focushub.idempotency_keys (
    user_id     uuid NOT NULL,
    route       text NOT NULL,
    key         text NOT NULL,
    fingerprint bytea NOT NULL,
    status      smallint NOT NULL,
    headers     jsonb NOT NULL,
    body        bytea NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, route, key)
);

CREATE INDEX idempotency_keys_by_age ON focushub.idempotency_keys (created_at);
